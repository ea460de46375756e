//go:build browser

package systemtest

import (
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
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
		find := func(pattern string) (found string) {
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
		link := find(`(http://127\.0\.0\.1:\d+/invitation/[0-9a-f-]{36}/)`)

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
		code := find(`Subject: (\d{6}) is your code`)
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
