//go:build signin

package systemtest

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// dexConfig is Dex with one person, whose password is harness.Password, and one client. It has Dex's address, the server's,
// and the callback.
const dexConfig = `
issuer: http://%[1]s/dex
storage: {type: memory}
web: {http: %[1]s}
oauth2: {skipApprovalScreen: true, passwordConnector: local}
staticClients:
  - {id: invited, secret: hush, name: invited, redirectURIs: ["http://%[2]s/sign-in/dex/callback/"]}
enablePasswordDB: true
staticPasswords:
  - {email: newcomer@university.example, username: newcomer, userID: person-1, hash: "$2a$10$yyU/VpXuT6WNDzguounEiujSg3AQxv/boC5p/CclLYOzjt65xmzTK"}
`

const dexIssuers = `
- {id: dex, issuer: "http://%s/dex", client_id: invited, client_secret: hush, name: Dex, accept_id_tokens: true}
`

// buildDex builds Dex once, from a module of its own: Dex is no dependency of the server.
var buildDex = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "dex")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/dexidp/dex/cmd/dex")
	cmd.Dir = "dex"
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Dex: %w\n%s", err, output)
	}
	return path, nil
})

// A person who has nothing but a mail opens its link, signs in at Dex, and accepts. Then a client calls the API
// with a token of Dex.
func TestSignInWithDex(t *testing.T) {
	dex, err := buildDex()
	require.NoError(t, err)
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		dexAddress, address := harness.FreeAddress(t), harness.FreeAddress(t)
		env.WriteFile("dex.yaml", fmt.Sprintf(dexConfig, dexAddress, address))
		env.WriteFile("issuers.yaml", fmt.Sprintf(dexIssuers, dexAddress))
		cmd := exec.CommandContext(t.Context(), dex, "serve", "dex.yaml")
		output := &harness.Output{}
		cmd.Dir, cmd.Stdout, cmd.Stderr = env.Dir, output, output
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // fails only where Dex has ended
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("log of Dex:\n%.20000s", output.String())
			}
		})
		harness.WaitUntil(t, 30*time.Second, "Dex serves", func() bool {
			connection, err := net.Dial("tcp", dexAddress)
			if err == nil {
				_ = connection.Close()
			}
			return err == nil
		}, output.String)

		env.Set("INVITED_LISTEN_ADDR="+address, "INVITED_OIDC_FILE=issuers.yaml").Apply()
		p := env.Serve()
		p.WaitLog("issuer can be used")
		p.Create("newcomer@university.example")
		var link string
		p.WaitUntil("the mail is there", func() bool {
			link = regexp.MustCompile(`http://127\.0\.0\.1:\d+/invitation/[0-9a-f-]{36}/`).FindString(strings.Join(env.Mails(), "\n"))
			return link != ""
		})

		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		b := &formBrowser{t, &http.Client{Jar: jar, Timeout: time.Minute}, nil, ""}
		b.get(link)
		b.get(b.find(`<a class="quiet" href="([^"]+)"`))
		b.post(b.find(`<form method="post" action="([^"]+)"`), url.Values{"login": {"newcomer@university.example"}, "password": {harness.Password}})
		require.Contains(t, b.body, "Olivia Owner")
		b.post(b.find(`action="([^"]+/accept/)"`), url.Values{})
		require.Contains(t, b.body, "You are in")
		require.Contains(t, env.Members("Apollo"), "newcomer@university.example PROJECT.ADMIN")

		token := dexToken(t, dexAddress)
		require.Contains(t, p.Do("GET", "/api/users/me/", "", "", "Authorization", "Bearer "+token).Is(http.StatusOK).Body, `"username":"newcomer@university.example"`)
		p.Do("GET", "/api/users/me/", "", "", "Authorization", "Bearer "+token+"x").Is(http.StatusUnauthorized)
		for _, secret := range []string{"hush", token} {
			require.NotContains(t, p.Stderr.String(), secret)
		}
		p.Stop()
	})
}

// formBrowser follows links and redirects, keeps cookies, and sends forms, as a browser without scripts.
type formBrowser struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	body   string
}

func (b *formBrowser) get(to string) { b.t.Helper(); b.send(http.MethodGet, to, "") }

func (b *formBrowser) post(to string, form url.Values) {
	b.t.Helper()
	b.send(http.MethodPost, to, form.Encode())
}

func (b *formBrowser) send(method, to, form string) {
	b.t.Helper()
	target, err := url.Parse(to)
	require.NoError(b.t, err)
	if b.at != nil {
		target = b.at.ResolveReference(target)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target.String(), strings.NewReader(form))
	require.NoError(b.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	answer, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, answer.StatusCode, "%s", content)
	b.at, b.body = answer.Request.URL, string(content)
}

// find returns the part in parentheses of a pattern that the page has.
func (b *formBrowser) find(pattern string) string {
	b.t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(b.body)
	require.NotNil(b.t, found, "%s in %s", pattern, b.body)
	return html.UnescapeString(found[1])
}

// dexToken returns the ID token of the person, by the password grant.
func dexToken(t *testing.T, address string) string {
	t.Helper()
	form := url.Values{
		"grant_type": {"password"}, "username": {"newcomer@university.example"}, "password": {harness.Password}, "scope": {"openid email profile"},
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/dex/token", strings.NewReader(form.Encode()))
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
