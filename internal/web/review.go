package web

import (
	"context"
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
}

func (p *pages) askApprove(r *request) error { return p.askReview(r, true, "Approve") }
func (p *pages) askReject(r *request) error  { return p.askReview(r, false, "Reject") }

func (p *pages) approve(r *request) error {
	return p.review(r, p.Invitations.Approve, message{"Approved", "The invitation goes out now."})
}

func (p *pages) reject(r *request) error {
	reject := func(ctx context.Context, token string) error { return p.Invitations.Reject(ctx, token, "") }
	return p.review(r, reject, message{"Rejected", "Whoever asked for the invitation is told by mail."})
}

// askReview is the page that shows a request, with the button that decides.
func (p *pages) askReview(r *request, approve bool, verb string) error {
	found, err := p.Invitations.Request(r.Context(), r.PathValue("token"), approve)
	if fault.Is(err, fault.KindRejected) {
		return r.reviewEnded()
	} else if err != nil {
		return err
	}
	if found.Decision != nil {
		return r.reviewEnded()
	}
	page := reviewPage{View: found.View, Verb: verb, Kind: scopeKind(found.Scope.Type), Organization: organizationOf(found.Scope)}
	if found.CreatedBy != nil {
		page.Inviter = found.CreatedBy.DisplayName()
	}
	return r.render(http.StatusOK, "review", verb+" an invitation", page)
}

// review decides about a request.
func (p *pages) review(r *request, decide func(context.Context, string) error, done message) error {
	err := decide(r.Context(), r.PathValue("token"))
	if fault.Is(err, fault.KindRejected) {
		return r.reviewEnded()
	} else if err != nil {
		return err
	}
	return r.render(http.StatusOK, "message", done.Heading, done)
}

// reviewEnded answers a link of staff that does not work any more, whatever the reason is.
func (r *request) reviewEnded() error {
	m := message{
		"This link does not work any more",
		"The request may have been decided by somebody else, or the link is too old. The list of invitations says how it stands.",
	}
	return r.render(http.StatusGone, "message", m.Heading, m)
}
