//go:build browser && signin

package systemtest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

const proxySecret = "a-secret-between-the-proxy-and-the-server"

// proxyConfig is the structured configuration of oauth2-proxy, the one that can send a secret, with the address of the proxy,
// that of the server, and the issuer. The secret is in a file: versions differ in whether a value in the configuration is
// base64.
const proxyConfig = `
server: {bindAddress: %q}
upstreamConfig: {upstreams: [{id: invited, path: /, uri: "http://%s"}]}
injectRequestHeaders:
  - {name: X-Invited-Proxy-Secret, values: [{secretSource: {fromFile: proxy-secret}}]}
  - {name: X-Forwarded-User, values: [{claimSource: {claim: user}}]}
  - {name: X-Forwarded-Preferred-Username, values: [{claimSource: {claim: preferred_username}}]}
  - {name: X-Forwarded-Email, values: [{claimSource: {claim: email}}]}
  - {name: X-Forwarded-Groups, values: [{claimSource: {claim: groups}}]}
providers:
  - {id: dex, provider: oidc, clientID: invited, clientSecret: hush, scope: openid email profile, oidcConfig: {issuerURL: %q}}
`

var buildProxy = sync.OnceValues(func() (string, error) { return buildTool("oauth2-proxy") })

// A person opens the link of an invitation at oauth2-proxy, which has them sign in at Dex, and accepts as the person whom
// the proxy names to the server. Nobody is anybody else by a header of their own.
func TestSignInWithProxy(t *testing.T) {
	path, err := buildProxy()
	require.NoError(t, err)
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		proxyAddress := holdAddress(t)
		proxy := "http://" + proxyAddress.String()
		issuer := startDex(t, env, proxy+"/oauth2/callback")
		env.Set("INVITED_PUBLIC_URL="+proxy+"/", "INVITED_TRUSTED_PROXIES=127.0.0.1/32",
			"INVITED_AUTH_PROXIES=127.0.0.1/32", "INVITED_AUTH_PROXY_SECRET="+proxySecret, "INVITED_AUTH_PROXY_HEADERS=oauth2-proxy").Apply()
		p := env.Serve()
		env.WriteFile("proxy.yaml", fmt.Sprintf(proxyConfig, proxyAddress, p.Address, issuer))
		env.WriteFile("proxy-secret", proxySecret)
		startBeside(t, env, proxyAddress, path, "--alpha-config=proxy.yaml", "--redirect-url="+proxy+"/oauth2/callback", "--email-domain=*",
			"--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-secure=false", "--skip-provider-button=true", "--skip-auth-route=^/api/")
		p.Create("newcomer@university.example")
		link := invitationLink(env, p)

		ctx, _ := openBrowser(t)
		problems := watchErrors(ctx)
		var invited, accepted string
		var kept []*network.Cookie
		require.NoError(t, chromedp.Run(ctx, log.Enable(), emulation.SetScriptExecutionDisabled(true),
			chromedp.Navigate(link),
			dexLogin(),
			chromedp.WaitVisible(`form[action$="/accept/"] button`),
			chromedp.Text(`main`, &invited),
			screenshot(t, "invited"),
			chromedp.Click(`form[action$="/accept/"] button`),
			chromedp.WaitVisible(`[role=status]`),
			chromedp.Text(`main`, &accepted),
			cookies(&kept),
			chromedp.Navigate(proxy+"/oauth2/sign_out"),
			chromedp.WaitVisible(`#login`), // the next page asks Dex again who it is
		))
		require.Contains(t, invited, "Olivia Owner invites you to the project Apollo")
		require.Contains(t, accepted, "You are in the project Apollo")
		require.Contains(t, env.Members("Apollo"), "newcomer@university.example PROJECT.ADMIN")
		require.Empty(t, problems.all())

		// Whoever is signed in at the proxy is that person, whatever their requests say.
		require.Len(t, kept, 1, "the proxy's session is the only one")
		forged := []string{
			"X-Forwarded-User", "olivia", "X-Forwarded-Email", "olivia@acme.example", "X-Forwarded-Groups", "staff",
			"X_Forwarded_User", "olivia", "X-Invited-Proxy-Secret", "guessed",
		}
		ask := func(to string, headers ...string) harness.Response {
			r, err := harness.NewRequest(t.Context(), http.MethodGet, to+"/api/users/me/", "", "", append(headers, forged...)...)
			require.NoError(t, err)
			response, err := harness.Send(t, harness.HTTPClient, r)
			require.NoError(t, err)
			return response
		}
		require.Contains(t, ask(proxy, "Cookie", kept[0].Name+"="+kept[0].Value).Is(http.StatusOK).Body, `"username":"newcomer@university.example"`)
		// Who is not signed in there is nobody, at the proxy and past it. Clients with a token use the same address.
		ask(proxy).Is(http.StatusUnauthorized)
		ask("http://" + p.Address).Is(http.StatusUnauthorized)
		require.Contains(t, ask(proxy, "Authorization", "Token "+harness.Key("ina")).Is(http.StatusOK).Body, `"username":"ina"`)
		require.NotContains(t, p.Stderr.String(), proxySecret)
		p.Stop()
	})
}
