//go:build browser

package web_test

import (
	"bytes"
	"context"
	"image/png"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/uuid"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/joining"
)

// linkStates makes a state of each of the console's pages about join links, and returns all of them.
func (e *env) linkStates() (all []state) {
	e.withLinkPeople()
	add := func(name, user, path string, steps ...chromedp.Action) {
		all = append(all, state{name, user, path, steps})
	}
	const sam, olivia, sue, stranger = "sam@example.com", "olivia@acme.example", "sue@example.com", "max@nowhere.example"
	const requests = "/console/join-requests/"
	welcome := func(edit *joining.Edit) {
		edit.CustomText = new("Welcome to the workshop.\nBring a laptop!")
		edit.EmailPatterns = &[]string{`.*@university\.example`, `.*@acme\.example`}
		edit.Expires = new(new(e.clock.Now().Add(30 * 24 * time.Hour)))
	}
	link, project, making := e.makeLink("olivia", welcome), e.makeLink("olivia", toApollo), e.makeLink("olivia", makingProjects("Workshop of {full_name}"))
	public, canceled := e.makeLink("sam", publicly), e.makeLink("olivia")
	require.NoError(e, e.joining.Cancel(e.Context(), e.user("olivia"), canceled.UUID))
	evil := e.makeLink("evil", func(edit *joining.Edit) {
		toApollo(edit)
		edit.ScopeURL = new(directory.ScopePath(directory.Scope{Type: directory.Project, UUID: uuid.MustParse(evilProject)}))
		edit.CustomText, edit.EmailPatterns = new(strings.Repeat("W\u202e<u>", 100)), &[]string{".*", strings.Repeat("x", 1000)}
	})
	e.apply("users: [{username: lena, email: lena@university.example, full_name: Lena Learner}]")
	rejected, approved := e.ask("max", project), e.ask("nina", project)
	require.NoError(e, e.joining.Reject(e.Context(), e.user("olivia"), rejected.UUID, "The workshop is full,\nsorry. There is another one in spring."))
	require.NoError(e, e.joining.Approve(e.Context(), e.user("sam"), approved.UUID, ""))
	waiting := e.ask("max", making, "Lunar lander", "A simulation of the landing.\nFor the course on numerical methods.")
	e.clock.Advance(time.Minute) // the oldest is the first on the page
	e.ask("lena", making)
	e.ask("mia", project)
	e.ask("max", evil)

	form := "/console/links/new/?scope=customer:" + e.organization().UUID.String()
	fill := `form[method=post][action$="/console/links/new/"]`
	add("links", olivia, "/console/links/")
	add("links-filtered", olivia, "/console/links/?active=no")
	add("links-no-match", olivia, "/console/links/?organization="+apollo)
	add("links-empty", "nina@acme.example", "/console/links/?organization="+apollo)
	add("links-of-strangers", stranger, "/console/links/")
	add("link", olivia, linkPath(link))
	add("link-making", olivia, linkPath(making))
	add("link-public", sue, linkPath(public))
	add("link-canceled", olivia, linkPath(canceled))
	add("link-refused", olivia, linkPath(canceled), submit(`form[action$="/delete/"]`))
	add("link-evil", "evil@evil.example", linkPath(evil))
	add("link-edit", olivia, linkPath(link)+"edit/")
	add("link-edit-evil", "evil@evil.example", linkPath(evil)+"edit/")
	add("link-choose", sam, "/console/links/new/")
	add("link-new", olivia, form)
	add("link-new-staff", sam, form)
	add("link-new-problem", olivia, form, submit(fill))
	add("link-new-problems", olivia, form, chromedp.Evaluate(`document.querySelector("[value=project]").click()`, nil),
		submit(fill, "template", "{password}", "patterns", "(", "text", strings.Repeat("long ", 200), "expires", "2020-01-01T10:00"))
	add("requests-to-join", olivia, requests)
	add("requests-to-join-all", olivia, requests+"?state=all")
	add("requests-to-join-none", olivia, requests+"?state=canceled")
	add("requests-to-join-support", sue, requests)
	add("requests-to-join-evil", "evil@evil.example", requests)
	add("requests-to-join-problem", olivia, requests, submit(`form[action$="/reject/"]`, "comment", strings.Repeat("long ", 201)))
	add("requests-to-join-late", olivia, requests+"?link="+making.UUID.String(), chromedp.ActionFunc(func(context.Context) error {
		return e.joining.Reject(e.Context(), e.user("sam"), waiting.UUID, "No.")
	}), submit(`form[action$="/approve/"]`))
	add("requests-to-join-approved", olivia, requests+"?link="+making.UUID.String(), submit(`form[action$="/approve/"]`))
	return all
}

// Olivia makes a join link with the keyboard alone, copies its address and shows its QR code, changes it, rejects one who asks
// and approves another, and cancels the link.
func TestJoinLinkInABrowser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.withLinkPeople()
		c := e.chromium()
		if strings.HasSuffix(e.Name(), "postgres") {
			c.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
		}
		c.run(chromedp.ActionFunc(func(ctx context.Context) error {
			return cdpbrowser.GrantPermissions([]cdpbrowser.PermissionType{cdpbrowser.PermissionTypeClipboardReadWrite, cdpbrowser.PermissionTypeClipboardSanitizedWrite}).
				Do(cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser))
		}))
		c.run(c.signInAs("olivia@acme.example"), c.open("/console/links/"), focused)
		c.tabTo(`a[href="/console/links/new/"]`)
		c.follow(kb.Enter, "New join link")
		c.tabTo(`.choices a[href*="customer:"]`)
		c.follow(kb.Enter, "New join link")
		c.tabTo(`[name=joins]`)
		c.run(chromedp.KeyEvent(kb.ArrowDown)) // a project of their own
		require.False(e, c.isShown("#role"))
		c.tabTo("#project_role")
		c.run(chromedp.KeyEvent("Project m"))
		c.tabTo("#template")
		c.run(chromedp.KeyEvent("Workshop of {full_name}"))
		c.tabTo("#text")
		c.run(chromedp.KeyEvent("Bring a laptop."))
		c.tabTo("main .button")
		c.follow(kb.Enter, "Join link for Acme")

		var address, status, copied string
		c.run(chromedp.Value("#address", &address))
		link := e.linkAt("/console/links/" + strings.Split(address, "/")[4] + "/")
		require.Equal(e, "Workshop of {full_name}", *link.NameTemplate)
		require.Equal(e, address, c.readQRCode())
		c.tabTo(".copy button")
		c.run(chromedp.KeyEvent(kb.Enter), chromedp.Poll(`document.querySelector(".copy [role=status]").textContent`, &status),
			chromedp.Evaluate(`navigator.clipboard.readText()`, &copied, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
		require.Equal(e, "Copied", status)
		require.Equal(e, address, copied)

		c.tabTo(`a[href$="/edit/"]`)
		c.follow(kb.Enter, "Change the join link")
		c.tabTo("#template")
		c.run(chromedp.KeyEvent("!"))
		c.tabTo("main .button")
		c.follow(kb.Enter, "Join link for Acme")
		require.Contains(e, *e.linkOf(link).NameTemplate, "!")

		first := e.ask("max", link)
		e.clock.Advance(time.Minute)
		second := e.ask("ina", link)
		c.tabTo(`a[href="/console/join-requests/"]`)
		c.follow(kb.Enter, "Requests to join")
		c.tabTo("summary")
		c.run(chromedp.KeyEvent(kb.Enter))
		c.tabTo("textarea")
		c.run(chromedp.KeyEvent("No room."))
		c.tabTo(`form[action$="/reject/"] button`)
		c.follow(kb.Enter, "Requests to join")
		require.Equal(e, joining.Rejected, e.requestOf(first).State)
		require.Equal(e, "No room.", e.requestOf(first).ReviewComment)
		c.tabTo(`form[action$="/approve/"] button`)
		c.follow(kb.Enter, "Requests to join")
		require.Equal(e, joining.Approved, e.requestOf(second).State)
		require.Len(e, e.user("ina").Grants, 1)

		c.run(c.open(linkPath(link)), focused)
		c.tabTo(`form[action$="/cancel/"] button`)
		c.follow(kb.Enter, "Join link for Acme")
		require.False(e, e.linkOf(link).IsActive)
		require.False(e, c.isShown(".qr"))

		// Without scripts the address stands in its field, and what does not belong to the choice is hidden all the same.
		other := e.makeLink("olivia")
		c.run(emulation.SetScriptExecutionDisabled(true), c.open(linkPath(other)))
		require.False(e, c.isShown(".copy button"))
		require.True(e, c.isShown("#address"))
		require.Contains(e, c.readQRCode(), other.UUID.String())
		c.run(c.open(linkPath(other)+"edit/"), focused)
		require.True(e, c.isShown("#role"))
		require.False(e, c.isShown("#project_role"))
		c.tabTo("main .button")
		c.follow(kb.Enter, "Join link for Acme")
		require.Empty(e, c.problems())
	})
}

// focused waits until the page has put the focus where it wants it.
var focused = chromedp.WaitReady("main :focus")

// tabTo presses the Tab key until an element has the focus that a selector names.
func (c *chromium) tabTo(selector string) {
	c.Helper()
	for range 60 {
		var isThere bool
		c.run(chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(`document.activeElement.matches(`+quote(selector)+`)`, &isThere))
		if isThere {
			return
		}
	}
	require.FailNow(c, "the Tab key does not lead to "+selector)
}

// follow presses a key that leads to another page, and waits for the page.
func (c *chromium) follow(key, heading string) {
	c.Helper()
	var got string
	c.run(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(key))
		return err
	}), focused, chromedp.Text("h1", &got))
	require.Equal(c, heading, strings.TrimSpace(got))
}

// isShown reports whether there is an element that people see.
func (c *chromium) isShown(selector string) (is bool) {
	c.Helper()
	c.run(chromedp.Evaluate(`Boolean(document.querySelector(`+quote(selector)+`)?.checkVisibility())`, &is))
	return is
}

// readQRCode reads the QR code on the page as a camera does.
func (c *chromium) readQRCode() string {
	c.Helper()
	var picture []byte
	c.run(chromedp.Screenshot(".qr", &picture))
	drawn, err := png.Decode(bytes.NewReader(picture))
	require.NoError(c, err)
	bitmap, err := gozxing.NewBinaryBitmapFromImage(drawn)
	require.NoError(c, err)
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	require.NoError(c, err)
	return read.GetText()
}
