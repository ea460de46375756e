package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/joining"
)

// linkFilter holds the filters of the list of join links. They stand in the URL, so that a view can be shared.
type linkFilter struct {
	Organization *uuid.UUID
	Active       string // "yes", "no" or "", any
}

// linkFilter returns the filter of a request. Values that mean nothing do not filter.
func (r *request) linkFilter() linkFilter {
	f := linkFilter{Organization: r.uuidOf("organization"), Active: r.FormValue("active")}
	if f.Active != "yes" && f.Active != "no" {
		f.Active = ""
	}
	return f
}

// uuidOf returns a UUID that the request names; nil where it names none.
func (r *request) uuidOf(name string) *uuid.UUID {
	id, ok := directory.ParseUUID(r.FormValue(name))
	if !ok {
		return nil
	}
	return &id
}

// pageNumber returns the page of a list that the request asks for, from 1.
func (r *request) pageNumber() int {
	page, err := strconv.Atoi(r.FormValue("page"))
	if err != nil || page < 1 {
		return 1
	}
	return page
}

// Values returns the parameters of the filter.
func (f linkFilter) Values() url.Values {
	values := url.Values{}
	if f.Organization != nil {
		values.Set("organization", f.Organization.String())
	}
	if f.Active != "" {
		values.Set("active", f.Active)
	}
	return values
}

func (f linkFilter) query() joining.Query {
	q := joining.Query{Overseen: true, Customer: f.Organization}
	if f.Active != "" {
		isActive := f.Active == "yes"
		q.IsActive = &isActive
	}
	return q
}

// pageLinks returns the URLs of the pages before and after a page of a list; empty: there is none.
func (r *request) pageLinks(path string, values url.Values, page, total int) (previous, following string) {
	return r.pageLinksOf(consolePageSize, path, values, page, total)
}

// pageLinksOf is pageLinks of a list whose pages have a size of their own.
func (r *request) pageLinksOf(size int, path string, values url.Values, page, total int) (previous, following string) {
	link := func(page int) string {
		if values.Del("page"); page > 1 {
			values.Set("page", strconv.Itoa(page))
		}
		if len(values) == 0 {
			return r.page.base + path
		}
		return r.page.base + path + "?" + values.Encode()
	}
	if page > 1 {
		previous = link(page - 1)
	}
	if page*size < total {
		following = link(page + 1)
	}
	return previous, following
}

// linksPage is the content of the list of join links.
type linksPage struct {
	linkFilter
	Filtered            bool
	Rows                []linkView
	Total               int
	Organizations       []choice // to filter by
	MayInvite           bool     // somewhere
	Done                string   // what the last action did
	Previous, Following string   // URLs of the other pages; empty: none
}

// A choice is one of several values of a filter.
type choice struct {
	Value, Name string
	IsChosen    bool
}

// linkView is a join link as a page shows it.
type linkView struct {
	joining.View
	Kind, Organization string
}

func newLinkView(v joining.View) linkView {
	return linkView{v, scopeKind(v.Scope.Type), organizationOf(v.Scope)}
}

// TextStart returns how the text of the link begins, which tells links to the same place apart.
func (l linkView) TextStart() string {
	line, _, _ := strings.Cut(l.CustomText, "\n")
	return directory.Excerpt(line)
}

// RoleTitle returns the description of the role that the link gives, or its name where it has none.
func (l linkView) RoleTitle() string { return roleTitle(l.Granted()) }

// StateWord returns the state of the link as people call it.
func (l linkView) StateWord() string {
	switch {
	case l.IsActive:
		return "Active"
	case !l.NotCanceled:
		return "Canceled"
	default:
		return "Ended"
	}
}

// Why returns why a link that was not canceled has ended; empty where it has not, or where its time is over.
func (l linkView) Why() string {
	if l.NotCanceled && l.Scope.Removed() {
		return "the " + l.Kind + " was removed"
	}
	return ""
}

// linksDone has what the list of join links says after an action.
var linksDone = map[string]string{"delete": "The join link was deleted, and the requests that were made by it."}

// links is the console's list of the join links that the user sees.
func (p *pages) links(r *request) error {
	page, filter := r.pageNumber(), r.linkFilter()
	found, total, err := p.Joining.List(r.Context(), r.user.Actor, filter.query(), page, consolePageSize)
	if fault.Is(err, fault.KindNotFound) && page > 1 {
		return r.redirectTo("/console/links/", filter.Values())
	} else if err != nil {
		return err
	}
	out := linksPage{
		linkFilter: filter, Filtered: len(filter.Values()) > 0, Total: total, MayInvite: r.mayInvite(), Done: linksDone[r.FormValue("done")],
	}
	for _, each := range found {
		out.Rows = append(out.Rows, newLinkView(each))
	}
	if out.Organizations, err = p.organizations(r, filter.Organization); err != nil {
		return err
	}
	out.Previous, out.Following = r.pageLinks("console/links/", filter.Values(), page, total)
	return r.render(http.StatusOK, "links", "Join links", out)
}

// redirectTo sends the browser to a path of this server with parameters.
func (r *request) redirectTo(path string, values url.Values) error {
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return r.redirect(path)
}

// organizations returns the organizations that a list can be filtered by: those that the user sees, unless they are too many to
// list, and the chosen one.
func (p *pages) organizations(r *request, chosen *uuid.UUID) (all []choice, err error) {
	seen, total, err := p.Directory.Scopes(r.Context(), r.user.Actor, directory.ScopeQuery{Type: directory.Customer}, 1, maxChoices)
	if err != nil {
		return nil, err
	}
	if total > maxChoices {
		seen = nil
	}
	if chosen != nil && !slices.ContainsFunc(seen, func(s directory.Scope) bool { return s.UUID == *chosen }) {
		one, err := p.Directory.Scope(r.Context(), r.user.Actor, directory.Customer, *chosen)
		if fault.Is(err, fault.KindNotFound) {
			one = directory.Scope{UUID: *chosen, Name: "Another organization"}
		} else if err != nil {
			return nil, err
		}
		seen = append(seen, one)
	}
	for _, each := range seen {
		all = append(all, choice{each.UUID.String(), each.Name, chosen != nil && each.UUID == *chosen})
	}
	return all, nil
}

// linkPage is the content of the console's page of one join link.
type linkPage struct {
	linkView
	Events     []timelineEntry
	MoreEvents bool // there are older ones
	CanEdit    bool
	CanCancel  bool
	CanDelete  bool
	IsStaffs   bool    // the user manages the link, but only staff edit it
	Address    string  // that whoever is to join opens; empty: it does not work any more
	Code       *qrCode // of the address; nil: there is none
	// SeesRequests: the user sees all requests by the link, of which there are AllRequests, and Waiting are pending.
	SeesRequests         bool
	Waiting, AllRequests int
	Done, Problem        string // what the last action did, or why it was refused
}

// linkDone has what the page of a join link says after an action.
var linkDone = map[string]string{
	"create": "The join link was made. Pass it on to whoever is to join.",
	"edit":   "The join link was changed. Its address is still the same.",
	"cancel": "The join link was canceled: it does not work any more. Requests that wait can still be approved.",
}

// link is the console's page of one join link.
func (p *pages) link(r *request) error {
	found, err := p.findLink(r)
	if err != nil {
		return err
	}
	return p.showLink(r, http.StatusOK, found, "")
}

// findLink returns the join link that a path names. Everybody who knows a link may read what it offers, but only who finds the
// link in the list sees it here: findLink returns fault.KindNotFound for others.
func (p *pages) findLink(r *request) (joining.View, error) {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return joining.View{}, fault.NotFound()
	}
	found, err := p.Joining.Retrieve(r.Context(), r.user.Actor, id)
	if err == nil && !joining.Oversees(r.user.Actor, found.GroupInvitation) {
		err = fault.NotFound()
	}
	return found, err
}

func (p *pages) showLink(r *request, status int, found joining.View, problem string) error {
	out := linkPage{linkView: newLinkView(found), Done: linkDone[r.URL.Query().Get("done")], Problem: problem}
	if found.IsActive {
		code, err := newQRCode(p.joinAddress(found.UUID))
		if err != nil {
			return err
		}
		out.Address, out.Code = p.joinAddress(found.UUID), code
	}
	if r.user.MayManage(found.Scope) || r.user.IsStaff {
		events, total, err := p.Joining.Events(r.Context(), r.user.Actor, found.UUID, 1, maxEvents)
		if err != nil && !fault.Is(err, fault.KindNotFound) {
			return err
		}
		out.Events, out.MoreEvents = linkTimeline(events), total > len(events)
	}
	if r.user.MayManage(found.Scope) {
		out.CanCancel, out.CanDelete = found.IsActive, !found.IsActive
		out.CanEdit = found.IsActive && (!found.IsPublic || r.user.IsStaff)
		out.IsStaffs = found.IsActive && !out.CanEdit
	}
	if joining.RequestsVisibleTo(r.user.Actor).Includes(joining.Request{CustomerUUID: found.CustomerUUID}) {
		out.SeesRequests = true
		q := joining.RequestQuery{Invitation: &found.UUID}
		var err error
		if out.AllRequests, err = p.Joining.CountRequests(r.Context(), r.user.Actor, q); err != nil {
			return err
		}
		q.States = []joining.State{joining.Pending}
		if out.Waiting, err = p.Joining.CountRequests(r.Context(), r.user.Actor, q); err != nil {
			return err
		}
	}
	return r.render(status, "link", "Join link for "+found.Scope.Name, out)
}

// joinAddress returns the address that whoever is to join by a link opens.
func (p *pages) joinAddress(id uuid.UUID) string {
	return p.Joining.FrontendURL + strings.TrimPrefix(joinPath(id), "/")
}

func (p *pages) cancelLink(r *request) error {
	return p.actOnLink(r, p.Joining.Cancel, func(id uuid.UUID) string { return "/console/links/" + id.String() + "/?done=cancel" })
}

func (p *pages) deleteLink(r *request) error {
	return p.actOnLink(r, p.Joining.Destroy, func(uuid.UUID) string { return "/console/links/?done=delete" })
}

// actOnLink does something to a join link, and sends the browser to the page that next returns. Where that is refused, the page
// of the link says why.
func (p *pages) actOnLink(r *request, do func(context.Context, directory.Actor, uuid.UUID) error, next func(uuid.UUID) string) error {
	found, err := p.findLink(r)
	if err != nil {
		return err
	}
	err = do(r.Context(), r.user.Actor, found.UUID)
	if err == nil {
		return r.redirect(next(found.UUID))
	}
	problem := refusal(err)
	switch {
	case fault.Is(err, fault.KindRejected) && found.IsActive:
		problem = "Only a join link that was canceled can be deleted. Cancel it first."
	case fault.Is(err, fault.KindRejected):
		problem = "The join link does not work any more already."
	case problem == "":
		return err
	}
	return p.showLink(r, http.StatusBadRequest, found, problem)
}
