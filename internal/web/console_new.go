package web

import (
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
	// maxChoices is the number of scopes of a type, and of roles, that the console lists. Among more, people search.
	maxChoices = 300
	// maxFound is the number of scopes of a type that a search lists.
	maxFound = 50
	// maxAddresses is the number of addresses that can be invited at once.
	maxAddresses = 50
	// maxText is the length of the longest personal text, in characters; the API document has it too.
	maxText = 2000
)

// choicePage is the content of the page on which a user chooses the scope to invite into.
type choicePage struct {
	Choices  []scopeChoices
	Search   string
	TooMany  bool       // there are more scopes than are listed: people search
	Anywhere bool       // the user may invite somewhere
	ForLinks bool       // a join link is to lead there
	ForMany  *manyStart // the people of a table are invited there; nil: they are not
}

// Path returns the path of the page, below the base.
func (c choicePage) Path() string {
	switch {
	case c.ForLinks:
		return "console/links/new/"
	case c.ForMany != nil:
		return "console/bulk/"
	}
	return "console/new/"
}

// scopeChoices are scopes of one type that a user may invite into.
type scopeChoices struct {
	Kind   string
	Type   directory.ScopeType
	Scopes []directory.Scope // none where there are too many to list
	Total  int
}

// More reports whether not all of them are listed.
func (s scopeChoices) More() bool { return s.Total > len(s.Scopes) }

// target is where a form invites people to.
type target struct {
	Scope   *directory.Scope
	Roles   []directory.Role // that the user may give there
	Search  string           // among the roles
	TooMany bool             // there are more roles than are listed: people search
}

// Kind returns the type of the scope as people call it.
func (t target) Kind() string { return scopeKind(t.Scope.Type) }

// Organization returns the name of the scope's organization; empty where it is the scope itself.
func (t target) Organization() string { return organizationOf(*t.Scope) }

// ScopeName returns the scope as requests name it.
func (t target) ScopeName() string { return string(t.Scope.Type) + ":" + t.Scope.UUID.String() }

// newPage is the content of the form that invites people into a scope.
type newPage struct {
	target
	Role     string
	Emails   string
	Text     string
	Problems map[string]string // by field; "" has what is wrong with none of them
	Preview  *mailPreview
	Outcomes []createOutcome
	Invited  int // of the outcomes
}

// Failed reports whether the form has to be filled in once more.
func (n newPage) Failed() bool { return len(n.Problems) > 0 }

// Wrong returns the first field in which something is wrong; empty: none.
func (n newPage) Wrong() string {
	for _, field := range []string{"emails", "role", "text"} {
		if n.Problems[field] != "" {
			return field
		}
	}
	return ""
}

// Ended reports whether everybody was invited.
func (n newPage) Ended() bool { return len(n.Outcomes) > 0 && n.Emails == "" }

// mailPreview is the mail that would be sent.
type mailPreview struct {
	To, Subject, Text string
	Addresses         int  // that get such a mail
	Webhook           bool // another program writes the mail
	NeedsApproval     bool
	Starts            bool // the mail goes out when the project starts
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
		return r.render(http.StatusOK, "choose", "New invitation", choices)
	}
	form, err := p.newForm(r)
	if err != nil {
		return err
	}
	return r.render(http.StatusOK, "new", "New invitation", form)
}

// scopeChoices returns the scopes that the user may invite into, by type: those that match a search, else all, unless they
// are too many to list.
func (p *pages) scopeChoices(r *request) (choicePage, error) {
	out := choicePage{Search: r.searchText("search")}
	size := maxChoices
	if out.Search != "" {
		size = maxFound
	}
	for _, kind := range directory.ScopeTypes {
		query := directory.ScopeQuery{Type: kind, Any: out.Search, Managed: true}
		managed, total, err := p.Directory.Scopes(r.Context(), r.user.Actor, query, 1, size)
		if err != nil {
			return out, err
		}
		if out.Search == "" && total > maxChoices {
			managed, out.TooMany = nil, true
		}
		if total > 0 {
			out.Choices = append(out.Choices, scopeChoices{scopeKind(kind), kind, managed, total})
		}
	}
	out.Anywhere = out.Search != "" || len(out.Choices) > 0
	return out, nil
}

// newForm returns the form for the scope that the request names.
func (p *pages) newForm(r *request) (newPage, error) {
	to, err := p.target(r)
	return newPage{
		target: to, Role: r.PostFormValue("role"), Emails: r.PostFormValue("emails"), Text: r.PostFormValue("text"), Problems: map[string]string{},
	}, err
}

// target returns the scope that the request names as TYPE:UUID, and the roles that the user may give there. It returns
// fault.KindNotFound where the user may not manage the scope.
func (p *pages) target(r *request) (target, error) {
	kind, id, _ := strings.Cut(r.FormValue("scope"), ":")
	parsed, ok := directory.ParseUUID(id)
	if !ok {
		return target{}, fault.NotFound()
	}
	scope, err := p.Directory.Scope(r.Context(), r.user.Actor, directory.ScopeType(kind), parsed)
	if err == nil && !r.user.MayManage(scope) {
		err = fault.NotFound()
	}
	if err != nil {
		return target{}, err
	}
	out := target{Scope: &scope, Search: r.searchText("search")}
	active := true
	roles, total, err := p.Directory.Roles(r.Context(), r.user.Actor,
		directory.RoleQuery{ScopeTypes: []string{kind}, Active: &active, Any: out.Search}, 1, maxChoices)
	out.TooMany = total > maxChoices || out.Search != ""
	out.Roles = slices.DeleteFunc(roles, func(role directory.Role) bool {
		return !p.Invitations.MayOffer(r.user.Actor, role, scope)
	})
	return out, err
}

// addresses returns the addresses that were typed, each once.
func addresses(text string) (all []string) {
	known := map[string]bool{}
	for _, each := range strings.FieldsFunc(text, func(c rune) bool { return directory.IsBlank(c) || c == ',' || c == ';' }) {
		if folded := directory.FoldEmail(each); !known[folded] {
			known[folded] = true
			all = append(all, each)
		}
	}
	return all
}

// create invites every address of the form, and says of each what became of it; or shows the mail that would be sent.
func (p *pages) create(r *request) error {
	form, err := p.newForm(r)
	if err != nil {
		return err
	}
	emails := addresses(form.Emails)
	role, ok := directory.ParseUUID(form.Role)
	if !ok {
		form.Problems["role"] = "Choose a role."
	}
	if len(emails) == 0 {
		form.Problems["emails"] = "Enter at least one e-mail address."
	} else if len(emails) > maxAddresses {
		form.Problems["emails"] = "Enter at most " + strconv.Itoa(maxAddresses) + " addresses at once. These are " + strconv.Itoa(len(emails)) + "."
	}
	if len([]rune(form.Text)) > maxText {
		form.Problems["text"] = "Shorten the personal text to " + strconv.Itoa(maxText) + " characters."
	}
	if form.Failed() {
		return r.render(http.StatusBadRequest, "new", "New invitation", form)
	}
	draft := invitation.Draft{
		Role: role, ScopeURL: directory.ScopePath(*form.Scope), ExtraInvitationText: directory.Trim(form.Text),
	}
	if r.PostFormValue("step") == "preview" {
		return p.preview(r, form, draft, emails)
	}
	status, left := http.StatusOK, []string(nil) // left: the addresses that were not invited
	for i, email := range emails {
		draft.Email = email
		outcome := createOutcome{Email: email}
		if !directory.ValidEmail(email) {
			outcome.Problem = msgNoAddress
		} else {
			made, err := p.Invitations.Create(r.Context(), r.user.Actor, draft)
			if outcome.Problem = refusal(err); err != nil && outcome.Problem == "" {
				p.Logger.ErrorContext(r.Context(), "inviting several people ended early", "error", err)
				status, left = http.StatusServiceUnavailable, append(left, emails[i:]...)
				form.Problems[""] = "The server could not invite the rest. Try again with the addresses below."
				break
			}
			outcome.UUID = made.UUID
		}
		if outcome.Problem == "" {
			form.Invited++
		} else {
			left = append(left, email)
		}
		form.Outcomes = append(form.Outcomes, outcome)
	}
	form.Emails = strings.Join(left, "\n")
	return r.render(status, "new", "New invitation", form)
}

const msgNoAddress = "Enter a valid e-mail address."

// preview shows the mail to the first address that is valid.
func (p *pages) preview(r *request, form newPage, draft invitation.Draft, emails []string) error {
	first := slices.IndexFunc(emails, directory.ValidEmail)
	if first < 0 {
		form.Problems["emails"] = msgNoAddress
		return r.render(http.StatusBadRequest, "new", "New invitation", form)
	}
	draft.Email = emails[first]
	message, err := p.Invitations.Preview(r.Context(), r.user.Actor, draft)
	if problem := refusal(err); problem != "" {
		form.Problems[""] = problem
		return r.render(http.StatusBadRequest, "new", "New invitation", form)
	} else if err != nil {
		return err
	}
	form.Preview = &mailPreview{
		To: draft.Email, Addresses: len(emails), Webhook: message.Webhook,
		NeedsApproval: message.Invitation.State == invitation.Requested, Starts: message.Invitation.State == invitation.Project,
	}
	if form.Preview.Subject, form.Preview.Text, err = p.Preview(message); err != nil {
		p.Logger.WarnContext(r.Context(), "no preview", "error", err)
		form.Preview, form.Problems[""] = nil, "No mail can be written to "+draft.Email+"."
		return r.render(http.StatusBadRequest, "new", "New invitation", form)
	}
	return r.render(http.StatusOK, "new", "New invitation", form)
}

// newLink returns the path of the form for a scope, below the base.
func newLink(s directory.Scope) string {
	return "console/new/?" + url.Values{"scope": {string(s.Type) + ":" + s.UUID.String()}}.Encode()
}

// Path returns the path of the form, below the base.
func (n newPage) Path() string { return "console/new/" }

// NewLink returns the path of the form itself, for its scope.
func (n newPage) NewLink() string { return newLink(*n.Scope) }

// NewLink returns the path of the form that invites into the same scope.
func (o onePage) NewLink() string { return newLink(o.Scope) }
