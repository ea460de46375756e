package web_test

import (
	"fmt"
	"image"
	"image/color"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/joining"
)

const (
	member  = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e09" // a role of organizations
	manager = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e03"
)

// people who have to do with join links: Olivia is an owner; Pat manages the project Apollo, and has no role in the organization;
// Mia is a member of the organization, without permissions; Otto owns another organization; Sue is support.
const linkPeople = `
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [CUSTOMER.CREATE_PERMISSION, PROJECT.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: CUSTOMER.MEMBER, uuid: ` + member + `, description: Member, scope_type: customer}
  - {name: PROJECT.MANAGER, uuid: ` + manager + `, description: Project manager, scope_type: project, permissions: [PROJECT.CREATE_PERMISSION]}
users:
  - {username: pat, email: pat@acme.example, full_name: Pat Project}
  - {username: mia, email: mia@acme.example, full_name: Mia Member}
  - {username: otto, email: otto@globex.example, full_name: Otto Other}
  - {username: sue, email: sue@example.com, full_name: Sue Support, is_support: true}
  - {username: max, email: max@nowhere.example, full_name: Max <b>Nobody</b>}
customers:
  - name: Acme
    members: [{user: olivia, role: CUSTOMER.OWNER}, {user: mia, role: CUSTOMER.MEMBER}]
    projects:
      - {name: Apollo, uuid: ` + apollo + `, members: [{user: pat, role: PROJECT.MANAGER}]}
  - name: Globex
    members: [{user: otto, role: CUSTOMER.OWNER}]
`

// withLinkPeople adds linkPeople.
func (e *env) withLinkPeople() {
	e.Helper()
	e.apply(linkPeople)
}

// organization returns Acme.
func (e *env) organization() (found directory.Scope) {
	e.Helper()
	seen, _, err := (&directory.Reader{Store: e.db.ReadStore()}).Scopes(
		e.Context(), e.user("sam"), directory.ScopeQuery{Type: directory.Customer, NameExact: "Acme"}, 1, 10)
	require.NoError(e, err)
	require.Len(e, seen, 1)
	return seen[0]
}

// makeLink makes a join link by a user, to the organization Acme as a member, unless changes say otherwise.
func (e *env) makeLink(by string, changes ...func(*joining.Edit)) joining.View {
	e.Helper()
	role, path := uuid.MustParse(member), directory.ScopePath(e.organization())
	edit := joining.Edit{Role: &role, ScopeURL: &path}
	for _, change := range changes {
		change(&edit)
	}
	made, err := e.joining.Create(e.Context(), e.user(by), edit)
	require.NoError(e, err)
	return made
}

// toApollo makes a join link lead to the project Apollo.
func toApollo(edit *joining.Edit) {
	role, path := uuid.MustParse(admin), "https://x.example/api/projects/"+apollo+"/"
	edit.Role, edit.ScopeURL = &role, &path
}

// makingProjects makes a join link give projects, with a name template.
func makingProjects(template string) func(*joining.Edit) {
	return func(edit *joining.Edit) {
		role, name, yes := uuid.MustParse(manager), &template, true
		edit.Role, edit.MakesProjects, edit.NameTemplate, edit.CustomDetails = &role, &yes, &name, &yes
	}
}

// publicly makes a join link public.
func publicly(edit *joining.Edit) {
	makingProjects("Workshop of {username}")(edit)
	edit.IsPublic = new(true)
}

func (e *env) linkOf(v joining.View) joining.View {
	e.Helper()
	found, err := e.joining.Retrieve(e.Context(), e.user("sam"), v.UUID)
	require.NoError(e, err)
	return found
}

func (e *env) as(email string) *browser {
	e.Helper()
	b := e.browser()
	b.signIn(email)
	return b
}

func linkPath(v joining.View) string { return "/console/links/" + v.UUID.String() + "/" }

// linkAt returns the join link that the location of a redirect names.
func (e *env) linkAt(location string) joining.View {
	e.Helper()
	id, err := uuid.Parse(strings.Split(location+"///", "/")[3])
	require.NoError(e, err, location)
	found, err := e.joining.Retrieve(e.Context(), e.user("sam"), id)
	require.NoError(e, err)
	return found
}

// Olivia makes a join link to the organization, reads what it is, changes it, cancels and deletes it.
func TestLinkOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		inAcme := "customer:" + e.organization().UUID.String()
		b := e.as("olivia@acme.example")
		require.Equal(e, "/sign-in/?return_to=/console/links/", e.browser().get("/console/links/").location)
		require.Equal(e, "/sign-in/?return_to=/console/links/%3Factive%3Dyes", e.browser().get("/console/links/?active=yes").location)
		empty := b.get("/console/links/")
		require.Contains(e, empty.body, "A join link is one address for many people")
		require.Contains(e, empty.body, `<a href="/console/links/" aria-current="page">Join links</a> <a href="/console/join-requests/">Requests</a>`)
		choices := b.get("/console/links/new/")
		require.Equal(e, "New join link", choices.heading(e))
		require.Contains(e, choices.body, `href="/console/links/new/?scope=project:`+apollo+`"`)
		require.Contains(e, choices.body, `aria-current="true">Join links`)
		require.Contains(e, b.get("/console/links/new/?search=nothing").body, "Nothing has this name")

		form := b.get("/console/links/new/?scope=" + inAcme)
		for _, text := range []string{"What people join", "Member</option>", "Project manager</option>", "Approve requests at once", "datetime-local"} {
			require.Contains(e, form.body, text)
		}
		require.NotContains(e, form.body, `name="public"`, "only staff make public links")
		project := b.get("/console/links/new/?scope=" + inApollo)
		require.NotContains(e, project.body, "What people join")
		require.NotContains(e, project.body, "Member</option>")

		made := b.post("/console/links/new/", "scope", inAcme, "joins", "scope", "role", member, "text", "Hello <b>you</b>\r\nand you",
			"patterns", " .*@university\\.example \r\n\r\n.*@acme\\.example", "expires", "2026-12-24T09:30", "multiple", "yes", "template", "dropped")
		require.Equal(e, http.StatusSeeOther, made.status, made.body)
		link := e.linkAt(made.location)
		require.Equal(e, []string{`.*@university\.example`, `.*@acme\.example`}, link.EmailPatterns)
		require.Equal(e, "Hello <b>you</b>\nand you", link.CustomText)
		require.Equal(e, time.Date(2026, 12, 24, 9, 30, 0, 0, time.UTC), *link.Expires)
		require.True(e, link.MultipleRequests)
		require.False(e, link.AutoApprove || link.IsPublic || link.MakesProjects || link.CustomDetails)
		require.Nil(e, link.NameTemplate)

		got := b.get(made.location)
		require.Equal(e, "Join link for Acme", got.heading(e))
		address := "https://front.example/user-group-invitation/" + link.UUID.String() + "/"
		for _, text := range []string{
			`role="status">The join link was made.`, `readonly data-copy>` + address + `</textarea>`, "Active", "The organization <strong><bdi>Acme",
			"Member", "Approved one by one", "may ask several times", `.*@university\.example`, "Hello &lt;b&gt;you&lt;/b&gt;\nand you",
			"24 Dec 2026, 09:30 UTC", "Olivia Owner", "Made by <bdi>Olivia Owner</bdi>", "None yet",
		} {
			require.Contains(e, got.body, text)
		}
		require.Equal(e, address, readQRCode(e, got.body))
		require.Contains(e, b.get("/console/links/").body, `href="`+linkPath(link)+`"`)

		edit := b.get(linkPath(link) + "edit/")
		require.Equal(e, "Change the join link", edit.heading(e))
		for _, text := range []string{
			`value="2026-12-24T09:30"`, ">\n.*@university\\.example\n.*@acme\\.example</textarea>", ">\nHello &lt;b&gt;you&lt;/b&gt;\nand you</textarea>",
			`value="` + member + `" selected`, `name="multiple" value="yes" checked`, `value="scope" checked`,
		} {
			require.Contains(e, edit.body, text)
		}
		saved := b.post(linkPath(link)+"edit/", "joins", "project", "project_role", manager, "template", "Workshop of {full_name}",
			"custom_details", "yes", "auto_approve", "yes", "patterns", `.*@university\.example`)
		require.Equal(e, linkPath(link)+"?done=edit", saved.location, saved.body)
		got = b.get(saved.location)
		for _, text := range []string{
			"The join link was changed.", "A project of their own in the organization", "Workshop of {full_name}", "Project manager",
			"Approved at once", "Never, unless it is canceled", "They may name and describe", "Changed by",
		} {
			require.Contains(e, got.body, text)
		}
		require.Equal(e, address, readQRCode(e, got.body))
		require.Contains(e, b.get(linkPath(link)+"edit/").body, `value="`+manager+`" selected`)
		require.Contains(e, b.get("/console/links/").body, "in a project of their own")
		back := b.post(linkPath(link)+"edit/", "joins", "scope", "role", member)
		require.Equal(e, linkPath(link)+"?done=edit", back.location)
		require.False(e, e.linkOf(link).MakesProjects)
		require.Nil(e, e.linkOf(link).NameTemplate)
		require.Empty(e, e.linkOf(link).EmailPatterns)

		refused := b.post(linkPath(link) + "delete/")
		require.Equal(e, http.StatusBadRequest, refused.status)
		require.Contains(e, refused.body, `role="alert" tabindex="-1" autofocus>Only a join link that was canceled can be deleted.`)
		canceled := b.post(linkPath(link) + "cancel/")
		require.Equal(e, linkPath(link)+"?done=cancel", canceled.location)
		got = b.get(canceled.location)
		for _, absent := range []string{address, "<svg", "/cancel/", "/edit/"} {
			require.NotContains(e, got.body, absent)
		}
		require.Contains(e, got.body, "Canceled by")
		require.NotContains(e, got.body, "<dt>Ends</dt>")
		require.NotContains(e, b.get("/console/links/").body, "Never")
		again := b.post(linkPath(link) + "cancel/")
		require.Equal(e, http.StatusBadRequest, again.status)
		require.Contains(e, again.body, "does not work any more already")
		require.Equal(e, http.StatusConflict, b.get(linkPath(link)+"edit/").status)
		late := b.post(linkPath(link)+"edit/", "joins", "scope", "role", member, "text", "typed")
		require.Equal(e, http.StatusBadRequest, late.status)
		require.Contains(e, late.body, "so nobody can change it")
		require.Contains(e, late.body, ">\ntyped</textarea>")
		deleted := b.post(linkPath(link) + "delete/")
		require.Equal(e, "/console/links/?done=delete", deleted.location)
		require.Contains(e, b.get(deleted.location).body, "The join link was deleted")
		require.Equal(e, http.StatusNotFound, b.get(linkPath(link)).status)
		require.Equal(e, http.StatusNotFound, b.post(linkPath(link)+"delete/").status)
	})
}

// What is wrong with a join link stands at its field, with what was typed; nothing is made.
func TestLinkFormIsRefused(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		inAcme := "customer:" + e.organization().UUID.String()
		b := e.as("olivia@acme.example")
		good := url.Values{"scope": {inAcme}, "joins": {"scope"}, "role": {member}, "text": {"kept as typed"}}
		for name, each := range map[string]struct {
			field string
			form  url.Values
		}{
			"no role":             {"role", url.Values{"role": {""}}},
			"no uuid":             {"role", url.Values{"role": {"x"}}},
			"unknown role":        {"role", url.Values{"role": {uuid.NewString()}}},
			"no project role":     {"project_role", url.Values{"joins": {"project"}}},
			"placeholder":         {"template", url.Values{"joins": {"project"}, "project_role": {manager}, "template": {"{password}"}}},
			"long template":       {"template", url.Values{"joins": {"project"}, "project_role": {manager}, "template": {strings.Repeat("x", 256)}}},
			"control characters":  {"template", url.Values{"joins": {"project"}, "project_role": {manager}, "template": {"a\x07b"}}},
			"line in the name":    {"template", url.Values{"joins": {"project"}, "project_role": {manager}, "template": {"a\nb"}}},
			"pattern":             {"patterns", url.Values{"patterns": {"("}}},
			"long pattern":        {"patterns", url.Values{"patterns": {strings.Repeat("x", 1001)}}},
			"many patterns":       {"patterns", url.Values{"patterns": {strings.Repeat("x\n", 101)}}},
			"costly pattern":      {"patterns", url.Values{"patterns": {"(x{1,100}){1,9}(y{1,100}){1,9}(z{1,1000}){1,1}" + strings.Repeat("(x{1,100}){1,9}", 60)}}},
			"expires no time":     {"expires", url.Values{"expires": {"tomorrow"}}},
			"expires in the past": {"expires", url.Values{"expires": {"2026-11-23T09:30"}}},
			"text characters":     {"text", url.Values{"text": {"kept as typed\x1b"}}},
		} {
			form := url.Values{}
			for _, values := range []url.Values{good, each.form} {
				for field, value := range values {
					form[field] = value
				}
			}
			got := b.send(http.MethodPost, "/console/links/new/", form)
			require.Equal(e, http.StatusBadRequest, got.status, name)
			require.Regexp(e, `id="`+each.field+`-problem" role="alert">[^<]`, got.body, name)
			require.Regexp(e, `(?s)<(?:input|select|textarea) id="`+each.field+`"[^>]* aria-describedby="`+each.field+`-problem[^"]*" aria-invalid="true" autofocus`, got.body, name)
			require.Contains(e, got.body, "kept as typed", name)
		}
		long := strings.Repeat("\U0001F600", 501)
		got := b.post("/console/links/new/", "scope", inAcme, "role", member, "text", long)
		require.Contains(e, got.body, `id="text-problem" role="alert">Shorten the text to 500 characters.`)
		got = b.post("/console/links/new/", "scope", inAcme, "text", long, "expires", "x", "patterns", "([a-\n.*")
		require.Contains(e, got.text(), "This is no pattern: &#39;([a-&#39;. See the example below.")
		require.Equal(e, 4, strings.Count(got.body, `role="alert"`), "all problems at once")
		require.Equal(e, 1, strings.Count(got.body, "autofocus"), "the first one has the focus")
		require.Equal(e, http.StatusBadRequest, b.post("/console/links/new/", "scope", inAcme, "role", member, "junk", strings.Repeat("x", 65<<10)).status)
		e.joining.Policy.RestrictAutoApprove = true
		got = b.post("/console/links/new/", "scope", inAcme, "role", member, "auto_approve", "yes")
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Regexp(e, `id="auto_approve-problem" role="alert">Say first who it is for`, got.body)
		require.Contains(e, got.body, `name="auto_approve" value="yes" checked`)
		require.Contains(e, b.get("/console/links/").body, "No join link is listed for you yet")

		// The limits themselves are let in.
		made := b.post("/console/links/new/", "scope", inAcme, "joins", "project", "project_role", manager, "template", strings.Repeat("é", 255),
			"text", strings.Repeat("\U0001F600", 249)+"\r\n"+strings.Repeat("\U0001F600", 250), "patterns", strings.Repeat("x", 1000))
		require.Equal(e, http.StatusSeeOther, made.status, made.body)
		require.Len(e, []rune(e.linkAt(made.location).CustomText), 500)

		e.joining.Policy.LimitUser = joining.Limit{Count: 1, Per: time.Hour}
		got = b.post("/console/links/new/", "scope", inAcme, "role", member)
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Contains(e, got.body, "You have made many join links and requests: wait 60 minutes, and try again.")
	})
}

// Who sees and does what with whose links.
func TestLinksOfOthers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		inAcme := "customer:" + e.organization().UUID.String()
		own, project := e.makeLink("olivia"), e.makeLink("olivia", toApollo)
		public := e.makeLink("sam", publicly)
		sees := map[string][]joining.View{
			"sam@example.com": {own, project, public}, "sue@example.com": {own, project, public}, "olivia@acme.example": {own, project, public},
			"pat@acme.example": {project}, "mia@acme.example": {}, "otto@globex.example": {}, "max@nowhere.example": {},
		}
		manages := map[string][]joining.View{
			"sam@example.com": {own, project, public}, "olivia@acme.example": {own, project, public}, "pat@acme.example": {project},
		}
		has := func(all []joining.View, v joining.View) bool {
			for _, each := range all {
				if each.UUID == v.UUID {
					return true
				}
			}
			return false
		}
		for who, seen := range sees {
			b := e.as(who)
			list := b.get("/console/links/").body
			for _, v := range []joining.View{own, project, public} {
				require.Equal(e, has(seen, v), strings.Contains(list, linkPath(v)), "%s lists %s", who, v.Scope.Name)
				got := b.get(linkPath(v))
				if !has(seen, v) {
					require.Equal(e, http.StatusNotFound, got.status, "%s: %s", who, v.Scope.Name)
					for _, action := range []string{"cancel", "delete", "edit"} {
						require.Equal(e, http.StatusNotFound, b.post(linkPath(v)+action+"/", "role", member).status)
					}
					require.Equal(e, http.StatusNotFound, b.get(linkPath(v)+"edit/").status)
					continue
				}
				require.Equal(e, http.StatusOK, got.status)
				mayManage := has(manages[who], v)
				require.Equal(e, mayManage, strings.Contains(got.body, "/cancel/"), "%s cancels %s", who, v.Scope.Name)
				require.Equal(e, mayManage && (v.UUID != public.UUID || who == "sam@example.com"), strings.Contains(got.body, "/edit/"), "%s edits %s", who, v.Scope.Name)
				require.Equal(e, mayManage, strings.Contains(got.body, "What happened"), "%s", who)
				if !mayManage {
					require.Equal(e, http.StatusBadRequest, b.post(linkPath(v)+"cancel/").status)
					require.Equal(e, http.StatusNotFound, b.get(linkPath(v)+"edit/").status)
					require.Equal(e, http.StatusNotFound, b.post(linkPath(v)+"edit/", "role", member, "text", "x").status)
				}
				require.Equal(e, who == "pat@acme.example", strings.Contains(got.body, "The people who run the organization decide about its requests."), "%s", who)
				showsCreator := mayManage || who == "sue@example.com" || v.UUID != public.UUID
				require.Equal(e, showsCreator, strings.Contains(got.body, "<dt>Made by</dt>"), "%s sees who made %s", who, v.Scope.Name)
			}
		}
		for _, v := range []joining.View{own, project, public} {
			require.True(e, e.linkOf(v).IsActive)
			require.Equal(e, v.Version, e.linkOf(v).Version)
		}
		for who, names := range map[string][2]bool{
			"pat@acme.example": {true, false}, "mia@acme.example": {false, true}, "max@nowhere.example": {}, "olivia@acme.example": {true, true},
		} {
			home := e.as(who).get("/").body
			require.Equal(e, names[0], strings.Contains(home, ">Join links</a>"), who)
			require.Equal(e, names[1], strings.Contains(home, ">Requests</a>"), who)
		}
		max := e.as("max@nowhere.example")
		require.NotContains(e, max.get("/").body, "Join links")
		require.Contains(e, max.get("/console/links/new/").body, "You may not invite anywhere.")
		pat := e.as("pat@acme.example")
		require.Contains(e, pat.get("/").body, "Join links")
		require.Equal(e, http.StatusNotFound, pat.get("/console/links/new/?scope="+inAcme).status)
		require.Equal(e, http.StatusNotFound, pat.post("/console/links/new/", "scope", inAcme, "role", member).status)
		require.Equal(e, http.StatusSeeOther, pat.post("/console/links/new/", "scope", inApollo, "role", admin).status)
		// Whoever manages a public link, and is not staff, does not change it.
		olivia := e.as("olivia@acme.example")
		require.Contains(e, olivia.get(linkPath(public)).body, "Only staff change a public link.")
		got := olivia.post(linkPath(public)+"edit/", "joins", "project", "project_role", manager, "text", "mine")
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Contains(e, got.body, `autofocus>Only staff change a public link, or make one public.`)
		got = olivia.post("/console/links/new/", "scope", inAcme, "joins", "project", "project_role", manager, "public", "yes")
		require.Equal(e, http.StatusBadRequest, got.status)
		// Staff do.
		sam := e.as("sam@example.com")
		require.Contains(e, sam.get(linkPath(public)+"edit/").body, `name="public" value="yes" checked`)
		got = sam.post(linkPath(public)+"edit/", "joins", "scope", "role", member, "public", "yes")
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Regexp(e, `(?s)id="joins-problem" role="alert">A public link has to give.*value="scope" checked aria-describedby="joins-problem"`, got.body)
		require.Equal(e, http.StatusSeeOther, sam.post(linkPath(public)+"edit/", "joins", "project", "project_role", manager).status)
		require.False(e, e.linkOf(public).IsPublic)

		// A role that may not be given is not offered, and refused.
		e.joining.Policy.RoleCeiling, e.service.Policy.RoleCeiling = true, true
		e.apply("roles: [{name: PROJECT.BOSS, uuid: 3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e99, scope_type: project, permissions: [EVERYTHING]}]")
		require.NotContains(e, olivia.get("/console/links/new/?scope="+inAcme).body, "PROJECT.BOSS")
		require.Contains(e, olivia.get("/console/links/new/?scope="+inAcme).body, "A project of their own")
		got = olivia.post("/console/links/new/", "scope", inAcme, "joins", "project", "project_role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e99")
		require.Equal(e, http.StatusBadRequest, got.status)
		require.Contains(e, got.body, "You may not give this role here")

		// Where none of projects is offered, a project of their own is not either.
		e.apply("roles: [{name: PROJECT.MANAGER, scope_type: project, is_active: false}, {name: PROJECT.ADMIN, scope_type: project, is_active: false}]")
		bare := olivia.get("/console/links/new/?scope=" + inAcme).body
		require.NotContains(e, bare, "A project of their own")
		require.Contains(e, bare, "Member</option>")
	})
}

// The list is filtered and has pages; the filters stand in the URL.
func TestListOfLinks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		evil := "</title><script>alert(1)</script>"
		e.apply("customers: [{name: Acme, members: [{user: olivia, role: CUSTOMER.OWNER}], projects: [{name: " + strconv.Quote(evil) + ", uuid: " + evilUUID + "}]}]")
		ended, canceled := e.makeLink("olivia", func(edit *joining.Edit) {
			edit.Expires = new(new(e.clock.Now().Add(time.Hour)))
		}), e.makeLink("olivia")
		require.NoError(e, e.joining.Cancel(e.Context(), e.user("olivia"), canceled.UUID))
		e.clock.Advance(2 * time.Hour)
		b := e.as("sam@example.com")
		active := e.makeLink("olivia", func(edit *joining.Edit) {
			toApollo(edit)
			edit.ScopeURL = new("https://x.example/api/projects/" + evilUUID + "/")
		})
		list := b.get("/console/links/")
		require.Contains(e, list.body, "3 join links")
		require.NotContains(e, list.body, "“")
		said := e.makeLink("olivia", func(edit *joining.Edit) { edit.CustomText = new("For the <i>autumn</i> course\nof everybody") })
		require.Contains(e, b.get("/console/links/").body, "“<bdi>For the &lt;i&gt;autumn&lt;/i&gt; course</bdi>”")
		require.NoError(e, e.joining.Cancel(e.Context(), e.user("olivia"), said.UUID))
		require.NoError(e, e.joining.Destroy(e.Context(), e.user("olivia"), said.UUID))
		require.Contains(e, list.body, "&lt;/title&gt;&lt;script&gt;")
		require.NotContains(e, list.body, evil)
		require.NotContains(e, b.get(linkPath(active)).body, evil)
		require.NotContains(e, b.get(linkPath(active)+"edit/").body, evil)
		require.Contains(e, list.body, ">Ended<")
		require.Contains(e, list.body, ">Canceled<")
		for query, want := range map[string][]joining.View{
			"?active=yes": {active}, "?active=no": {ended, canceled}, "?active=maybe": {active, ended, canceled},
			"?organization=" + e.organization().UUID.String(): {active, ended, canceled}, "?organization=" + uuid.NewString(): {}, "?organization=x": {active, ended, canceled},
		} {
			got := b.get("/console/links/" + query).body
			require.Equal(e, len(want), strings.Count(got, `<th scope="row">`), query)
			for _, v := range want {
				require.Contains(e, got, linkPath(v), query)
			}
		}
		require.Contains(e, b.get("/console/links/?active=yes").body, "1 join link matches")
		require.Contains(e, b.get("/console/links/?organization="+uuid.NewString()).body, "No join link matches.")
		for range 50 {
			e.makeLink("olivia")
		}
		first := b.get("/console/links/?active=yes")
		require.Equal(e, 50, strings.Count(first.body, `<th scope="row">`))
		require.Contains(e, first.body, `href="/console/links/?active=yes&amp;page=2" rel="next"`)
		second := b.get("/console/links/?active=yes&page=2")
		require.Equal(e, 1, strings.Count(second.body, `<th scope="row">`))
		require.Contains(e, second.body, `href="/console/links/?active=yes" rel="prev"`)
		require.Equal(e, "/console/links/?active=yes", b.get("/console/links/?active=yes&page=9").location)
	})
}

const evilUUID = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a55"

// What the form does not show, or what nobody touched in it, stays as it was.
func TestLinkFormKeepsTheRest(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		expires := e.clock.Now().Add(48*time.Hour + 7*time.Second)
		link := e.makeLink("olivia", func(edit *joining.Edit) {
			edit.MakesProjects, edit.ProjectRole = new(true), new(new(uuid.MustParse(manager))) // beside the role in the organization
			edit.Affiliations, edit.IdentitySources, edit.Expires = &[]string{"student"}, &[]string{"https://issuer.example"}, new(&expires)
		})
		b := e.as("olivia@acme.example")
		got := b.get(linkPath(link)).body
		require.Contains(e, got, "the affiliation <code><bdi>student</bdi></code>, which admits nobody yet")
		require.Contains(e, got, "a sign-in by <code><bdi>https://issuer.example")
		form := b.get(linkPath(link) + "edit/").body
		require.Contains(e, form, `value="2026-11-25T09:30"`)
		require.Contains(e, form, "It is also for whoever has the affiliation <code><bdi>student</bdi></code>, a sign-in by <code><bdi>https://issuer.example</bdi></code>. The API changes that.")
		require.NotContains(e, form, "the link is for everybody")
		require.Contains(e, form, `value="`+manager+`" selected`)
		saved := b.post(linkPath(link)+"edit/", "joins", "project", "project_role", manager, "expires", "2026-11-25T09:30", "text", "new")
		require.Equal(e, http.StatusSeeOther, saved.status)
		now := e.linkOf(link)
		require.Equal(e, "new", now.CustomText)
		require.Equal(e, expires, *now.Expires)
		require.Equal(e, uuid.MustParse(member), now.RoleUUID)
		require.Equal(e, uuid.MustParse(manager), *now.ProjectRoleUUID)
		require.Equal(e, []string{"student"}, now.Affiliations)
		require.Equal(e, []string{"https://issuer.example"}, now.IdentitySources)
		require.Equal(e, http.StatusSeeOther, b.post(linkPath(link)+"edit/", "joins", "project", "project_role", manager, "expires", "").status)
		require.Nil(e, e.linkOf(link).Expires)
	})
}

// Where there are more than 300 roles, people search for them.
func TestManyRolesForLinks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		var roles strings.Builder
		for i := range 301 {
			fmt.Fprintf(&roles, "  - {name: CUSTOMER.R%d, description: Rolle %d, scope_type: customer}\n", i, i)
		}
		e.apply("roles:\n" + roles.String())
		path := "/console/links/new/?scope=customer:" + e.organization().UUID.String()
		b := e.as("olivia@acme.example")
		require.Contains(e, b.get(path).body, `name="search"`)
		found := b.get(path + "&search=rolle+300").body
		require.Contains(e, found, "Rolle 300")
		require.NotContains(e, found, "Rolle 299")
		require.Contains(e, b.get(path+"&search=nothing").body, "No role that you may give here has this name.")
		link := e.makeLink("olivia")
		require.Contains(e, b.get(linkPath(link)+"edit/?search=rolle+300").body, `value="`+member+`" selected>Member`, "the role that the link has stays")
	})
}

// The link of a scope that was removed has ended, and says why.
func TestLinkOfRemovedProject(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		link := e.makeLink("olivia", toApollo)
		e.apply("customers: [{name: Acme, members: [{user: olivia, role: CUSTOMER.OWNER}], projects: [{name: Apollo, uuid: " + apollo + ", is_removed: true}]}]")
		got := e.as("sam@example.com").get(linkPath(link))
		require.Equal(e, http.StatusOK, got.status)
		require.NotContains(e, got.body, "<svg")
		require.Contains(e, got.body, "Ended</span> (the project was removed)")
	})
}

// readQRCode reads the QR code on a page as a camera does.
func readQRCode(t require.TestingT, body string) string {
	size, err := strconv.Atoi(regexp.MustCompile(`<svg class="qr" role="img" aria-label="[^"]+" viewBox="0 0 (\d+) `).FindStringSubmatch(body)[1])
	require.NoError(t, err)
	const scale = 4
	drawn := image.NewGray(image.Rect(0, 0, size*scale, size*scale))
	for i := range drawn.Pix {
		drawn.Pix[i] = 255
	}
	for _, run := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(body, -1) {
		var n [4]int
		for i := range n {
			n[i], err = strconv.Atoi(run[i+1])
			require.NoError(t, err)
		}
		require.Equal(t, n[2], n[3])
		for x := n[0] * scale; x < (n[0]+n[2])*scale; x++ {
			for y := n[1] * scale; y < (n[1]+1)*scale; y++ {
				drawn.Set(x, y, color.Black)
			}
		}
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(drawn)
	require.NoError(t, err)
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	require.NoError(t, err)
	return read.GetText()
}

// Below a path of the public URL, every link, form, file and redirect stays below the path; the page of a link is light, loads
// nothing but the stylesheet and the script, and signing in leads back to the filtered lists.
func TestLinksKeepThePrefix(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		link := e.makeLink("olivia", makingProjects(""))
		request := e.ask("max", link)
		b := e.as("olivia@acme.example")
		handler := e.pages("https://host.example/prefix/")
		session := b.client.Jar.Cookies(mustParse(e, e.server.URL))[0].Value
		get := func(method, path string) *httptest.ResponseRecorder {
			answer := httptest.NewRecorder()
			r := httptest.NewRequest(method, "https://host.example"+path, nil)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.AddCookie(&http.Cookie{Name: "__Host-invited", Value: session})
			handler.ServeHTTP(answer, r.WithContext(e.Context()))
			return answer
		}
		for _, path := range []string{
			"/console/links/", "/console/links/?active=yes", "/console/links/new/", "/console/links/new/?scope=customer:" + e.organization().UUID.String(),
			linkPath(link), linkPath(link) + "edit/", "/console/join-requests/", "/console/join-requests/?state=all&link=" + link.UUID.String(),
		} {
			answer := get(http.MethodGet, path)
			require.Equal(e, http.StatusOK, answer.Code, path)
			require.Contains(e, answer.Header().Get("Content-Security-Policy"), "script-src 'self'; connect-src 'self'")
			for _, to := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(answer.Body.String(), -1) {
				require.Regexp(e, `^(?:/prefix/|#main$|data:,$)`, to[1], path)
			}
		}
		require.Equal(e, "/prefix/console/links/?active=yes", get(http.MethodGet, "/console/links/?active=yes&page=9").Header().Get("Location"))
		require.Equal(e, "/prefix/console/join-requests/?done="+request.UUID.String(), get(http.MethodPost, decisionPath(request, "approve")).Header().Get("Location"))
		require.Equal(e, "/prefix"+linkPath(link)+"?done=cancel", get(http.MethodPost, linkPath(link)+"cancel/").Header().Get("Location"))

		got := b.get(linkPath(e.makeLink("olivia")))
		require.Equal(e, []string{`<link rel="stylesheet" href="/pages.css">`, `<link rel="icon" href="data:,">`, `<script type="module" src="/pages.js">`},
			regexp.MustCompile(`<(?:link|script|img|iframe|object)\b[^>]*>`).FindAllString(got.body, -1))
		require.Less(e, len(got.body)+len(b.get("/pages.css").body)+len(b.get("/pages.js").body), 40_000)

		for _, to := range []string{"/console/links/?active=yes", "/console/join-requests/?state=all&link=" + link.UUID.String()} {
			require.Equal(e, to, e.as("max@nowhere.example").post("/sign-out/", "return_to", to).location)
		}
		for _, to := range []string{"/console/links/?x=//evil.example/", "/console/links/?a\r\nSet-Cookie:x", "/console/evil/?x=1"} {
			require.Equal(e, "/", e.as("max@nowhere.example").post("/sign-out/", "return_to", to).location)
		}
	})
}
