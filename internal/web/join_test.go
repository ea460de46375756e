package web_test

import (
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"invited/internal/directory"
	"invited/internal/identity"
	"invited/internal/joining"
	"invited/internal/signin"
)

// acme returns the uuid of the organization.
func (e *env) acme() uuid.UUID {
	e.Helper()
	for _, held := range e.user("olivia").Grants {
		if held.ScopeType == directory.Customer {
			return held.ScopeUUID
		}
	}
	require.Fail(e, "Olivia owns nothing")
	return uuid.Nil
}

// joinLink makes a join link for a role in Apollo, by Olivia.
func (e *env) joinLink(change ...func(*joining.Edit)) joining.View {
	e.Helper()
	return e.joinLinkBy("olivia", change...)
}

func (e *env) joinLinkBy(username string, change ...func(*joining.Edit)) joining.View {
	e.Helper()
	edit := joining.Edit{Role: new(uuid.MustParse(admin)), ScopeURL: new("https://x.example/api/projects/" + apollo + "/")}
	for _, each := range change {
		each(&edit)
	}
	made, err := e.joining.Create(e.Context(), e.user(username), edit)
	require.NoError(e, err)
	return made
}

// These change what a join link offers.
func approvesAtOnce(edit *joining.Edit) { edit.AutoApprove = new(true) }
func allowsMore(edit *joining.Edit)     { edit.MultipleRequests = new(true) }
func asksDetails(edit *joining.Edit)    { edit.CustomDetails = new(true) }
func (e *env) makesProjects() func(*joining.Edit) {
	e.Helper()
	url := "https://x.example/api/customers/" + e.acme().String() + "/"
	return func(edit *joining.Edit) { edit.ScopeURL, edit.MakesProjects = &url, new(true) }
}

func says(text string) func(*joining.Edit) {
	return func(edit *joining.Edit) { edit.CustomText = &text }
}

func onlyFor(patterns ...string) func(*joining.Edit) {
	return func(edit *joining.Edit) { edit.EmailPatterns = &patterns }
}

func pathOfLink(v joining.View) string { return "/user-group-invitation/" + v.UUID.String() + "/" }

// requests returns the requests of a user, the newest first.
func (e *env) requests(username string) []joining.Request {
	e.Helper()
	user := e.user(username)
	found, _, err := e.joining.Requests(e.Context(), user, joining.RequestQuery{CreatedBy: &user.UUID}, 1, 100)
	require.NoError(e, err)
	return found
}

// signedIn returns a browser in which somebody has signed in. newUser: the username, where the directory has no such user.
func (e *env) signedIn(email string, newUser ...string) *browser {
	e.Helper()
	for _, name := range newUser {
		e.apply("users: [{username: " + name + ", email: " + email + "}]")
	}
	b := e.browser()
	b.signIn(email)
	return b
}

// signedInAs is signedIn for a user without an address.
func (e *env) signedInAs(username string) *browser {
	e.Helper()
	session, err := e.identity.SignInAs(e.Context(), username, "127.0.0.1")
	require.NoError(e, err)
	b := e.browser()
	b.client.Jar.SetCookies(mustParse(e, e.server.URL), []*http.Cookie{{Name: "invited", Value: session, Path: "/"}})
	return b
}

// text returns the text of a page, with single blanks.
func (p page) text() string {
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(p.body, "")), " ")
}

// Whoever is not signed in learns nothing of a join link, not even whether there is one.
func TestStrangersLearnNothingOfAJoinLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		private := e.joinLink(says("Come in"))
		ended := e.joinLinkBy("sam", e.makesProjects(), func(edit *joining.Edit) { edit.IsPublic = new(true) })
		require.NoError(e, e.joining.Cancel(e.Context(), e.user("sam"), ended.UUID))
		unknown := uuid.New()
		page := func(id uuid.UUID) string {
			got := e.browser().get("/user-group-invitation/" + id.String() + "/")
			require.Equal(e, http.StatusOK, got.status)
			require.Equal(e, "A link to join", got.heading(e))
			require.Contains(e, got.body, `name="return_to" value="/user-group-invitation/`+id.String()+`/"`)
			require.Equal(e, "no-referrer", got.header.Get("Referrer-Policy"))
			return strings.ReplaceAll(got.body, id.String(), "")
		}
		want := page(unknown)
		for _, name := range []string{"Apollo", "Acme", "Olivia", "Come in", "administrator"} {
			require.NotContains(e, want, name)
		}
		require.Equal(e, want, page(private.UUID))
		require.Equal(e, want, page(ended.UUID))
		require.Equal(e, http.StatusNotFound, e.browser().get("/user-group-invitation/x/").status)
		require.Equal(e, pathOfLink(private), e.browser().post(pathOfLink(private)).location, "nobody is signed in")
		e.server.Close()
		require.NotContains(e, e.log.String(), private.UUID.String())
	})
}

// A public link says what it offers, and not who made it.
func TestPublicJoinLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		public := e.joinLinkBy("sam", e.makesProjects(), says("<b>Come</b> in"), func(edit *joining.Edit) { edit.IsPublic = new(true) })
		got := e.browser().get(pathOfLink(public))
		require.Equal(e, "Ask to join Acme", got.heading(e))
		require.Contains(e, got.text(), "You can ask to join a project of the organization Acme as System administrator.")
		require.Contains(e, got.text(), "You get a project, which is made if it is not there. The people who run the organization Acme decide about your request.")
		atOnce := e.joinLinkBy("sam", e.makesProjects(), approvesAtOnce, func(edit *joining.Edit) { edit.IsPublic = new(true) })
		require.Equal(e, "Join Acme", e.browser().get(pathOfLink(atOnce)).heading(e))
		require.Contains(e, e.browser().get(pathOfLink(atOnce)).text(), "You can join a project")
		require.Contains(e, got.body, "&lt;b&gt;Come&lt;/b&gt; in")
		require.NotContains(e, got.body, "sam")
		require.Contains(e, got.body, "Mail me a code")

		require.NotContains(e, e.signedIn("ina@university.example").get(pathOfLink(public)).body, "<bdi>sam</bdi>")
		require.Contains(e, e.signedIn("olivia@acme.example").get(pathOfLink(public)).text(), "sam invites you to join", "who manages may know")
	})
}

// The page says who can sign in at all: a join link is addressed to nobody, and makes a user only where everybody gets one.
func TestStrangersByAJoinLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.joinLink(approvesAtOnce)
		for _, each := range []struct {
			create identity.CreateUsers
			words  string
		}{
			{identity.CreateInvited, "or an invitation to your address. If you have neither, ask whoever gave you the link"},
			{identity.CreateNone, "If you have none, ask the people who run this site."},
			{identity.CreateAny, "You need no account: you get one when you sign in."},
		} {
			create, words := each.create, each.words
			e.identity.Create = create
			b := e.browser()
			require.Contains(e, b.get(pathOfLink(made)).text(), words)
			require.NotContains(e, b.get("/sign-in/").text(), words)
			asked := b.post("/sign-in/", "email", string(create)+"@nowhere.example", "return_to", pathOfLink(made))
			require.Equal(e, "/sign-in/code/?return_to="+pathOfLink(made), asked.location)
			require.Contains(e, b.get(asked.location).text(), words)
			codes := e.codes()
			require.Equal(e, create == identity.CreateAny, codes[len(codes)-1] != nil, "a mail goes out")
		}
		b := e.browser()
		b.post("/sign-in/", "email", "any2@nowhere.example", "return_to", pathOfLink(made))
		entered := b.post("/sign-in/code/", "code", e.lastCode(), "return_to", pathOfLink(made))
		require.Equal(e, pathOfLink(made), entered.location)
		require.Equal(e, "You can join", b.get(entered.location).heading(e))
		require.Equal(e, pathOfLink(made), b.post(pathOfLink(made)).location)
		require.Equal(e, "You are in", b.get(pathOfLink(made)).heading(e))
		require.Len(e, e.user("any2@nowhere.example").Grants, 1)
	})
}

// The link outlives signing in with an issuer; who has no user there reads whom to ask.
func TestJoinLinkWithAnIssuer(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.joinLink()
		b := e.browser()
		require.Contains(e, b.get(pathOfLink(made)).body, `href="/sign-in/campus/?return_to=`+strings.ReplaceAll(pathOfLink(made), "/", "%2f")+`"`)
		e.issuers["campus"].Person = person("person-1", "stranger@nowhere.example")
		got := b.get(b.begin("campus", pathOfLink(made)))
		require.Equal(e, http.StatusForbidden, got.status)
		require.Contains(e, got.text(), "You need an account here, or an invitation to your address.")
		require.Contains(e, got.body, made.UUID.String(), "the way back keeps the link")

		e.issuers["campus"].Person = person("person-2", "ina@university.example")
		require.Equal(e, pathOfLink(made), b.get(b.begin("campus", pathOfLink(made))).location)
		require.Equal(e, "You can ask to join", b.get(pathOfLink(made)).heading(e))
	}, issuer("campus"))
}

// Whoever comes through a proxy is signed in at the link.
func TestJoinLinkThroughAProxy(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.joinLink()
		e.proxy = &signin.Proxy{
			Networks: []*net.IPNet{{IP: net.IPv4(127, 0, 0, 0), Mask: net.CIDRMask(8, 32)}}, Secret: "secret of the proxy",
			Headers: signin.ProxyHeaders{User: "Remote-User", Username: "Remote-User", Email: "Remote-Email"},
		}
		e.server.Config.Handler = e.pages(e.server.URL + "/")
		b := e.browser()
		b.header.Set("X-Invited-Proxy-Secret", "secret of the proxy")
		b.header.Set("Remote-User", "ina")
		b.header.Set("Remote-Email", "ina@university.example")
		require.Equal(e, "You can ask to join", b.get(pathOfLink(made)).heading(e))
		b.post(pathOfLink(made))
		require.Equal(e, "Your request waits for approval", b.get(pathOfLink(made)).heading(e))
	})
}

// Somebody asks, takes it back, asks again, and is let in.
func TestAskToJoin(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.joinLink(says("Hello\n\u202e<b>you</b>"))
		path := pathOfLink(made)
		b := e.signedIn("ina@university.example")
		got := b.get(path)
		require.Equal(e, "You can ask to join", got.heading(e))
		for _, words := range []string{
			"Olivia Owner invites you to join the project Apollo of the organization Acme as System administrator.",
			"The people who run the organization Acme decide about your request.", "Ina Invitee (Ina@University.example)",
			"Nothing has happened yet.", "&lt;b&gt;you&lt;/b&gt;",
		} {
			require.Contains(e, got.text(), words)
		}
		require.NotContains(e, got.body, `name="project_name"`)
		e.apply("customers: [{name: Acme, projects: [{uuid: " + apollo + ", name: Apollo, description: Landing on the Moon}]}]")
		require.Contains(e, b.get(path).text(), "Landing on the Moon")
		require.Empty(e, e.requests("ina"), "reading changes nothing")

		require.Equal(e, path, b.post(path, "project_name", "ignored").location)
		asked := b.get(path)
		require.Equal(e, "Your request waits for approval", asked.heading(e))
		require.Contains(e, asked.text(), "To join the project Apollo of the organization Acme as System administrator. Asked on 23 November 2026, 09:30 UTC. The people who run the organization Acme decide.")
		require.Contains(e, asked.text(), "You get a mail only if the answer is no.")
		require.NotContains(e, asked.body, "Ask to join")
		again := b.post(path)
		require.Equal(e, http.StatusBadRequest, again.status)
		require.Equal(e, "Your request waits for approval", again.heading(e))
		require.Len(e, e.requests("ina"), 1)

		// Another link of the same project is no way around.
		other := e.joinLink(approvesAtOnce)
		require.Equal(e, "Your request waits for approval", b.get(pathOfLink(other)).heading(e))
		require.Contains(e, b.get(pathOfLink(other)).text(), "You can use this link when that request is decided or taken back.")
		require.NotContains(e, asked.text(), "You can use this link when")
		require.Equal(e, http.StatusBadRequest, b.post(pathOfLink(other)).status)

		takeBack := "/requests/" + e.requests("ina")[0].UUID.String() + "/take-back/"
		require.Contains(e, asked.body, `action="`+takeBack+`"`)
		require.Contains(e, b.get("/").body, `action="`+takeBack+`"`)
		require.Equal(e, "/sign-in/?return_to="+path, e.browser().post(takeBack, "return_to", path).location)
		require.Equal(e, http.StatusNotFound, e.signedIn("twin@example.org", "twin3").post(takeBack).status)
		require.Equal(e, http.StatusForbidden, e.signedIn("olivia@acme.example").post(takeBack).status, "sees it, and it is not hers")
		require.Equal(e, joining.Pending, e.requests("ina")[0].State)
		require.Equal(e, path, b.post(takeBack, "return_to", path).location)
		require.Equal(e, joining.Canceled, e.requests("ina")[0].State)
		taken := b.get(path)
		require.Equal(e, "You can ask to join", taken.heading(e))
		require.Contains(e, taken.text(), "was taken back.")
		require.Contains(e, taken.text(), "Ask to join once more")
		require.Equal(e, "/", b.post(takeBack).location, "once more changes nothing")
		require.Equal(e, http.StatusNotFound, b.post("/requests/"+uuid.NewString()+"/take-back/").status)
		require.Equal(e, http.StatusNotFound, b.post("/requests/x/take-back/").status)

		e.clock.Advance(time.Minute)
		b.post(path)
		require.NoError(e, e.joining.Reject(e.Context(), e.user("olivia"), e.requests("ina")[0].UUID, "<i>Not</i> now"))
		got = b.get(path)
		require.Equal(e, "You can ask to join", got.heading(e))
		require.Contains(e, got.text(), "was rejected by Olivia Owner on 23 November 2026, 09:31 UTC.")
		require.Contains(e, got.body, "&lt;i&gt;Not&lt;/i&gt; now")

		e.clock.Advance(time.Minute)
		b.post(path)
		request := e.requests("ina")[0].UUID
		require.NoError(e, e.joining.Approve(e.Context(), e.user("olivia"), request, "Welcome"))
		require.Equal(e, path, b.post("/requests/"+request.String()+"/take-back/", "return_to", path).location, "too late")
		got = b.get(path)
		require.Equal(e, "You are in", got.heading(e))
		require.Contains(e, got.text(), "You are in the project Apollo of the organization Acme as System administrator. Your request was approved by Olivia Owner on 23 November 2026, 09:32 UTC.")
		require.Contains(e, got.text(), "Welcome")
		require.Contains(e, got.body, `<a class="button" href="/">Go on</a>`)
		require.Equal(e, "You are in", b.post(path).heading(e))
		require.Len(e, e.requests("ina"), 3)

		home := b.get("/").text()
		for _, words := range []string{"Your requests to join", "Approved by Olivia Owner", "Rejected by Olivia Owner", "Taken back", "Welcome"} {
			require.Contains(e, home, words)
		}
		require.NotContains(e, e.signedIn("olivia@acme.example").get("/").body, "Your requests to join", "they are not hers")
	})
}

// A link that approves by itself lets in at once.
func TestJoinAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.joinLink(approvesAtOnce)
		b := e.signedIn("ina@university.example")
		got := b.get(pathOfLink(made))
		require.Equal(e, "You can join", got.heading(e))
		require.Contains(e, got.text(), "You join at once")
		require.Empty(e, e.user("ina").Grants)
		require.Equal(e, pathOfLink(made), b.post(pathOfLink(made)).location)
		got = b.get(pathOfLink(made))
		require.Equal(e, "You are in", got.heading(e))
		require.Contains(e, got.text(), "You joined on 23 November 2026, 09:30 UTC.")
		require.Len(e, e.user("ina").Grants, 1)
		require.Contains(e, b.get("/").text(), "You joined on 23 November 2026, 09:30 UTC.")

		require.Equal(e, "You have this role already", b.get(pathOfLink(e.joinLink())).heading(e), "by another link")

		// Where the creator may not invite any more, the page promises no more than the server does.
		e.joining.Policy.RecheckInviter = true
		e.apply("users: [{username: nia, email: nia@acme.example}]")
		e.apply("customers: [{name: Acme, members: [{user: olivia, role: CUSTOMER.OWNER, is_active: false}]}]")
		nia := e.signedIn("nia@acme.example")
		require.Equal(e, "You can ask to join", nia.get(pathOfLink(made)).heading(e))
		nia.post(pathOfLink(made))
		require.Equal(e, "Your request waits for approval", nia.get(pathOfLink(made)).heading(e))
	})
}

// A project-making link makes a project or joins it, by the name that the requester gives where the link lets them.
func TestJoinWithAProject(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.ProjectName = regexp.MustCompile(`^[A-Za-z0-9 月]*$`)
		named := e.joinLink(e.makesProjects(), approvesAtOnce, allowsMore, asksDetails)
		path := pathOfLink(named)
		b, nia := e.signedIn("ina@university.example"), e.signedIn("nia@acme.example", "nia")
		got := b.get(path)
		require.Contains(e, got.text(), "a project of the organization Acme as System administrator.")
		require.Contains(e, got.text(), "You get the project ina. It is made for you if it is not there. You can choose another name.")

		for name, words := range map[string]string{
			strings.Repeat("ж", 256): "Shorten the name to 255 characters.", "a\tb": "The name has characters that can’t be shown.", "a\u202eb": "The name has characters that can’t be shown.",
			"Rocks!": "Project names have to match the pattern", "Apollo": "The organization has a project of this name already. Choose another name.",
		} {
			refused := b.post(path, "project_name", name, "project_description", "Weighing <rocks>")
			require.Equal(e, http.StatusBadRequest, refused.status, name)
			require.Contains(e, refused.body, words)
			require.Contains(e, refused.body, `aria-describedby="name-problem" autofocus`)
			require.Contains(e, refused.body, "Weighing &lt;rocks&gt;</textarea>", "what was typed is kept")
		}
		refused := b.post(path, "project_name", "Rocks", "project_description", strings.Repeat("x", 2001))
		require.Contains(e, refused.body, "Shorten the description to 2000 characters.")
		require.Contains(e, refused.body, `aria-describedby="description-problem" autofocus`)
		require.Contains(e, b.post(path, "project_description", "\u0007").body, "The description has characters that can’t be shown.")
		require.Equal(e, http.StatusBadRequest, b.post(path, "project_description", strings.Repeat("x", 65<<10)).status)
		require.Empty(e, e.requests("ina"))

		require.Equal(e, path, b.post(path, "project_name", " Moon rocks ", "project_description", "Line\r\nby line").location)
		most := strings.Repeat("月", 2000)
		e.clock.Advance(time.Second)
		require.Equal(e, path, nia.post(path, "project_name", strings.Repeat("月", 255), "project_description", most).location, "the form is not too large")
		require.Equal(e, most, e.requests("nia")[0].ProjectDescription)
		request := e.requests("ina")[0]
		require.Equal(e, "Moon rocks", request.ProjectName)
		require.Equal(e, "Line\nby line", request.ProjectDescription)
		got = b.get(path)
		require.Equal(e, "You can join", got.heading(e), "it can be taken up more than once")
		require.Contains(e, got.text(), "You joined the project Moon rocks of the organization Acme as System administrator on 23 November 2026")
		require.Contains(e, got.text(), "Join once more")
		require.Len(e, e.user("ina").Grants, 1)

		// Without a name it is the template's, else the username.
		template := new("Workshop of {username}")
		once := e.joinLink(e.makesProjects(), approvesAtOnce, func(edit *joining.Edit) { edit.NameTemplate = &template })
		require.Contains(e, b.get(pathOfLink(once)).text(), "You are in the project Moon rocks", "one is enough in the organization")
		nina := e.signedIn("nina@acme.example", "nina")
		require.Contains(e, nina.get(pathOfLink(once)).text(), "You get the project Workshop of nina. It is made for you if it is not there.")
		fixed := new("Workshop")
		shared := e.joinLink(e.makesProjects(), approvesAtOnce, func(edit *joining.Edit) { edit.NameTemplate = &fixed })
		require.Contains(e, nina.get(pathOfLink(shared)).text(), "You join the project Workshop; it is made if there is none.")
		require.NotContains(e, nina.get(pathOfLink(once)).body, `name="project_name"`)
		nina.post(pathOfLink(once), "project_name", "Mine", "project_description", "Mine")
		got = nina.get(pathOfLink(once))
		require.Equal(e, "You are in", got.heading(e))
		require.Contains(e, got.text(), "You are in the project Workshop of nina of the organization Acme")
		require.Contains(e, nina.get("/").text(), "To join the project Workshop of nina")

		plain := e.joinLink(e.makesProjects(), approvesAtOnce)
		require.Contains(e, e.signedIn("apollo@acme.example", "apollo").post(pathOfLink(plain)).text(),
			"The organization has a project of this name already, to which the link does not lead. Ask whoever gave you the link.")

		// What is wrong with a field that the form has not is said all the same.
		require.Contains(e, e.signedIn("twin4@acme.example", "twin4").post(pathOfLink(once), "project_name", strings.Repeat("x", 256)).text(),
			"Shorten the name to 255 characters. Nothing was changed.")
	})
}

// Several requests by a link that allows them wait beside each other.
func TestSeveralRequestsWait(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.joinLink(e.makesProjects(), allowsMore, asksDetails)
		b := e.signedIn("ina@university.example")
		for _, name := range []string{"One", "Two"} {
			b.post(pathOfLink(made), "project_name", name)
		}
		got := b.get(pathOfLink(made))
		require.Equal(e, "You can ask to join", got.heading(e))
		require.Equal(e, 2, strings.Count(got.body, "take-back/"))
		require.Contains(e, got.text(), "To join the project Two of the organization Acme as System administrator. Asked on 23 November 2026, 09:30 UTC. The people who run the organization Acme decide.")
	})
}

// Each reason why somebody can't ask has a page of its own, the same before and after asking.
func TestRefusalsOfAJoinLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(`
users: [{username: nora}, {username: ned, email: ned@university.example}]
customers: [{name: Acme, projects: [{uuid: ` + apollo + `, name: Apollo, members: [{user: olivia, role: PROJECT.ADMIN}]}]}]
roles: [{name: PROJECT.OTHER, scope_type: project, uuid: ` + otherRole + `, description: Other}]
`)
		in := func(scope string) func(*joining.Edit) {
			return func(edit *joining.Edit) { edit.ScopeURL = new("https://x.example/api/projects/" + scope + "/") }
		}
		canceled, expired, removed := e.joinLink(), e.joinLink(func(edit *joining.Edit) {
			edit.Expires = new(new(e.clock.Now().Add(time.Hour)))
		}), e.joinLink(in(artemis))
		require.NoError(e, e.joining.Cancel(e.Context(), e.user("olivia"), canceled.UUID))
		e.clock.Advance(time.Hour)
		e.apply("customers: [{name: Acme, projects: [{uuid: " + artemis + ", name: Artemis, is_removed: true}]}]")
		ina, olivia := e.signedIn("ina@university.example"), e.signedIn("olivia@acme.example")
		nora := e.signedInAs("nora")
		restricted := e.joinLink(onlyFor(`.*@elsewhere\.example`))
		other := e.joinLink(func(edit *joining.Edit) { edit.Role = new(uuid.MustParse(otherRole)) })
		check := func(who *browser, link joining.View, heading string, words ...string) {
			e.Helper()
			got := who.get(pathOfLink(link))
			require.Equal(e, http.StatusOK, got.status)
			refused := who.post(pathOfLink(link))
			require.Equal(e, http.StatusBadRequest, refused.status, heading)
			for _, page := range []page{got, refused} {
				require.Equal(e, heading, page.heading(e))
				for _, each := range words {
					require.Contains(e, page.text(), each)
				}
				require.NotContains(e, page.text(), "Ask to join")
			}
		}
		check(ina, canceled, "This link does not work any more", "was canceled. Ask Olivia Owner, who made the link, for a new one.")
		check(ina, expired, "This link has expired", "ended on 23 November 2026, 10:30 UTC")
		check(ina, removed, "This link does not work any more", "leads to what does not exist any more")
		check(olivia, e.joinLink(), "You have this role already", "You are in the project Apollo of the organization Acme as System administrator.")
		check(ina, restricted, "This link is not for this account", "this account, Ina Invitee (Ina@University.example), is not one of them", "Switch account", "ask Olivia Owner, who made the link, to let you join")
		require.Contains(e, ina.get(pathOfLink(restricted)).body, `name="return_to" value="`+pathOfLink(restricted)+`"`)
		require.Equal(e, pathOfLink(restricted), e.signedIn("ned@university.example").post("/sign-out/", "return_to", pathOfLink(restricted)).location)
		check(nora, restricted, "This link is not for this account", "without a verified address")
		check(ina, e.joinLink(in(strict)), "You can’t join now", "Your address is not one of those that the project admits.")
		e.joining.Policy.DisableMultipleRoles = true
		check(olivia, other, "You can’t join now", "You have another role there, and nobody can have two.")
		e.joining.Policy.DisableMultipleRoles = false
		e.apply("customers: [{name: Acme, user_email_patterns: ['.*@acme\\.example']}]")
		check(ina, other, "You can’t join now", "Your address is not one of those that the organization admits.")
		e.apply("customers: [{name: Acme, user_email_patterns: []}]")
		require.Empty(e, e.requests("ina"))

		// What only an approval at once finds out.
		atOnce := e.joinLink(approvesAtOnce)
		e.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, is_active: false}]")
		refused := ina.post(pathOfLink(atOnce))
		require.Equal(e, http.StatusBadRequest, refused.status)
		require.Contains(e, refused.text(), "The role that it offers is not given any more. Nothing was changed.")
		e.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, is_active: true}]")
		require.Empty(e, e.requests("ina"))

		require.Equal(e, http.StatusNotFound, ina.get("/user-group-invitation/"+uuid.NewString()+"/").status)
		require.Equal(e, "This link is not valid", ina.post("/user-group-invitation/"+uuid.NewString()+"/").heading(e))
	})
}

const otherRole = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e77"

// Too many requests have to wait; a link that was taken back leaves the requests that wait.
func TestMoreStatesOfAJoinLink(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.LimitRequests = joining.Limit{Count: 2, Per: time.Hour}
		made := e.joinLink(e.makesProjects(), allowsMore)
		b := e.signedIn("ina@university.example")
		b.post(pathOfLink(made))
		b.post(pathOfLink(made))
		refused := b.post(pathOfLink(made))
		require.Equal(e, http.StatusTooManyRequests, refused.status)
		require.Equal(e, "3600", refused.header.Get("Retry-After"))
		require.Contains(e, refused.text(), "You have asked too often. Wait 60 minutes, and ask again. Nothing was changed.")
		require.Len(e, e.requests("ina"), 2)

		require.NoError(e, e.joining.Cancel(e.Context(), e.user("olivia"), made.UUID))
		got := b.get(pathOfLink(made))
		require.Equal(e, "Your request waits for approval", got.heading(e))
		require.Contains(e, got.text(), "The link takes no new requests, and yours stands all the same.")

		// A request by one link is none by another.
		unused := e.joinLink(e.makesProjects(), approvesAtOnce, allowsMore)
		require.NoError(e, e.joining.Cancel(e.Context(), e.user("olivia"), unused.UUID))
		got = b.get(pathOfLink(unused))
		require.Equal(e, "This link does not work any more", got.heading(e))
		require.NotContains(e, got.text(), "yours stands")
	})
}

// Who came in by a link reads so, also when the link has ended, and no more once the role is lost.
func TestJoinedByALinkThatHasEnded(t *testing.T) {
	onEachEngine(t, func(e *env) {
		toProject, making := e.joinLink(approvesAtOnce), e.joinLink(e.makesProjects(), approvesAtOnce)
		b := e.signedIn("ina@university.example")
		for _, each := range []joining.View{toProject, making} {
			b.post(pathOfLink(each))
			require.NoError(e, e.joining.Cancel(e.Context(), e.user("olivia"), each.UUID))
			got := b.get(pathOfLink(each))
			require.Equal(e, "You are in", got.heading(e))
			require.NotContains(e, got.text(), "was canceled")
			require.Equal(e, "This link does not work any more", e.signedIn("olivia@acme.example").get(pathOfLink(each)).heading(e))
		}
		grants := e.user("ina").Grants
		require.Len(e, grants, 2)
		for _, held := range grants {
			name := map[bool]string{true: "Apollo", false: "ina"}[held.ScopeUUID.String() == apollo]
			e.apply("customers: [{name: Acme, projects: [{uuid: " + held.ScopeUUID.String() + ", name: " + name +
				", members: [{user: ina, role: PROJECT.ADMIN, is_active: false}]}]}]")
		}
		require.Empty(e, e.user("ina").Grants)
		for _, each := range []joining.View{toProject, making} {
			require.Equal(e, "This link does not work any more", b.get(pathOfLink(each)).heading(e))
		}
	})
}

// Names and texts of other people are text, in every direction.
func TestNamesOnAJoinLinkAreText(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const evil = `</title><script>alert(1)</script>"'&{{.}}` + "\u202e\u05d0"
		quoted := strings.ReplaceAll(evil, "'", "''")
		e.apply("users: [{username: olivia, full_name: '" + quoted + "'}]")
		e.apply("customers: [{name: Acme, projects: [{uuid: " + apollo + ", name: '" + quoted + "', description: '" + quoted + "'}]}]")
		e.apply("roles: [{name: PROJECT.ADMIN, scope_type: project, description: '" + quoted + "'}]")
		made := e.joinLink(says(evil + "\n" + evil))
		b := e.signedIn("ina@university.example")
		pages := []page{b.get(pathOfLink(made))}
		b.post(pathOfLink(made))
		pages = append(pages, b.get(pathOfLink(made)), b.get("/"))
		require.NoError(e, e.joining.Reject(e.Context(), e.user("olivia"), e.requests("ina")[0].UUID, evil))
		pages = append(pages, b.get(pathOfLink(made)), b.get("/"))
		public := e.joinLinkBy("sam", e.makesProjects(), says(evil), func(edit *joining.Edit) { edit.IsPublic = new(true) })
		pages = append(pages, e.browser().get(pathOfLink(public)))
		for i, got := range pages {
			require.Equal(e, http.StatusOK, got.status)
			require.NotContains(e, got.body, "<script", i)
			require.Contains(e, got.body, "&lt;script&gt;alert(1)", i)
			tree, err := html.Parse(strings.NewReader(got.body))
			require.NoError(e, err)
			for n := range tree.Descendants() {
				if n.Type == html.TextNode && strings.Contains(n.Data, "\u202e") {
					require.True(e, within(n, "bdi") || attribute(n.Parent, "dir") == "auto", "%d: the direction of %s spreads", i, n.Parent.Data)
				}
			}
		}
	})
}

// The page of a link is as light as that of an invitation.
func TestJoinPageIsLight(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.joinLink(says(strings.Repeat("x", 500)))
		for _, b := range []*browser{e.browser(), e.signedIn("ina@university.example")} {
			got := b.get(pathOfLink(made))
			require.Equal(e, []string{`<link rel="stylesheet" href="/pages.css">`, `<link rel="icon" href="data:,">`},
				regexp.MustCompile(`<(?:link|script|img|iframe|object)\b[^>]*>`).FindAllString(got.body, -1))
			require.Less(e, len(got.body)+len(b.get("/pages.css").body), 30_000)
		}
	})
}
