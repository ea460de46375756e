//go:build browser

package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/token"
)

// axeFile is where `make test-browser` has installed axe-core.
const axeFile = "../../build/axe/node_modules/axe-core/axe.min.js"

// A state is a page as somebody finds it.
type state struct {
	name, user, path string // user: an address; empty: nobody is signed in
	steps            []chromedp.Action
}

// On every page, in each of its states, axe-core finds no barrier: on a desktop in the light scheme with one engine, and on a phone
// in the dark scheme with the other. No page has to be scrolled sideways, also at 400 % of 1280 px; none breaks its content
// security policy or asks another host; the focus is on the heading, or on what is wrong; and the Tab key shows where it is.
// Screenshots are written to the folder INVITED_TEST_SCREENSHOTS, if it is set.
func TestEveryPageInABrowser(t *testing.T) {
	axe, err := os.ReadFile(axeFile)
	require.NoError(t, err, "run internal/tools/axe/install.sh in the root of the repository")
	onEachEngine(t, func(e *env) {
		states := e.everyState()
		c := e.chromium()
		scheme, examined := "light", int64(1280)
		if strings.HasSuffix(e.Name(), "postgres") {
			scheme, examined = "dark", 375
		}
		c.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
		for _, s := range states {
			c.run(c.signInAs(s.user), c.open(s.path))
			for _, step := range s.steps {
				c.run(step)
			}
			var focus string
			c.run(chromedp.WaitReady("main :focus"), chromedp.Evaluate(`(e => e.tagName + (e.id && "#" + e.id) + (e.getAttribute("role") ? "=" + e.getAttribute("role") : ""))(document.activeElement)`, &focus),
				chromedp.Evaluate(string(axe), nil))
			assert.Regexp(e, `^H1|^H2#preview|=alert$|#(emails|role|text|email|code|reason|name|project_name|project_description|project_role|comment-0|table|file)$`, focus, "the focus on %s", s.name)
			for _, width := range []int64{1280, 375, 320} {
				var overflow int
				c.run(emulation.SetDeviceMetricsOverride(width, 800, 1, width < 1280),
					chromedp.Evaluate(fmt.Sprintf(`document.documentElement.scrollWidth - %d`, width), &overflow))
				assert.LessOrEqual(e, overflow, 0, "%s is wider than %d px", s.name, width)
				if width == examined {
					assert.Empty(e, c.barriers(), "%s at %d px, %s", s.name, width, scheme)
				}
				if width == 320 {
					continue
				}
				c.screenshot(fmt.Sprintf("%s-%d-%s", s.name, width, scheme))
			}
			c.run(emulation.ClearDeviceMetricsOverride())
			assert.Empty(e, c.tabThrough(), s.name)
		}
		require.Empty(e, c.problems())
	})
}

// everyState makes a state of each page and returns all of them.
func (e *env) everyState() (all []state) {
	add := func(name, user, path string, steps ...chromedp.Action) {
		all = append(all, state{name, user, path, steps})
	}
	const sam, olivia, ina, stranger = "sam@example.com", "olivia@acme.example", "ina@university.example", "max@nowhere.example"
	const welcome = "Hello Ina,\nwe have moved our simulations to the new cluster, and I would like you to look after them.\n\nCall me if anything is unclear!"
	at := func(v invitation.View) string { return "/invitation/" + v.UUID.String() + "/" }
	e.apply(`
users:
  - {username: max, email: max@nowhere.example, full_name: Max Nobody}
  - {username: nina, email: nina@acme.example, full_name: Nina New}
  - {username: evil, email: evil@evil.example, full_name: "` + strings.Repeat(`<b>\"&\u202e\u05d0`, 14) + `"}
customers:
  - {name: Globex, members: [{user: nina, role: CUSTOMER.OWNER}]}
  - name: "` + strings.Repeat(`<script>alert(1)</script>\u202e\u05d0\u05d1`, 5) + `"
    members: [{user: evil, role: CUSTOMER.OWNER}]
    projects:
      - {name: "` + strings.Repeat(`<i>\u202e\u0645\u0631\u062d\u0628\u0627 `, 25) + `", uuid: ` + evilProject + `}
`)
	expired := e.invite(ina, apollo) // by now
	e.clock.Advance(2*24*time.Hour + time.Hour)
	for i := range 7 {
		e.invite(fmt.Sprintf("soon%d@university.example", i), apollo)
	}
	e.clock.Advance(5*24*time.Hour + time.Minute)

	other := e.invite("somebody@university.example", apollo)
	starts := e.invite(ina, artemis)
	canceled := e.invite("canceled@university.example", apollo)
	require.NoError(e, e.service.Cancel(e.Context(), e.user("olivia"), canceled.UUID))
	e.service.Policy.AllowedFields = []string{"full_name", "civil_number", "job_title", "organization", "phone_number"}
	person := e.invite("person@university.example", apollo, func(d *invitation.Draft) { d.CivilNumber = "47101010033" })
	refused := e.invite("refused@acme.example", strict)
	ready := e.invite(ina, apollo, func(d *invitation.Draft) {
		d.ExtraInvitationText, d.FullName, d.JobTitle = welcome, "Ina Invitee", "Engineer"
	})
	failedNow := e.invite("broken@acme.example", strict)
	e.fail(failedNow.UUID, "The mail server of the recipient refused the mail: there is no such mailbox.")
	declined := e.invite(olivia, apollo)
	require.NoError(e, e.service.Decline(e.Context(), e.user("olivia"), declined.UUID, "No time."))
	e.service.Policy.OnlyStaffCanInvite = true
	requested := e.invite("asked@university.example", apollo, func(d *invitation.Draft) { d.ExtraInvitationText = welcome })
	decided := e.invite("decided@university.example", apollo)
	rejected := e.approval(token.Reject, decided)
	require.NoError(e, e.service.Reject(e.Context(), rejected, ""))
	e.service.Policy.OnlyStaffCanInvite = false
	evil, err := e.service.Create(e.Context(), e.user("evil"), invitation.Draft{
		Role: uuid.MustParse(admin), ScopeURL: "https://x.example/api/projects/" + evilProject + "/",
		Email: strings.Repeat("x", 60) + "@" + strings.Repeat("very-long-label.", 11) + "example", ExtraInvitationText: strings.Repeat("W\u202e<u>", 400),
	})
	require.NoError(e, err)
	for i := range 60 {
		e.invite(fmt.Sprintf("guest%02d@university.example", i), apollo)
	}

	add("home", "", "/")
	add("home-waiting", ina, "/")
	add("home-nothing", stranger, "/")
	add("demo", "", "/demo/")
	add("sign-in", "", "/sign-in/")
	add("sign-in-problem", "", "/sign-in/", submit(`form[action$="/sign-in/"]`, "email", "nonsense"))
	add("code", "", "/sign-in/", submit(`form[action$="/sign-in/"]`, "email", "somebody@university.example"))
	add("code-problem", "", "/sign-in/", submit(`form[action$="/sign-in/"]`, "email", "somebody@university.example"),
		submit(`form[action$="/sign-in/code/"]`, "code", "000000"))
	add("not-found", "", "/invitation/"+uuid.NewString()+"x/")
	add("invitation-stranger", "", at(ready))
	add("invitation-ready", ina, at(ready))
	add("invitation-address", stranger, at(other))
	add("invitation-person", ina, at(person))
	add("invitation-refused", ina, at(refused))
	add("invitation-starts", ina, at(starts))
	add("invitation-canceled", ina, at(canceled))
	add("invitation-expired", ina, at(expired))
	add("invitation-requested", ina, at(requested))
	add("invitation-declined", olivia, at(declined))
	add("invitation-decline-problem", ina, at(ready), submit(`form[action$="/decline/"]`, "reason", strings.Repeat("x", 1001)))
	add("invitation-asked", ina, at(expired), submit(`form[action$="/ask-again/"]`))
	add("requests", sam, "/console/requests/")
	add("requests-not-allowed", olivia, "/console/requests/")
	add("account", ina, "/account/")
	add("account-problem", ina, "/account/", submit(`form[action$="/account/tokens/"]`))
	add("account-token", ina, "/account/", chromedp.Evaluate(`document.querySelector("form input[type=checkbox]").checked = true`, nil),
		submit(`form[action$="/account/tokens/"]`, "name", "Calendar"))
	add("invitation-not-valid", ina, "/invitation/"+uuid.NewString()+"/")
	add("invitation-evil", ina, at(evil))
	add("approve", "", "/invitation_approve/"+e.approval(token.Approve, requested)+"/")
	add("reject", "", "/invitation_reject/"+e.approval(token.Reject, requested)+"/")
	add("review-ended", "", "/invitation_approve/"+e.approval(token.Approve, decided)+"/")

	one := func(v invitation.View) string { return "/console/" + v.UUID.String() + "/" }
	form := "/console/new/?scope=" + inApollo
	fill := `form[method=post][action$="/console/new/"]`
	add("list", olivia, "/console/")
	add("list-selected", olivia, "/console/", chromedp.Evaluate(`document.querySelectorAll("tbody input")[1].click()`, nil))
	add("list-page", olivia, "/console/?page=2")
	add("list-filtered", olivia, "/console/?state=pending&delivery=Erred")
	add("list-no-match", olivia, "/console/?text=nobody")
	add("list-empty", "nina@acme.example", "/console/")
	add("list-not-allowed", stranger, "/console/")
	add("list-evil", "evil@evil.example", "/console/")
	add("list-nothing-selected", olivia, "/console/", submitBy(`button[value=send]`))
	add("results", olivia, "/console/?text=guest5",
		chromedp.Evaluate(`document.querySelectorAll("tbody input").forEach(box => box.click())`, nil), submitBy(`button[value=cancel]`))
	add("results-refused", olivia, "/console/?state=canceled",
		chromedp.Evaluate(`document.querySelectorAll("tbody input").forEach(box => box.click())`, nil), submitBy(`button[value=cancel]`))
	add("one", olivia, one(ready))
	add("one-failed", olivia, one(failedNow))
	add("one-evil", "evil@evil.example", one(evil))
	add("one-refused", olivia, one(ready), chromedp.ActionFunc(func(context.Context) error {
		return e.service.Cancel(e.Context(), e.user("olivia"), ready.UUID)
	}), submit(`form[action$="/cancel/"]`))
	add("one-sent", olivia, one(canceled), submit(`form[action$="/send/"]`))
	add("one-not-found", olivia, one(invitation.View{}))
	add("choose", sam, "/console/new/")
	add("choose-no-match", sam, "/console/new/?search=nothing")
	add("choose-not-allowed", stranger, "/console/new/")
	add("new", olivia, form)
	add("new-problem-emails", olivia, form, submit(fill, "emails", " "))
	add("new-problems", olivia, form, submit(fill))
	add("new-problem-role", olivia, form, submit(fill, "emails", "x@example.org"))
	add("new-problem-text", olivia, form, submit(fill, "emails", "x@example.org", "role", admin, "text", strings.Repeat("long ", 500)))
	add("preview", olivia, form, submit(fill+` button[value=preview]`, "emails", "x@example.org y@example.org", "role", admin, "text", welcome))
	add("invited-some", olivia, form, submit(fill, "emails", "x1@example.org nonsense guest07@university.example", "role", admin))
	add("invited", olivia, form, submit(fill, "emails", "x2@example.org", "role", admin))
	add("new-evil", "evil@evil.example", "/console/new/?scope=project:"+evilProject)
	e.joinStates(add)
	// Nothing waits for approval afterwards.
	add("approved", "", "/invitation_approve/"+e.approval(token.Approve, requested)+"/", submit("main form"))
	all = append(all, e.manyStates()...)
	return append(all, e.linkStates()...)
}

const evilProject = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a66"

// submit fills in fields of a form, and presses the button that the selector names, or the form's first one.
func submit(selector string, fields ...string) chromedp.Action {
	fill := ""
	for i := 0; i < len(fields); i += 2 {
		fill += fmt.Sprintf("form.elements[%q].value = %s;", fields[i], quote(fields[i+1]))
	}
	return leave(fmt.Sprintf(`{const named = document.querySelector(%s), form = named.closest("form"); form.noValidate = true; %s
		(named === form ? form.querySelector("button") : named).click()}`, quote(selector), fill))
}

// submitBy presses a button.
func submitBy(selector string) chromedp.Action {
	return leave("document.querySelector(" + quote(selector) + ").click()")
}

func quote(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// leave runs a script that leaves the page, and waits for the next one.
func leave(script string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := chromedp.RunResponse(ctx, chromedp.Evaluate(script, nil))
		return err
	})
}

// chromium is a browser at the pages of an env.
type chromium struct {
	*env
	ctx     context.Context
	cookies map[string][]*http.Cookie // of who has signed in, by address

	mu    sync.Mutex
	lines []string
}

// chromium starts a browser, which ends with the test. It collects the browser's errors, the violations of the content
// security policy, and requests to other hosts.
func (e *env) chromium() *chromium {
	e.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.WindowSize(1280, 800))
	ctx, cancel := chromedp.NewExecAllocator(e.Context(), options...)
	e.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	e.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 15*time.Minute)
	e.Cleanup(cancel)
	c := &chromium{env: e, ctx: ctx, cookies: map[string][]*http.Cookie{}}
	note := func(format string, args ...any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lines = append(c.lines, fmt.Sprintf(format, args...))
	}
	chromedp.ListenTarget(ctx, func(event any) {
		switch event := event.(type) {
		case *log.EventEntryAdded:
			// A page that says what is wrong has a status of an error.
			if !strings.Contains(event.Entry.Text, "the server responded with a status of 4") {
				note("%s %s", event.Entry.Text, event.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			note("%s", event.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			note("console: %v", event.Args)
		case *network.EventRequestWillBeSent:
			if url := event.Request.URL; !strings.HasPrefix(url, e.server.URL+"/") && !strings.HasPrefix(url, "data:") {
				note("a request for %s", url)
			}
		}
	})
	require.NoError(c, chromedp.Run(ctx)) // the browser ends with the context of the first run
	c.run(log.Enable(), network.Enable(), emulation.SetFocusEmulationEnabled(true))
	return c
}

func (c *chromium) run(actions ...chromedp.Action) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	require.NoError(c, chromedp.Run(ctx, actions...))
}

func (c *chromium) problems() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines
}

// signInAs makes the browser that of a user, or of nobody.
func (c *chromium) signInAs(user string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		if err := network.ClearBrowserCookies().Do(ctx); err != nil || user == "" {
			return err
		}
		if c.cookies[user] == nil {
			b := c.browser()
			b.signIn(user)
			c.cookies[user] = b.client.Jar.Cookies(mustParse(c.env, c.server.URL))
		}
		for _, cookie := range c.cookies[user] {
			if err := network.SetCookie(cookie.Name, cookie.Value).WithURL(c.server.URL).Do(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *chromium) open(path string) chromedp.Action { return chromedp.Navigate(c.server.URL + path) }

// barriers returns what axe-core, which is on the page, finds.
func (c *chromium) barriers() (found []string) {
	c.Helper()
	c.run(chromedp.Evaluate(`axe.run(document, {preload: false, resultTypes: ["violations"], rules: {"target-size": {enabled: true}},
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(({violations}) =>
		violations.flatMap(({id, nodes}) => nodes.map(({target, failureSummary}) => id + " " + target + ": " + failureSummary)))`,
		&found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return found
}

// tabThrough presses the Tab key ten times, and returns what is wrong with the elements on the way: each shows that it has the
// focus, is covered by nothing, and is at least 24 px high and wide or stands in a sentence or a list.
func (c *chromium) tabThrough() (problems []string) {
	c.Helper()
	for range 10 {
		var problem string
		c.run(chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(`(element => {
			if (element === document.body) return "";
			const box = element.getClientRects()[0], style = getComputedStyle(element);
			const front = document.elementFromPoint(box.x + box.width / 2, Math.min(box.y + box.height / 2, innerHeight - 1));
			if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return element.outerHTML + " does not show its focus";
			if (!front || !(element.contains(front) || front.contains(element))) return element.outerHTML + " is covered";
			if ((box.width < 24 || box.height < 24) && !element.closest("p, li, .mail")) return element.outerHTML + " is small";
			return "";
		})(document.activeElement)`, &problem))
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	return problems
}

// screenshot writes a picture of the first 2,000 px of the page to the folder INVITED_TEST_SCREENSHOTS.
func (c *chromium) screenshot(name string) {
	c.Helper()
	folder := os.Getenv("INVITED_TEST_SCREENSHOTS")
	if folder == "" {
		return
	}
	var content []byte
	c.run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		_, _, _, _, _, size, err := cdppage.GetLayoutMetrics().Do(ctx)
		if err != nil {
			return err
		}
		clip := &cdppage.Viewport{Width: size.Width, Height: min(size.Height, 2000), Scale: 1}
		content, err = cdppage.CaptureScreenshot().WithCaptureBeyondViewport(true).WithClip(clip).Do(ctx)
		return err
	}))
	require.NoError(c, os.WriteFile(filepath.Join(folder, name+".png"), content, 0o600))
}
