//go:build browser

package systemtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// A newcomer opens the one address that `serve --demo` prints first, invites as Olivia, reads the mail, and accepts as Ina,
// all in one browser. That works again after the next start. The picture in README.md is written to the folder
// INVITED_TEST_SCREENSHOTS, if it is set.
func TestDemoInABrowser(t *testing.T) {
	t.Parallel()
	env := harness.New(t, "").Set("INVITED_SECRET_KEY=")
	for round := range 2 {
		p := env.Serve("--demo")
		p.WaitUntil("the demonstration is printed", func() bool { return strings.Contains(p.Stdout.String(), "Ctrl-C") })
		demo, _, found := strings.Cut(strings.TrimPrefix(p.Stdout.String(), "\nOpen "), " ")
		require.True(t, found)
		require.Equal(t, "http://"+p.Address+"/demo/", demo)

		ctx, problems := openBrowser(t)
		var steps [3][]byte
		var offer, accepted string
		require.NoError(t, chromedp.Run(ctx, log.Enable(), emulation.SetDeviceMetricsOverride(375, pictureHeight, 2, false),
			chromedp.Navigate(demo),
			chromedp.Click(`form[action$="/demo/be/olivia/"] button`),
			chromedp.Click(`nav a[href$="/console/"]`, chromedp.NodeVisible),
			chromedp.Click(`main a[href$="/console/new/"]`, chromedp.NodeVisible),
			chromedp.Click(`//main//a[contains(@href, "/console/new/?scope=") and contains(., "Apollo")]`, chromedp.BySearch),
			chromedp.SendKeys(`#emails`, "ina@university.example", chromedp.NodeVisible),
			chromedp.SetValue(`#role`, "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e04"),
			chromedp.SendKeys(`#text`, "We start on Monday. Welcome!"),
			chromedp.CaptureScreenshot(&steps[0]),
			chromedp.Click(`main form[action$="/console/new/"] button.button`),
			chromedp.WaitVisible(`main .results`),
		))
		// Olivia gets a mail too, about what Ina asks in the round before.
		p.WaitUntil("the mail to Ina comes", func() bool {
			return strings.Count(strings.Join(env.Mails(), ""), "\nTo: <ina@university.example>") == round+1
		})
		require.NoError(t, chromedp.Run(ctx,
			chromedp.Navigate(demo),
			chromedp.Click(`form[action$="/demo/be/ina/"] button`),
			chromedp.WaitVisible(`//header[contains(., "Ina")]`, chromedp.BySearch),
			chromedp.ScrollIntoView(`details[open]`),
			chromedp.CaptureScreenshot(&steps[1]),
			chromedp.Click(`details[open] a[href*="/invitation/"]`),
			chromedp.WaitVisible(`form[action$="/accept/"] button`),
			chromedp.Text(`main`, &offer),
			chromedp.CaptureScreenshot(&steps[2]),
			chromedp.Click(`form[action$="/accept/"] button`),
			chromedp.WaitVisible(`main [role=status]`),
			chromedp.Text(`main`, &accepted),
		))
		require.Contains(t, offer, "Olivia Owner invites you to the project Apollo")
		require.Contains(t, accepted, "You are in the project Apollo")
		require.ElementsMatch(t, []string{"max PROJECT.MANAGER", "ina PROJECT.ADMIN"}, env.Members("Apollo"))
		var asked string
		require.NoError(t, chromedp.Run(ctx,
			chromedp.Navigate(demo),
			chromedp.Click(`main a[href*="/user-group-invitation/"]`, chromedp.NodeVisible),
			chromedp.Click(`main form[action*="/user-group-invitation/"] button`, chromedp.NodeVisible),
			chromedp.WaitVisible(`main form[action$="/take-back/"]`),
			chromedp.Text(`main`, &asked),
		))
		require.Contains(t, asked, "To join the project Apollo of the organization Acme as Project member")
		require.Empty(t, problems.all())
		require.NoError(t, chromedp.Run(ctx, picture(steps)))
		p.Stop()
	}
}

// pictureHeight is the height of a step in the picture, in pixels of the page.
const pictureHeight = 800

// picture returns an action that writes README.md's picture: the steps side by side.
func picture(steps [3][]byte) chromedp.Action {
	page := `<style>body { margin: 0; display: flex; gap: 12px; background: #8a948f; padding: 12px } img { width: 375px; border-radius: 6px }</style>`
	for _, step := range steps {
		page += fmt.Sprintf(`<img src="data:image/png;base64,%s">`, base64.StdEncoding.EncodeToString(step))
	}
	return chromedp.ActionFunc(func(ctx context.Context) error {
		folder := os.Getenv("INVITED_TEST_SCREENSHOTS")
		if folder == "" {
			return nil
		}
		var content []byte
		if err := chromedp.Run(ctx, emulation.SetDeviceMetricsOverride(3*375+4*12, pictureHeight+2*12, 1.5, false),
			chromedp.Navigate("data:text/html;base64,"+base64.StdEncoding.EncodeToString([]byte(page))),
			chromedp.CaptureScreenshot(&content)); err != nil {
			return err
		}
		content, err := withFewColors(content)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, "README.png"), content, 0o600)
	})
}

// withFewColors returns a PNG with no more than the 64 colors that a PNG has most of, which is a quarter of the size.
func withFewColors(content []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	count := map[color.Color]int{}
	for y := range full.Bounds().Dy() {
		for x := range full.Bounds().Dx() {
			count[full.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] })
	few := image.NewPaletted(full.Bounds(), colors[:min(64, len(colors))])
	draw.Draw(few, few.Bounds(), full, image.Point{}, draw.Src)
	var small bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, few)
	return small.Bytes(), err
}
