package web

import (
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// requestsPage is the content of the list of the invitations that wait for approval.
type requestsPage struct {
	Rows                []requestRow
	Total               int
	Done, Problem       string // what the last action did, or why it was refused
	Previous, Following string // URLs of the other pages; empty: none
}

// requestRow is a request in the list.
type requestRow struct {
	invitation.View
	Kind, Organization string
}

// requests is the console's list of requests to review, for staff.
func (p *pages) requests(r *request) error {
	return p.showRequests(r, http.StatusOK, requestsPage{})
}

func (p *pages) showRequests(r *request, status int, out requestsPage) error {
	page := r.pageNumber()
	found, err := p.Invitations.Requests(r.Context(), r.user.Actor, page, consolePageSize)
	switch {
	case fault.Is(err, fault.KindForbidden):
		m := message{"Only staff review requests", "You can’t see the requests that wait. Your own are among your invitations."}
		return r.render(http.StatusForbidden, "message", m.Heading, m)
	case fault.Is(err, fault.KindNotFound) && page > 1:
		return r.redirect("/console/requests/")
	case err != nil:
		return err
	}
	out.Total = found.Total
	for _, each := range found.Invitations {
		out.Rows = append(out.Rows, requestRow{each, scopeKind(each.Scope.Type), organizationOf(each.Scope)})
	}
	out.Previous, out.Following = r.pageLinks("console/requests/", url.Values{}, page, found.Total)
	return r.render(status, "requests", "Invitations to approve", out)
}

func (p *pages) approveRequest(r *request) error {
	return p.reviewRequest(r, "Approved. The invitation goes out now.", func(id uuid.UUID) error {
		return p.Invitations.ApproveRequest(r.Context(), r.user.Actor, id)
	})
}

func (p *pages) rejectRequest(r *request) error {
	return p.reviewRequest(r, "Rejected. Whoever asked for the invitation is told by mail.", func(id uuid.UUID) error {
		return p.Invitations.RejectRequest(r.Context(), r.user.Actor, id, r.PostFormValue("reason"))
	})
}

// reviewRequest decides about a request, and shows those that are left. Who was overtaken reads who has decided and how.
func (p *pages) reviewRequest(r *request, done string, decide func(uuid.UUID) error) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return fault.NotFound()
	}
	err := decide(id)
	switch {
	case err == nil:
		return p.showRequests(r, http.StatusOK, requestsPage{Done: done})
	case fault.Is(err, fault.KindRejected):
		decision, decided := p.Invitations.Decision(r.Context(), r.user.Actor, id)
		if fault.Is(decided, fault.KindNotFound) {
			return p.showRequests(r, http.StatusConflict, requestsPage{Problem: refusal(err)})
		} else if decided != nil {
			return decided
		}
		return p.showRequests(r, http.StatusConflict, requestsPage{Problem: decisionOf(decision)})
	case reasonOfMissing(err) != "":
		return p.showRequests(r, http.StatusConflict, requestsPage{Problem: reasonOfMissing(err)})
	case fault.Is(err, fault.KindInvalid):
		return p.showRequests(r, http.StatusBadRequest, requestsPage{Problem: reasonTooLong})
	case fault.Is(err, fault.KindThrottled):
		return p.showRequests(r, http.StatusTooManyRequests, requestsPage{Problem: refusal(err)})
	default:
		return err
	}
}
