package web

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// home is the first page: what this is, and for who is signed in the invitations that wait for them.
func (p *pages) home(r *request) error {
	if r.user == nil {
		return r.render(http.StatusOK, "home", p.SiteName, nil)
	}
	waiting, err := p.Invitations.List(r.Context(), r.user.Actor, invitation.Query{
		EmailExact: r.user.Email, States: []invitation.State{invitation.Pending, invitation.Project},
	}, 1, 50)
	if err != nil {
		return err
	}
	return r.render(http.StatusOK, "home", p.SiteName, waiting.Invitations)
}

// offerPage is the content of the page of an invitation.
type offerPage struct {
	invitation.Offer
	Path, Accept  string // of the page, and of the form that accepts, below the base
	Inviter       string // empty: nobody knows any more
	Kind          string // of the scope
	Masked        string // the invitation's address, of which only its owner recognizes the whole
	Organization  string // empty where it is the scope itself
	PersonalLines []string
}

// invitation is the page of an invitation, in whatever state it is.
func (p *pages) invitation(r *request) error {
	link, ok := directory.ParseUUID(r.PathValue("link"))
	if !ok {
		return fault.NotFound()
	}
	path := "/invitation/" + link.String() + "/"
	if r.user == nil {
		// The address goes along, so that nobody has to type it. Whoever has the link may see the address: see Check.
		check, err := p.Invitations.Check(r.Context(), link)
		if err != nil && !fault.Is(err, fault.KindNotFound) {
			return err
		}
		r.Form.Set("return_to", path)
		return r.render(http.StatusOK, "sign-in", "You are invited", signInForm{Email: check.Email, Issuers: p.Providers.Choices()})
	}
	offer, err := p.Invitations.Offer(r.Context(), r.user.Actor, link)
	if err != nil {
		return err
	}
	page := offerPage{
		Offer: offer, Path: path, Accept: strings.TrimPrefix(path, "/") + "accept/", Kind: scopeKind(offer.Scope.Type), PersonalLines: strings.Split(offer.ExtraInvitationText, "\n"),
	}
	if offer.CreatedBy != nil {
		page.Inviter = offer.CreatedBy.DisplayName()
	}
	page.Organization, page.Masked = organizationOf(offer.Scope), maskAddress(offer.Email)
	return r.render(http.StatusOK, "invitation", headings[offer.Standing], page)
}

// headings has the heading of the page for each standing.
var headings = map[invitation.Standing]string{
	invitation.StandingReady:     "You are invited",
	invitation.StandingAddress:   "This invitation is for somebody else",
	invitation.StandingPerson:    "This invitation is for somebody else",
	invitation.StandingHeld:      "You are in",
	invitation.StandingRefused:   "You can’t accept this invitation",
	invitation.StandingStarts:    "The project has not started",
	invitation.StandingRequested: "This invitation waits for approval",
	invitation.StandingCanceled:  "This invitation was taken back",
	invitation.StandingExpired:   "This invitation has expired",
}

// accept accepts an invitation. The page of the invitation says afterwards how it stands.
func (p *pages) accept(r *request) error {
	link, ok := directory.ParseUUID(r.PathValue("link"))
	if !ok {
		return fault.NotFound()
	}
	path := "/invitation/" + link.String() + "/"
	if r.user == nil {
		return r.redirect(path)
	}
	err := p.Invitations.Accept(r.Context(), r.user.Actor, link)
	if err != nil && !fault.Is(err, fault.KindNotFound) {
		return err
	}
	return r.redirect(path) // the page says how the invitation stands
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
