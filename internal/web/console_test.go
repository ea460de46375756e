package web_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// A link to the console with filters leads there after signing in.
func TestFiltersOutliveSigningIn(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const filtered = "/console/?state=pending&state=project&search=a%2Bb%26c"
		b := e.browser()
		asked := b.get(filtered)
		require.Equal(e, "/sign-in/?return_to="+strings.ReplaceAll(url.QueryEscape(filtered), "%2F", "/"), asked.location)
		require.Contains(e, b.get(asked.location).body, `name="return_to" value="`+html.EscapeString(filtered)+`"`)
		sent := b.post("/sign-in/", "email", "olivia@acme.example", "return_to", filtered)
		require.Contains(e, b.get(sent.location).body, `name="return_to" value="`+html.EscapeString(filtered)+`"`)
		require.Equal(e, filtered, b.post("/sign-in/code/", "code", e.lastCode(), "return_to", filtered).location)
	})
}

// Olivia invites several people at once, and is told of each what became of them.
func TestInviteOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("twice@example.org", apollo)
		b := e.browser()
		require.Equal(e, "/sign-in/?return_to=/console/new/", b.get("/console/new/").location)
		b.signIn("olivia@acme.example")
		choices := b.get("/console/new/")
		for _, name := range []string{"Apollo", "Artemis", "Strict", "Acme"} {
			require.Contains(e, choices.body, name)
		}
		require.NotContains(e, choices.body, `name="search"`, "there are few")
		found := b.get("/console/new/?search=apo")
		require.Contains(e, found.body, "Apollo")
		require.NotContains(e, found.body, "Artemis")
		require.Contains(e, b.get("/console/new/?search=nothing").body, "Nothing has this name")
		form := b.get("/console/new/?scope=" + inApollo)
		require.Contains(e, form.body, "System administrator")
		require.NotContains(e, form.body, "CUSTOMER.OWNER")

		sent := b.post("/console/new/", "scope", inApollo, "role", admin, "text", "Welcome!",
			"emails", "a@example.org\r\nb@example.org, nonsense twice@example.org A@Example.org")
		require.Equal(e, http.StatusOK, sent.status)
		require.Equal(e, "2 of 4 invited", sent.heading(e), "an address that is typed twice is one")
		require.Equal(e, 2, strings.Count(sent.body, ">invited</a>"))
		require.Contains(e, sent.body, "Enter a valid e-mail address.")
		require.Contains(e, sent.body, "Pending invitation already exists for this email and role.")
		require.Regexp(e, `>\nnonsense\ntwice@example.org</textarea>`, sent.body, "what was not sent stays in the form")
		ended := b.post("/console/new/", "scope", inApollo, "role", admin, "emails", "c@example.org")
		require.Equal(e, "1 of 1 invited", ended.heading(e))
		require.NotContains(e, ended.body, "<textarea")
		list := b.get("/console/?text=a@example")
		require.Contains(e, list.body, "a@example.org")
		require.NotContains(e, list.body, "b@example.org")

		for field, problem := range map[string][]string{
			"role":   {"role", "", "emails", "c@example.org"},
			"emails": {"role", admin, "emails", " "},
			"text":   {"role", admin, "emails", "c@example.org", "text", strings.Repeat("\U0001F600", 2001)},
		} {
			wrong := b.post("/console/new/", append([]string{"scope", inApollo}, problem...)...)
			require.Equal(e, http.StatusBadRequest, wrong.status)
			require.Regexp(e, `(?s)id="`+field+`-problem" role="alert".*id="`+field+`"[^>]* aria-describedby="`+field+`-problem`, wrong.body)
		}
		require.Contains(e, b.post("/console/new/", "scope", inApollo).body, "Choose a role.", "several fields are wrong")
		many := ""
		for i := range 51 {
			many += "c" + strconv.Itoa(i) + "@example.org\n"
		}
		require.Contains(e, b.post("/console/new/", "scope", inApollo, "role", admin, "emails", many).body, "at most 50 addresses")
		require.Equal(e, http.StatusBadRequest, b.post("/console/new/", "scope", inApollo, "role", admin, "emails", "c\x00@example.org").status)
		longest := b.post("/console/new/", "scope", inApollo, "role", admin, "emails", "long@example.org", "text", strings.Repeat("\U0001F600", 2000))
		require.Equal(e, "1 of 1 invited", longest.heading(e), "the longest text fits into the form")
	})
}

const inApollo = "project:" + apollo

// The preview is the mail that is sent, and sends nothing.
func TestPreviewOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		b.signIn("olivia@acme.example")
		preview := func(fields ...string) page {
			return b.post("/console/new/", append([]string{"scope", inApollo, "role", admin, "step", "preview"}, fields...)...)
		}
		got := preview("emails", "nonsense a@example.org\nb@example.org", "text", "Welcome <b>here</b>!")
		require.Equal(e, http.StatusOK, got.status)
		for _, text := range []string{
			"The mail to <bdi>a@example.org</bdi>", "Each of the 3 addresses", "Olivia Owner invites you to join the project Apollo",
			"Welcome &lt;b&gt;here&lt;/b&gt;!", "30 November 2026, 09:30 UTC", "https://front.example/invitation/00000000-0000-0000-0000-000000000000/",
			"a@example.org\nb@example.org</textarea>",
		} {
			require.Contains(e, got.body, text)
		}
		require.Contains(e, b.get("/console/").body, "Nobody was invited yet")
		require.Equal(e, http.StatusBadRequest, preview("emails", "nonsense").status)
		e.service.Policy.OnlyStaffCanInvite, e.service.Policy.UseWebhooks = true, true
		got = preview("emails", "a@example.org")
		require.Contains(e, got.body, "It goes out when the request is approved.")
		require.Contains(e, got.body, "another program writes the mail")
		got = b.post("/console/new/", "scope", inApollo, "role", uuid.NewString(), "step", "preview", "emails", "a@example.org")
		require.Equal(e, http.StatusBadRequest, got.status)
		other := e.browser()
		other.signIn("ina@university.example")
		require.Equal(e, http.StatusNotFound, other.post("/console/new/", "scope", inApollo, "role", admin, "step", "preview", "emails", "a@example.org").status)
	})
}

// Roles are offered as far as the user may give them.
func TestRolesOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply("roles: [{name: PROJECT.MANAGER, description: Boss, scope_type: project, permissions: [PROJECT.CREATE_PERMISSION, EVERYTHING]}]")
		b := e.browser()
		b.signIn("olivia@acme.example")
		require.Contains(e, b.get("/console/new/?scope="+inApollo).body, "Boss")
		e.service.Policy.RoleCeiling = true
		require.NotContains(e, b.get("/console/new/?scope="+inApollo).body, "Boss")
		require.Contains(e, b.get("/console/new/?scope="+inApollo).body, "System administrator")
	})
}

// Where there are more than 300 places and roles, people search for them.
func TestManyChoicesOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var roles, projects strings.Builder
		for i := range 301 {
			fmt.Fprintf(&roles, "  - {name: PROJECT.R%d, description: Rolle %d, scope_type: project}\n", i, i)
			fmt.Fprintf(&projects, "    - {name: Projekt %d}\n", i)
		}
		e.apply("roles:\n" + roles.String() + "customers:\n- name: Acme\n  projects:\n" + projects.String())
		b := e.browser()
		b.signIn("olivia@acme.example")
		all := b.get("/console/new/")
		require.NotContains(e, all.body, "Projekt 7")
		require.Contains(e, all.body, "304: search for the one you want.")
		found := b.get("/console/new/?search=projekt+30")
		require.Contains(e, found.body, "Projekt 300")
		require.NotContains(e, found.body, "Projekt 299")
		require.Contains(e, b.get("/console/new/?search=projekt").body, "These are 50 of 301.")

		form := b.get("/console/new/?scope=" + inApollo)
		require.Contains(e, form.body, `name="search"`)
		searched := b.get("/console/new/?search=rolle+300&scope=" + inApollo)
		require.Contains(e, searched.body, "Rolle 300")
		require.NotContains(e, searched.body, "Rolle 299")
	})
}

func TestActOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("guest@example.org", apollo, func(d *invitation.Draft) { d.FullName, d.ExtraInvitationText = "Guest", "Hello\nyou" })
		path := "/console/" + made.UUID.String() + "/"
		b := e.browser()
		b.signIn("sam@example.com")
		one := b.get(path)
		require.Equal(e, "guest@example.org", one.heading(e))
		for _, text := range []string{
			"Apollo", "System administrator", "Not answered", "Olivia Owner", "Invited <bdi>guest@example.org</bdi> by", "Send again", "Take back", "Hello\nyou",
		} {
			require.Contains(e, one.body, text)
		}
		require.NotContains(e, one.body, "Name</dt>", "the policy does not keep the name")
		canceled := b.post(path + "cancel/")
		require.Equal(e, path+"?done=cancel", canceled.location)
		require.Contains(e, b.get(canceled.location).body, `role="status">The invitation was taken back.`)
		require.Contains(e, b.get(path).body, "Taken back")
		refused := b.post(path + "cancel/")
		require.Equal(e, http.StatusBadRequest, refused.status)
		require.Contains(e, refused.body, "Only pending or planned invitations can be canceled.")
		require.Equal(e, path+"?done=send", b.post(path+"send/").location)
		require.Contains(e, b.get(path).body, "Not answered")
		require.NotContains(e, b.get(path+"?done=nonsense").body, `role="status"`)
	})
}

// emailsIn returns the addresses of the list below the invitations that need attention.
func emailsIn(body string) (all []string) {
	_, table, _ := strings.Cut(body, "<tbody>")
	for _, match := range regexp.MustCompile(`<th scope="row"><a[^>]*><bdi>([^<]*)</bdi>`).FindAllStringSubmatch(table, -1) {
		all = append(all, match[1])
	}
	return all
}

// fail makes the delivery of an invitation a failed one.
func (e *env) fail(id uuid.UUID, reason string) {
	e.Helper()
	require.NoError(e, e.db.Invitations().Change(e.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
		failed, err := tx.Find(id)
		before := failed
		failed.ExecutionState, failed.ErrorMessage = invitation.Erred, reason
		return []invitation.Change{{Before: &before, After: &failed}}, err
	}))
}

// What failed, ends soon or waits for approval stands above the rest. Filters stand in the URL.
func TestListOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("soon@example.org", apollo)
		e.clock.Advance(5*24*time.Hour + time.Minute)
		e.invite("fine@example.org", apollo)
		failed := e.invite("failed@example.org", strict, func(d *invitation.Draft) { d.Email = "failed@acme.example" })
		e.fail(failed.UUID, "The mailbox is full.")
		e.service.Policy.OnlyStaffCanInvite = true
		e.invite("asked@example.org", apollo)
		b := e.browser()
		b.signIn("olivia@acme.example")
		list := b.get("/console/")
		attention, _, _ := strings.Cut(list.body, "All invitations</h2>")
		for _, text := range []string{"The mailbox is full.", "failed@acme.example", "soon@example.org", "asked@example.org", "asked by <bdi>Olivia Owner"} {
			require.Contains(e, attention, text)
		}
		require.NotContains(e, attention, "fine@example.org")
		require.Len(e, emailsIn(list.body), 4)
		for query, expected := range map[string][]string{
			"state=requested":             {"asked@example.org"},
			"delivery=Erred":              {"failed@acme.example"},
			"ends=soon":                   {"soon@example.org"},
			"ends=soon&state=requested":   nil,
			"scope=stri":                  {"failed@acme.example"},
			"text=fine":                   {"fine@example.org"},
			"text=FINE&scope=apollo":      {"fine@example.org"},
			"text=fine&scope=strict":      nil,
			"role=" + uuid.NewString():    nil,
			"text=example&role=" + admin:  {"asked@example.org", "failed@acme.example", "fine@example.org", "soon@example.org"},
			"text=%25":                    nil,
			"state=nonsense&delivery=%00": nil,
		} {
			got := b.get("/console/?" + query)
			require.ElementsMatch(e, expected, emailsIn(got.body), query)
			require.NotContains(e, got.body, "Needs attention", query)
		}
		require.Len(e, emailsIn(b.get("/console/?state=nonsense&delivery=x&role=y&ends=z&page=0").body), 4, "what means nothing does not filter")
		require.Len(e, emailsIn(b.get("/console/?text="+strings.Repeat("x", 2001)).body), 4, "nothing is that long")
		require.Contains(e, b.get("/console/?text=nobody").body, "No invitation matches.")
		require.Equal(e, "/console/?text=fine", b.get("/console/?text=fine&page=7").location)
		e.clock.Advance(2 * 24 * time.Hour)
		b.signIn("olivia@acme.example") // the session has ended
		require.Equal(e, []string{"soon@example.org"}, emailsIn(b.get("/console/?state=expired").body))
	})
}

func (b *browser) postForm(path string, form url.Values) page {
	b.Helper()
	return b.send(http.MethodPost, path, form)
}

// A user acts on selected invitations, with their authority over each, and is told of each what became of it.
func TestSelectOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		first, second := e.invite("first@example.org", apollo), e.invite("second@example.org", apollo)
		b := e.browser()
		b.signIn("olivia@acme.example")
		require.Equal(e, 2, strings.Count(b.get("/console/").body, `name="uuid"`))
		got := b.postForm("/console/act/", url.Values{"action": {"cancel"}, "uuid": {first.UUID.String(), first.UUID.String(), uuid.NewString()}})
		require.Equal(e, http.StatusOK, got.status)
		require.Equal(e, "Taken back: 1 of 2", got.heading(e))
		require.Contains(e, got.body, "An invitation that you do not see: <span class=\"problem\">You may not do this, or the invitation is gone.")
		got = b.postForm("/console/act/", url.Values{"action": {"cancel"}, "uuid": {first.UUID.String(), second.UUID.String()}})
		require.Equal(e, "Taken back: 1 of 2", got.heading(e))
		require.Contains(e, got.body, "Only pending or planned invitations can be canceled.")

		for problem, form := range map[string]url.Values{
			"Select at least one invitation.":                      {"action": {"send"}},
			"The list has changed: 2 invitations match now.":       {"action": {"send"}, "all": {"3"}},
			"The list has changed: 0 invitations match now.":       {"action": {"send"}, "all": {"2"}, "text": {"nobody"}},
			"That form can’t be read":                              {"action": {"delete"}, "uuid": {first.UUID.String()}},
			"Go back, load the page again":                         {"action": {"send"}, "uuid": {"nonsense"}},
			"Select at most 200 invitations. Nothing was changed.": {"action": {"send"}, "uuid": randomUUIDs(201)},
		} {
			got := b.postForm("/console/act/", form)
			require.Equal(e, http.StatusBadRequest, got.status, problem)
			require.Contains(e, got.body, problem)
		}
		for _, made := range []invitation.View{first, second} {
			found, err := e.service.Retrieve(e.Context(), e.user("sam"), made.UUID)
			require.NoError(e, err)
			require.Equal(e, invitation.Canceled, found.State)
		}
		got = b.postForm("/console/act/", url.Values{"action": {"send"}, "all": {"1"}, "text": {"first"}})
		require.Equal(e, "Sent again: 1 of 1", got.heading(e))

		// Ina sees what is meant for her, and may do nothing with it.
		own := e.invite("ina@university.example", apollo)
		ina := e.browser()
		ina.signIn("ina@university.example")
		require.NotContains(e, ina.get("/console/").body, `name="uuid"`)
		got = ina.postForm("/console/act/", url.Values{"action": {"cancel"}, "uuid": {own.UUID.String(), first.UUID.String()}})
		require.Equal(e, "Taken back: 0 of 2", got.heading(e))
		require.NotContains(e, got.body, "first@example.org")
		got = ina.postForm("/console/act/", url.Values{"action": {"cancel"}, "all": {"1"}})
		require.Equal(e, "Taken back: 0 of 1", got.heading(e))
		require.Equal(e, "/sign-in/?return_to=/console/", e.browser().postForm("/console/act/", url.Values{"action": {"cancel"}, "all": {"1"}}).location)
	})
}

func randomUUIDs(n int) (all []string) {
	for range n {
		all = append(all, uuid.NewString())
	}
	return all
}

// All that match are at most 200, and the page says so.
func TestSelectAllOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		insert := func(from, to int) {
			require.NoError(e, e.db.Invitations().Change(e.Context(), func(tx invitation.Tx) (changes []invitation.Change, err error) {
				scope, role, err := tx.FindTarget(directory.Project, uuid.MustParse(apollo), uuid.MustParse(admin))
				for i := from; i < to; i++ {
					email := fmt.Sprintf("guest%d@example.org", i)
					changes = append(changes, invitation.Change{After: &invitation.Invitation{
						UUID: uuid.New(), StoredState: invitation.Pending, Created: tx.Now(), ExecutionState: invitation.OK,
						RoleUUID: role.UUID, ScopeUUID: scope.UUID, CustomerUUID: scope.CustomerUUID, Email: email, EmailFolded: email,
					}})
				}
				return changes, err
			}))
		}
		b := e.browser()
		b.signIn("olivia@acme.example")
		insert(0, 200)
		list := b.get("/console/")
		require.Contains(e, list.body, "All 200 that match, also on other pages")
		require.Len(e, emailsIn(list.body), 50)
		require.Contains(e, list.body, `href="/console/?page=2" rel="next"`)
		require.Contains(e, b.get("/console/?page=2").body, `href="/console/" rel="prev"`)
		canceled := b.postForm("/console/act/", url.Values{"action": {"cancel"}, "all": {"200"}})
		require.Equal(e, "Taken back: 200 of 200", canceled.heading(e))
		insert(200, 201)
		list = b.get("/console/")
		require.NotContains(e, list.body, `name="all"`)
		require.Contains(e, list.body, "narrow the filter to at most 200")
		require.Contains(e, b.postForm("/console/act/", url.Values{"action": {"cancel"}, "all": {"201"}}).body, "More than 200 invitations match.")
	})
}

// The console shows and does what the API would show and do for the same user.
func TestConsoleOfOthers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("guest@example.org", apollo)
		path := "/console/" + made.UUID.String() + "/"
		b := e.browser()
		for _, action := range []string{"", "send/", "cancel/"} {
			if action != "" {
				require.Equal(e, "/sign-in/?return_to=/console/", b.post(path+action).location, "nobody is signed in")
			}
		}
		b.signIn("ina@university.example")
		require.NotContains(e, b.get("/console/").body, "guest@example.org")
		require.Equal(e, http.StatusNotFound, b.get(path).status)
		require.Equal(e, http.StatusNotFound, b.post(path+"cancel/").status)
		require.Equal(e, http.StatusNotFound, b.get("/console/"+uuid.NewString()+"/").status)
		require.Contains(e, b.get("/console/new/").body, "You may not invite anywhere.")
		require.Equal(e, http.StatusNotFound, b.get("/console/new/?scope=project:"+apollo).status)
		require.Equal(e, http.StatusNotFound, b.post("/console/new/", "scope", "project:"+apollo, "role", admin, "emails", "x@example.org").status)
		found, err := e.service.Retrieve(e.Context(), e.user("sam"), made.UUID)
		require.NoError(e, err)
		require.Equal(e, invitation.Pending, found.State)
	})
}
