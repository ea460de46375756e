package webhook

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
)

const deliveryID = "6f1e3f9a2b7c4d5e8f90a1b2c3d4e5f6-3"

var signingKey = []byte("0123456789abcdef0123456789abcdef")

func secret() string { return "whsec_" + base64.StdEncoding.EncodeToString(signingKey) }

func sample() Payload {
	return Payload{
		Email:               "bob@example.org",
		RoleName:            "PROJECT.ADMIN",
		RoleDescription:     "System \"administrator\"",
		ScopeType:           "project",
		ScopeName:           "Ökonomie <1> & more",
		ScopeUUID:           "11111111222233334444555555555555",
		ExtraInvitationText: "Hello,\nsee you\u2028there",
		CreatedByFullName:   "Alice Example",
		CreatedByUsername:   "alice",
		Expires:             Time(time.Date(2026, 3, 1, 1, 2, 3, 4567, time.FixedZone("", 2*60*60))),
		RedirectScopeURL:    "https://portal.example/projects/1/?a=b&c=d",
		InvitationUUID:      "6f1e3f9a2b7c4d5e8f90a1b2c3d4e5f6",
	}
}

// wire is the JSON of sample.
const wire = `{"email":"bob@example.org","role_name":"PROJECT.ADMIN","role_description":"System \"administrator\"",` +
	`"scope_type":"project","scope_name":"Ökonomie \u003c1\u003e \u0026 more",` +
	`"scope_uuid":"11111111222233334444555555555555","extra_invitation_text":"Hello,\nsee you\u2028there",` +
	`"created_by_full_name":"Alice Example","created_by_username":"alice","expires":"2026-02-28T23:02:03.000004Z",` +
	`"redirect_scope_url":"https://portal.example/projects/1/?a=b\u0026c=d","redirect_url":"",` +
	`"invitation_uuid":"6f1e3f9a2b7c4d5e8f90a1b2c3d4e5f6"}`

func newClient(t *testing.T, c Config) *Client {
	t.Helper()
	client, err := New(c)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// newClientWithLogin returns a client that signs, and that fetches tokens at tokenURL.
func newClientWithLogin(t *testing.T, hookURL, tokenURL string) *Client {
	t.Helper()
	return newClient(t, Config{URL: hookURL, TokenURL: tokenURL, ClientID: "cl:ient", ClientSecret: clientSecret, Secret: secret()})
}

// sendWithin calls Send, and returns an error when Send has not returned in time.
func sendWithin(ctx context.Context, c *Client, id string, limit time.Duration) error {
	result := make(chan error, 1)
	go func() { result <- c.Send(ctx, id, time.Now(), sample()) }()
	select {
	case err := <-result:
		return err
	case <-time.After(limit):
		return errors.New("timed out waiting for Send")
	}
}

// send calls Send and inspects its failure.
func send(ctx context.Context, t *testing.T, c *Client) *delivery.Failure {
	t.Helper()
	return inspect(t, sendWithin(ctx, c, deliveryID, maxWait))
}

// inspect checks what every failure has in common.
func inspect(t *testing.T, err error) *delivery.Failure {
	t.Helper()
	if err == nil {
		return nil
	}
	var failure *delivery.Failure
	require.ErrorAs(t, err, &failure)
	require.Regexp(t, `^[A-Z][A-Za-z0-9 ();,'-]+\.$`, failure.Reason)
	require.Less(t, len(failure.Reason), 200)
	require.False(t, failure.Final && failure.Operator)
	require.Equal(t, failure.Operator, strings.Contains(failure.Reason, "the operator has to"))
	require.NotContains(t, failure.Reason, "127.0.0.1")
	for _, hidden := range []string{
		urlKey, clientSecret, url.QueryEscape(clientSecret), "cl1ent", responseText, tokenPrefix, "whsec", secret(),
		strings.TrimPrefix(secret(), "whsec_"), string(signingKey), "://", "bob@",
	} {
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			require.NotContains(t, cause.Error(), hidden)
		}
	}
	return failure
}

// wantFailure is the expected result of a Send. The zero value is success.
type wantFailure struct {
	reason          string
	final, operator bool
}

func requireFailure(t *testing.T, want wantFailure, failure *delivery.Failure) {
	t.Helper()
	if want.reason == "" {
		require.Nil(t, failure)
		return
	}
	require.NotNil(t, failure)
	require.Equal(t, want.reason, failure.Reason)
	require.Equal(t, want.final, failure.Final, "final")
	require.Equal(t, want.operator, failure.Operator, "operator")
}

func TestSendPosts(t *testing.T) {
	t.Parallel()
	server := newServer(t, respondStatus(http.StatusNoContent))
	require.Nil(t, send(t.Context(), t, newClient(t, Config{URL: server.hookURL()})))
	got := server.received()
	require.Len(t, got, 1)
	require.Equal(t, "POST", got[0].method)
	require.Equal(t, "/hook/"+urlKey, got[0].path)
	require.Equal(t, []byte(wire), got[0].body) //nolint:testifylint // the order counts as well
	require.Equal(t, http.Header{
		"Content-Length": {strconv.Itoa(len(wire))},
		"Content-Type":   {"application/json"},
		"User-Agent":     {"invited"},
		"Webhook-Id":     {deliveryID},
	}, got[0].header, "neither login nor signature is set, and nothing else has a reason to be there")
}

func TestPayloadHasEachMember(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(Payload{})
	require.NoError(t, err)
	//nolint:testifylint // the order counts as well
	require.Equal(t, []byte(`{"email":"","role_name":"","role_description":"","scope_type":"","scope_name":"","scope_uuid":"",`+
		`"extra_invitation_text":"","created_by_full_name":"","created_by_username":"","expires":"0001-01-01T00:00:00.000000Z",`+
		`"redirect_scope_url":"","redirect_url":"","invitation_uuid":""}`), raw)
}

func TestPayloadOfARoleThatEnds(t *testing.T) {
	t.Parallel()
	ends := Time(time.Date(2027, 6, 30, 12, 0, 0, 0, time.FixedZone("", 2*60*60)))
	raw, err := json.Marshal(Payload{MembershipExpires: &ends})
	require.NoError(t, err)
	require.Contains(t, string(raw), `"invitation_uuid":"","membership_expires":"2027-06-30T10:00:00.000000Z"}`)
}

func TestSendSigns(t *testing.T) {
	t.Parallel()
	for name, written := range map[string]string{
		"with the prefix":    secret(),
		"without the prefix": strings.TrimPrefix(secret(), "whsec_"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, respondStatus(http.StatusOK))
			before := time.Now().Unix()
			require.Nil(t, send(t.Context(), t, newClient(t, Config{URL: server.hookURL(), Secret: written})))
			checkSignature(t, server.first(t), before)
		})
	}
}

func checkSignature(t *testing.T, got request, before int64) {
	t.Helper()
	library, err := standardwebhooks.NewWebhook(secret())
	require.NoError(t, err)
	require.NoError(t, library.Verify(got.body, got.header))

	timestamp := got.header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	require.NoError(t, err)
	require.GreaterOrEqual(t, seconds, before)
	require.LessOrEqual(t, seconds, time.Now().Unix())

	mac := hmac.New(sha256.New, signingKey)
	mac.Write([]byte(deliveryID + "." + timestamp + "." + wire))
	require.Equal(t, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), got.header.Get("webhook-signature"))
}

func TestSendFetchesOneToken(t *testing.T) {
	t.Parallel()
	login := newServer(t, issueTokens)
	server := newServer(t, requireToken("1"))
	client := newClientWithLogin(t, server.hookURL(), login.URL)
	for range 20 {
		require.Nil(t, send(t.Context(), t, client))
	}
	got := login.received()
	require.Len(t, got, 1, "the token is cached")
	require.Equal(t, "POST", got[0].method)
	require.Equal(t, "grant_type=client_credentials", string(got[0].body))
	username, password, ok := (&http.Request{Header: got[0].header}).BasicAuth()
	require.True(t, ok)
	require.Equal(t, []string{url.QueryEscape("cl:ient"), url.QueryEscape(clientSecret)}, []string{username, password},
		"as of RFC 6749, section 2.3.1")
	require.Len(t, server.received(), 20)
}

// TestSendFetchesATokenWithCredentialsInTheBody has a login server that accepts credentials in the body only.
func TestSendFetchesATokenWithCredentialsInTheBody(t *testing.T) {
	t.Parallel()
	login := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Header.Get("Authorization") != "" {
			respondStatus(http.StatusUnauthorized)(w, r, n)
			return
		}
		writeToken(w, "form", 0)
	})
	server := newServer(t, requireToken("form"))
	client := newClientWithLogin(t, server.hookURL(), login.URL)
	require.Nil(t, send(t.Context(), t, client))
	require.Nil(t, send(t.Context(), t, client))
	got := login.received()
	require.Len(t, got, 2)
	form, err := url.ParseQuery(string(got[1].body))
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"cl:ient"}, "client_secret": {clientSecret},
	}, form)
}

func TestSendReplacesAnExpiredToken(t *testing.T) {
	t.Parallel()
	login := newServer(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			writeToken(w, "short", 10) // which package oauth2 takes for expired, so that none expires on its way
			return
		}
		writeToken(w, "long", 3600)
	})
	server := newServer(t, respondStatus(http.StatusOK))
	client := newClientWithLogin(t, server.hookURL(), login.URL)
	var used []string
	for range 3 {
		require.Nil(t, send(t.Context(), t, client))
	}
	for _, got := range server.received() {
		used = append(used, strings.TrimPrefix(got.header.Get("Authorization"), "Bearer "+tokenPrefix))
	}
	require.Equal(t, []string{"short", "long", "long"}, used)
	require.Len(t, login.received(), 2)
}

func TestSendReplacesARefusedToken(t *testing.T) {
	t.Parallel()
	login := newServer(t, issueTokens)
	server := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n <= 2 {
			requireToken("1")(w, r, n)
			return
		}
		requireToken("2")(w, r, n)
	})
	client := newClientWithLogin(t, server.hookURL(), login.URL)
	before := time.Now().Unix()
	for range 4 {
		require.Nil(t, send(t.Context(), t, client))
	}
	require.Len(t, login.received(), 2)
	require.Len(t, server.received(), 5, "the third request was repeated")
	for _, got := range server.received() {
		require.Equal(t, deliveryID, got.header.Get("webhook-id"))
		checkSignature(t, got, before)
	}
}

// TestSendReplacesATokenOnlyOnce has an endpoint that refuses every token: Send ends with the second refusal, and without
// client credentials with the first.
func TestSendReplacesATokenOnlyOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusUnauthorized, http.StatusProxyAuthRequired} {
		want := wantFailure{fmt.Sprintf("The webhook refused the login (%d); the operator has to check the webhook settings.", code), false, true}
		login := newServer(t, issueTokens)
		server := newServer(t, respondStatus(code))
		client := newClientWithLogin(t, server.hookURL(), login.URL)
		requireFailure(t, want, send(t.Context(), t, client))
		require.Len(t, login.received(), 2)
		require.Len(t, server.received(), 2)

		requireFailure(t, want, send(t.Context(), t, client))
		require.Len(t, login.received(), 3, "the cached token was tried first")
		require.Len(t, server.received(), 4)

		server = newServer(t, respondStatus(code))
		requireFailure(t, want, send(t.Context(), t, newClient(t, Config{URL: server.hookURL()})))
		require.Len(t, server.received(), 1)
	}
}

// TestSendDropsARefusedToken has a login server that is down when a new token is needed.
func TestSendDropsARefusedToken(t *testing.T) {
	t.Parallel()
	login := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 2 {
			respondStatus(http.StatusServiceUnavailable)(w, r, n)
			return
		}
		issueTokens(w, r, n)
	})
	server := newServer(t, requireToken("3"))
	client := newClientWithLogin(t, server.hookURL(), login.URL)
	requireFailure(t, wantFailure{"The login server of the webhook asked to try again later (503).", false, false}, send(t.Context(), t, client))
	require.Len(t, server.received(), 1)
	require.Nil(t, send(t.Context(), t, client))
	require.Len(t, server.received(), 2, "the refused token was not tried again")
}

func TestSendClassifiesResponses(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]wantFailure{
		200: {},
		201: {},
		202: {},
		204: {},
		299: {},
		300: {"The webhook redirects elsewhere (300), which is not followed; the operator has to check the webhook settings.", false, true},
		304: {"The webhook redirects elsewhere (304), which is not followed; the operator has to check the webhook settings.", false, true},
		400: {"The webhook refused the invitation (400).", true, false},
		403: {"The webhook refused the invitation (403).", true, false},
		404: {"The webhook refused the invitation (404).", true, false},
		408: {"The webhook asked to try again later (408).", false, false},
		410: {"The webhook refused the invitation (410).", true, false},
		413: {"The webhook refused the invitation (413).", true, false},
		422: {"The webhook refused the invitation (422).", true, false},
		425: {"The webhook asked to try again later (425).", false, false},
		429: {"The webhook asked to try again later (429).", false, false},
		451: {"The webhook refused the invitation (451).", true, false},
		500: {"The webhook asked to try again later (500).", false, false},
		501: {"The webhook asked to try again later (501).", false, false},
		502: {"The webhook asked to try again later (502).", false, false},
		503: {"The webhook asked to try again later (503).", false, false},
		504: {"The webhook asked to try again later (504).", false, false},
		599: {"The webhook asked to try again later (599).", false, false},
		600: {"The webhook gave an answer that is not understood (600); the operator has to check the webhook settings.", false, true},
		999: {"The webhook gave an answer that is not understood (999); the operator has to check the webhook settings.", false, true},
	} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			server := newServer(t, respondStatus(code))
			requireFailure(t, want, send(t.Context(), t, newClient(t, Config{URL: server.hookURL()})))
			require.Len(t, server.received(), 1)
		})
	}
}

func TestSendClassifiesResponsesOfTheLoginServer(t *testing.T) {
	t.Parallel()
	respond := func(code int, contentType, body string) handler {
		return func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	const settings = "; the operator has to check the webhook settings."
	refused := func(code int) wantFailure {
		return wantFailure{fmt.Sprintf("The login server of the webhook refused the login (%d)%s", code, settings), false, true}
	}
	later := func(code int) wantFailure {
		return wantFailure{fmt.Sprintf("The login server of the webhook asked to try again later (%d).", code), false, false}
	}
	noToken := wantFailure{"The login server of the webhook gave no token" + settings, false, true}
	redirects := wantFailure{"The login server of the webhook redirects elsewhere (300), which is not followed" + settings, false, true}
	odd := wantFailure{"The login server of the webhook gave an answer that is not understood (700)" + settings, false, true}
	const asJSON = "application/json"
	for name, test := range map[string]struct {
		respond handler
		want    wantFailure
		cause   string // in the log
	}{
		"unknown client":        {respond(401, asJSON, `{"error":"invalid_client","error_description":"`+responseText+`"}`), refused(401), "invalid_client"},
		"bad request":           {respond(400, asJSON, `{"error":"invalid_scope","error_uri":"https://`+responseText+`"}`), refused(400), "invalid_scope"},
		"as a form":             {respond(400, "application/x-www-form-urlencoded", "error=invalid_client&x="+responseText), refused(400), "invalid_client"},
		"code repeats a secret": {respond(400, asJSON, `{"error":"bad `+clientSecret+`"}`), refused(400), ""},
		"code without end":      {respond(400, asJSON, `{"error":"`+strings.Repeat("x", 5000)+`"}`), refused(400), ""},
		"code breaks the line":  {respond(400, asJSON, `{"error":"a\nb\u001b[31m"}`), refused(400), ""},
		"without a code":        {respondStatus(403), refused(403), ""},
		"wrong place":           {respondStatus(404), refused(404), ""},
		"error with 200":        {respond(200, asJSON, `{"error":"invalid_client"}`), refused(200), "invalid_client"},
		"redirect":              {respondStatus(300), redirects, ""},
		"timeout":               {respondStatus(408), later(408), ""},
		"too many":              {respond(429, asJSON, `{"error":"slow_down"}`), later(429), "slow_down"},
		"error":                 {respondStatus(500), later(500), ""},
		"unavailable":           {respondStatus(503), later(503), ""},
		"unheard of":            {respondStatus(700), odd, ""},
		"no JSON":               {respond(200, asJSON, responseText), noToken, ""},
		"a web page":            {respond(200, "text/html", "<p>"+responseText), noToken, ""},
		"nothing":               {respondStatus(204), noToken, ""},
		"no token":              {respond(200, asJSON, `{"token":"`+responseText+`"}`), noToken, ""},
		"empty token":           {respond(200, asJSON, `{"access_token":""}`), noToken, ""},
		"number for a token":    {respond(200, asJSON, `{"access_token":1234567}`), noToken, ""},
		"nonsense for expiry":   {respond(200, asJSON, `{"access_token":"a","expires_in":"`+responseText+`"}`), noToken, ""},
		"header in the token":   {respond(200, asJSON, `{"access_token":"a\r\nX-Evil: `+responseText+`"}`), noToken, ""},
		"token beyond ASCII":    {respond(200, asJSON, `{"access_token":"tökén"}`), noToken, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			login := newServer(t, test.respond)
			server := newServer(t, respondStatus(http.StatusOK))
			failure := send(t.Context(), t, newClientWithLogin(t, server.hookURL(), login.URL+"/"+urlKey))
			requireFailure(t, test.want, failure)
			if test.cause == "" {
				require.NoError(t, failure.Err)
			} else {
				require.EqualError(t, failure.Err, test.cause)
			}
			require.Empty(t, server.received(), "nothing is posted without a token")
		})
	}
}

func TestSendFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			target := newServer(t, issueTokens)
			for _, location := range []string{target.URL, "/" + responseText, "http://[" + responseText} {
				settings := fmt.Sprintf("redirects elsewhere (%d), which is not followed; the operator has to check the webhook settings.", code)

				server := newServer(t, redirect(code, location))
				requireFailure(t, wantFailure{"The webhook " + settings, false, true}, send(t.Context(), t, newClient(t, Config{URL: server.hookURL()})))
				require.Len(t, server.received(), 1)

				login := newServer(t, redirect(code, location))
				server = newServer(t, respondStatus(http.StatusOK))
				requireFailure(t, wantFailure{"The login server of the webhook " + settings, false, true},
					send(t.Context(), t, newClientWithLogin(t, server.hookURL(), login.URL)))
				require.Empty(t, server.received())
				for _, got := range login.received() {
					require.Equal(t, "/", got.path)
				}
			}
			require.Empty(t, target.received())
		})
	}
}

func TestSendLimitsTheResponse(t *testing.T) {
	t.Parallel()
	const much = 32 << 20 // what the kernel holds on both sides is far below it
	for name, test := range map[string]struct {
		code int
		want wantFailure
	}{
		"taken":   {http.StatusOK, wantFailure{}},
		"refused": {http.StatusUnprocessableEntity, wantFailure{"The webhook refused the invitation (422).", true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var written atomic.Int64
			server := newServer(t, endless(test.code, &written))
			start := time.Now()
			requireFailure(t, test.want, send(t.Context(), t, newClient(t, Config{URL: server.hookURL()})))
			require.Less(t, time.Since(start), sendTimeout/2)
			server.Close() // waits for the handler, and so for its last write
			require.Less(t, written.Load(), int64(much))
		})
	}
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		var written atomic.Int64
		login := newServer(t, endless(http.StatusOK, &written))
		start := time.Now()
		requireFailure(t, wantFailure{"The login server of the webhook gave no token; the operator has to check the webhook settings.", false, true},
			send(t.Context(), t, newClientWithLogin(t, "http://127.0.0.1:1/", login.URL)))
		require.Less(t, time.Since(start), sendTimeout/2)
		login.Close()
		require.Less(t, written.Load(), int64(2*much), "there are two attempts, one for each place of the credentials")
	})
	for name, header := range map[string]string{
		"header":        "X-Long: " + strings.Repeat("x", maxResponse) + "\r\n",
		"header values": strings.Repeat("X-Many: x\r\n", maxResponse/8),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := newRaw(t, rawResponse("HTTP/1.1 200 OK\r\n"+header+"Content-Length: 0\r\n\r\n"))
			requireFailure(t, wantFailure{"The conversation with the webhook broke off.", false, false}, send(t.Context(), t, newClient(t, Config{URL: raw})))
		})
	}
}

// TestSendEndsInTime uses the fake clock of synctest, and a context without a deadline.
func TestSendEndsInTime(t *testing.T) {
	t.Parallel()
	late := wantFailure{"The webhook did not answer in time.", false, false}
	drip := func(first, each string) func(net.Conn) {
		return func(conn net.Conn) {
			_, err := io.WriteString(conn, first)
			for range 1000 { // the fake clock would let a Send without a timeout run for ever
				if err != nil {
					return
				}
				time.Sleep(time.Second) //nolint:forbidigo // by the fake clock
				_, err = io.WriteString(conn, each)
			}
		}
	}
	for name, test := range map[string]struct {
		respond func(conn net.Conn)
		want    wantFailure
		after   time.Duration
	}{
		"silence":             {func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }, late, 15 * time.Second},
		"a byte each second":  {drip("HTTP/1.1 200 OK\r\nX-Slow: ", "x"), late, 15 * time.Second},
		"one 1xx each second": {drip("", "HTTP/1.1 102 Processing\r\n\r\n"), late, 15 * time.Second},
		// A known status counts even when the body never ends.
		"body of a success": {drip("HTTP/1.1 200 OK\r\n\r\n", "x"), wantFailure{}, 2 * time.Second},
		"body of a refusal": {drip("HTTP/1.1 422 No\r\n\r\n", "x"), wantFailure{"The webhook refused the invitation (422).", true, false}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, Config{URL: "http://hook.example"})
				client.transport.DialContext = dialPipe(t, func(conn net.Conn) {
					r, err := http.ReadRequest(bufio.NewReader(conn))
					if err == nil {
						_, err = io.Copy(io.Discard, r.Body)
					}
					if err == nil {
						test.respond(conn)
					}
				})
				start := time.Now()
				failure := inspect(t, sendWithin(t.Context(), client, deliveryID, 2*sendTimeout))
				require.Equal(t, test.after, time.Since(start))
				requireFailure(t, test.want, failure)
			})
		})
	}
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, Config{URL: "https://hook.example"})
			client.transport.DialContext = dialPipe(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
			start := time.Now()
			requireFailure(t, late, inspect(t, sendWithin(t.Context(), client, deliveryID, 2*sendTimeout)))
			require.Equal(t, 10*time.Second, time.Since(start), "the transport's own timeout")
		})
	})
	t.Run("dial", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, Config{URL: "https://hook.example"})
			client.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				select {
				case <-ctx.Done():
				case <-t.Context().Done(): // a Send that has lost its context must not hang here
				}
				return nil, ctx.Err()
			}
			start := time.Now()
			requireFailure(t, late, inspect(t, sendWithin(t.Context(), client, deliveryID, 2*sendTimeout)))
			require.Equal(t, 15*time.Second, time.Since(start))
		})
	})
}

// dialPipe returns a dialer whose connections are served by serve, and closed when serve returns or the test ends.
func dialPipe(t *testing.T, serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	var group sync.WaitGroup
	t.Cleanup(group.Wait) // the fake clock stands still when the test function has returned
	return func(context.Context, string, string) (net.Conn, error) {
		clientSide, serverSide := net.Pipe()
		stop := context.AfterFunc(t.Context(), func() { serverSide.Close() })
		group.Go(func() {
			defer stop()
			defer serverSide.Close()
			serve(serverSide)
		})
		return clientSide, nil
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	silentServer := newServer(t, silent)
	for name, test := range map[string]struct {
		client *Client
		late   string
	}{
		"webhook":      {newClient(t, Config{URL: silentServer.hookURL()}), "The webhook did not answer in time."},
		"login server": {newClientWithLogin(t, silentServer.hookURL(), silentServer.URL), "The login server of the webhook did not answer in time."},
	} {
		t.Run(name+", deadline", func(t *testing.T) {
			t.Parallel()
			cause := errors.New("the caller's own")
			ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, cause)
			defer cancel()
			start := time.Now()
			failure := send(ctx, t, test.client)
			requireFailure(t, wantFailure{test.late, false, false}, failure)
			require.ErrorIs(t, failure, cause)
			require.Less(t, time.Since(start), sendTimeout/2)
		})
		t.Run(name+", cancelled", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
			failure := send(ctx, t, test.client)
			requireFailure(t, wantFailure{"Sending was interrupted.", false, false}, failure)
			require.ErrorIs(t, failure, context.Canceled)
		})
		t.Run(name+", cancelled before", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			requireFailure(t, wantFailure{"Sending was interrupted.", false, false}, send(ctx, t, test.client))
		})
	}
}

// TestSendTimesOutWhileAnotherFetchesAToken has a Send that waits for the login server, and a shorter one that waits for
// the first.
func TestSendTimesOutWhileAnotherFetchesAToken(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	login := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		asked <- struct{}{}
		silent(w, r, n)
	})
	client := newClientWithLogin(t, "http://127.0.0.1:1/", login.URL)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- client.Send(ctx, deliveryID, time.Now(), sample()) }()
	receive(t, asked, "the request for a token")

	short, cancelShort := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelShort()
	requireFailure(t, wantFailure{"The login server of the webhook did not answer in time.", false, false}, send(short, t, client))
	require.Empty(t, first)
	require.Len(t, login.received(), 1)
	cancel()
	require.ErrorIs(t, receive(t, first, "the first Send"), context.Canceled)
}

func TestSendOverABrokenConnection(t *testing.T) {
	t.Parallel()
	taken := wantFailure{}
	broken := wantFailure{"The conversation with the webhook broke off.", false, false}
	loginBroken := wantFailure{"The conversation with the login server of the webhook broke off.", false, false}
	for name, test := range map[string]struct {
		text        string
		hook, login wantFailure
	}{
		"nothing":                 {"", broken, loginBroken},
		"half a status":           {"HTTP/1.1 20", broken, loginBroken},
		"half a header":           {"HTTP/1.1 200 OK\r\nX-Answer: " + responseText, broken, loginBroken},
		"half a body":             {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":", taken, loginBroken},
		"half a chunk":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", taken, loginBroken},
		"not HTTP":                {responseText + "\r\n\r\n", broken, loginBroken},
		"not a status":            {"HTTP/1.1 " + responseText + "\r\n\r\n", broken, loginBroken},
		"not a header":            {"HTTP/1.1 200 OK\r\n" + responseText + "\r\n\r\n", broken, loginBroken},
		"TLS in words":            {"HTTP/1.1 200 OK\r\n\x01 tls: " + responseText + "\r\n\r\n", broken, loginBroken},
		"unknown encoding":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + responseText + "\r\n\r\n", broken, loginBroken},
		"two different lengths":   {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2" + responseText + "\r\n\r\n", broken, loginBroken},
		"chunk of unknown length": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + responseText + "\r\n", taken, loginBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := newRaw(t, rawResponse(test.text))
			failure := send(t.Context(), t, newClient(t, Config{URL: raw}))
			requireFailure(t, test.hook, failure)
			if name == "nothing" || name == "half a header" {
				require.ErrorIs(t, failure.Err, io.ErrUnexpectedEOF)
			}

			server := newServer(t, respondStatus(http.StatusOK))
			requireFailure(t, test.login, send(t.Context(), t, newClientWithLogin(t, server.hookURL(), raw)))
			require.Empty(t, server.received())
		})
	}
}

// TestSendRetriesOnAClosedIdleConnection has a server that closes an idle connection as the client writes to it.
func TestSendRetriesOnAClosedIdleConnection(t *testing.T) {
	t.Parallel()
	raw := newRaw(t, func(conn net.Conn, n int) bool {
		if n == 2 {
			return false
		}
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return err == nil
	})
	client := newClient(t, Config{URL: raw})
	require.Nil(t, send(t.Context(), t, client))
	require.Nil(t, send(t.Context(), t, client))
}

func TestSendToAnUnreachableServer(t *testing.T) {
	t.Parallel()
	unreachable := "http://" + unusedAddress(t) + "/" + urlKey
	failure := send(t.Context(), t, newClient(t, Config{URL: unreachable}))
	requireFailure(t, wantFailure{"The webhook can't be reached.", false, false}, failure)
	require.ErrorContains(t, failure.Err, "connection refused")

	server := newServer(t, respondStatus(http.StatusOK))
	failure = send(t.Context(), t, newClientWithLogin(t, server.hookURL(), unreachable))
	requireFailure(t, wantFailure{"The login server of the webhook can't be reached.", false, false}, failure)
	require.ErrorContains(t, failure.Err, "connection refused")
	require.Empty(t, server.received())

	client := newClient(t, Config{URL: "http://hook.invalid/" + urlKey})
	client.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "hook.invalid", IsNotFound: true}}
	}
	requireFailure(t, wantFailure{"The webhook can't be reached.", false, false}, send(t.Context(), t, client))
}

func TestSendVerifiesTheServer(t *testing.T) {
	t.Parallel()
	const insecure = "could be made; the operator has to check its certificate."
	newTLS := func(t *testing.T, respond handler, config *tls.Config) *testServer {
		t.Helper()
		s := newUnstarted(t, respond)
		s.TLS = config
		s.EnableHTTP2 = true
		s.StartTLS()
		return s
	}
	trust := func(c *Client, s *testServer) {
		c.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		c.transport.TLSClientConfig.RootCAs.AddCert(s.Certificate())
	}
	for name, test := range map[string]struct {
		config  *tls.Config
		trusted bool
		change  func(serverURL string) string
		fails   bool
	}{
		"all in order":   {nil, true, nil, false},
		"unknown issuer": {nil, false, nil, true},
		"other name":     {nil, true, func(u string) string { return strings.Replace(u, "127.0.0.1", "localhost", 1) }, true},
		"old protocol":   {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, true, nil, true},
		// With TLS 1.3 the server refuses after the client has begun to write, and the refusal may get lost.
		"wants a certificate": {&tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, true, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newTLS(t, issueTokens, test.config)
			serverURL := server.URL + "/" + urlKey
			if test.change != nil {
				serverURL = test.change(serverURL)
			}
			client := newClient(t, Config{URL: serverURL})
			plain := newServer(t, respondStatus(http.StatusOK))
			loggedIn := newClientWithLogin(t, plain.hookURL(), serverURL)
			if test.trusted {
				trust(client, server)
				trust(loggedIn, server)
			}
			if !test.fails {
				require.Nil(t, send(t.Context(), t, client))
				require.Nil(t, send(t.Context(), t, loggedIn))
				require.Equal(t, "HTTP/1.1", server.first(t).proto)
				return
			}
			failure := send(t.Context(), t, client)
			requireFailure(t, wantFailure{"No secure connection to the webhook " + insecure, false, true}, failure)
			require.Error(t, failure.Err)
			requireFailure(t, wantFailure{"No secure connection to the login server of the webhook " + insecure, false, true}, send(t.Context(), t, loggedIn))
			require.Empty(t, server.received())
			require.Empty(t, plain.received())
		})
	}
	t.Run("nonsense in TLS", func(t *testing.T) {
		t.Parallel()
		address := listen(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "\x16\x03\x03\x00\x04\x0e\x00\x00\x00") // a server's last handshake message, sent first
			_, _ = io.Copy(io.Discard, conn)
		})
		requireFailure(t, wantFailure{"No secure connection to the webhook " + insecure, false, true},
			send(t.Context(), t, newClient(t, Config{URL: "https://" + address})))
	})
	t.Run("no TLS", func(t *testing.T) {
		t.Parallel()
		server := newServer(t, issueTokens)
		secure := strings.Replace(server.hookURL(), "http:", "https:", 1)
		requireFailure(t, wantFailure{"No secure connection to the webhook " + insecure, false, true},
			send(t.Context(), t, newClient(t, Config{URL: secure})))
		requireFailure(t, wantFailure{"No secure connection to the login server of the webhook " + insecure, false, true},
			send(t.Context(), t, newClientWithLogin(t, server.hookURL(), secure)))
		require.Empty(t, server.received())
	})
}

func TestSendThroughProxies(t *testing.T) {
	t.Parallel()
	for code, test := range map[int]struct{ hook, login wantFailure }{
		403: {
			wantFailure{"A proxy refused the connection to the webhook (403); the operator has to check the proxy settings.", false, true},
			wantFailure{"A proxy refused the connection to the login server of the webhook (403); the operator has to check the proxy settings.", false, true},
		},
		407: {
			wantFailure{"A proxy refused the connection to the webhook (407); the operator has to check the proxy settings.", false, true},
			wantFailure{"A proxy refused the connection to the login server of the webhook (407); the operator has to check the proxy settings.", false, true},
		},
		503: {
			wantFailure{"The webhook can't be reached.", false, false},
			wantFailure{"The login server of the webhook can't be reached.", false, false},
		},
	} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			proxy := newRaw(t, rawResponse(fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", code, responseText)))
			proxyURL, err := url.Parse(proxy)
			require.NoError(t, err)
			hookURL := "https://hook.example/" + urlKey

			client := newClient(t, Config{URL: hookURL})
			client.transport.Proxy = http.ProxyURL(proxyURL)
			requireFailure(t, test.hook, send(t.Context(), t, client))

			client = newClientWithLogin(t, hookURL, "https://login.example/"+urlKey)
			client.transport.Proxy = http.ProxyURL(proxyURL)
			requireFailure(t, test.login, send(t.Context(), t, client))
		})
	}
	t.Run("unreachable proxy", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, Config{URL: "https://hook.example/" + urlKey})
		client.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: unusedAddress(t)})
		requireFailure(t, wantFailure{"The webhook can't be reached.", false, false}, send(t.Context(), t, client))
	})
	t.Run("insecure", func(t *testing.T) {
		t.Parallel()
		unknown := newUnstarted(t, respondStatus(http.StatusOK))
		unknown.StartTLS()
		plain := newServer(t, respondStatus(http.StatusOK))
		for _, proxy := range []*testServer{unknown, plain} {
			client := newClient(t, Config{URL: "https://hook.example/" + urlKey})
			client.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "https", Host: proxy.Listener.Addr().String()})
			requireFailure(t, wantFailure{"No secure connection to the webhook could be made; the operator has to check its certificate.", false, true},
				send(t.Context(), t, client))
		}
	})
	t.Run("tunnel", func(t *testing.T) {
		t.Parallel()
		server := newUnstarted(t, respondStatus(http.StatusOK))
		server.StartTLS()
		proxy := newServer(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			far, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
			if err != nil {
				return
			}
			defer far.Close()
			w.WriteHeader(http.StatusOK)
			near, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer near.Close()
			go func() { _, _ = io.Copy(near, far) }()
			_, _ = io.Copy(far, buffered)
		})
		proxyURL, err := url.Parse(proxy.URL)
		require.NoError(t, err)
		client := newClient(t, Config{URL: server.hookURL()})
		client.transport.Proxy = http.ProxyURL(proxyURL)
		client.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		client.transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
		require.Nil(t, send(t.Context(), t, client))
		require.Len(t, proxy.received(), 1)
		require.Equal(t, "CONNECT", proxy.received()[0].method)
		require.NotContains(t, fmt.Sprint(proxy.received()), urlKey)
		client.Close()
	})
	t.Run("of the environment", func(t *testing.T) {
		t.Parallel()
		require.NotNil(t, newClient(t, Config{URL: "https://hook.example"}).transport.Proxy)
	})
}

func TestSendReusesItsConnection(t *testing.T) {
	t.Parallel()
	for name, respond := range map[string]handler{
		"no content": respondStatus(http.StatusNoContent),
		"short":      respondStatus(http.StatusOK),
		"long": func(w http.ResponseWriter, _ *http.Request, _ int) {
			fmt.Fprint(w, strings.Repeat("x", maxResponse-1))
		},
		"refused": respondStatus(http.StatusTeapot),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, respond)
			client := newClient(t, Config{URL: server.hookURL()})
			for range 20 {
				_ = send(t.Context(), t, client) // some of the answers are refusals
			}
			require.Len(t, server.received(), 20)
			require.Equal(t, int32(1), server.connections.Load())

			client.Close()
			_ = send(t.Context(), t, client)
			require.Equal(t, int32(2), server.connections.Load())
		})
	}
}

func TestConcurrentSends(t *testing.T) {
	t.Parallel()
	const many = 40
	login := newServer(t, issueTokens)
	var accepts atomic.Value
	accepts.Store("1")
	server := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) { requireToken(accepts.Load().(string))(w, r, n) })
	client := newClientWithLogin(t, server.hookURL(), login.URL)
	together := func() {
		var group sync.WaitGroup
		failures := make([]error, many)
		for i := range many {
			group.Go(func() { failures[i] = sendWithin(t.Context(), client, deliveryID+strconv.Itoa(i), maxWait) })
		}
		group.Wait()
		for _, err := range failures {
			require.NoError(t, err)
		}
	}
	together()
	require.Len(t, login.received(), 1)
	require.Len(t, server.received(), many)
	require.LessOrEqual(t, server.connections.Load(), int32(maxConns))

	accepts.Store("2")
	together()
	require.Len(t, login.received(), 2, "all refused requests share one new token")
	require.LessOrEqual(t, server.connections.Load(), int32(maxConns))

	library, err := standardwebhooks.NewWebhook(secret())
	require.NoError(t, err)
	var ids []string
	for _, got := range server.received() {
		require.Equal(t, []byte(wire), got.body) //nolint:testifylint // the order counts as well
		require.NoError(t, library.Verify(got.body, got.header))
		ids = append(ids, got.header.Get("webhook-id"))
	}
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), many)
}

func TestNew(t *testing.T) {
	t.Parallel()
	const fine = "https://hook.example"
	encoded := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, c := range []Config{
		{URL: fine},
		{URL: "HTTP://hook_1.example:8080/a/b?key=1#x"},
		{URL: "http://[::1]:1/"},
		{URL: fine, Secret: encoded(24)},
		{URL: fine, Secret: "whsec_" + encoded(64)},
		{URL: fine, TokenURL: "http://sso.example/token", ClientID: "a", ClientSecret: "b"},
	} {
		_, err := New(c)
		require.NoError(t, err, "%+v", c)
	}

	const notURL = " is not an absolute http or https URL"
	const together = " must be set as well, or none of the token URL, the client ID and the client secret"
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{}, "the webhook URL is missing"},
		{Config{URL: "hidd3n.example/hook"}, "the webhook URL" + notURL},
		{Config{URL: "/hidd3n"}, "the webhook URL" + notURL},
		{Config{URL: "ftp://hidd3n"}, "the webhook URL" + notURL},
		{Config{URL: "https:hidd3n"}, "the webhook URL" + notURL},
		{Config{URL: "https:///hidd3n"}, "the webhook URL" + notURL},
		{Config{URL: "https://:443/hidd3n"}, "the webhook URL" + notURL},
		{Config{URL: "https://hidd3n\n"}, "the webhook URL" + notURL},
		{Config{URL: "https://hook.example/hidd3n "}, "the webhook URL" + notURL},
		{Config{URL: "https://hook.example/%zz-hidd3n"}, "the webhook URL" + notURL},
		{Config{URL: "https://hook.example:hidd3n"}, "the webhook URL" + notURL},
		{Config{URL: "https://hidd3n:0"}, "the webhook URL has a port out of range"},
		{Config{URL: "https://hidd3n:65536"}, "the webhook URL has a port out of range"},
		{Config{URL: "https://user:hidd3n@hook.example"}, "the webhook URL has a user or a password in it, which would not be sent"},
		{Config{URL: fine, TokenURL: "hidd3n"}, "the client ID and the client secret" + together},
		{Config{URL: fine, ClientID: "hidd3n"}, "the token URL and the client secret" + together},
		{Config{URL: fine, ClientSecret: "hidd3n"}, "the token URL and the client ID" + together},
		{Config{URL: fine, ClientID: "hidd3n", ClientSecret: "hidd3n"}, "the token URL" + together},
		{Config{URL: fine, TokenURL: fine, ClientSecret: "hidd3n"}, "the client ID" + together},
		{Config{URL: fine, TokenURL: fine, ClientID: "hidd3n"}, "the client secret" + together},
		{Config{URL: fine, TokenURL: "hidd3n", ClientID: "hidd3n", ClientSecret: "hidd3n"}, "the token URL" + notURL},
		{
			Config{URL: fine, TokenURL: "https://user:hidd3n@sso.example", ClientID: "hidd3n", ClientSecret: "hidd3n"},
			"the token URL has a user or a password in it, which would not be sent",
		},
		{Config{URL: fine, Secret: "hidd3n!"}, "the webhook secret is not base64, with or without whsec_ in front"},
		{Config{URL: fine, Secret: "whsec_whsec_hidd3n"}, "the webhook secret is not base64, with or without whsec_ in front"},
		{Config{URL: fine, Secret: "whsec_"}, "the webhook secret is not 24 to 64 bytes long"},
		{Config{URL: fine, Secret: encoded(23)}, "the webhook secret is not 24 to 64 bytes long"},
		{Config{URL: fine, Secret: encoded(65)}, "the webhook secret is not 24 to 64 bytes long"},
	} {
		client, err := New(test.config)
		require.EqualError(t, err, test.want)
		require.Nil(t, client)
	}
}

// TestNewLeavesTheDefaultTransportAlone checks that the settings of New reach no other client of the process.
func TestNewLeavesTheDefaultTransportAlone(t *testing.T) {
	t.Parallel()
	shared := http.DefaultTransport.(*http.Transport)
	newClient(t, Config{URL: "https://hook.example"})
	require.Zero(t, shared.MaxConnsPerHost)
	require.Nil(t, shared.OnProxyConnectResponse)
	require.Nil(t, shared.Protocols)
}

// After a 101 the server keeps the connection open: only the client can end the exchange.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	hookURL := "http://" + listen(t, func(conn net.Conn) {
		buffered := bufio.NewReader(conn)
		if _, err := http.ReadRequest(buffered); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, buffered)
		}
	}) + "/hook"
	for name, client := range map[string]*Client{
		"webhook":      newClient(t, Config{URL: hookURL}),
		"login server": newClientWithLogin(t, hookURL, hookURL),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			failure := send(ctx, t, client)
			require.NotNil(t, failure)
			require.NoError(t, ctx.Err(), "Send waited for more after the 101")
			require.True(t, failure.Operator)
		})
	}
}
