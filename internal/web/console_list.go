package web

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

const (
	consolePageSize = 50
	// attentionSize is the number of invitations of each kind that need attention which the list shows above the rest.
	attentionSize = 5
	// endsSoon is how long before its end an invitation needs attention.
	endsSoon = 48 * time.Hour
)

// listFilter holds the filters of the console's list. They stand in the URL, so that a view can be shared.
type listFilter struct {
	State    invitation.State
	Delivery invitation.ExecutionState
	EndsSoon bool
	Scope    string // part of the scope's name
	Role     string // a UUID
	Text     string // part of the address
}

// maxSearch is the length of the longest text that is searched for, in bytes.
const maxSearch = 2000

// searchText returns a text to search for; empty where the request has none, or one that nothing is as long as.
func (r *request) searchText(name string) string {
	text := directory.Trim(r.FormValue(name))
	if len(text) > maxSearch {
		return ""
	}
	return text
}

// listFilter returns the filter of a request. Values that mean nothing do not filter.
func (r *request) listFilter() listFilter {
	f := listFilter{
		State: invitation.State(r.FormValue("state")), Delivery: invitation.ExecutionState(r.FormValue("delivery")),
		EndsSoon: r.FormValue("ends") == "soon", Scope: r.searchText("scope"), Role: r.FormValue("role"), Text: r.searchText("text"),
	}
	if !slices.Contains(invitation.States, f.State) {
		f.State = ""
	}
	if !slices.Contains(invitation.ExecutionStates, f.Delivery) {
		f.Delivery = ""
	}
	if _, ok := directory.ParseUUID(f.Role); !ok {
		f.Role = ""
	}
	return f
}

// Values returns the parameters of the filter.
func (f listFilter) Values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{
		"state": string(f.State), "delivery": string(f.Delivery), "scope": f.Scope, "role": f.Role, "text": f.Text,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if f.EndsSoon {
		values.Set("ends", "soon")
	}
	return values
}

// query returns the query of the filter.
func (f listFilter) query() invitation.Query {
	q := invitation.Query{Email: f.Text, ScopeName: f.Scope}
	if f.State != "" {
		q.States = []invitation.State{f.State}
	}
	if f.Delivery != "" {
		q.ExecutionStates = []invitation.ExecutionState{f.Delivery}
	}
	if role, ok := directory.ParseUUID(f.Role); ok {
		q.Role = &role
	}
	if f.EndsSoon {
		q.ExpiresWithin = endsSoon
		// the oldest first: except for projects that start later, that is the order of their ends
		q.Order = []directory.Order{{By: invitation.ByCreated}}
		if f.State == "" {
			q.States = []invitation.State{invitation.Pending, invitation.Project}
		}
	}
	return q
}

// listPage is the content of the list of invitations.
type listPage struct {
	listFilter
	Filtered            bool
	Attention           []attention
	Rows                []consoleRow
	Total, MaxBulk      int
	States              []invitation.State // to choose from, as are the next two
	Deliveries          []invitation.ExecutionState
	Roles               []directory.Role
	Selectable          bool   // the user may do something with a row
	MayInvite           bool   // somewhere
	Problem             string // why nothing was done with the selection
	Previous, Following string // URLs of the other pages; empty: none
}

// All reports whether the user can act on all invitations that match at once.
func (l listPage) All() bool { return l.Selectable && l.Total > len(l.Rows) && l.Total <= l.MaxBulk }

// TooMany reports whether more invitations match than the user can act on at once.
func (l listPage) TooMany() bool { return l.Selectable && l.Total > l.MaxBulk }

// attention is a kind of invitations that somebody should look at.
type attention struct {
	Heading string
	Rows    []consoleRow
	Total   int
	Link    string // of the list of all of them
}

// consoleRow is an invitation in the list.
type consoleRow struct {
	invitation.View
	Selectable bool // the user may manage the invitation
}

// RoleTitle returns the description of the role, or its name where it has none.
func (c consoleRow) RoleTitle() string { return roleTitle(c.Role) }

func roleTitle(role directory.Role) string {
	if role.Description != "" {
		return role.Description
	}
	return role.Name
}

// Organization returns the name of the scope's organization; empty where it is the scope itself.
func (c consoleRow) Organization() string { return organizationOf(c.Scope) }

// stateWords are the states as people call them.
var stateWords = map[invitation.State]string{
	invitation.Project:   "Starts later",
	invitation.Requested: "Needs approval",
	invitation.Rejected:  "Rejected",
	invitation.Pending:   "Not answered",
	invitation.Accepted:  "Accepted",
	invitation.Canceled:  "Taken back",
	invitation.Expired:   "Expired",
}

// deliveryWords are the states of a delivery as people call them.
var deliveryWords = map[invitation.ExecutionState]string{
	invitation.Scheduled:  "Queued",
	invitation.Processing: "Being sent",
	invitation.OK:         "Sent",
	invitation.Erred:      "Failed",
}

// list is the console's list of the invitations that the user sees.
func (p *pages) list(r *request) error { return r.renderList(http.StatusOK, "") }

// renderList answers with the list. problem is why nothing was done with a selection.
func (r *request) renderList(status int, problem string) error {
	page, filter := r.pageNumber(), r.listFilter()
	found, err := r.page.Invitations.List(r.Context(), r.user.Actor, filter.query(), page, consolePageSize)
	if fault.Is(err, fault.KindNotFound) && page > 1 {
		return r.redirectTo("/console/", filter.Values())
	} else if err != nil {
		return err
	}
	roles, _, err := r.page.Directory.Roles(r.Context(), r.user.Actor, directory.RoleQuery{}, 1, maxChoices)
	if err != nil {
		return err
	}
	out := listPage{
		listFilter: filter, Filtered: len(filter.Values()) > 0, Rows: r.consoleRows(found.Invitations), Total: found.Total, MaxBulk: maxBulk,
		States: invitation.States, Deliveries: invitation.ExecutionStates, Roles: roles, MayInvite: r.mayInvite(), Problem: problem,
	}
	out.Selectable = slices.ContainsFunc(out.Rows, func(row consoleRow) bool { return row.Selectable })
	out.Previous, out.Following = r.pageLinks("console/", filter.Values(), page, found.Total)
	if !out.Filtered && page == 1 && found.Total > 0 {
		for _, kind := range []struct {
			heading string
			filter  listFilter
		}{
			{"The mail failed", listFilter{State: invitation.Pending, Delivery: invitation.Erred}},
			{"Ends within two days", listFilter{EndsSoon: true}},
			{"Needs approval", listFilter{State: invitation.Requested}},
		} {
			found, err := r.page.Invitations.List(r.Context(), r.user.Actor, kind.filter.query(), 1, attentionSize)
			if err != nil {
				return err
			}
			if found.Total > 0 {
				out.Attention = append(out.Attention, attention{kind.heading, r.consoleRows(found.Invitations), found.Total, r.page.base + "console/?" + kind.filter.Values().Encode()})
			}
		}
	}
	return r.render(status, "list", "Invitations", out)
}

func (r *request) consoleRows(views []invitation.View) []consoleRow {
	rows := make([]consoleRow, len(views))
	for i, view := range views {
		rows[i] = consoleRow{view, r.user.MayManage(view.Scope)}
	}
	return rows
}

// mayInvite reports whether the user may invite into any scope.
func (r *request) mayInvite() bool {
	return !r.user.Manages().IsEmpty()
}
