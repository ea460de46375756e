//go:build browser && signin

package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// dexConfig is Dex with one person, whose password is harness.Password, and one client. It has Dex's port, and the redirect
// URI. Browsers take localhost, where Dex is, and 127.0.0.1, where the server is, for two sites.
const dexConfig = `
issuer: http://localhost:%[1]s/dex
storage: {type: memory}
web: {http: 127.0.0.1:%[1]s}
oauth2: {skipApprovalScreen: true, passwordConnector: local}
staticClients:
  - {id: invited, secret: hush, name: invited, redirectURIs: [%[2]q]}
enablePasswordDB: true
staticPasswords:
  - {email: newcomer@university.example, username: newcomer, userID: person-1, hash: "$2a$10$yyU/VpXuT6WNDzguounEiujSg3AQxv/boC5p/CclLYOzjt65xmzTK"}
`

const dexIssuers = `
- {id: dex, issuer: %q, client_id: invited, client_secret: hush, name: Dex, accept_id_tokens: true}
`

// buildTool builds a program from a module of its own, in the folder of the same name, so that the server's go.mod does not
// name the program. The binary stays in Go's build cache.
func buildTool(name string) (path string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", name)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = name, &stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // Dex has no SQLite without cgo, and does not compile
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, stderr.String())
	}
	return strings.TrimSpace(string(output)), nil
}

var buildDex = sync.OnceValues(func() (string, error) { return buildTool("dex") })

// startDex starts Dex for a client with a redirect URI, and returns Dex's issuer.
func startDex(t *testing.T, env *harness.Env, redirectURI string) (issuer string) {
	t.Helper()
	path, err := buildDex()
	require.NoError(t, err)
	address := holdAddress(t)
	_, port, err := net.SplitHostPort(address.String())
	require.NoError(t, err)
	env.WriteFile("dex.yaml", fmt.Sprintf(dexConfig, port, redirectURI))
	startBeside(t, env, address, path, "serve", "dex.yaml")
	return "http://localhost:" + port + "/dex"
}

// startLimit is how long a program may take until it serves.
const startLimit = 5 * time.Minute

// heldAddress is an address that no other program takes before release.
type heldAddress struct {
	net.Addr
	release func()
}

// holdAddress returns an address on which the test listens.
func holdAddress(t *testing.T) heldAddress {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	release := func() { _ = listener.Close() } // fails only where it was closed before
	t.Cleanup(release)
	return heldAddress{listener.Addr(), release}
}

// startBeside starts a program that listens on an address, in the folder of the Env, and returns when it does. The program
// is killed when the test ends.
func startBeside(t *testing.T, env *harness.Env, address heldAddress, path string, args ...string) {
	t.Helper()
	address.release()
	cmd := exec.CommandContext(t.Context(), path, args...)
	output := &harness.Output{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = env.Dir, output, output
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails only where the program has ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of %s:\n%.20000s", path, output.String())
		}
	})
	harness.WaitUntil(t, startLimit, path+" serves", func() bool {
		connection, err := net.Dial("tcp", address.String())
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	}, output.String)
}

// invitationLink waits for the mail of an invitation and returns its link.
func invitationLink(env *harness.Env, p *harness.Process) (link string) {
	pattern := regexp.MustCompile(`http://127\.0\.0\.1:\d+/invitation/[0-9a-f-]{36}/`)
	p.WaitUntil("the mail is there", func() bool {
		link = pattern.FindString(strings.Join(env.Mails(), "\n"))
		return link != ""
	})
	return link
}

// A person who has nothing but a mail opens its link in a browser, signs in at Dex, accepts, and signs out. Then a client
// calls the API with a token of Dex. Scripts are off.
func TestSignInWithDex(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		held := holdAddress(t)
		address := held.String()
		issuer := startDex(t, env, "http://"+address+"/sign-in/dex/callback/")
		env.WriteFile("issuers.yaml", fmt.Sprintf(dexIssuers, issuer))
		env.Set("INVITED_LISTEN_ADDR="+address, "INVITED_OIDC_FILE=issuers.yaml").Apply()
		held.release()
		p := env.Serve()
		p.WaitLog("issuer can be used")
		p.Create("newcomer@university.example")
		link := invitationLink(env, p)

		ctx, _ := openBrowser(t)
		problems := watchErrors(ctx)
		var invited, accepted, home, again string
		var signedIn, signedOut []*network.Cookie
		require.NoError(t, chromedp.Run(ctx, log.Enable(), emulation.SetScriptExecutionDisabled(true),
			chromedp.Navigate(link),
			chromedp.Click(`a[href*="/sign-in/dex/"]`),
			dexLogin(),
			chromedp.WaitVisible(`form[action$="/accept/"] button`),
			chromedp.Text(`main`, &invited),
			screenshot(t, "invited"),
			cookies(&signedIn),
			chromedp.Click(`form[action$="/accept/"] button`),
			chromedp.WaitVisible(`[role=status]`),
			chromedp.Text(`main`, &accepted),
			chromedp.Click(`header form[action$="/sign-out/"] button`),
			chromedp.WaitVisible(`a.button[href$="/sign-in/"]`),
			chromedp.Text(`body`, &home),
			cookies(&signedOut),
			chromedp.Navigate(link),
			chromedp.Text(`main`, &again, chromedp.NodeVisible),
		))
		require.Contains(t, invited, "Olivia Owner invites you to the project Apollo")
		require.Contains(t, accepted, "You are in the project Apollo")
		require.Contains(t, env.Members("Apollo"), "newcomer@university.example PROJECT.ADMIN")
		require.NotContains(t, home, "newcomer")
		require.Contains(t, again, "Sign in to see the invitation")
		require.Len(t, signedIn, 1, "the attempt at Dex is forgotten")
		require.Equal(t, "invited", signedIn[0].Name)
		require.True(t, signedIn[0].HTTPOnly)
		require.Equal(t, network.CookieSameSiteLax, signedIn[0].SameSite)
		require.Empty(t, signedOut)
		require.Empty(t, problems.all())
		// The browser has forgotten the session, and so has the server.
		left, err := harness.NewRequest(t.Context(), "GET", link, "", "", "Cookie", "invited="+signedIn[0].Value)
		require.NoError(t, err)
		page, err := harness.Send(t, harness.HTTPClient, left)
		require.NoError(t, err)
		require.Contains(t, page.Body, "Sign in to see the invitation")

		token := dexToken(t, issuer)
		require.Contains(t, p.Do("GET", "/api/users/me/", "", "", "Authorization", "Bearer "+token).Is(http.StatusOK).Body, `"username":"newcomer@university.example"`)
		p.Do("GET", "/api/users/me/", "", "", "Authorization", "Bearer "+token+"x").Is(http.StatusUnauthorized)
		for _, secret := range []string{"hush", token, signedIn[0].Value} {
			require.NotContains(t, p.Stderr.String(), secret)
		}
		p.Stop()
	})
}

// dexLogin returns the actions that sign the person in on the page of Dex.
func dexLogin() chromedp.Tasks {
	return chromedp.Tasks{
		chromedp.SendKeys(`#login`, "newcomer@university.example", chromedp.NodeVisible),
		chromedp.SendKeys(`#password`, harness.Password+kb.Enter),
		chromedp.WaitNotPresent(`#submit-login`),
	}
}

// watchErrors collects what the browser reports as an error, violations of the content security policy included. Advice,
// such as Chromium has for Dex's page, is no error.
func watchErrors(ctx context.Context) *messageList {
	found := &messageList{}
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError {
				found.add(e.Entry.Text)
			}
		case *runtime.EventExceptionThrown:
			found.add(e.ExceptionDetails.Error())
		}
	})
	return found
}

// cookies returns an action that reads the cookies of the browser's page.
func cookies(into *[]*network.Cookie) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) (err error) {
		*into, err = network.GetCookies().Do(ctx)
		return err
	})
}

// dexToken returns the ID token of the person, by the password grant.
func dexToken(t *testing.T, issuer string) string {
	t.Helper()
	form := url.Values{
		"grant_type": {"password"}, "username": {"newcomer@university.example"}, "password": {harness.Password}, "scope": {"openid email profile"},
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("invited", "hush")
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	var body struct {
		IDToken string `json:"id_token"`
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&body))
	return body.IDToken
}
