package web

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// The limits of what a join link says; the API document has them too.
const (
	maxTemplate   = 255
	maxPatterns   = 100
	maxPattern    = 1000
	maxCustomText = 500
)

// What people join by a link.
const (
	joinsScope   = "scope"
	joinsProject = "project" // of their own, in the organization
)

// expiresLayout is the form of a time in a field for one.
const expiresLayout = "2006-01-02T15:04"

// linkForm is the content of the form that makes or changes a join link, as it was typed.
type linkForm struct {
	Scope        directory.Scope
	Link         *uuid.UUID // nil: a new one
	Roles        []directory.Role
	ProjectRoles []directory.Role
	Search       string // among the roles
	TooMany      bool   // there are more roles than are listed: people search
	MayBePublic  bool
	// Affiliations and IdentitySources are those of the link, which the form does not change.
	Affiliations, IdentitySources []string

	Joins, Role, ProjectRole, Template string
	Patterns, Text, Expires            string
	CustomDetails, AutoApprove         bool
	Multiple, Public                   bool

	Problems map[string]string // by field; "" has what is wrong with none of them
}

// Kind returns the type of the scope as people call it.
func (f linkForm) Kind() string { return scopeKind(f.Scope.Type) }

// Organization returns the name of the scope's organization; empty where it is the scope itself.
func (f linkForm) Organization() string { return organizationOf(f.Scope) }

// Path returns the path of the form, below the base.
func (f linkForm) Path() string {
	if f.Link != nil {
		return "console/links/" + f.Link.String() + "/edit/"
	}
	return "console/links/new/"
}

// ChoosesProject reports whether the form asks whether people join the scope, or a project of their own.
func (f linkForm) ChoosesProject() bool {
	return len(f.ProjectRoles) > 0 || f.Joins == joinsProject
}

// Failed reports whether the form has to be filled in once more.
func (f linkForm) Failed() bool { return len(f.Problems) > 0 }

// linkFields are the fields in which something can be wrong, in their order.
var linkFields = []string{"joins", "role", "project_role", "template", "patterns", "auto_approve", "public", "text", "expires"}

// formField is a field with what is wrong in it.
type formField struct {
	Name, Problem string
	Describes     string // the ids of what describes the field
	IsFirst       bool   // the first field in which something is wrong
}

// Field returns a field of the form. hint is the id of its hint; empty: it has none.
func (f linkForm) Field(name, hint string) formField {
	out := formField{Name: name, Problem: f.Problems[name], Describes: hint}
	if out.Problem != "" {
		out.Describes = strings.TrimSpace(name + "-problem " + hint)
		first := slices.IndexFunc(linkFields, func(each string) bool { return f.Problems[each] != "" })
		out.IsFirst = f.Problems[""] == "" && linkFields[first] == name
	}
	return out
}

// askNewLink is the page on which a user chooses where a join link leads to, and then fills in the form.
func (p *pages) askNewLink(r *request) error {
	if r.FormValue("scope") == "" {
		choices, err := p.scopeChoices(r)
		if err != nil {
			return err
		}
		choices.ForLinks = true
		return r.render(http.StatusOK, "choose", "New join link", choices)
	}
	form, err := p.newLinkForm(r)
	if err != nil {
		return err
	}
	form.Joins = joinsScope
	return r.renderLinkForm(http.StatusOK, form)
}

func (r *request) renderLinkForm(status int, form linkForm) error {
	title := "New join link"
	if form.Link != nil {
		title = "Change the join link"
	}
	return r.render(status, "link-form", title, form)
}

// newLinkForm returns the form of a join link to the scope that the request names as TYPE:UUID.
func (p *pages) newLinkForm(r *request) (linkForm, error) {
	kind, id, _ := strings.Cut(r.FormValue("scope"), ":")
	parsed, ok := directory.ParseUUID(id)
	if !ok {
		return linkForm{}, fault.NotFound()
	}
	scope, err := p.Directory.Scope(r.Context(), r.user.Actor, directory.ScopeType(kind), parsed)
	if err != nil {
		return linkForm{}, err
	}
	return p.linkFormFor(r, scope)
}

// linkFormFor returns the form of a join link to a scope, as the request has filled it in, with the roles that the user may give
// there. It returns fault.KindNotFound where the user may not manage the scope.
func (p *pages) linkFormFor(r *request, scope directory.Scope) (linkForm, error) {
	if !r.user.MayManage(scope) {
		return linkForm{}, fault.NotFound()
	}
	is := func(name string) bool { return r.PostFormValue(name) != "" }
	out := linkForm{
		Scope: scope, Search: r.searchText("search"), MayBePublic: r.user.IsStaff, Problems: map[string]string{},
		Joins: r.PostFormValue("joins"), Role: r.PostFormValue("role"), ProjectRole: r.PostFormValue("project_role"),
		Template: r.PostFormValue("template"), Patterns: r.PostFormValue("patterns"), Text: r.PostFormValue("text"),
		Expires: r.PostFormValue("expires"), CustomDetails: is("custom_details"), AutoApprove: is("auto_approve"),
		Multiple: is("multiple"), Public: is("public"),
	}
	if out.Joins != joinsProject {
		out.Joins = joinsScope
	}
	var err error
	offer := joining.GroupInvitation{Scope: scope, ScopeUUID: scope.UUID, CustomerUUID: scope.CustomerUUID}
	if out.Roles, err = p.offerableRoles(r, &out, scope.Type, offer); err == nil && scope.Type == directory.Customer {
		offer.MakesProjects, offer.Scope.Customer = true, &scope
		out.ProjectRoles, err = p.offerableRoles(r, &out, directory.Project, offer)
		out.ProjectRoles = slices.DeleteFunc(out.ProjectRoles, func(role directory.Role) bool { return !joining.IsProjectRole(role) })
	}
	return out, err
}

// offerableRoles returns the roles of a type that the user may give by a join link and that match the search.
func (p *pages) offerableRoles(r *request, form *linkForm, kind directory.ScopeType, offer joining.GroupInvitation) ([]directory.Role, error) {
	isActive := true
	roles, total, err := p.Directory.Roles(r.Context(), r.user.Actor,
		directory.RoleQuery{ScopeTypes: []string{string(kind)}, Active: &isActive, Any: form.Search}, 1, maxChoices)
	form.TooMany = form.TooMany || total > maxChoices || form.Search != ""
	return slices.DeleteFunc(roles, func(role directory.Role) bool {
		offer.Role = role
		return !p.Joining.Policy.MayOffer(r.user.Actor, offer)
	}), err
}

// createLink makes a join link.
func (p *pages) createLink(r *request) error {
	form, err := p.newLinkForm(r)
	if err != nil {
		return err
	}
	edit := form.edit(nil)
	if form.Failed() {
		return r.renderLinkForm(http.StatusBadRequest, form)
	}
	path := directory.ScopePath(form.Scope)
	edit.ScopeURL = &path
	made, err := p.Joining.Create(r.Context(), r.user.Actor, edit)
	if form.refuse(err) {
		return r.renderLinkForm(http.StatusBadRequest, form)
	} else if err != nil {
		return err
	}
	return r.redirect("/console/links/" + made.UUID.String() + "/?done=create")
}

// askEditLink is the form that changes a join link.
func (p *pages) askEditLink(r *request) error {
	found, form, err := p.editForm(r)
	if err != nil {
		return err
	}
	if !found.IsActive {
		return p.showLink(r, http.StatusConflict, found, "The join link does not work any more, so nobody can change it.")
	}
	form.fill(found.GroupInvitation)
	return r.renderLinkForm(http.StatusOK, form)
}

// editForm returns a join link and its form, as the request has filled it in.
func (p *pages) editForm(r *request) (joining.View, linkForm, error) {
	found, err := p.findLink(r)
	if err != nil {
		return found, linkForm{}, err
	}
	form, err := p.linkFormFor(r, found.Scope)
	form.Link, form.Affiliations, form.IdentitySources = &found.UUID, found.Affiliations, found.IdentitySources
	// Roles that the link has already stay among those to choose, also where they are not given any more.
	if found.MakesProjects {
		form.ProjectRoles = withRole(form.ProjectRoles, found.Granted())
	} else {
		form.Roles = withRole(form.Roles, found.Role)
	}
	return found, form, err
}

func withRole(roles []directory.Role, role directory.Role) []directory.Role {
	if slices.ContainsFunc(roles, func(each directory.Role) bool { return each.UUID == role.UUID }) {
		return roles
	}
	return append(roles, role)
}

// fill puts what a join link is into the form.
func (f *linkForm) fill(g joining.GroupInvitation) {
	f.Joins, f.Role = joinsScope, g.RoleUUID.String()
	if g.MakesProjects {
		f.Joins, f.Role, f.ProjectRole = joinsProject, "", g.Granted().UUID.String()
	}
	if g.NameTemplate != nil {
		f.Template = *g.NameTemplate
	}
	f.Patterns, f.Text, f.Expires = strings.Join(g.EmailPatterns, "\n"), g.CustomText, expiresText(g.Expires)
	f.CustomDetails, f.AutoApprove, f.Multiple, f.Public = g.CustomDetails, g.AutoApprove, g.MultipleRequests, g.IsPublic
}

// expiresText returns a time as its field has it; empty: there is none.
func expiresText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(expiresLayout)
}

// saveLink changes a join link.
func (p *pages) saveLink(r *request) error {
	found, form, err := p.editForm(r)
	if err != nil {
		return err
	}
	edit := form.edit(&found.GroupInvitation)
	if form.Failed() {
		return r.renderLinkForm(http.StatusBadRequest, form)
	}
	_, err = p.Joining.Update(r.Context(), r.user.Actor, found.UUID, edit)
	if form.refuse(err) {
		return r.renderLinkForm(http.StatusBadRequest, form)
	} else if err != nil {
		return err
	}
	return r.redirect("/console/links/" + found.UUID.String() + "/?done=edit")
}

// edit returns what the form says, and notes what is wrong with it. before is the join link that it changes; nil: a new one.
func (f *linkForm) edit(before *joining.GroupInvitation) joining.Edit {
	text, patterns := trimLines(f.Text), []string{}
	for line := range strings.Lines(f.Patterns) {
		if line = directory.Trim(line); line != "" {
			patterns = append(patterns, line)
		}
	}
	makesProjects := f.Joins == joinsProject
	customDetails := makesProjects && f.CustomDetails
	out := joining.Edit{
		MakesProjects: &makesProjects, CustomDetails: &customDetails, AutoApprove: &f.AutoApprove, MultipleRequests: &f.Multiple,
		EmailPatterns: &patterns, CustomText: &text,
	}
	if f.MayBePublic || before == nil {
		out.IsPublic = &f.Public
	}

	var template *string
	var projectRole *uuid.UUID
	if makesProjects {
		role, ok := directory.ParseUUID(f.ProjectRole)
		if !ok {
			f.Problems["project_role"] = "Choose a role."
		}
		// The API tells apart the role of the link, and the role in the project. One is enough here; a link that has both
		// keeps its own.
		if before != nil && before.MakesProjects && before.ProjectRole != nil {
			projectRole = &role
		} else {
			out.Role = &role
		}
		if name := directory.Trim(f.Template); name != "" {
			template = &name
			f.checkText("template", name, maxTemplate, "name", "")
		}
	} else {
		role, ok := directory.ParseUUID(f.Role)
		if !ok {
			f.Problems["role"] = "Choose a role."
		}
		out.Role = &role
	}
	out.ProjectRole, out.NameTemplate = &projectRole, &template

	if len(patterns) > maxPatterns {
		f.Problems["patterns"] = "Enter at most " + strconv.Itoa(maxPatterns) + " patterns. These are " + strconv.Itoa(len(patterns)) + "."
	}
	for _, pattern := range patterns {
		f.checkText("patterns", pattern, maxPattern, "pattern", "")
	}
	f.refuseFields(out.CheckTexts())
	f.checkText("text", text, maxCustomText, "text", lineCharacters)
	if before == nil || f.Expires != expiresText(before.Expires) { // its seconds stay where the field is as it was
		var expires *time.Time
		if f.Expires != "" {
			parsed, err := time.Parse(expiresLayout, f.Expires)
			if err != nil {
				f.Problems["expires"] = "Enter a day and a time, such as 2026-12-24T09:30, or nothing."
			}
			expires = &parsed
		}
		out.Expires = &expires
	}
	return out
}

// trimLines returns a text of several lines without white space at its ends, and with the line ends that browsers count as one
// character.
func trimLines(text string) string { return directory.Trim(strings.ReplaceAll(text, "\r\n", "\n")) }

// checkText notes what is wrong with a text; see textProblem.
func (f *linkForm) checkText(field, text string, most int, name, allowed string) {
	if problem := textProblem(text, most, name, allowed); problem != "" && f.Problems[field] == "" {
		f.Problems[field] = problem
	}
}

// lineCharacters are the control characters of a text of several lines.
const lineCharacters = "\t\n\r"

// textProblem returns why a text is refused: it is too long, or has control characters that are not among the allowed ones. It
// returns an empty text where nothing is wrong. name is the word for the text in the answer, such as "description".
func textProblem(text string, most int, name, allowed string) string {
	switch {
	case len([]rune(text)) > most:
		return "Shorten the " + name + " to " + strconv.Itoa(most) + " characters."
	case strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && !strings.ContainsRune(allowed, c) }):
		return "The " + name + " has characters that can’t be shown. Type it again."
	}
	return ""
}

// linkProblems has the fields of the form for those of the API, and what people read where the API's message is not for them.
var linkProblems = map[string]struct{ field, words string }{
	"role":                  {"role", "This role can’t be given any more. Choose another one."},
	"project_role":          {"project_role", "This role can’t be given any more. Choose another one."},
	"project_name_template": {"template", "In braces there can be {username}, {email} and {full_name} alone."},
	"user_email_patterns":   {"patterns", ""},
	"auto_create_project":   {"joins", "A public link has to give everybody a project of their own."},
	"auto_approve":          {"auto_approve", "Say first who it is for: here a link alone may let nobody in."},
	"is_public":             {"public", "Only staff change a public link, or make one public."},
	"expires":               {"expires", ""},
	"custom_text":           {"text", ""},
}

// linkRefusals has what people read for each message of the API that is about no field.
var linkRefusals = map[string]string{
	"Only active invitations can be edited.":                 "The join link does not work any more, so nobody can change it.",
	"Role and scope should belong to the same content type.": "This role can’t be given here. Choose another one.",
	string(invitation.RefusedManager):                        "The project has a manager, and can have one only. Choose another role.",
}

// refuse notes why a use case refused the form, and reports whether it did.
func (f *linkForm) refuse(err error) bool {
	problem := refusal(err)
	if problem == "" {
		return false
	}
	switch {
	case fault.Is(err, fault.KindNotFound):
		f.Problems[""] = "You may not give this role here, or the place is gone. Choose another role, or ask whoever runs it."
	case fault.Is(err, fault.KindThrottled):
		f.Problems[""] = "You have made many join links and requests: " + strings.TrimPrefix(problem, "Too many mails: ")
	default:
		var invalid *fault.Error
		if errors.As(err, &invalid) {
			f.refuseFields(invalid.Fields)
		}
	}
	if len(f.Problems) == 0 {
		f.Problems[""] = problem
	}
	return true
}

// patternProblem returns what is wrong with patterns, for people.
func patternProblem(messages []string) string {
	var all []string
	for _, each := range messages {
		if wrong, isSyntax := strings.CutPrefix(each, "Invalid regex patterns: ["); isSyntax {
			each = "This is no pattern: " + strings.TrimSuffix(wrong, "]") + ". See the example below."
		} else if strings.HasPrefix(each, "Potentially dangerous patterns") {
			each = "This pattern is too long or too deep. Make it simpler."
		}
		all = append(all, each)
	}
	return strings.Join(all, " ")
}

// refuseFields notes what is wrong with fields as the API names them.
func (f *linkForm) refuseFields(fields fault.Fields) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		messages := strings.Join(fields[name], " ")
		if name == "user_email_patterns" {
			messages = patternProblem(fields[name])
		}
		known, isKnown := linkProblems[name]
		switch {
		case !isKnown || (known.field == "public" && !f.MayBePublic):
			if isKnown {
				messages = known.words
			} else if words, known := linkRefusals[messages]; known {
				messages = words
			}
			f.Problems[""] = strings.TrimSpace(f.Problems[""] + " " + messages)
		case known.field == "role" && f.Joins == joinsProject:
			f.Problems["project_role"] = known.words
		case known.words != "":
			f.Problems[known.field] = known.words
		default:
			f.Problems[known.field] = messages
		}
	}
}

// NewLink returns the path of the form that makes another join link to the same scope.
func (l linkPage) NewLink() string {
	return strings.Replace(newLink(l.Scope), "console/", "console/links/", 1)
}
