package web

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

const (
	consolePageSize = 50
	// maxChoices is the number of scopes of a type, and of roles, that the console offers.
	maxChoices = 300
	// maxAddresses is the number of addresses that can be invited at once.
	maxAddresses = 50
	// maxEvents is the number of events that the page of an invitation shows.
	maxEvents = 100
)

// signedIn returns a page that only who is signed in sees. Others sign in first, and come back to the page, or to the list
// where they sent a form: a form is not sent by itself.
func signedIn(page func(*request) error) func(*request) error {
	return func(r *request) error {
		if r.user == nil {
			back := r.URL.Path
			if r.Method == http.MethodPost {
				back = "/console/"
			}
			r.Form.Set("return_to", back)
			return r.redirectWithReturn("/sign-in/")
		}
		return page(r)
	}
}

// listPage is the content of the list of invitations.
type listPage struct {
	Rows                []invitation.View
	Total               int
	States              []invitation.State // to choose from
	State, Text         string             // the filters
	Previous, Following string             // URLs of the other pages; empty: none
}

// list is the console's list of the invitations that the user sees.
func (p *pages) list(r *request) error {
	page, err := strconv.Atoi(r.FormValue("page"))
	if err != nil || page < 1 {
		page = 1
	}
	out := listPage{States: invitation.States, State: r.FormValue("state"), Text: r.FormValue("text")}
	query := invitation.Query{Email: out.Text}
	if slices.Contains(invitation.States, invitation.State(out.State)) {
		query.States = []invitation.State{invitation.State(out.State)}
	}
	found, err := p.Invitations.List(r.Context(), r.user.Actor, query, page, consolePageSize)
	if fault.Is(err, fault.KindNotFound) && page > 1 {
		return r.redirect("/console/")
	} else if err != nil {
		return err
	}
	out.Rows, out.Total = found.Invitations, found.Total
	link := func(page int) string {
		return p.base + "console/?" + url.Values{"page": {strconv.Itoa(page)}, "state": {out.State}, "text": {out.Text}}.Encode()
	}
	if page > 1 {
		out.Previous = link(page - 1)
	}
	if page*consolePageSize < found.Total {
		out.Following = link(page + 1)
	}
	return r.render(http.StatusOK, "list", "Invitations", out)
}

// onePage is the content of the page of one invitation for who invites.
type onePage struct {
	invitation.View
	Kind, Organization string
	Events             []invitation.Event
	CanSend, CanCancel bool
	Problem            string // why the last action was refused
}

// one is the console's page of one invitation.
func (p *pages) one(r *request) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return fault.NotFound()
	}
	return p.showOne(r, http.StatusOK, id, "")
}

func (p *pages) showOne(r *request, status int, id uuid.UUID, problem string) error {
	found, err := p.Invitations.Retrieve(r.Context(), r.user.Actor, id)
	if err != nil {
		return err
	}
	out := onePage{View: found, Kind: scopeKind(found.Scope.Type), Organization: organizationOf(found.Scope), Problem: problem}
	if r.user.MayManage(found.Scope) {
		events, err := p.Invitations.Events(r.Context(), r.user.Actor, id, 1, maxEvents)
		if err != nil && !fault.Is(err, fault.KindNotFound) {
			return err
		}
		out.Events = events.Events
		out.CanSend = invitation.CanDo(invitation.ActionSend, found.State)
		out.CanCancel = invitation.CanDo(invitation.ActionCancel, found.State)
	}
	return r.render(status, "one", "Invitation of "+found.Email, out)
}

func (p *pages) send(r *request) error   { return p.act(r, p.Invitations.Send) }
func (p *pages) cancel(r *request) error { return p.act(r, p.Invitations.Cancel) }

// act does something to an invitation, and shows the invitation again.
func (p *pages) act(r *request, do func(context.Context, directory.Actor, uuid.UUID) error) error {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return fault.NotFound()
	}
	err := do(r.Context(), r.user.Actor, id)
	if problem := refusal(err); problem != "" {
		return p.showOne(r, http.StatusBadRequest, id, problem) // not found where the user does not see the invitation
	} else if err != nil {
		return err
	}
	return r.redirect("/console/" + id.String() + "/")
}

// newPage is the content of the pages that make invitations: the choice of a scope, and then the form.
type newPage struct {
	Choices  []scopeChoices   // of the first page
	Scope    *directory.Scope // of the form, as is the rest
	Roles    []directory.Role
	Role     string
	Emails   string
	Text     string
	Problem  string
	Outcomes []createOutcome
}

// Kind returns the type of the scope as people call it.
func (n newPage) Kind() string { return scopeKind(n.Scope.Type) }

// Organization returns the name of the scope's organization; empty where it is the scope itself.
func (n newPage) Organization() string { return organizationOf(*n.Scope) }

// scopeChoices are the scopes of one type that a user may invite into.
type scopeChoices struct {
	Kind   string
	Type   directory.ScopeType
	Scopes []directory.Scope
	More   bool // the user may invite into more than these
}

// A createOutcome says what became of one address.
type createOutcome struct {
	Email   string
	UUID    uuid.UUID // of the invitation; the zero value: there is none
	Problem string
}

// askNew is the page on which a user chooses a scope, and then fills in the form.
func (p *pages) askNew(r *request) error {
	if r.FormValue("scope") == "" {
		choices, err := p.scopeChoices(r)
		if err != nil {
			return err
		}
		return r.render(http.StatusOK, "new", "New invitation", newPage{Choices: choices})
	}
	form, err := p.newForm(r)
	if err != nil {
		return err
	}
	return r.render(http.StatusOK, "new", "New invitation", form)
}

// scopeChoices returns the scopes that the user may invite into, by type.
func (p *pages) scopeChoices(r *request) ([]scopeChoices, error) {
	var all []scopeChoices
	for _, kind := range directory.ScopeTypes {
		managed, total, err := p.Directory.ManagedScopes(r.Context(), r.user.Actor, directory.ScopeQuery{Type: kind}, 1, maxChoices)
		if err != nil {
			return nil, err
		}
		if len(managed) > 0 {
			all = append(all, scopeChoices{scopeKind(kind), kind, managed, total > len(managed)})
		}
	}
	return all, nil
}

// newForm returns the form for the scope that the request names as TYPE:UUID.
func (p *pages) newForm(r *request) (newPage, error) {
	kind, id, _ := strings.Cut(r.FormValue("scope"), ":")
	parsed, ok := directory.ParseUUID(id)
	if !ok {
		return newPage{}, fault.NotFound()
	}
	scope, err := p.Directory.Scope(r.Context(), r.user.Actor, directory.ScopeType(kind), parsed)
	if err == nil && !r.user.MayManage(scope) {
		err = fault.NotFound()
	}
	if err != nil {
		return newPage{}, err
	}
	active := true
	roles, _, err := p.Directory.Roles(r.Context(), r.user.Actor, directory.RoleQuery{ScopeType: kind, Active: &active}, 1, maxChoices)
	return newPage{
		Scope: &scope, Roles: roles, Role: r.PostFormValue("role"), Emails: r.PostFormValue("emails"), Text: r.PostFormValue("text"),
	}, err
}

// create invites every address of the form, and says of each what became of it.
func (p *pages) create(r *request) error {
	form, err := p.newForm(r)
	if err != nil {
		return err
	}
	emails := strings.FieldsFunc(form.Emails, func(c rune) bool { return strings.ContainsRune(" \t\r\n,;", c) })
	role, ok := directory.ParseUUID(form.Role)
	switch {
	case !ok:
		form.Problem = "Choose a role."
	case len(emails) == 0:
		form.Problem = "Enter at least one e-mail address."
	case len(emails) > maxAddresses:
		form.Problem = "Enter at most " + strconv.Itoa(maxAddresses) + " addresses at once."
	case len([]rune(form.Text)) > maxText:
		form.Problem = "The personal text can have at most " + strconv.Itoa(maxText) + " characters."
	}
	if form.Problem != "" {
		return r.render(http.StatusBadRequest, "new", "New invitation", form)
	}
	status, left := http.StatusOK, []string(nil) // left: the addresses that were not invited
	for i, email := range emails {
		outcome := createOutcome{Email: email}
		if !directory.ValidEmail(email) {
			outcome.Problem = "Enter a valid e-mail address."
		} else {
			made, err := p.Invitations.Create(r.Context(), r.user.Actor, invitation.Draft{
				Role: role, ScopeURL: directory.ScopePath(*form.Scope), Email: email, ExtraInvitationText: strings.TrimSpace(form.Text),
			})
			if outcome.Problem = refusal(err); err != nil && outcome.Problem == "" {
				p.Logger.ErrorContext(r.Context(), "inviting several people ended early", "error", err)
				status, left = http.StatusServiceUnavailable, append(left, emails[i:]...)
				form.Problem = "The server could not invite the rest. Try again with the addresses below."
				break
			}
			outcome.UUID = made.UUID
		}
		if outcome.Problem != "" {
			left = append(left, email)
		}
		form.Outcomes = append(form.Outcomes, outcome)
	}
	form.Emails = strings.Join(left, "\n")
	return r.render(status, "new", "New invitation", form)
}

// maxText is the length of the longest personal text, in characters; the API document has it too.
const maxText = 2000

// refusal returns why a use case refused an action, in words; empty where it did not, or where the error says nothing that
// a user can act on.
func refusal(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return ""
	}
	switch f.Kind {
	case fault.KindInvalid:
		var all []string
		for _, field := range slices.Sorted(maps.Keys(f.Fields)) {
			all = append(all, f.Fields[field]...)
		}
		return strings.Join(all, " ")
	case fault.KindRejected:
		return f.Message
	case fault.KindNotFound:
		return "You may not give this role here."
	case fault.KindThrottled:
		return "Too many invitations: wait " + inWords(f.Wait) + ", and try again."
	default:
		return ""
	}
}

// organizationOf returns the name of a scope's organization; empty where it is the scope itself, or unknown.
func organizationOf(s directory.Scope) string {
	if s.Type == directory.Customer || s.Customer == nil {
		return ""
	}
	return s.Customer.Name
}
