//go:build browser && signin

package systemtest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// keycloakVariable names the folder of Keycloak's distribution.
const keycloakVariable = "INVITED_TEST_KEYCLOAK"

// keycloakRealm is a realm with one person, whose password is harness.Password, and two clients, of which only the first
// has the mapper that puts it into the audience of access tokens. It has the server's address.
const keycloakRealm = `{
  "realm": "main", "enabled": true,
  "clients": [
    {"clientId": "invited", "secret": "hush", "enabled": true, "publicClient": false, "standardFlowEnabled": true,
     "directAccessGrantsEnabled": true, "redirectUris": ["http://%[1]s/sign-in/keycloak/callback/"],
     "attributes": {"post.logout.redirect.uris": "http://%[1]s/signed-out/"},
     "protocolMappers": [
       {"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": "invited", "access.token.claim": "true"}},
       {"name": "groups", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "groups", "full.path": "false", "id.token.claim": "true", "access.token.claim": "true"}}]},
    {"clientId": "other", "secret": "hush", "enabled": true, "publicClient": false, "directAccessGrantsEnabled": true}
  ],
  "groups": [{"name": "helpdesk"}],
  "users": [
    {"username": "newcomer", "email": "newcomer@university.example", "emailVerified": true, "enabled": true,
     "firstName": "Nell", "lastName": "Newcomer", "groups": ["/helpdesk"], "credentials": [{"type": "password", "value": %[2]q}]}
  ]
}`

const keycloakIssuers = `
- {id: keycloak, issuer: %q, client_id: invited, client_secret: hush, name: Keycloak, staff_groups: [helpdesk]}
`

// A person signs in at Keycloak, accepts, and signs out here and there. The API takes Keycloak's access tokens that are for
// this server, and no others. `make keycloak-test` runs this test; .ci/run does not.
func TestKeycloak(t *testing.T) {
	home := os.Getenv(keycloakVariable)
	if home == "" {
		t.Fatal(keycloakVariable + " is not set: run make keycloak-test, which fetches Keycloak")
	}
	env := harness.New(t, "")
	server, keycloak := holdAddress(t), holdAddress(t)
	_, port, err := net.SplitHostPort(keycloak.String())
	require.NoError(t, err)
	realms := filepath.Join(home, "data", "import")
	require.NoError(t, os.MkdirAll(realms, 0o700))
	realm := fmt.Sprintf(keycloakRealm, server, harness.Password)
	require.NoError(t, os.WriteFile(filepath.Join(realms, "main.json"), []byte(realm), 0o600))
	startBeside(t, env, keycloak, "env", "JAVA_OPTS_KC_HEAP=-Xms64m -Xmx700m", filepath.Join(home, "bin", "kc.sh"), "start-dev", "--import-realm",
		"--db=dev-mem", "--cache=local", "--http-host=127.0.0.1", "--http-port="+port)
	issuer := "http://localhost:" + port + "/realms/main"
	harness.WaitUntil(t, startLimit, "Keycloak has the realm", func() bool {
		r, err := harness.NewRequest(t.Context(), http.MethodGet, issuer+"/.well-known/openid-configuration", "", "")
		require.NoError(t, err)
		a, err := harness.Send(t, harness.HTTPClient, r)
		return err == nil && a.Status == http.StatusOK
	}, nil)

	env.WriteFile("issuers.yaml", fmt.Sprintf(keycloakIssuers, issuer))
	env.Set("INVITED_LISTEN_ADDR="+server.String(), "INVITED_OIDC_FILE=issuers.yaml").Apply()
	server.release()
	p := env.Serve()
	p.WaitLog("issuer can be used")
	p.Create("newcomer@university.example")
	link := invitationLink(env, p)

	ctx, _ := openBrowser(t)
	problems := watchErrors(ctx)
	var invited, accepted, signedOut string
	require.NoError(t, chromedp.Run(ctx, log.Enable(),
		chromedp.Navigate(link),
		chromedp.Click(`a[href*="/sign-in/keycloak/"]`),
		keycloakLogin(),
		chromedp.WaitVisible(`form[action$="/accept/"] button`),
		chromedp.Text(`main`, &invited),
		chromedp.Click(`form[action$="/accept/"] button`),
		chromedp.WaitVisible(`[role=status]`),
		chromedp.Text(`main`, &accepted),
		screenshot(t, "accepted"),
		chromedp.Click(`header form[action$="/sign-out/"] button`),
		chromedp.Click(`#kc-logout`, chromedp.NodeVisible), // Keycloak asks, for it gets no ID token
		chromedp.WaitVisible(`a.button[href$="/sign-in/"]`),
		chromedp.Text(`main`, &signedOut),
		chromedp.Navigate(link),
		chromedp.Click(`a[href*="/sign-in/keycloak/"]`, chromedp.NodeVisible),
		chromedp.WaitVisible(`#username`), // Keycloak's session has ended too
	))
	require.Contains(t, invited, "Olivia Owner invites you to the project Apollo")
	require.Contains(t, accepted, "You are in the project Apollo")
	require.NotContains(t, signedOut, "newcomer")
	require.Contains(t, env.Members("Apollo"), "newcomer PROJECT.ADMIN")
	require.Empty(t, problems.all())

	access, id := keycloakTokens(t, issuer, "invited")
	me := p.Do("GET", "/api/users/me/", "", "", "Authorization", "Bearer "+access).Is(http.StatusOK).Body
	require.Contains(t, me, `"username":"newcomer"`)
	require.Contains(t, me, `"full_name":"Nell Newcomer"`)
	require.Contains(t, me, `"is_staff":true`)
	p.Do("GET", "/api/users/me/", "", "", "Authorization", "Bearer "+id).Is(http.StatusUnauthorized)
	forOthers, _ := keycloakTokens(t, issuer, "other")
	p.Do("GET", "/api/users/me/", "", "", "Authorization", "Bearer "+forOthers).Is(http.StatusUnauthorized)
	for _, secret := range []string{"hush", access, id} {
		require.NotContains(t, p.Stderr.String(), secret)
	}
	p.Stop()
}

// keycloakLogin returns the actions that sign the person in on the page of Keycloak.
func keycloakLogin() chromedp.Tasks {
	return chromedp.Tasks{
		chromedp.SendKeys(`#username`, "newcomer", chromedp.NodeVisible),
		chromedp.SendKeys(`#password`, harness.Password+"\r"),
		chromedp.WaitNotPresent(`#password`),
	}
}

// keycloakTokens returns the access token and the ID token of the person for a client, by the password grant.
func keycloakTokens(t *testing.T, issuer, client string) (access, id string) {
	t.Helper()
	form := url.Values{
		"grant_type": {"password"}, "username": {"newcomer"}, "password": {harness.Password}, "scope": {"openid email profile"},
		"client_id": {client}, "client_secret": {"hush"},
	}
	answer, err := (&http.Client{Timeout: time.Minute}).PostForm(issuer+"/protocol/openid-connect/token", form)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	var body struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&body))
	return body.Access, body.ID
}
