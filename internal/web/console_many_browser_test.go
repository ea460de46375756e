//go:build browser

package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
	"invited/internal/storetest"
)

// tableOf returns a table with good rows, and some in which something is wrong.
func tableOf(good int, domain string) string {
	var table strings.Builder
	table.WriteString("email,full_name,extra_invitation_text\n")
	for i := range good {
		fmt.Fprintf(&table, "person%d@%s,Person %d,\n", i, domain, i)
	}
	table.WriteString("nobody at example,Mr Nobody,\n")
	table.WriteString(",\u0645\u0631\u062d\u0628\u0627 \u0628\u0643,\n")
	table.WriteString("person0@" + domain + ",Person 0,\n")
	table.WriteString("long@" + domain + "," + strings.Repeat("W", 101) + "," + strings.Repeat("long ", 401) + "\n")
	table.WriteString("=cmd|x@" + strings.Repeat("very-long-label.", 20) + "example,\u202e<script>,\n")
	return table.String()
}

// manyStates makes a state of each of the console's pages about tables of people, and returns all of them.
func (e *env) manyStates() (all []state) {
	add := func(name, user, path string, steps ...chromedp.Action) {
		all = append(all, state{name, user, path, steps})
	}
	const sam, olivia, stranger = "sam@example.com", "olivia@acme.example", "max@nowhere.example"
	const form = "/console/bulk/?scope=" + inApollo
	const fill, next = `form[enctype]`, `form[novalidate]`
	check := func(table string) chromedp.Action { return submit(fill, "role", "PROJECT.ADMIN", "table", table) }
	add("many-choose", olivia, "/console/bulk/")
	add("many-not-allowed", stranger, "/console/bulk/")
	add("many", olivia, form)
	add("many-by-row", olivia, "/console/bulk/?scope=rows")
	add("many-problem", olivia, form, submit(fill))
	add("many-problem-line", olivia, form, check("email\n\"a@example.org\n"))
	add("many-problem-role", olivia, form, submit(fill, "table", "email\na@example.org\n"))
	add("many-check-refused", olivia, form, check("email,role,scope\na@many.example,,\nb@many.example,CUSTOMER.OWNER,\nc@many.example,NO.SUCH,nowhere\nA@many.example,,\nopen@many.example,,\n"))
	add("many-check", olivia, form, check(tableOf(60, "many.example")))
	add("many-check-all", olivia, form, check(tableOf(60, "many.example")), submitBy(`button[value="all:1"]`))
	add("many-check-page", olivia, form, check(tableOf(60, "many.example")), submitBy(`button[value="all:1"]`), submitBy(`button[value="all:2"]`))
	add("many-check-good", olivia, form, check("email\na@many.example\nb@many.example\n"))
	add("many-check-bad", olivia, form, check("email\na\nb\n"))
	add("many-sent-some", olivia, form, check(tableOf(3, "some.example")), submit(next+` [value=send]`))
	add("many-sent-all", olivia, form, check("email\na@all.example\nb@all.example\n"), submit(next+` [value=send]`))
	send := func(domain string) []chromedp.Action {
		return []chromedp.Action{check(tableOf(101, domain)), submit(next + ` [value=send]`)}
	}
	add("many-running", olivia, form, send("running.example")...)
	work := chromedp.ActionFunc(func(context.Context) error { e.work(); return nil })
	add("many-done", olivia, form, append(send("done.example"), work, leave("location.reload()"))...)
	add("many-rest", olivia, form, append(send("rest.example"), work, leave("location.reload()"), submitBy(`a[href$="/rest/"]`))...)
	add("many-stopped", olivia, form, append(send("stopped.example"), submit(`form[action$="/cancel/"]`))...)
	add("many-stopped-late", olivia, form, append(send("late.example"), work, submit(`form[action$="/cancel/"]`))...)
	add("many-sent-before", sam, "/console/bulk/")
	add("many-evil", "evil@evil.example", "/console/bulk/?scope=project:"+evilProject)
	return all
}

// courseTable returns a table of 5,000 rows. 40 of them can't be invited: 20 addresses are none, 10 people are there twice, 5 are
// invited already, and 5 rows name a role that there is not. The first such row is that of an address.
func (e *env) courseTable() string {
	e.Helper()
	var table strings.Builder
	table.WriteString("email,full_name,role\n")
	for i := range 5000 {
		email, role := fmt.Sprintf("student%d@university.example", i), ""
		switch {
		case i%125 != 99:
		case i < 2500:
			email = fmt.Sprintf("student%d@@university.example", i)
		case i < 3750:
			email = fmt.Sprintf("Student%d@University.example", i-1)
		case i < 4375:
			e.invite(email, apollo)
		default:
			role = "PROJECT.STUDENT"
		}
		fmt.Fprintf(&table, "%s,Student %d,%s\n", email, i, role)
	}
	return table.String()
}

// Olivia invites 5,000 people from a file, with the keyboard alone: she corrects one of 40 rows in place, sends, watches the
// progress, and comes back to the rest.
func TestManyInABrowser(t *testing.T) {
	axe, err := os.ReadFile(axeFile)
	require.NoError(t, err)
	onEachEngine(t, func(e *env) {
		file := filepath.Join(e.TempDir(), "course.csv")
		require.NoError(e, os.WriteFile(file, []byte(e.courseTable()), 0o600))
		c := e.chromium()
		scheme := "light"
		if strings.HasSuffix(e.Name(), "postgres") {
			scheme = "dark"
		}
		look := func(name string) {
			c.run(chromedp.Evaluate(string(axe), nil))
			for _, width := range []int64{1280, 375} {
				c.run(emulation.SetDeviceMetricsOverride(width, 800, 1, width < 1280))
				require.Empty(e, c.barriers(), "%s at %d px, %s", name, width, scheme)
				c.screenshot(fmt.Sprintf("many-5000-%s-%d-%s", name, width, scheme))
			}
			c.run(emulation.ClearDeviceMetricsOverride())
		}
		c.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}))
		c.run(c.signInAs("olivia@acme.example"), c.open("/console/"), focused)
		c.tabTo(`a[href="/console/bulk/"]`)
		c.follow(kb.Enter, "Invite many people")
		c.tabTo(`.choices a[href*="` + apollo + `"]`)
		c.follow(kb.Enter, "Invite many people")
		c.tabTo("#role")
		c.run(chromedp.KeyEvent("System"), chromedp.SetUploadFiles("#file", []string{file}))
		c.tabTo("main .button")
		began := time.Now()
		c.follow(kb.Enter, "4,960 of 5,000 can be invited")
		checked := time.Since(began)
		look("check")
		c.tabTo(`[name="row-99-email"]`)
		c.run(chromedp.KeyEvent("student99@university.example"))
		c.follow(kb.Enter, "4,961 of 5,000 can be invited")
		var carried int
		c.run(chromedp.Evaluate(`document.querySelector("[name=rows]").value.length`, &carried))
		c.tabTo(`button[value="rest:1"]`)
		c.follow(kb.Enter, "4,961 of 5,000 can be invited")
		c.tabTo(`button[value=send]`)
		began = time.Now()
		c.follow(kb.Enter, "Inviting 5,000 people")
		e.Logf("checked in %v, sent in %v, the form carries %d bytes", checked, time.Since(began), carried)

		// The queue does 2,000 rows, then the rest. The page follows.
		rows := storetest.Jobs(e.T, e.db, bulk.Job{}.Kind())
		require.Len(e, rows, 1)
		var job bulk.Job
		require.NoError(e, json.Unmarshal(rows[0].EncodedArgs, &job))
		half, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		reached := sync.OnceFunc(func() { close(half); <-goOn })
		olivia := e.user("olivia")
		pause := func() bool {
			found, err := e.bulk.Retrieve(e.Context(), olivia, job.Bulk, nil, 1, 1)
			if err == nil && found.Done() >= 2000 {
				reached()
			}
			return err != nil
		}
		go func() {
			more, err := true, error(nil)
			for more && err == nil {
				more, err = e.bulk.Run(e.Context(), job, pause)
			}
			ended <- err
		}()
		began = time.Now()
		<-half
		untilHalf := time.Since(began)
		c.run(chromedp.Poll(`document.querySelector("progress").value >= 2000 && document.querySelector("#status").textContent === "40 % are done."`, nil))
		require.True(e, c.isShown("progress"))
		require.False(e, c.isShown("[data-scripted]"))
		look("progress")
		c.run(c.open("/console/bulk/"), focused) // leave, and come back
		look("list")
		c.tabTo(`.choices a[href*="/console/bulk/"]`)
		c.follow(kb.Enter, "Inviting 5,000 people")
		close(goOn)
		began = time.Now()
		require.NoError(e, <-ended)
		e.Logf("2,000 rows were done in %v, the rest in %v", untilHalf, time.Since(began))
		var focus string
		c.run(chromedp.Poll(`document.querySelector("h1").textContent.trim() === "4,961 of 5,000 invited"`, nil),
			chromedp.Evaluate(`document.activeElement.tagName`, &focus))
		require.Equal(e, "H1", focus)
		require.False(e, c.isShown("progress"))
		look("done")
		c.tabTo(`a[href$="?result=duplicate"]`)
		c.follow(kb.Enter, "4,961 of 5,000 invited")
		look("duplicates")
		c.tabTo(`a[href$="/rest/"]`)
		c.follow(kb.Enter, "0 of 24 can be invited") // without who is there twice, or invited already
		look("rest")
		require.Equal(e, 4961+5, e.invited())

		// A download leaves the form as it is.
		folder := e.TempDir()
		c.run(chromedp.ActionFunc(func(ctx context.Context) error {
			return cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(folder).
				Do(cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser))
		}))
		c.tabTo(`button[value=download]`)
		c.run(chromedp.KeyEvent(kb.Enter))
		var saved []byte
		require.Eventually(e, func() bool {
			saved, _ = os.ReadFile(filepath.Join(folder, "not-invited.csv")) // not there yet
			return strings.Count(string(saved), "\n") == 25
		}, time.Minute, 50*time.Millisecond)
		require.Contains(e, string(saved), "student224@@university.example,Student 224,PROJECT.ADMIN,")
		require.Contains(e, string(saved), "Enter a valid email address.")
		c.tabTo(`button[value="invalid:1"]`)
		c.follow(kb.Enter, "0 of 24 can be invited")
		require.Empty(e, c.problems())
	})
}

// Without scripts, everything works as well; who waits asks for the newest numbers.
func TestManyInABrowserWithoutScripts(t *testing.T) {
	onEachEngine(t, func(e *env) {
		c := e.chromium()
		c.run(emulation.SetScriptExecutionDisabled(true), c.signInAs("olivia@acme.example"), c.open(intoApollo), focused)
		c.tabTo("#role")
		c.run(chromedp.KeyEvent("System"))
		c.tabTo("#table")
		c.run(chromedp.KeyEvent("email\na@example.org\nnobody\n"))
		c.tabTo("main .button")
		c.follow(kb.Enter, "1 of 2 can be invited")
		c.tabTo(`[name="row-1-email"]`)
		c.run(chromedp.KeyEvent("b@example.org"))
		c.tabTo(`button[value=check]`)
		c.follow(kb.Enter, "2 of 2 can be invited")
		c.tabTo(`button[value=send]`)
		c.follow(kb.Enter, "2 of 2 invited")
		require.Equal(e, 2, e.invited())

		file := filepath.Join(e.TempDir(), "guests.csv")
		require.NoError(e, os.WriteFile(file, []byte(tableOf(101, "guests.example")), 0o600))
		c.run(c.open(intoApollo), focused)
		c.tabTo("#role")
		c.run(chromedp.KeyEvent("System"), chromedp.SetUploadFiles("#file", []string{file}))
		c.tabTo("main .button")
		c.follow(kb.Enter, "101 of 106 can be invited")
		c.tabTo(`button[value=send]`)
		c.follow(kb.Enter, "Inviting 106 people")
		c.tabTo("[data-scripted] a")
		c.follow(kb.Enter, "Inviting 106 people")
		e.work()
		c.tabTo("[data-scripted] a")
		c.follow(kb.Enter, "101 of 106 invited")
		require.Empty(e, c.problems())
	})
}

// A file that is too large stays in the browser with scripts, and is refused in words without.
func TestLargeFileInABrowser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		file := filepath.Join(e.TempDir(), "large.csv")
		require.NoError(e, os.WriteFile(file, []byte("email\n"+strings.Repeat("x", 9<<20)), 0o600))
		c := e.chromium()
		var message string
		c.run(c.signInAs("olivia@acme.example"), c.open(intoApollo), focused, chromedp.SetUploadFiles("#file", []string{file}),
			chromedp.Evaluate(`document.querySelector("#file").validationMessage`, &message))
		require.Contains(e, message, "larger than 8 MB")
		c.run(emulation.SetScriptExecutionDisabled(true), c.open(intoApollo), focused, chromedp.SetUploadFiles("#file", []string{file}))
		c.tabTo("main .button")
		c.follow(kb.Enter, "Invite many people")
		c.run(chromedp.Text("#file-problem", &message))
		require.Contains(e, message, "larger than 8 MB")
		require.Empty(e, c.problems())
	})
}
