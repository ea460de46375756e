package web

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// home is the first page: what this is, and for who is signed in the invitations that wait for them.
func (p *pages) home(r *request) error {
	if r.user == nil {
		return r.render(http.StatusOK, "home", p.SiteName, nil)
	}
	var out homePage
	var err error
	if out.Requests, err = r.ownRequests(); err != nil {
		return err
	}
	waiting, err := p.Invitations.Mine(r.Context(), r.user.Actor, []invitation.State{invitation.Pending, invitation.Project}, 1, 50)
	if err != nil {
		return err
	}
	out.Waiting = waiting.Invitations
	return r.render(http.StatusOK, "home", p.SiteName, out)
}

// homePage is the content of the first page for who is signed in.
type homePage struct {
	Waiting  []invitation.View
	Requests []requestView
}

// offerPage is the content of the page of an invitation.
type offerPage struct {
	invitation.Offer
	Path         string // of the page, below the base
	Inviter      string // empty: nobody knows any more
	Kind         string // of the scope
	Masked       string // the invitation's address, of which only its owner recognizes the whole
	Organization string // empty where it is the scope itself
	Why          string // of invitation.StandingRefused
	Problem      string // why the last action was refused
	Typed        string // the reason of a decline that was refused
}

// Form returns the path of the form that does something, below the base.
func (p offerPage) Form(action string) string { return p.Path + action + "/" }

// invitation is the page of an invitation, in whatever state it is.
func (p *pages) invitation(r *request) error {
	link, ok := directory.ParseUUID(r.PathValue("link"))
	if !ok {
		return fault.NotFound()
	}
	if r.user == nil {
		// The address goes along, so that nobody has to type it. Whoever has the link may see the address: see Check.
		check, err := p.Invitations.Check(r.Context(), link)
		if err != nil && !fault.Is(err, fault.KindNotFound) {
			return err
		}
		r.Form.Set("return_to", invitationPath(link))
		return r.renderSignIn(http.StatusOK, "You are invited", check.Email, "")
	}
	return p.showInvitation(r, http.StatusOK, link, func(*offerPage) {})
}

func invitationPath(link uuid.UUID) string { return "/invitation/" + link.String() + "/" }

// showInvitation answers with the page of an invitation for the user, after a change of its content.
func (p *pages) showInvitation(r *request, status int, link uuid.UUID, change func(*offerPage)) error {
	offer, err := p.Invitations.Offer(r.Context(), r.user.Actor, link)
	if err != nil {
		return err
	}
	page := offerPage{
		Offer: offer, Path: strings.TrimPrefix(invitationPath(link), "/"), Kind: scopeKind(offer.Scope.Type),
		Organization: organizationOf(offer.Scope), Masked: maskAddress(offer.Email),
	}
	if offer.CreatedBy != nil {
		page.Inviter = offer.CreatedBy.DisplayName()
	}
	change(&page)
	page.Why = refusals[page.Reason]
	heading := headings[page.Standing]
	if page.Standing == invitation.StandingHeld && page.State != invitation.Accepted {
		heading = "You have this role already"
	}
	return r.render(status, "invitation", heading, page)
}

// headings has the heading of the page for each standing.
var headings = map[invitation.Standing]string{
	invitation.StandingReady:      "You are invited",
	invitation.StandingUnverified: "Your address is not verified",
	invitation.StandingAddress:    "This invitation is for another address",
	invitation.StandingPerson:     "This invitation is for another person",
	invitation.StandingHeld:       "You are in",
	invitation.StandingAccepted:   "You have accepted this invitation",
	invitation.StandingRefused:    "You can’t accept this invitation now",
	invitation.StandingStarts:     "The project has not started yet",
	invitation.StandingRequested:  "This invitation waits for approval",
	invitation.StandingCanceled:   "This invitation was taken back",
	invitation.StandingDeclined:   "This invitation was declined",
	invitation.StandingExpired:    "This invitation has expired",
}

// refusals has what people read for each rule that forbids a membership. Where it is empty, the standing says enough.
var refusals = map[invitation.Refusal]string{
	invitation.RefusedHeld:       "",
	invitation.RefusedAddress:    "",
	invitation.RefusedByCustomer: "Your address is not one of those that this organization admits.",
	invitation.RefusedByProject:  "Your address is not one of those that are admitted there.",
	invitation.RefusedSecond:     "You have another role there, and nobody can have two.",
	invitation.RefusedRole:       "The role that it offers is not given any more.",
	invitation.RefusedManager:    "The project has a manager, and can have one only.",
	invitation.RefusedInviter:    "Whoever invited you may not invite there any more.",
}

// accept accepts an invitation. The page of the invitation says afterwards how it stands.
func (p *pages) accept(r *request) error {
	return p.answer(r, func(link uuid.UUID) error { return p.Invitations.Accept(r.Context(), r.user.Actor, link) })
}

// decline ends an invitation that the user does not want.
func (p *pages) decline(r *request) error {
	return p.answer(r, func(link uuid.UUID) error {
		return p.Invitations.Decline(r.Context(), r.user.Actor, link, r.PostFormValue("reason"))
	})
}

// undoDecline takes a decline back.
func (p *pages) undoDecline(r *request) error {
	return p.answer(r, func(link uuid.UUID) error { return p.Invitations.UndoDecline(r.Context(), r.user.Actor, link) })
}

// askAgain tells the inviter of an expired invitation that the user asks for a new one.
func (p *pages) askAgain(r *request) error {
	return p.answer(r, func(link uuid.UUID) error { return p.Invitations.AskAgain(r.Context(), r.user.Actor, link) })
}

// answer does what an invitee wants with an invitation. The page of the invitation says afterwards how it stands, also where
// somebody or time was faster; where a rule refused the action, it says why.
func (p *pages) answer(r *request, do func(link uuid.UUID) error) error {
	link, ok := directory.ParseUUID(r.PathValue("link"))
	if !ok {
		return fault.NotFound()
	}
	if r.user == nil {
		return r.redirect(invitationPath(link))
	}
	err := do(link)
	var f *fault.Error
	switch {
	case err == nil, fault.Is(err, fault.KindNotFound), fault.Is(err, fault.KindThrottled):
		return r.redirect(invitationPath(link)) // the page says how the invitation stands
	case fault.Is(err, fault.KindRejected) && errors.As(err, &f):
		return p.showInvitation(r, http.StatusBadRequest, link, func(page *offerPage) {
			reason := invitation.Refusal(f.Message)
			if why, known := refusals[reason]; !known {
				page.Problem = f.Message
			} else if why != "" {
				page.Standing, page.Reason = invitation.StandingRefused, reason
			}
		})
	case fault.Is(err, fault.KindInvalid) && errors.As(err, &f):
		return p.showInvitation(r, http.StatusBadRequest, link, func(page *offerPage) {
			page.Problem = "Another invitation to the same role waits for you. Look for its mail."
			if len(f.Fields["reason"]) > 0 {
				page.Problem, page.Typed = reasonTooLong, r.PostFormValue("reason")
			}
		})
	default:
		return err
	}
}

// scopeKind returns the type of a scope as people call it.
func scopeKind(t directory.ScopeType) string {
	if t == directory.Customer {
		return "organization"
	}
	return string(t)
}

// maskAddress returns an address of which only its owner recognizes the whole, such as i***@u***.example.
func maskAddress(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	host, top, found := strings.Cut(domain, ".")
	if found {
		top = "." + top[strings.LastIndexByte(top, '.')+1:]
	}
	return firstRune(local) + "***@" + firstRune(host) + "***" + top
}

func firstRune(text string) string {
	first, _ := utf8.DecodeRuneInString(text)
	if first == utf8.RuneError {
		return ""
	}
	return string(first)
}
