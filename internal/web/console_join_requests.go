package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// joinFilter holds the filters of the list of requests to join. They stand in the URL, so that a view can be shared.
type joinFilter struct {
	Organization, Link *uuid.UUID
	State              string // a joining.State, or anyState; empty: those that wait
}

// anyState is the filter that lists requests in every state.
const anyState = "all"

// joinStates are the states to choose from.
var joinStates = []struct{ value, name string }{
	{"", "Waiting"},
	{string(joining.Approved), "Approved"},
	{string(joining.Rejected), "Rejected"},
	{string(joining.Canceled), "Taken back"},
	{anyState, "All"},
}

// joinFilter returns the filter of a request. Values that mean nothing do not filter.
func (r *request) joinFilter() joinFilter {
	f := joinFilter{Organization: r.uuidOf("organization"), Link: r.uuidOf("link"), State: r.FormValue("state")}
	if !slices.ContainsFunc(joinStates, func(each struct{ value, name string }) bool { return each.value == f.State }) {
		f.State = ""
	}
	return f
}

// Values returns the parameters of the filter.
func (f joinFilter) Values() url.Values {
	values := linkFilter{Organization: f.Organization}.Values()
	if f.Link != nil {
		values.Set("link", f.Link.String())
	}
	if f.State != "" {
		values.Set("state", f.State)
	}
	return values
}

// States returns the states to choose from.
func (f joinFilter) States() (all []choice) {
	for _, each := range joinStates {
		all = append(all, choice{each.value, each.name, each.value == f.State})
	}
	return all
}

// query returns the query of the filter: those that wait with the oldest first, others with the newest.
func (f joinFilter) query() joining.RequestQuery {
	q := joining.RequestQuery{Customer: f.Organization, Invitation: f.Link}
	switch f.State {
	case "":
		q.States = []joining.State{joining.Pending}
		q.Order = []directory.Order{{By: directory.ByCreated}}
	case anyState:
	default:
		q.States = []joining.State{joining.State(f.State)}
	}
	return q
}

// joinRequestsPage is the content of the list of requests to join.
type joinRequestsPage struct {
	joinFilter
	Filtered            bool // by more than the state
	Rows                []joinRow
	Total               int
	Organizations       []choice         // to filter by
	Done                *joining.Request // that the last action decided about; nil: none
	About               *joining.Request // about which nothing was decided; nil: none
	Problem             string           // why; empty: About says it
	Previous, Following string           // URLs of the other pages; empty: none

	IsWrong       bool      // the comment about one of the rows is wrong
	wrong         uuid.UUID // of the request that it is about
	typed, reason string    // the comment, and what is wrong with it
}

// IsRefused reports whether the last action was refused.
func (p joinRequestsPage) IsRefused() bool { return p.Problem != "" || p.About != nil }

// joinRow is a request in the list.
type joinRow struct {
	requestView
	CanDecide      bool
	SeesLink       bool   // the user sees the join link on the console
	Typed, Problem string // the comment as it was typed, and what is wrong with it
}

func newJoinRow(r joining.Request, user directory.Actor) joinRow {
	return joinRow{
		requestView: newRequestView(r), SeesLink: joining.Oversees(user, r.Group),
		CanDecide: joining.CanDo(joining.ActionApprove, r.State) && joining.IsApprover(user, r.Group),
	}
}

// joinRequests is the console's list of the requests to join that the user sees.
func (p *pages) joinRequests(r *request) error {
	var out joinRequestsPage
	if id := r.uuidOf("done"); id != nil {
		found, err := p.Joining.Request(r.Context(), r.user.Actor, *id)
		if err != nil && !fault.Is(err, fault.KindNotFound) {
			return err
		}
		if err == nil && found.ReviewedAt != nil {
			out.Done = &found
		}
	}
	return p.showJoinRequests(r, http.StatusOK, out)
}

func (p *pages) showJoinRequests(r *request, status int, out joinRequestsPage) error {
	page, filter := r.pageNumber(), r.joinFilter()
	found, total, err := p.Joining.Requests(r.Context(), r.user.Actor, filter.query(), page, consolePageSize)
	if fault.Is(err, fault.KindNotFound) && page > 1 {
		return r.redirectTo("/console/join-requests/", filter.Values())
	} else if err != nil {
		return err
	}
	out.joinFilter, out.Filtered, out.Total = filter, filter.Organization != nil || filter.Link != nil, total
	for _, each := range found {
		row := newJoinRow(each, r.user.Actor)
		if each.UUID == out.wrong {
			row.Typed, row.Problem = out.typed, out.reason
		}
		out.Rows = append(out.Rows, row)
	}
	// Those that the user decides about come first.
	slices.SortStableFunc(out.Rows, func(a, b joinRow) int { return cmp.Compare(rank(a), rank(b)) })
	out.IsWrong = slices.ContainsFunc(out.Rows, func(row joinRow) bool { return row.Problem != "" && row.CanDecide })
	if !out.IsWrong && out.reason != "" {
		out.Problem = out.reason // the request is on another page
	}
	if out.Organizations, err = p.organizations(r, filter.Organization); err != nil {
		return err
	}
	out.Previous, out.Following = r.pageLinks("console/join-requests/", filter.Values(), page, total)
	return r.render(status, "join-requests", "Requests to join", out)
}

func rank(row joinRow) int {
	if row.CanDecide {
		return 0
	}
	return 1
}

func (p *pages) approveJoin(r *request) error {
	return p.decideJoin(r, func(id uuid.UUID) error { return p.Joining.Approve(r.Context(), r.user.Actor, id, "") })
}

func (p *pages) rejectJoin(r *request) error {
	comment := trimLines(r.PostFormValue("comment"))
	if problem := textProblem(comment, invitation.MaxReason, "comment", lineCharacters); problem != "" {
		id, _ := directory.ParseUUID(r.PathValue("uuid"))
		return p.showJoinRequests(r, http.StatusBadRequest, joinRequestsPage{wrong: id, typed: r.PostFormValue("comment"), reason: problem})
	}
	return p.decideJoin(r, func(id uuid.UUID) error { return p.Joining.Reject(r.Context(), r.user.Actor, id, comment) })
}

// decideJoin decides about a request to join, and shows those that are left. Where the decision is refused, or came too late, the
// list says why.
func (p *pages) decideJoin(r *request, decide func(uuid.UUID) error) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return fault.NotFound()
	}
	err := decide(id)
	if err == nil {
		values := r.joinFilter().Values()
		values.Set("done", id.String())
		return r.redirectTo("/console/join-requests/", values)
	}
	if !fault.Is(err, fault.KindConflict) && !fault.Is(err, fault.KindNotFound) && !fault.Is(err, fault.KindRejected) {
		return err
	}
	found, readErr := p.Joining.Request(r.Context(), r.user.Actor, id)
	if readErr != nil {
		return readErr
	}
	switch {
	case fault.Is(err, fault.KindConflict):
		return p.showJoinRequests(r, http.StatusConflict, joinRequestsPage{About: &found})
	case fault.Is(err, fault.KindNotFound):
		problem := "is not yours to decide, or you may not give the role that it asks for."
		return p.showJoinRequests(r, http.StatusForbidden, joinRequestsPage{About: &found, Problem: problem})
	default:
		return p.showJoinRequests(r, http.StatusConflict, joinRequestsPage{About: &found, Problem: "can’t be approved. " + whyNotApproved(err)})
	}
}

// notApproved has what a reviewer reads for each rule that forbids a membership.
var notApproved = map[string]string{
	string(invitation.RefusedByCustomer): "Their address is not one of those that the organization admits.",
	string(invitation.RefusedByProject):  "Their address is not one of those that the project admits.",
	string(invitation.RefusedSecond):     "They have another role there, and nobody can have two.",
	string(invitation.RefusedRole):       "The role is not given any more.",
	string(invitation.RefusedManager):    "The project has a manager, and can have one only.",
	"Role is not valid for this scope.":  "The role can’t be given there.",
}

// whyNotApproved returns why an approval was refused, in words.
func whyNotApproved(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return ""
	}
	if words, known := notApproved[f.Message]; known {
		return words
	}
	return f.Message
}
