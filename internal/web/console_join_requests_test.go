package web_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/joining"
)

// ask takes a join link up, as a user.
func (e *env) ask(user string, v joining.View, details ...string) joining.Request {
	e.Helper()
	details = append(details, "", "")
	made, err := e.joining.Submit(e.Context(), e.user(user), v.UUID, details[0], details[1])
	require.NoError(e, err)
	return made.Request
}

func (e *env) requestOf(r joining.Request) joining.Request {
	e.Helper()
	found, err := e.joining.Request(e.Context(), e.user("sam"), r.UUID)
	require.NoError(e, err)
	return found
}

func decisionPath(r joining.Request, action string) string {
	return "/console/join-requests/" + r.UUID.String() + "/" + action + "/"
}

// Olivia rejects a request with a comment, and approves another one, which makes a project.
func TestJoinRequestsOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		link := e.makeLink("olivia", makingProjects("Workshop of {username}"))
		b := e.as("olivia@acme.example")
		empty := b.get("/console/join-requests/")
		require.Equal(e, "Requests to join", empty.heading(e))
		require.Contains(e, empty.text(), "No request waits. When somebody asks to join by a join link, the request is listed here until it is decided.")
		require.Contains(e, empty.body, `aria-current="page">Requests</a>`)
		require.Equal(e, "/sign-in/?return_to=/console/join-requests/%3Fstate%3Dall", e.browser().get("/console/join-requests/?state=all").location)

		first := e.ask("max", link)
		e.clock.Advance(time.Minute)
		second := e.ask("ina", link, "Sim <i>Lab</i>", "Line 1\nLine 2 <script>")
		got := b.get("/console/join-requests/")
		for _, text := range []string{
			"Max &lt;b&gt;Nobody&lt;/b&gt;", "max@nowhere.example", "Workshop of max", "Sim &lt;i&gt;Lab&lt;/i&gt;", "Line 1\nLine 2 &lt;script&gt;", "Acme",
			"Project manager", "23 Nov 2026, 09:30 UTC", "2 in all", `href="` + linkPath(link) + `"`,
		} {
			require.Contains(e, got.body, text)
		}
		require.Less(e, strings.Index(got.body, "max@"), strings.Index(got.body, "Ina@"), "the oldest first")
		require.Equal(e, 2, strings.Count(got.body, `/approve/"`))
		require.Contains(e, b.get(linkPath(link)).body, `href="/console/join-requests/?link=`+link.UUID.String()+`">2 waiting</a>`)

		long := b.post(decisionPath(first, "reject"), "comment", strings.Repeat("long ", 201))
		require.Equal(e, http.StatusBadRequest, long.status)
		require.Regexp(e, `(?s)id="problem-0" role="alert">Shorten the comment to 1000 characters.*id="comment-0"[^>]* aria-describedby="problem-0" autofocus>\nlong long`, long.body)
		require.Equal(e, joining.Pending, e.requestOf(first).State)
		require.Equal(e, http.StatusBadRequest, b.post(decisionPath(first, "reject"), "comment", "a\x1bb").status)

		rejected := b.post(decisionPath(first, "reject"), "comment", "No room,\r\nsorry <b>", "link", link.UUID.String())
		require.Equal(e, "/console/join-requests/?done="+first.UUID.String()+"&link="+link.UUID.String(), rejected.location)
		got = b.get(rejected.location)
		require.Contains(e, got.body, `role="status">The request of <bdi>Max &lt;b&gt;Nobody&lt;/b&gt;</bdi> was rejected.`)
		require.NotContains(e, got.body, "max@nowhere.example")
		require.Equal(e, joining.Rejected, e.requestOf(first).State)
		require.Equal(e, "No room,\nsorry <b>", e.requestOf(first).ReviewComment)

		approved := b.post(decisionPath(second, "approve"))
		require.Equal(e, "/console/join-requests/?done="+second.UUID.String(), approved.location)
		require.Contains(e, b.get(approved.location).body, `role="status"><bdi>Ina Invitee</bdi> is in.`)
		require.Len(e, e.user("ina").Grants, 1)

		all := b.get("/console/join-requests/?state=all")
		for _, text := range []string{`<span class="badge rejected">Rejected</span>`, "Rejected by <bdi>Olivia Owner</bdi> on", "No room,\nsorry &lt;b&gt;", "Approved by <bdi>Olivia Owner</bdi> on"} {
			require.Contains(e, all.body, text)
		}
		require.NotContains(e, all.body, `method="post" action="/console/join-requests`)
		timeline := b.get(linkPath(link)).body
		for _, text := range []string{
			"<bdi>Ina Invitee</bdi> asked to join", "<bdi>Olivia Owner</bdi> rejected the request of <bdi>Max &lt;b&gt;Nobody&lt;/b&gt;</bdi>",
			"“<bdi>No room,\nsorry &lt;b&gt;</bdi>”", "<bdi>Olivia Owner</bdi> approved the request of <bdi>Ina Invitee</bdi>", "None waiting", "2 in all",
		} {
			require.Contains(e, timeline, text)
		}
	})
}

// Who comes too late reads who has decided, and nothing is changed.
func TestJoinRequestDecidedBySomebodyElse(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		link := e.makeLink("olivia")
		b := e.as("olivia@acme.example")
		approved, rejected, canceled := e.ask("max", link), e.ask("ina", link), e.ask("pat", link)
		e.clock.Advance(time.Minute)
		require.NoError(e, e.joining.Approve(e.Context(), e.user("sam"), approved.UUID, ""))
		require.NoError(e, e.joining.Reject(e.Context(), e.user("olivia"), rejected.UUID, ""))
		_, err := e.joining.CancelRequest(e.Context(), e.user("pat"), canceled.UUID)
		require.NoError(e, err)
		for request, words := range map[uuid.UUID]string{
			approved.UUID: "The request of Max &lt;b&gt;Nobody&lt;/b&gt; was already approved by sam on 23 November 2026, 09:31 UTC. Nothing was changed.",
			rejected.UUID: "The request of Ina Invitee was already rejected by Olivia Owner on 23 November 2026, 09:31 UTC. Nothing was changed.",
			canceled.UUID: "The request of Pat Project was taken back. Nothing was changed.",
		} {
			for _, action := range []string{"approve", "reject"} {
				before := e.requestOf(joining.Request{UUID: request})
				got := b.post(decisionPath(joining.Request{UUID: request}, action), "comment", "late")
				require.Equal(e, http.StatusConflict, got.status)
				require.Contains(e, got.body, `role="alert" tabindex="-1" autofocus>The request of <bdi>`)
				require.Contains(e, got.text(), words)
				require.Equal(e, before, e.requestOf(before))
			}
		}
		require.Empty(e, e.user("ina").Grants)
		for _, done := range []string{"nonsense", uuid.NewString(), canceled.UUID.String()} {
			require.NotContains(e, b.get("/console/join-requests/?done="+done).body, `role="status"`, done)
		}
		// The reviewer's user may be gone.
		e.apply("users: [{username: rita, email: rita@example.com, is_staff: true}]")
		reviewed := e.ask("pat", link)
		require.NoError(e, e.joining.Reject(e.Context(), e.user("rita"), reviewed.UUID, ""))
		require.NoError(e, e.db.QueueDriver().GetExecutor().Exec(e.Context(), "DELETE FROM users WHERE username = 'rita'"))
		got := b.post(decisionPath(reviewed, "approve"))
		require.Contains(e, got.text(), "The request of Pat Project was already rejected on 23 November 2026, 09:31 UTC. Nothing was changed.")
	})
}

// An approval that a rule forbids says why, and changes nothing.
func TestJoinRequestIsNotApproved(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		b := e.as("olivia@acme.example")
		check := func(r joining.Request, words string) {
			e.Helper()
			got := b.post(decisionPath(r, "approve"))
			require.Equal(e, http.StatusConflict, got.status, got.body)
			require.Contains(e, got.text(), " can’t be approved. "+words+" Nothing was changed.")
			require.Equal(e, joining.Pending, e.requestOf(r).State)
			require.Contains(e, got.body, decisionPath(r, "approve"), "it still waits")
		}
		// A project has a manager.
		asManager := e.makeLink("olivia", func(edit *joining.Edit) {
			toApollo(edit)
			edit.Role = new(uuid.MustParse(manager))
		})
		request := e.ask("max", asManager)
		e.joining.Policy.OneProjectManager = true
		check(request, "The project has a manager, and can have one only.")
		e.joining.Policy.OneProjectManager = false

		// The name of the project is taken by one that was not made by an approval.
		making := e.makeLink("olivia", makingProjects("{username}"))
		named := e.ask("ina", making, "Comet")
		e.apply("customers: [{name: Acme, projects: [{name: Comet}]}]")
		check(named, "The organization has a project of this name already, so the request needs another name.")

		// The role is not given any more; the address is not admitted; nobody has two roles.
		open := e.makeLink("olivia")
		inOrganization := e.ask("otto", open)
		e.apply("customers: [{name: Acme, user_email_patterns: ['.*@acme\\.example']}]")
		check(inOrganization, "Their address is not one of those that the organization admits.")
		e.apply("customers: [{name: Acme, user_email_patterns: []}]")
		e.apply("customers: [{name: Acme, members: [{user: olivia, role: CUSTOMER.OWNER}, {user: mia, role: CUSTOMER.MEMBER}, {user: otto, role: CUSTOMER.OWNER}]}]")
		e.joining.Policy.DisableMultipleRoles = true
		check(inOrganization, "They have another role there, and nobody can have two.")
		e.joining.Policy.DisableMultipleRoles = false
		e.apply("roles: [{name: CUSTOMER.MEMBER, scope_type: customer, is_active: false}]")
		check(inOrganization, "The role is not given any more.")
		require.Empty(e, e.user("max").Grants)

		// The reviewer may not give the role.
		e.joining.Policy.RoleCeiling = true
		e.apply("roles: [{name: PROJECT.MANAGER, scope_type: project, permissions: [PROJECT.CREATE_PERMISSION, EVERYTHING]}]")
		got := b.post(decisionPath(request, "approve"))
		require.Equal(e, http.StatusForbidden, got.status)
		require.Contains(e, got.body, "or you may not give the role that it asks for.")
		require.Equal(e, joining.Pending, e.requestOf(request).State)
	})
}

// Who sees and decides about whose requests.
func TestJoinRequestsOfOthers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		link := e.makeLink("olivia", toApollo)
		request := e.ask("max", link)
		for who, may := range map[string]struct{ see, decide bool }{
			"sam@example.com": {true, true}, "olivia@acme.example": {true, true}, "sue@example.com": {true, false}, "mia@acme.example": {true, false},
			"max@nowhere.example": {true, false}, "pat@acme.example": {false, false}, "otto@globex.example": {false, false}, "ina@university.example": {false, false},
		} {
			b := e.as(who)
			for _, query := range []string{"", "?state=all", "?link=" + link.UUID.String(), "?organization=" + e.organization().UUID.String()} {
				got := b.get("/console/join-requests/" + query)
				require.Equal(e, http.StatusOK, got.status)
				require.Equal(e, may.see, strings.Contains(got.body, "max@nowhere.example"), "%s sees %s", who, query)
				require.Equal(e, may.decide, strings.Contains(got.body, decisionPath(request, "approve")), who)
				require.Equal(e, may.see && !may.decide, strings.Contains(got.body, "decide about it."), who)
			}
			if may.decide {
				continue
			}
			for _, action := range []string{"approve", "reject"} {
				got := b.post(decisionPath(request, action))
				if may.see {
					require.Equal(e, http.StatusForbidden, got.status, who)
					require.Contains(e, got.body, "is not yours to decide")
				} else {
					require.Equal(e, http.StatusNotFound, got.status, who)
					require.NotContains(e, got.body, "Nobody")
				}
			}
		}
		for _, action := range []string{"approve", "reject"} {
			require.Equal(e, "/sign-in/?return_to=/console/", e.browser().post(decisionPath(request, action)).location)
			require.Equal(e, http.StatusNotFound, e.as("sam@example.com").post("/console/join-requests/x/"+action+"/").status)
			require.Equal(e, http.StatusNotFound, e.as("sam@example.com").post("/console/join-requests/"+uuid.NewString()+"/"+action+"/").status)
		}
		require.Equal(e, joining.Pending, e.requestOf(request).State)
	})
}

// The list is filtered and has pages; those that the user decides about are the first.
func TestListOfJoinRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		var users strings.Builder
		for i := range 51 {
			fmt.Fprintf(&users, "  - {username: guest%d, email: guest%d@example.org}\n", i, i)
		}
		e.apply("users:\n" + users.String())
		own, others := e.makeLink("olivia"), e.makeLink("sam", toApollo)
		e.apply("roles: [{name: CUSTOMER.HELPER, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION]}]\n" +
			"customers: [{name: Acme, members: [{user: olivia, role: CUSTOMER.OWNER}, {user: mia, role: CUSTOMER.HELPER}]}]")
		e.ask("max", own)
		e.clock.Advance(time.Minute)
		e.ask("ina", others)
		mia := e.as("mia@acme.example").get("/console/join-requests/").body
		require.Less(e, strings.Index(mia, "Ina@"), strings.Index(mia, "max@"), "Mia decides about Apollo alone")
		require.Equal(e, 1, strings.Count(mia, "decide about it."))

		b := e.as("olivia@acme.example")
		count := func(query string) int {
			return strings.Count(b.get("/console/join-requests/"+query).body, `<article class="request"`)
		}
		require.Equal(e, 2, count(""))
		require.Equal(e, 1, count("?link="+own.UUID.String()))
		require.Equal(e, 2, count("?organization="+e.organization().UUID.String()))
		require.Equal(e, 0, count("?organization="+uuid.NewString()))
		require.Equal(e, 2, count("?organization=x&link=x&state=x"))
		require.Equal(e, 0, count("?state=approved"))
		require.Contains(e, b.get("/console/join-requests/?state=approved").body, `value="approved" selected`)
		for i := range 51 {
			e.clock.Advance(time.Second)
			e.ask("guest"+strconv.Itoa(i), own)
		}
		first := b.get("/console/join-requests/?link=" + own.UUID.String())
		require.Equal(e, 50, strings.Count(first.body, `<article class="request"`))
		require.Contains(e, first.body, `href="/console/join-requests/?link=`+own.UUID.String()+`&amp;page=2" rel="next"`)
		require.Contains(e, first.body, "52 in all")
		require.Equal(e, 2, count("?page=2&link="+own.UUID.String()))
		require.Equal(e, "/console/join-requests/?link="+own.UUID.String(), b.get("/console/join-requests/?page=9&link="+own.UUID.String()).location)
	})
}

// Forms of other sites are refused, and reading changes nothing.
func TestJoinPagesAreSafe(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		link := e.makeLink("olivia")
		request := e.ask("max", link)
		paths := []string{
			"/console/links/", "/console/links/new/", linkPath(link), linkPath(link) + "edit/", linkPath(link) + "cancel/", linkPath(link) + "delete/",
			"/console/join-requests/", decisionPath(request, "approve"), decisionPath(request, "reject"),
		}
		b := e.as("sam@example.com")
		for _, path := range paths {
			query := "?scope=customer:" + e.organization().UUID.String() + "&joins=scope&role=" + member + "&text=x&comment=x"
			page := b.get(path + query)
			if page.status == http.StatusOK {
				require.Contains(e, page.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'")
				require.Equal(e, "no-store", page.header.Get("Cache-Control"))
			}
			require.Empty(e, b.send(http.MethodHead, path+query, nil).body)
		}
		for name, header := range map[string]http.Header{
			"cross-site": {"Sec-Fetch-Site": {"cross-site"}}, "same-site": {"Sec-Fetch-Site": {"same-site"}}, "no origin": {"Origin": {"null"}},
		} {
			b.header = header
			for _, path := range append(paths[1:2:2], paths[3], paths[4], paths[5], paths[7], paths[8]) {
				got := b.post(path, "scope", "customer:"+e.organization().UUID.String(), "joins", "scope", "role", member)
				require.Equal(e, http.StatusForbidden, got.status, "%s: %s", name, path)
				require.Contains(e, got.body, "This form came from another site")
			}
		}
		require.Equal(e, joining.Pending, e.requestOf(request).State)
		require.Equal(e, link.Version, e.linkOf(link).Version)
		require.Equal(e, 1, strings.Count(e.as("sam@example.com").get("/console/links/").body, `<th scope="row">`))
	})
}
