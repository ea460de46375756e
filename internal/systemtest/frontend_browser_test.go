//go:build browser

package systemtest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// smallFrontEnd is a front end of one page, as docs/front-end.md describes one. It has the server's URL.
const smallFrontEnd = `<!doctype html><meta charset="utf-8"><title>Portal</title><link rel="icon" href="data:,"><main><p></p></main>
<script type="module">
const api = '%s'
const show = (text, id) => { Object.assign(document.querySelector('main p'), {textContent: text, id}) }
const query = new URLSearchParams(location.search)
if (location.pathname === '/oauth_login_completed/mail/') {
  if (query.get('state') !== sessionStorage.getItem('state')) throw new Error('not begun here')
  const exchanged = await fetch(api + 'api-auth/token-exchange/', {
    method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({code: query.get('code')}),
  })
  const headers = {Authorization: 'Token ' + (await exchanged.json()).token}
  const link = sessionStorage.getItem('link')
  const accepted = await fetch(api + 'api/user-invitations/' + link + '/accept/', {method: 'POST', headers})
  const me = await (await fetch(api + 'api/users/me/', {headers})).json()
  show(accepted.status + ' ' + me.username + ' ' + me.permissions[0].role_name, 'done')
} else {
  const roles = await fetch(api + 'api/roles/')
  sessionStorage.setItem('link', location.pathname.split('/')[2])
  sessionStorage.setItem('state', crypto.randomUUID())
  show(roles.headers.get('X-Result-Count') + ' roles', 'start')
  location.assign(api + 'api-auth/mail/init/?state=' + sessionStorage.getItem('state'))
}
</script>`

// A front end on another site has a person sign in by mail, in a real browser, and accepts the invitation behind the link.
func TestFrontEndInABrowser(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		address := harness.FreeAddress(t)
		served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, fmt.Sprintf(smallFrontEnd, "http://"+address+"/"))
		}))
		defer served.Close()
		portal := strings.Replace(served.URL, "127.0.0.1", "localhost", 1) // another site
		env.Set("INVITED_LISTEN_ADDR="+address, "INVITED_FRONTEND_URL="+portal+"/", "INVITED_CORS_ORIGINS="+portal).Apply()
		p := env.Serve()
		p.Create("newcomer@university.example")
		find := func(pattern string) (found string) {
			p.WaitUntil("a mail has "+pattern, func() bool {
				match := regexp.MustCompile(pattern).FindStringSubmatch(strings.Join(env.Mails(), "\n"))
				if match != nil {
					found = match[1]
				}
				return match != nil
			})
			return found
		}
		ctx, problems := openBrowser(t)
		require.NoError(t, chromedp.Run(ctx, log.Enable(), chromedp.Navigate(find(`(`+regexp.QuoteMeta(portal)+`/invitation/[0-9a-f-]{36}/)`)),
			chromedp.WaitVisible(`#email`),
			chromedp.SendKeys(`#email`, "newcomer@university.example"),
			chromedp.Click(`main button.button`),
			chromedp.WaitVisible(`#code`),
		))
		var shown string
		require.NoError(t, chromedp.Run(ctx,
			chromedp.SendKeys(`#code`, find(`Subject: (\d{6}) is your code`)),
			chromedp.Click(`main button.button`),
			chromedp.Text(`#done`, &shown, chromedp.NodeVisible),
		))
		require.Equal(t, "200 newcomer@university.example PROJECT.ADMIN", shown)
		require.Empty(t, problems.all())
		p.Stop()
	})
}
