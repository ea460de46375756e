//go:build browser

package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A person reads the reference in a browser, logs in, and has it ask the server for the list. The browser complains of
// nothing, its content policy included. With INVITED_TEST_SCREENSHOTS there are pictures in that folder afterwards.
func TestReferenceInABrowser(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		s.apply()
		p := s.serve()
		id := p.create("ina@university.example").UUID

		options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
		options = append(options, chromedp.NoSandbox, chromedp.WindowSize(1200, 1600))
		ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
		t.Cleanup(cancel)
		ctx, cancel = chromedp.NewContext(ctx)
		t.Cleanup(cancel)
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
		t.Cleanup(cancel)
		var complaints notes
		chromedp.ListenTarget(ctx, func(event any) {
			switch e := event.(type) {
			case *log.EventEntryAdded:
				complaints.add(e.Entry.Text)
			case *runtime.EventExceptionThrown:
				complaints.add(e.ExceptionDetails.Error())
			}
		})

		var title, answer string
		tokenAuth := `//div[contains(@class, "auth-container")][.//h4[contains(., "tokenAuth")]]`
		operation := `#operations-user-invitations-user_invitations_list`
		require.NoError(t, chromedp.Run(ctx, log.Enable(),
			chromedp.Navigate("http://"+p.address+"/docs"),
			chromedp.Text(`h2.title`, &title, chromedp.NodeVisible),
			picture(t, "light"),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}),
			picture(t, "dark"),
			chromedp.Click(`button.authorize`),
			picture(t, "login"),
			chromedp.SendKeys(tokenAuth+`//input`, "Token olivia-key", chromedp.BySearch),
			chromedp.Click(tokenAuth+`//button[contains(@class, "authorize")]`, chromedp.BySearch),
			chromedp.Click(`.auth-btn-wrapper button.btn-done`),
			chromedp.Click(operation+` .opblock-summary-control`),
			chromedp.Click(operation+` button.execute`, chromedp.NodeVisible),
			chromedp.Text(operation+` .live-responses-table .response`, &answer, chromedp.NodeVisible),
			picture(t, "answered"),
		))
		require.Contains(t, title, "invited")
		require.Contains(t, answer, "200")
		require.Contains(t, answer, id)
		require.Empty(t, complaints.all())
		p.stop()
	})
}

type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lines
}

func picture(t *testing.T, name string) chromedp.Action {
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
