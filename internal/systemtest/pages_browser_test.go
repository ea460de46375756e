//go:build browser

package systemtest

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// A person who has nothing but a mail opens its link in a browser, signs in with a code from a second mail, and accepts.
// Scripts are off, and the browser reports no error and no violation of the content security policy.
func TestAcceptInABrowser(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Apply()
		p := env.Serve()
		p.Create("newcomer@university.example")
		link := findMail(p, env, invitationPattern)

		ctx, problems := openBrowser(t)
		var invited, accepted string
		require.NoError(t, chromedp.Run(ctx, log.Enable(), emulation.SetScriptExecutionDisabled(true),
			emulation.SetDeviceMetricsOverride(375, 700, 2, true),
			chromedp.Navigate(link),
			chromedp.WaitVisible(`#email[value="newcomer@university.example"]`),
			screenshot(t, "sign-in"),
			chromedp.Click(`main button.button`),
			chromedp.WaitVisible(`#code`),
			screenshot(t, "code"),
		))
		code := findMail(p, env, codeSubject)
		require.NoError(t, chromedp.Run(ctx,
			chromedp.SendKeys(`#code`, code),
			chromedp.Click(`main button.button`),
			chromedp.Text(`main`, &invited, chromedp.NodeVisible),
			screenshot(t, "invited"),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}),
			screenshot(t, "invited-dark"),
			chromedp.Click(`form[action$="/accept/"] button`),
			chromedp.WaitVisible(`[role=status]`),
			chromedp.Text(`main`, &accepted),
			screenshot(t, "accepted"),
		))
		require.Contains(t, invited, "Olivia Owner invites you to the project Apollo")
		require.Contains(t, accepted, "You are in")
		require.Contains(t, env.Members("Apollo"), "newcomer@university.example PROJECT.ADMIN")
		require.Empty(t, problems.all())
		p.Stop()
	})
}

const (
	invitationPattern = `(http://127\.0\.0\.1:\d+/invitation/[0-9a-f-]{36}/)`
	codeSubject       = `Subject: (\d{6}) is your code`
)

// findMail waits for a mail that matches an expression, and returns what the newest one has in the parentheses.
func findMail(p *harness.Process, env *harness.Env, pattern string) (found string) {
	env.T.Helper()
	expression := regexp.MustCompile(pattern)
	p.WaitUntil("a mail has "+pattern, func() bool {
		for _, mail := range env.Mails() {
			if match := expression.FindStringSubmatch(mail); match != nil {
				found = match[1]
			}
		}
		return found != ""
	})
	return found
}

// A person who uses the keyboard alone gets from the mail to the role.
func TestKeyboardInABrowser(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Apply()
		p := env.Serve()
		p.Create("newcomer@university.example")
		link := findMail(p, env, invitationPattern)

		ctx, problems := openBrowser(t)
		press := func(keys string) chromedp.Action { return chromedp.KeyEvent(keys) }
		var accepted string
		require.NoError(t, chromedp.Run(ctx, log.Enable(), emulation.SetFocusEmulationEnabled(true),
			chromedp.Navigate(link),
			chromedp.WaitVisible(`h1:focus`),
			tabTo("form[action$='/sign-in/'] .button"), press(kb.Enter),
			chromedp.WaitVisible(`#code:focus`),
		))
		require.NoError(t, chromedp.Run(ctx,
			press(findMail(p, env, codeSubject)), press(kb.Enter),
			chromedp.WaitVisible(`h1:focus`),
			tabTo("form[action$='/accept/'] .button"), press(kb.Enter),
			chromedp.WaitVisible(`[role=status]`),
			chromedp.WaitVisible(`h1:focus`),
			chromedp.Text(`main`, &accepted),
			tabTo("main a"), press(kb.Enter),
			chromedp.WaitVisible(`//h1[contains(., "Hello")]`, chromedp.BySearch),
			chromedp.WaitVisible(`h1:focus`),
		))
		require.Contains(t, accepted, "You are in")
		require.Contains(t, env.Members("Apollo"), "newcomer@university.example PROJECT.ADMIN")
		require.Empty(t, problems.all())
		p.Stop()
	})
}

// tabTo presses the Tab key until an element has the focus.
func tabTo(selector string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for range 20 {
			var isThere bool
			if err := chromedp.Run(ctx, chromedp.KeyEvent(kb.Tab),
				chromedp.Evaluate("document.activeElement.matches("+strconv.Quote(selector)+")", &isThere)); err != nil || isThere {
				return err
			}
		}
		return errors.New("the Tab key does not lead to " + selector)
	})
}

// A person who is signed in with another address than that of the mail switches the account, and comes back to the invitation.
func TestWrongAccountInABrowser(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Set("INVITED_VALIDATE_INVITATION_EMAIL=true").Apply()
		p := env.Serve()
		p.Create("newcomer@university.example")
		link := findMail(p, env, invitationPattern)

		ctx, problems := openBrowser(t)
		var wrong, ready string
		require.NoError(t, chromedp.Run(ctx, log.Enable(),
			chromedp.Navigate("http://"+p.Address+"/sign-in/"),
			chromedp.SendKeys(`#email`, "ina@university.example"),
			chromedp.Click(`main button.button`),
			chromedp.WaitVisible(`#code`),
		))
		first := findMail(p, env, codeSubject)
		require.NoError(t, chromedp.Run(ctx,
			chromedp.SendKeys(`#code`, first+kb.Enter),
			chromedp.WaitVisible(`//h1[contains(., "Hello")]`, chromedp.BySearch),
			chromedp.Navigate(link),
			chromedp.Text(`main`, &wrong),
			chromedp.Click(`//button[. = "Switch account"]`, chromedp.BySearch),
			chromedp.WaitVisible(`#email[value="newcomer@university.example"]`),
			chromedp.Click(`main button.button`),
			chromedp.WaitVisible(`#code`),
		))
		var second string
		p.WaitUntil("another code", func() bool {
			second = findMail(p, env, codeSubject)
			return second != first
		})
		require.NoError(t, chromedp.Run(ctx,
			chromedp.SendKeys(`#code`, second+kb.Enter),
			chromedp.WaitVisible(`form[action$="/accept/"]`),
			chromedp.Text(`main`, &ready),
			chromedp.Click(`form[action$="/accept/"] button`),
			chromedp.WaitVisible(`[role=status]`),
		))
		require.Contains(t, wrong, "It was sent to n***@u***.example, and you are signed in as ina (ina@university.example)")
		require.Contains(t, ready, "You are signed in as newcomer@university.example")
		require.Contains(t, env.Members("Apollo"), "newcomer@university.example PROJECT.ADMIN")
		require.Empty(t, problems.all())
		p.Stop()
	})
}
