package systemtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/signin/signintest"
	"invited/internal/systemtest/harness"
)

// portal is the front end of these tests. Nobody serves it: what counts is what the browser asks the server, and where the
// server sends it.
const portal = "https://portal.example"

// homePort is Waldur's front end in a browser: it calls the API from another origin, and sends the browser to the server to
// sign in.
type homePort struct {
	t      *testing.T
	p      *harness.Process
	token  string
	client *http.Client // the browser, for what is not called but gone to
}

func newHomePort(t *testing.T, p *harness.Process) *homePort {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &homePort{t, p, "", &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Scheme+"://"+r.URL.Host == portal {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// call calls the API as a browser does for a script of another origin: it asks first where it must, reads nothing that the
// server does not share, and sends no cookie.
func (f *homePort) call(method, path string, body any) harness.Response {
	f.t.Helper()
	headers := []string{"Origin", portal, "Sec-Fetch-Site", "cross-site", "Accept", "application/json", "Accept-Language", "en"}
	var asked []string
	if f.token != "" {
		headers, asked = append(headers, "Authorization", "Token "+f.token), append(asked, "authorization")
	}
	content := ""
	if body != nil {
		encoded, err := json.Marshal(body)
		require.NoError(f.t, err)
		content, asked = string(encoded), append(asked, "content-type")
	}
	if len(asked) > 0 || method != http.MethodGet && method != http.MethodHead && method != http.MethodPost {
		preflight := f.p.Do(http.MethodOptions, path, "", "", "Origin", portal, "Access-Control-Request-Method", method,
			"Access-Control-Request-Headers", strings.Join(asked, ",")).Is(http.StatusNoContent)
		require.Equal(f.t, portal, preflight.Header.Get("Access-Control-Allow-Origin"), path)
		require.Contains(f.t, strings.Split(preflight.Header.Get("Access-Control-Allow-Methods"), ","), method, path)
		for _, name := range asked {
			require.Contains(f.t, strings.Split(strings.ToLower(preflight.Header.Get("Access-Control-Allow-Headers")), ","), name, path)
		}
	}
	answer := f.p.Do(method, path, "", content, headers...)
	require.Equal(f.t, portal, answer.Header.Get("Access-Control-Allow-Origin"), path)
	shared := strings.Split(strings.ToLower(answer.Header.Get("Access-Control-Expose-Headers")), ",")
	for name := range answer.Header {
		if lower := strings.ToLower(name); lower != "content-type" && lower != "content-length" && !contains(shared, lower) {
			answer.Header.Del(name)
		}
	}
	return answer
}

func contains(all []string, one string) bool {
	for _, each := range all {
		if strings.TrimSpace(each) == one {
			return true
		}
	}
	return false
}

// read calls with GET and returns the decoded body.
func (f *homePort) read(path string) any {
	f.t.Helper()
	var body any
	require.NoError(f.t, json.Unmarshal([]byte(f.call(http.MethodGet, path, nil).Is(http.StatusOK).Body), &body))
	return body
}

// readAll reads all pages of a list, each as the one before names it.
func (f *homePort) readAll(path string) (rows []any) {
	f.t.Helper()
	for path != "" {
		answer := f.call(http.MethodGet, path, nil).Is(http.StatusOK)
		var page []any
		require.NoError(f.t, json.Unmarshal([]byte(answer.Body), &page))
		rows = append(rows, page...)
		require.NotEmpty(f.t, answer.Header.Get("X-Result-Count"), "the browser shares the count")
		next := regexp.MustCompile(`<https?://[^/]+([^>]+)>; rel="next"`).FindStringSubmatch(answer.Header.Get("Link"))
		path = ""
		if next != nil {
			path = next[1]
		}
	}
	return rows
}

// has asserts that an object has fields, and returns the object.
func (f *homePort) has(object any, fields string) map[string]any {
	f.t.Helper()
	found, ok := object.(map[string]any)
	require.True(f.t, ok, "%v", object)
	for _, name := range strings.Fields(fields) {
		require.Contains(f.t, found, name)
	}
	return found
}

// visit sends the browser to a page, and returns where it ends and what is there. It goes on by itself as pages ask it to.
func (f *homePort) visit(method, address string, form url.Values) (at *url.URL, body string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, address, strings.NewReader(form.Encode()))
	require.NoError(f.t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	answer, err := harness.Send(f.t, f.client, r)
	require.NoError(f.t, err)
	if to := answer.Header.Get("Location"); to != "" {
		at, err = url.Parse(to)
		require.NoError(f.t, err)
		return at, ""
	}
	if to, goesOn := strings.CutPrefix(answer.Header.Get("Refresh"), "0; url="); goesOn {
		at, err = url.Parse(to)
		require.NoError(f.t, err)
		return at, answer.Body
	}
	require.Equal(f.t, http.StatusOK, answer.Status, answer.Body)
	return r.URL, answer.Body
}

// starts loads the front end, which asks who may sign in and how.
func (f *homePort) starts() (providers []any) {
	f.t.Helper()
	configuration := f.has(f.read("/api/configuration/"), "LANGUAGES LANGUAGE_CODE FEATURES WALDUR_CORE")
	core := f.has(configuration["WALDUR_CORE"], "INVITATIONS_ENABLED USER_MANDATORY_FIELDS AUTHENTICATION_METHODS DEFAULT_IDP"+
		" OIDC_ACCESS_TOKEN_ENABLED SHORT_PAGE_TITLE SITE_DESCRIPTION SITE_EMAIL MASTERMIND_URL")
	require.Equal(f.t, true, core["INVITATIONS_ENABLED"])
	require.Equal(f.t, false, core["OIDC_ACCESS_TOKEN_ENABLED"])
	require.Equal(f.t, portal+"/", core["HOMEPORT_URL"])
	roles := f.readAll("/api/roles/?page_size=1")
	require.Len(f.t, roles, 2)
	for _, each := range roles {
		f.has(each, "uuid name description content_type permissions is_active")
	}
	providers = f.read("/api/identity-providers/").([]any)
	for _, each := range providers {
		require.Equal(f.t, true, f.has(each, "provider label client_id auth_url is_active")["is_active"])
	}
	return providers
}

// The ways in which front ends sign people in. Each returns the token.
var signIns = map[string]func(f *homePort, env *harness.Env, email string) string{
	// Waldur's front end of 2026 sends the browser to init and exchanges the code.
	"today": func(f *homePort, _ *harness.Env, _ string) string {
		at, _ := f.visit(http.MethodGet, "http://"+f.p.Address+"/api-auth/campus/init/?return_url="+url.QueryEscape(portal)+"&ui_locales=en", nil)
		require.Equal(f.t, "/oauth_login_completed/campus/", at.Path)
		return f.exchange("/api-auth/token-exchange/", map[string]any{"code": at.Query().Get("code")})
	},
	// That of 2024 makes the URL itself from the provider's auth_url, and posts the code with what it knows of OAuth.
	"2024": func(f *homePort, _ *harness.Env, _ string) string {
		provider := f.has(f.read("/api/identity-providers/campus/"), "provider auth_url client_id")
		callback := portal + "/oauth_login_completed/campus/"
		at, _ := f.visit(http.MethodGet, provider["auth_url"].(string)+"?"+url.Values{
			"response_type": {"code"}, "client_id": {provider["client_id"].(string)}, "redirect_uri": {callback}, "scope": {"openid"}, "state": {"k3v9x"},
		}.Encode(), nil)
		require.Equal(f.t, callback, "https://"+at.Host+at.Path)
		require.Equal(f.t, "k3v9x", at.Query().Get("state"))
		return f.exchange("/api-auth/campus/", map[string]any{
			"clientId": provider["client_id"], "code": at.Query().Get("code"), "state": at.Query().Get("state"), "redirectUri": callback,
		})
	},
	// Who has no account at an issuer gets a code by mail, on the server's page.
	"mail": func(f *homePort, env *harness.Env, email string) string {
		base := "http://" + f.p.Address
		_, body := f.visit(http.MethodGet, base+"/api-auth/mail/init/?return_url="+url.QueryEscape(portal)+"&state=mine", nil)
		require.Contains(f.t, body, "Mail me a code")
		form := url.Values{"return_to": {"/api-auth/mail/complete/"}, "email": {email}}
		_, body = f.visit(http.MethodPost, base+"/sign-in/", form)
		require.Contains(f.t, body, "Enter the code")
		var code []string
		f.p.WaitUntil("the code is mailed", func() bool {
			code = regexp.MustCompile(`Subject: (\d{6}) is your code`).FindStringSubmatch(strings.Join(env.Mails(), "\n"))
			return code != nil
		})
		form.Set("code", code[1])
		at, body := f.visit(http.MethodPost, base+"/sign-in/code/", form)
		require.Equal(f.t, "/oauth_login_completed/mail/", at.Path)
		require.Equal(f.t, "mine", at.Query().Get("state"))
		require.Contains(f.t, html.UnescapeString(body), at.String(), "the link for browsers that do not go on by themselves")
		return f.exchange("/api-auth/token-exchange/", map[string]any{"code": at.Query().Get("code")})
	},
}

// exchange exchanges a code, which works once.
func (f *homePort) exchange(path string, body map[string]any) string {
	f.t.Helper()
	var got struct{ Token string }
	require.NoError(f.t, json.Unmarshal([]byte(f.call(http.MethodPost, path, body).Is(http.StatusOK).Body), &got))
	f.call(http.MethodPost, path, body).Is(http.StatusBadRequest)
	return got.Token
}

// Waldur's front end goes from its start to an accepted invitation, and an owner of an organization invites with it. All its
// requests are in its own order, from another origin.
func TestFrontEnd(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		issuer := signintest.New(t)
		env.WriteFile("issuers.yaml", `[{id: campus, issuer: "`+issuer.URL+`", client_id: `+signintest.ClientID+`, client_secret: `+
			signintest.ClientSecret+`, name: Campus}]`)
		env.Set("INVITED_OIDC_FILE=issuers.yaml", "INVITED_FRONTEND_URL="+portal+"/", "INVITED_CORS_ORIGINS="+portal,
			"INVITED_ONLY_STAFF_CAN_INVITE_USERS=true").Apply()
		p := env.Serve()
		p.WaitLog("issuer can be used")

		owner := newHomePort(t, p)
		owner.starts()
		owner.token = harness.Key("olivia")
		me := owner.has(owner.read("/api/users/me/"), "uuid url agreement_date permissions")
		acme := owner.has(me["permissions"].([]any)[0], "scope_uuid scope_type role_name customer_uuid")["customer_uuid"].(string)
		owner.read("/api/roles/?available_for_customer=" + acme)
		scope := owner.has(owner.readAll("/api/projects/?customer=" + acme)[0], "url uuid name")["url"].(string)
		for way, signIn := range signIns {
			email := "by-" + way + "@university.example"
			issuer.Person = signintest.Claims{"sub": way, "email": email, "email_verified": true, "name": "New Comer"}
			made := owner.invites(email, scope)
			approval := newHomePort(t, p)
			approval.starts()
			approval.approves(env, made.UUID)

			f := newHomePort(t, p)
			require.Len(t, f.starts(), 2)
			f.call(http.MethodGet, "/api/user-invitations/"+made.UUID+"/details/", nil).Is(http.StatusUnauthorized)
			f.token = signIn(f, env, email)
			f.accepts(made.UUID, email)
			require.Contains(t, env.Members("Apollo"), email+" PROJECT.ADMIN")

			for _, query := range []string{
				"customer_uuid=" + acme + "&email=" + way + "&state=accepted&state=pending&o=-created", "email=" + way + "&scope=" + url.QueryEscape(scope),
			} {
				rows := owner.readAll("/api/user-invitations/?page_size=1&" + query)
				require.Len(t, rows, 1)
				require.Equal(t, "accepted", owner.has(rows[0], "email role_name role_description scope_name scope_type state created expires"+
					" created_by_full_name execution_state error_message")["state"])
			}
		}
		p.Stop()
	})
}

// invites fills in the form of one row.
func (f *homePort) invites(email, scope string) harness.Invitation {
	f.t.Helper()
	require.Contains(f.t, f.call(http.MethodPost, "/api/user-invitations/check-duplicates/", map[string]any{
		"scope": scope, "invitations": []any{map[string]any{"email": email, "role": harness.RoleUUID}},
	}).Is(http.StatusOK).Body, `"duplicates":[]`)
	made := f.call(http.MethodPost, "/api/user-invitations/", map[string]any{
		"email": email, "role": harness.RoleUUID, "scope": scope, "extra_invitation_text": "Welcome",
	}).Is(http.StatusCreated).Invitation()
	require.Equal(f.t, "requested", made.State)
	f.call(http.MethodPost, "/api/user-invitations/"+made.UUID+"/cancel/", nil).Is(http.StatusBadRequest) // not while it waits
	return made
}

// approves opens the link of the mail to staff.
func (f *homePort) approves(env *harness.Env, id string) {
	f.t.Helper()
	var token string
	f.p.WaitUntil("staff have a mail", func() bool {
		mails := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=").Replace(strings.Join(env.Mails(), "\n"))
		for _, link := range regexp.MustCompile(portal+`/invitation_approve/([^/\s"]+)/`).FindAllStringSubmatch(mails, -1) {
			if tokenIsFor(f.t, link[1], id) {
				token = link[1]
			}
		}
		return token != ""
	})
	body := map[string]any{"token": token}
	f.call(http.MethodPost, "/api/user-invitations/approve/", body).Is(http.StatusOK)
	f.call(http.MethodPost, "/api/user-invitations/reject/", body).Is(http.StatusBadRequest)
}

// tokenIsFor reports whether an approval token is for an invitation.
func tokenIsFor(t *testing.T, token, id string) bool {
	t.Helper()
	invitation := uuid.MustParse(id)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	return bytes.Contains(payload, invitation[:])
}

// accepts goes the way of an invitee who has just signed in.
func (f *homePort) accepts(id, email string) {
	f.t.Helper()
	user := f.has(f.read("/api/users/me/"), "uuid url username full_name email civil_number is_staff is_support permissions image agreement_date")
	require.NotEmpty(f.t, user["agreement_date"], "the front end keeps everybody on their profile otherwise")
	require.Equal(f.t, email, user["email"])
	path := "/api/user-invitations/" + id
	details := f.has(f.read(path+"/details/"), "state email scope_type scope_uuid scope_name role_description created_by_full_name"+
		" created_by_username customer_uuid")
	require.Equal(f.t, "pending", details["state"])
	f.call(http.MethodPost, path+"/accept/", map[string]any{"replace_email": false}).Is(http.StatusOK)
	f.call(http.MethodPost, path+"/accept/", nil).Is(http.StatusNotFound)
	user = f.has(f.read("/api/users/me/"), "permissions")
	role := f.has(user["permissions"].([]any)[0], "scope_type scope_uuid role_name customer_uuid")
	require.Equal(f.t, details["scope_uuid"], role["scope_uuid"])
	f.has(f.read("/api/customers/"+role["customer_uuid"].(string)+"/"), "uuid name")
	f.readAll("/api/projects/?customer=" + role["customer_uuid"].(string))
	// What else Waldur's front end asks there is no part of this server.
	f.p.Do(http.MethodGet, "/api/marketplace-stats/customer_member_count/", "", "", "Origin", portal).Is(http.StatusNotFound)
}
