//go:build browser

package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/identity"
	"invited/internal/joining"
)

// joinStates adds the states of the page of a join link and of one's own requests.
func (e *env) joinStates(add func(name, user, path string, steps ...chromedp.Action)) {
	const ina, olivia, joiner = "ina@university.example", "olivia@acme.example", "joan@university.example"
	e.apply("users: [{username: joan, email: " + joiner + ", full_name: Joan Joiner}]")
	text := says("Hello everybody,\nthis is the project of our workshop. Ask to join, and you get access until the end of the week.")
	public := func(edit *joining.Edit) { edit.IsPublic = new(true) }
	in := func(project string) func(*joining.Edit) {
		return func(edit *joining.Edit) { edit.ScopeURL = new("https://x.example/api/projects/" + project + "/") }
	}
	submit := func(username string, link joining.View, name string) joining.Request {
		made, err := e.joining.Submit(e.Context(), e.user(username), link.UUID, name, "")
		require.NoError(e, err)
		return made.Request
	}
	asks, joins := e.joinLink(text), e.joinLink(text, approvesAtOnce)
	project := e.joinLink(e.makesProjects(), approvesAtOnce, allowsMore, asksDetails, text)
	several := e.joinLink(e.makesProjects(), allowsMore, asksDetails)
	canceled, expired := e.joinLink(), e.joinLink(func(edit *joining.Edit) { edit.Expires = new(new(e.clock.Now().Add(time.Minute))) })
	require.NoError(e, e.joining.Cancel(e.Context(), e.user("olivia"), canceled.UUID))
	e.clock.Advance(time.Minute)
	restricted := e.joinLink(onlyFor(`.*@elsewhere\.example`))
	evil := joining.Edit{Role: new(uuid.MustParse(admin)), ScopeURL: new("https://x.example/api/projects/" + evilProject + "/"), CustomText: new(strings.Repeat("W\u202e<u>", 80))}
	evilLink, err := e.joining.Create(e.Context(), e.user("evil"), evil)
	require.NoError(e, err)
	publicLink := e.joinLinkBy("sam", e.makesProjects(), text, public)

	add("join-stranger", "", pathOfLink(asks))
	add("join-public", "", pathOfLink(publicLink))
	add("join-ask", ina, pathOfLink(asks))
	add("join-at-once", ina, pathOfLink(joins))
	add("join-project", ina, pathOfLink(project))
	add("join-project-problem", ina, pathOfLink(project), submitForm("project_name", "Apollo", "project_description", "Weighing moon rocks"))
	add("join-project-problems", ina, pathOfLink(project), submitForm("project_description", strings.Repeat("x", 2001)))
	add("join-canceled", ina, pathOfLink(canceled))
	add("join-expired", ina, pathOfLink(expired))
	add("join-address", ina, pathOfLink(restricted))
	add("join-refused", ina, pathOfLink(e.joinLink(in(strict))))
	add("join-not-valid", ina, pathOfLink(joining.View{}))
	add("join-evil", ina, pathOfLink(evilLink))
	for _, name := range []string{"Moon rocks", "Sea shells"} {
		submit("ina", several, name)
	}
	add("join-several", ina, pathOfLink(several))
	e.joining.Policy.LimitRequests = joining.Limit{Count: 2, Per: time.Hour}
	add("join-throttled", ina, pathOfLink(several), submitForm())
	rejected, err := e.joining.Submit(e.Context(), e.user("joan"), asks.UUID, "", "")
	require.NoError(e, err)
	require.NoError(e, e.joining.Reject(e.Context(), e.user("olivia"), rejected.Request.UUID, "The workshop is full.\nAsk again in spring."))
	submit("joan", project, "Moon")
	e.clock.Advance(time.Minute) // the newest request is the one that the browser makes
	add("join-rejected", joiner, pathOfLink(asks))
	add("join-asked", joiner, pathOfLink(asks), submitForm())
	add("join-once-more", joiner, pathOfLink(project))
	add("home-requests", joiner, "/")
	add("join-taken-back", joiner, pathOfLink(asks), submitBy(`form[action$="/take-back/"] button`))
	add("join-in", joiner, pathOfLink(joins), submitForm())
}

// submitForm fills in the form of a join link, and sends it.
func submitForm(fields ...string) chromedp.Action {
	return submit(`main form[action*="/user-group-invitation/"]`, fields...)
}

// A stranger opens a link, signs in by a code, asks, takes the request back and asks again; an owner approves it; a link that
// approves by itself lets in at once. No script runs; it is a phone with one engine and a desktop with the other.
func TestJoinInABrowser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.identity.Create = identity.CreateAny
		asks, joins := e.joinLink(), e.joinLink(approvesAtOnce)
		c := e.chromium()
		width := int64(375)
		if strings.HasSuffix(e.Name(), "postgres") {
			width = 1280
		}
		email := fmt.Sprintf("stranger%d@nowhere.example", width)
		heading := func(want string) chromedp.Action {
			return chromedp.WaitVisible(fmt.Sprintf(`//h1[normalize-space(.)=%q]`, want), chromedp.BySearch)
		}
		c.run(c.signInAs(""), emulation.SetScriptExecutionDisabled(true), emulation.SetDeviceMetricsOverride(width, 800, 1, width < 1280),
			c.open(pathOfLink(asks)), heading("A link to join"),
			chromedp.SendKeys("#email", email), chromedp.Click("main .button"), heading("Enter the code"))
		c.run(chromedp.SendKeys("#code", e.lastCode()), chromedp.Click("main .button"), heading("You can ask to join"))
		c.run(chromedp.Click("main .button"), heading("Your request waits for approval"))
		require.Equal(e, joining.Pending, e.requests(email)[0].State)
		c.run(chromedp.Click("main .quiet"), heading("You can ask to join"))
		require.Equal(e, joining.Canceled, e.requests(email)[0].State)
		e.clock.Advance(time.Second)
		c.run(chromedp.Click("main .button"), heading("Your request waits for approval"), c.open("/"),
			chromedp.WaitVisible(".badge.pending"), c.open(pathOfLink(asks)))
		require.NoError(e, e.joining.Approve(e.Context(), e.user("olivia"), e.requests(email)[0].UUID, "Welcome!"))
		c.run(chromedp.Reload(), heading("You are in"))
		require.Len(e, e.user(email).Grants, 1)

		second := "second-" + email
		c.run(c.signInAs(""), c.open(pathOfLink(joins)), chromedp.SendKeys("#email", second), chromedp.Click("main .button"), heading("Enter the code"))
		c.run(chromedp.SendKeys("#code", e.lastCode()), chromedp.Click("main .button"), heading("You can join"))
		c.run(chromedp.Click("main .button"), heading("You are in"))
		require.Len(e, e.user(second).Grants, 1)
		require.Equal(e, joining.Approved, e.requests(second)[0].State)
		c.run(chromedp.Click("main .button"), heading("Hello, "+second))
		require.Empty(e, c.problems())
	})
}
