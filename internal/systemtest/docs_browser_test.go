//go:build browser

package systemtest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// A person opens the API reference of `serve --demo` in a browser, logs in, and sends a request for the list with the examples
// of all parameters, as the reference fills them in. The browser reports no error and no violation of the content security
// policy. Screenshots are written to the folder INVITED_TEST_SCREENSHOTS, if it is set.
func TestReferenceInABrowser(t *testing.T) {
	t.Parallel()
	p := harness.New(t, "").Set("INVITED_SECRET_KEY=").Serve("--demo")
	p.WaitUntil("the demonstration is printed", func() bool { return strings.Contains(p.Stdout.String(), "Ctrl-C") })
	_, token, found := strings.Cut(p.Stdout.String(), "Authorization: ") // the first one is Olivia's
	require.True(t, found)
	token, _, _ = strings.Cut(token, "'")

	ctx, problems := openBrowser(t)
	var title, response string
	tokenAuth := `//div[contains(@class, "auth-container")][.//h4[contains(., "tokenAuth")]]`
	operation := `#operations-user-invitations-user_invitations_list`
	require.NoError(t, chromedp.Run(ctx, log.Enable(),
		chromedp.Navigate("http://"+p.Address+"/docs"),
		chromedp.Text(`h2.title`, &title, chromedp.NodeVisible),
		screenshot(t, "light"),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}),
		screenshot(t, "dark"),
		chromedp.Click(`button.authorize`),
		screenshot(t, "login"),
		chromedp.SendKeys(tokenAuth+`//input`, token, chromedp.BySearch),
		chromedp.Click(tokenAuth+`//button[contains(@class, "authorize")]`, chromedp.BySearch),
		chromedp.Click(`.auth-btn-wrapper button.btn-done`),
		chromedp.Click(operation+` .opblock-summary-control`),
		chromedp.Click(operation+` button.execute`, chromedp.NodeVisible),
		chromedp.Text(operation+` .live-responses-table .response`, &response, chromedp.NodeVisible),
		screenshot(t, "answered"),
	))
	require.Contains(t, title, "invited")
	require.Contains(t, response, "200")
	require.Contains(t, response, "0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11", "the invitation of the examples")
	require.Empty(t, problems.all())
	p.Stop()
}

// openBrowser starts a browser, which ends with the test. It collects the browser's errors, which include violations of the
// content security policy.
func openBrowser(t *testing.T) (context.Context, *messageList) {
	t.Helper()
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.NoSandbox, chromedp.WindowSize(1200, 1600))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	problems := &messageList{}
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			problems.add(e.Entry.Text)
		case *runtime.EventExceptionThrown:
			problems.add(e.ExceptionDetails.Error())
		}
	})
	return ctx, problems
}

// messageList is a list of lines that is safe for concurrent use.
type messageList struct {
	mu    sync.Mutex
	lines []string
}

func (m *messageList) add(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, line)
}

func (m *messageList) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lines
}

// screenshot returns an action that writes a screenshot to the folder INVITED_TEST_SCREENSHOTS.
func screenshot(t *testing.T, name string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		folder := os.Getenv("INVITED_TEST_SCREENSHOTS")
		if folder == "" {
			return nil
		}
		var content []byte
		if err := chromedp.CaptureScreenshot(&content).Do(ctx); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, filepath.Base(t.Name())+"-"+name+".png"), content, 0o600)
	})
}
