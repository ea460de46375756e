package web

import (
	"errors"
	"net/http"

	"invited/internal/fault"
	"invited/internal/invitation"
)

// reviewPage is the content of the page by which staff decide about a request.
type reviewPage struct {
	invitation.View
	Verb         string
	Inviter      string
	Kind         string
	Organization string
	Reason       string // as it was typed
	Problem      string
}

func (p *pages) askApprove(r *request) error { return p.showReview(r, http.StatusOK, true, "") }
func (p *pages) askReject(r *request) error  { return p.showReview(r, http.StatusOK, false, "") }

func (p *pages) approve(r *request) error {
	err := p.Invitations.Approve(r.Context(), r.PathValue("token"))
	return p.afterReview(r, true, err, message{"Approved", "The invitation goes out now."})
}

func (p *pages) reject(r *request) error {
	err := p.Invitations.Reject(r.Context(), r.PathValue("token"), r.PostFormValue("reason"))
	return p.afterReview(r, false, err, message{"Rejected", "Whoever asked for the invitation is told by mail."})
}

// showReview is the page that shows a request, with the button that decides, or says who has decided.
func (p *pages) showReview(r *request, status int, approve bool, problem string) error {
	found, err := p.Invitations.Request(r.Context(), r.PathValue("token"), approve)
	if fault.Is(err, fault.KindRejected) {
		return r.reviewEnded()
	} else if err != nil {
		return err
	}
	if found.Decision != nil {
		m := message{headingOf(*found.Decision), decisionOf(*found.Decision) + " Nothing was changed by opening this page."}
		return r.render(http.StatusGone, "message", m.Heading, m)
	}
	page := reviewPage{
		View: found.View, Verb: "Reject", Kind: scopeKind(found.Scope.Type), Organization: organizationOf(found.Scope),
		Reason: r.PostFormValue("reason"), Problem: problem,
	}
	if approve {
		page.Verb = "Approve"
	}
	if found.CreatedBy != nil {
		page.Inviter = found.CreatedBy.DisplayName()
	}
	return r.render(status, "review", page.Verb+" an invitation", page)
}

// afterReview answers a decision about a request.
func (p *pages) afterReview(r *request, approve bool, err error, done message) error {
	switch {
	case errors.Is(err, invitation.ErrObstacle):
		return p.showReview(r, http.StatusConflict, approve, "Nobody could accept this invitation, and nothing was changed. "+refusal(err))
	case fault.Is(err, fault.KindRejected): // the link does not work any more
		return p.showReview(r, http.StatusGone, approve, "")
	case fault.Is(err, fault.KindInvalid):
		return p.showReview(r, http.StatusBadRequest, approve, reasonTooLong)
	case reasonOfMissing(err) != "":
		m := message{"The inviter may not give this role any more", "Nothing was changed. Reject the request, or give the inviter the role's permissions first."}
		return r.render(http.StatusConflict, "message", m.Heading, m)
	case err != nil:
		return err
	}
	return r.render(http.StatusOK, "message", done.Heading, done)
}

// reasonOfMissing returns the message of a fault.KindNotFound that says more than that something was not found; empty for
// every other error.
func reasonOfMissing(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.KindNotFound && f.Message != fault.NotFound().Message {
		return f.Message
	}
	return ""
}

// headingOf returns the heading of a page that says how staff have decided.
func headingOf(decision invitation.Event) string {
	if decision.Type == invitation.EventRejected {
		return "Already rejected"
	}
	return "Already approved"
}

// decisionOf says how staff have decided about a request, who and when.
func decisionOf(decision invitation.Event) string {
	who := decision.UserFullName
	if who == "" {
		who = decision.UserUsername
	}
	verb := "approved"
	if decision.Type == invitation.EventRejected {
		verb = "rejected"
	}
	return "The invitation of " + decision.Email + " was already " + verb + " by " + who + " on " + formatDate(decision.Created) + "."
}

// reviewEnded answers a link of staff that does not work any more, whatever the reason is.
func (r *request) reviewEnded() error {
	m := message{
		"This link does not work any more",
		"The link is too old, or the invitation was sent again or deleted since. The list of invitations says how it stands.",
	}
	return r.render(http.StatusGone, "message", m.Heading, m)
}
