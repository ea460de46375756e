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

// wire is what sample is on the wire.
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

// withLogin is a client for both servers.
func withLogin(t *testing.T, hookURL, tokenURL string) *Client {
	t.Helper()
	return newClient(t, Config{URL: hookURL, TokenURL: tokenURL, ClientID: "cl:ient", ClientSecret: clientSecret, Secret: secret()})
}

// send checks of every failure what is true of all.
func send(ctx context.Context, t *testing.T, c *Client) *delivery.Failure {
	t.Helper()
	err := c.Send(ctx, deliveryID, time.Now(), sample())
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
		urlKey, clientSecret, url.QueryEscape(clientSecret), "cl1ent", answerText, tokenPrefix, "whsec", secret(),
		strings.TrimPrefix(secret(), "whsec_"), string(signingKey), "://", "bob@",
	} {
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			require.NotContains(t, cause.Error(), hidden)
		}
	}
	return failure
}

// want is a failure as it should be.
type want struct {
	reason          string
	final, operator bool
}

func check(t *testing.T, want want, failure *delivery.Failure) {
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
	server := newServer(t, status(http.StatusNoContent))
	require.Nil(t, send(t.Context(), t, newClient(t, Config{URL: server.hook()})))
	got := server.got()
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

func TestSendSigns(t *testing.T) {
	t.Parallel()
	for name, written := range map[string]string{
		"with the prefix":    secret(),
		"without the prefix": strings.TrimPrefix(secret(), "whsec_"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, status(http.StatusOK))
			before := time.Now().Unix()
			require.Nil(t, send(t.Context(), t, newClient(t, Config{URL: server.hook(), Secret: written})))
			checkSignature(t, server.got()[0], before)
		})
	}
}

func checkSignature(t *testing.T, got received, before int64) {
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

func TestSendLogsIn(t *testing.T) {
	t.Parallel()
	login := newServer(t, numbered)
	server := newServer(t, only("1"))
	client := withLogin(t, server.hook(), login.URL)
	for range 20 {
		require.Nil(t, send(t.Context(), t, client))
	}
	got := login.got()
	require.Len(t, got, 1, "the token is kept")
	require.Equal(t, "POST", got[0].method)
	require.Equal(t, "grant_type=client_credentials", string(got[0].body))
	username, password, ok := (&http.Request{Header: got[0].header}).BasicAuth()
	require.True(t, ok)
	require.Equal(t, []string{url.QueryEscape("cl:ient"), url.QueryEscape(clientSecret)}, []string{username, password},
		"as of RFC 6749, section 2.3.1")
	require.Len(t, server.got(), 20)
}

// TestSendLogsInByForm has a login server that wants the credentials in the body.
func TestSendLogsInByForm(t *testing.T) {
	t.Parallel()
	login := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Header.Get("Authorization") != "" {
			status(http.StatusUnauthorized)(w, r, n)
			return
		}
		token(w, "form", 0)
	})
	server := newServer(t, only("form"))
	client := withLogin(t, server.hook(), login.URL)
	require.Nil(t, send(t.Context(), t, client))
	require.Nil(t, send(t.Context(), t, client))
	got := login.got()
	require.Len(t, got, 2)
	form, err := url.ParseQuery(string(got[1].body))
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"cl:ient"}, "client_secret": {clientSecret},
	}, form)
}

func TestSendLogsInAgainOnceATokenExpired(t *testing.T) {
	t.Parallel()
	login := newServer(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			token(w, "short", 10) // which package oauth2 takes for expired, so that none expires on its way
			return
		}
		token(w, "long", 3600)
	})
	server := newServer(t, status(http.StatusOK))
	client := withLogin(t, server.hook(), login.URL)
	var used []string
	for range 3 {
		require.Nil(t, send(t.Context(), t, client))
	}
	for _, got := range server.got() {
		used = append(used, strings.TrimPrefix(got.header.Get("Authorization"), "Bearer "+tokenPrefix))
	}
	require.Equal(t, []string{"short", "long", "long"}, used)
	require.Len(t, login.got(), 2)
}

func TestSendLogsInAgainOnceATokenIsRefused(t *testing.T) {
	t.Parallel()
	login := newServer(t, numbered)
	server := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n <= 2 {
			only("1")(w, r, n)
			return
		}
		only("2")(w, r, n)
	})
	client := withLogin(t, server.hook(), login.URL)
	before := time.Now().Unix()
	for range 4 {
		require.Nil(t, send(t.Context(), t, client))
	}
	require.Len(t, login.got(), 2)
	require.Len(t, server.got(), 5, "the third was sent twice")
	for _, got := range server.got() {
		require.Equal(t, deliveryID, got.header.Get("webhook-id"))
		checkSignature(t, got, before)
	}
}

// TestSendLogsInAgainOnce ends with the second refusal, and without a login with the first.
func TestSendLogsInAgainOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusUnauthorized, http.StatusProxyAuthRequired} {
		want := want{fmt.Sprintf("The webhook refused the login (%d); the operator has to check the webhook settings.", code), false, true}
		login := newServer(t, numbered)
		server := newServer(t, status(code))
		client := withLogin(t, server.hook(), login.URL)
		check(t, want, send(t.Context(), t, client))
		require.Len(t, login.got(), 2)
		require.Len(t, server.got(), 2)

		check(t, want, send(t.Context(), t, client))
		require.Len(t, login.got(), 3, "the token of before was tried first")
		require.Len(t, server.got(), 4)

		server = newServer(t, status(code))
		check(t, want, send(t.Context(), t, newClient(t, Config{URL: server.hook()})))
		require.Len(t, server.got(), 1)
	}
}

// TestSendForgetsARefusedToken has a login server that is down when the new token is due.
func TestSendForgetsARefusedToken(t *testing.T) {
	t.Parallel()
	login := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 2 {
			status(http.StatusServiceUnavailable)(w, r, n)
			return
		}
		numbered(w, r, n)
	})
	server := newServer(t, only("3"))
	client := withLogin(t, server.hook(), login.URL)
	check(t, want{"The login server of the webhook asked to try again later (503).", false, false}, send(t.Context(), t, client))
	require.Len(t, server.got(), 1)
	require.Nil(t, send(t.Context(), t, client))
	require.Len(t, server.got(), 2, "the refused token wasn't tried again")
}

func TestSendReadsTheAnswer(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]want{
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
			server := newServer(t, status(code))
			check(t, want, send(t.Context(), t, newClient(t, Config{URL: server.hook()})))
			require.Len(t, server.got(), 1)
		})
	}
}

func TestSendReadsTheLoginServersAnswer(t *testing.T) {
	t.Parallel()
	answer := func(code int, contentType, body string) answerer {
		return func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	const settings = "; the operator has to check the webhook settings."
	refused := func(code int) want {
		return want{fmt.Sprintf("The login server of the webhook refused the login (%d)%s", code, settings), false, true}
	}
	later := func(code int) want {
		return want{fmt.Sprintf("The login server of the webhook asked to try again later (%d).", code), false, false}
	}
	noToken := want{"The login server of the webhook gave no token" + settings, false, true}
	redirects := want{"The login server of the webhook redirects elsewhere (300), which is not followed" + settings, false, true}
	odd := want{"The login server of the webhook gave an answer that is not understood (700)" + settings, false, true}
	const asJSON = "application/json"
	for name, test := range map[string]struct {
		answer answerer
		want   want
		cause  string // in the log
	}{
		"unknown client":        {answer(401, asJSON, `{"error":"invalid_client","error_description":"`+answerText+`"}`), refused(401), "invalid_client"},
		"bad request":           {answer(400, asJSON, `{"error":"invalid_scope","error_uri":"https://`+answerText+`"}`), refused(400), "invalid_scope"},
		"as a form":             {answer(400, "application/x-www-form-urlencoded", "error=invalid_client&x="+answerText), refused(400), "invalid_client"},
		"code repeats a secret": {answer(400, asJSON, `{"error":"bad `+clientSecret+`"}`), refused(400), ""},
		"code without end":      {answer(400, asJSON, `{"error":"`+strings.Repeat("x", 5000)+`"}`), refused(400), ""},
		"code breaks the line":  {answer(400, asJSON, `{"error":"a\nb\u001b[31m"}`), refused(400), ""},
		"without a code":        {status(403), refused(403), ""},
		"wrong place":           {status(404), refused(404), ""},
		"error with 200":        {answer(200, asJSON, `{"error":"invalid_client"}`), refused(200), "invalid_client"},
		"redirect":              {status(300), redirects, ""},
		"timeout":               {status(408), later(408), ""},
		"too many":              {answer(429, asJSON, `{"error":"slow_down"}`), later(429), "slow_down"},
		"error":                 {status(500), later(500), ""},
		"unavailable":           {status(503), later(503), ""},
		"unheard of":            {status(700), odd, ""},
		"no JSON":               {answer(200, asJSON, answerText), noToken, ""},
		"a web page":            {answer(200, "text/html", "<p>"+answerText), noToken, ""},
		"nothing":               {status(204), noToken, ""},
		"no token":              {answer(200, asJSON, `{"token":"`+answerText+`"}`), noToken, ""},
		"empty token":           {answer(200, asJSON, `{"access_token":""}`), noToken, ""},
		"number for a token":    {answer(200, asJSON, `{"access_token":1234567}`), noToken, ""},
		"nonsense for expiry":   {answer(200, asJSON, `{"access_token":"a","expires_in":"`+answerText+`"}`), noToken, ""},
		"header in the token":   {answer(200, asJSON, `{"access_token":"a\r\nX-Evil: `+answerText+`"}`), noToken, ""},
		"token beyond ASCII":    {answer(200, asJSON, `{"access_token":"tökén"}`), noToken, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			login := newServer(t, test.answer)
			server := newServer(t, status(http.StatusOK))
			failure := send(t.Context(), t, withLogin(t, server.hook(), login.URL+"/"+urlKey))
			check(t, test.want, failure)
			if test.cause == "" {
				require.NoError(t, failure.Err)
			} else {
				require.EqualError(t, failure.Err, test.cause)
			}
			require.Empty(t, server.got(), "nothing is posted without a token")
		})
	}
}

func TestSendFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			target := newServer(t, numbered)
			for _, location := range []string{target.URL, "/" + answerText, "http://[" + answerText} {
				settings := fmt.Sprintf("redirects elsewhere (%d), which is not followed; the operator has to check the webhook settings.", code)

				server := newServer(t, redirect(code, location))
				check(t, want{"The webhook " + settings, false, true}, send(t.Context(), t, newClient(t, Config{URL: server.hook()})))
				require.Len(t, server.got(), 1)

				login := newServer(t, redirect(code, location))
				server = newServer(t, status(http.StatusOK))
				check(t, want{"The login server of the webhook " + settings, false, true},
					send(t.Context(), t, withLogin(t, server.hook(), login.URL)))
				require.Empty(t, server.got())
				for _, got := range login.got() {
					require.Equal(t, "/", got.path)
				}
			}
			require.Empty(t, target.got())
		})
	}
}

func TestSendBoundsTheAnswer(t *testing.T) {
	t.Parallel()
	const much = 32 << 20 // what the kernel holds on both sides is far below it
	for name, test := range map[string]struct {
		code int
		want want
	}{
		"taken":   {http.StatusOK, want{}},
		"refused": {http.StatusUnprocessableEntity, want{"The webhook refused the invitation (422).", true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var written atomic.Int64
			server := newServer(t, endless(test.code, &written))
			start := time.Now()
			check(t, test.want, send(t.Context(), t, newClient(t, Config{URL: server.hook()})))
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
		check(t, want{"The login server of the webhook gave no token; the operator has to check the webhook settings.", false, true},
			send(t.Context(), t, withLogin(t, "http://127.0.0.1:1/", login.URL)))
		require.Less(t, time.Since(start), sendTimeout/2)
		login.Close()
		require.Less(t, written.Load(), int64(2*much), "there are two attempts, one for each place of the credentials")
	})
	for name, header := range map[string]string{
		"header":        "X-Long: " + strings.Repeat("x", maxAnswer) + "\r\n",
		"header values": strings.Repeat("X-Many: x\r\n", maxAnswer/8),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := newRaw(t, say("HTTP/1.1 200 OK\r\n"+header+"Content-Length: 0\r\n\r\n"))
			check(t, want{"The conversation with the webhook broke off.", false, false}, send(t.Context(), t, newClient(t, Config{URL: raw})))
		})
	}
}

// TestSendEndsInTime has a clock that jumps, and a context without an end.
func TestSendEndsInTime(t *testing.T) {
	t.Parallel()
	late := want{"The webhook did not answer in time.", false, false}
	drip := func(first, each string) func(net.Conn) {
		return func(conn net.Conn) {
			for _, err := io.WriteString(conn, first); err == nil; _, err = io.WriteString(conn, each) {
				time.Sleep(time.Second) //nolint:forbidigo // of the bubble's clock
			}
		}
	}
	for name, test := range map[string]struct {
		answer func(conn net.Conn)
		want   want
		after  time.Duration
	}{
		"silence":             {func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }, late, 15 * time.Second},
		"a byte each second":  {drip("HTTP/1.1 200 OK\r\nX-Slow: ", "x"), late, 15 * time.Second},
		"one 1xx each second": {drip("", "HTTP/1.1 102 Processing\r\n\r\n"), late, 15 * time.Second},
		// What is known is not thrown away for what is not.
		"body of a success": {drip("HTTP/1.1 200 OK\r\n\r\n", "x"), want{}, 2 * time.Second},
		"body of a refusal": {drip("HTTP/1.1 422 No\r\n\r\n", "x"), want{"The webhook refused the invitation (422).", true, false}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, Config{URL: "http://hook.example"})
				client.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() {
						defer theirs.Close()
						r, err := http.ReadRequest(bufio.NewReader(theirs))
						if err == nil {
							_, err = io.Copy(io.Discard, r.Body)
						}
						if err == nil {
							test.answer(theirs)
						}
					}()
					return ours, nil
				}
				start := time.Now()
				failure := send(t.Context(), t, client)
				require.Equal(t, test.after, time.Since(start))
				check(t, test.want, failure)
				time.Sleep(time.Second) //nolint:forbidigo // of the bubble's clock, for the server to find out
			})
		})
	}
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, Config{URL: "https://hook.example"})
			client.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, theirs) }()
				return ours, nil
			}
			start := time.Now()
			check(t, late, send(t.Context(), t, client))
			require.Equal(t, 10*time.Second, time.Since(start), "by the transport's own bound")
		})
	})
	t.Run("dial", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, Config{URL: "https://hook.example"})
			client.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			start := time.Now()
			check(t, late, send(t.Context(), t, client))
			require.Equal(t, 15*time.Second, time.Since(start))
		})
	})
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	quiet := newServer(t, silent)
	for name, test := range map[string]struct {
		client *Client
		late   string
	}{
		"webhook":      {newClient(t, Config{URL: quiet.hook()}), "The webhook did not answer in time."},
		"login server": {withLogin(t, quiet.hook(), quiet.URL), "The login server of the webhook did not answer in time."},
	} {
		t.Run(name+", deadline", func(t *testing.T) {
			t.Parallel()
			cause := errors.New("the caller's own")
			ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, cause)
			defer cancel()
			start := time.Now()
			failure := send(ctx, t, test.client)
			check(t, want{test.late, false, false}, failure)
			require.ErrorIs(t, failure, cause)
			require.Less(t, time.Since(start), sendTimeout/2)
		})
		t.Run(name+", cancelled", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
			failure := send(ctx, t, test.client)
			check(t, want{"Sending was interrupted.", false, false}, failure)
			require.ErrorIs(t, failure, context.Canceled)
		})
		t.Run(name+", cancelled before", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			check(t, want{"Sending was interrupted.", false, false}, send(ctx, t, test.client))
		})
	}
}

// TestSendWaitsForNobodysToken has one Send wait for the login server and another, with less time, for the first.
func TestSendWaitsForNobodysToken(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 2)
	login := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) {
		asked <- struct{}{}
		silent(w, r, n)
	})
	client := withLogin(t, "http://127.0.0.1:1/", login.URL)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- client.Send(ctx, deliveryID, time.Now(), sample()) }()
	<-asked

	short, cancelShort := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelShort()
	check(t, want{"The login server of the webhook did not answer in time.", false, false}, send(short, t, client))
	require.Empty(t, first)
	require.Len(t, login.got(), 1)
	cancel()
	require.ErrorIs(t, <-first, context.Canceled)
}

func TestSendMeetsABrokenConnection(t *testing.T) {
	t.Parallel()
	taken := want{}
	broken := want{"The conversation with the webhook broke off.", false, false}
	loginBroken := want{"The conversation with the login server of the webhook broke off.", false, false}
	for name, test := range map[string]struct {
		text        string
		hook, login want
	}{
		"nothing":                 {"", broken, loginBroken},
		"half a status":           {"HTTP/1.1 20", broken, loginBroken},
		"half a header":           {"HTTP/1.1 200 OK\r\nX-Answer: " + answerText, broken, loginBroken},
		"half a body":             {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":", taken, loginBroken},
		"half a chunk":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", taken, loginBroken},
		"not HTTP":                {answerText + "\r\n\r\n", broken, loginBroken},
		"not a status":            {"HTTP/1.1 " + answerText + "\r\n\r\n", broken, loginBroken},
		"not a header":            {"HTTP/1.1 200 OK\r\n" + answerText + "\r\n\r\n", broken, loginBroken},
		"TLS in words":            {"HTTP/1.1 200 OK\r\n\x01 tls: " + answerText + "\r\n\r\n", broken, loginBroken},
		"unknown encoding":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + answerText + "\r\n\r\n", broken, loginBroken},
		"two different lengths":   {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2" + answerText + "\r\n\r\n", broken, loginBroken},
		"chunk of unknown length": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + answerText + "\r\n", taken, loginBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := newRaw(t, say(test.text))
			failure := send(t.Context(), t, newClient(t, Config{URL: raw}))
			check(t, test.hook, failure)
			if name == "nothing" || name == "half a header" {
				require.ErrorIs(t, failure.Err, io.ErrUnexpectedEOF)
			}

			server := newServer(t, status(http.StatusOK))
			check(t, test.login, send(t.Context(), t, withLogin(t, server.hook(), raw)))
			require.Empty(t, server.got())
		})
	}
}

// TestSendOutlivesAKeptConnection has a server that closes a connection just when it is used again.
func TestSendOutlivesAKeptConnection(t *testing.T) {
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

func TestSendMeetsNobody(t *testing.T) {
	t.Parallel()
	nobodys := "http://" + nobody(t) + "/" + urlKey
	failure := send(t.Context(), t, newClient(t, Config{URL: nobodys}))
	check(t, want{"The webhook can't be reached.", false, false}, failure)
	require.ErrorContains(t, failure.Err, "connection refused")

	server := newServer(t, status(http.StatusOK))
	failure = send(t.Context(), t, withLogin(t, server.hook(), nobodys))
	check(t, want{"The login server of the webhook can't be reached.", false, false}, failure)
	require.ErrorContains(t, failure.Err, "connection refused")
	require.Empty(t, server.got())

	client := newClient(t, Config{URL: "http://hook.invalid/" + urlKey})
	client.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "hook.invalid", IsNotFound: true}}
	}
	check(t, want{"The webhook can't be reached.", false, false}, send(t.Context(), t, client))
}

func TestSendVerifiesTheServer(t *testing.T) {
	t.Parallel()
	const insecure = "could be made; the operator has to check its certificate."
	newTLS := func(t *testing.T, answer answerer, config *tls.Config) *server {
		t.Helper()
		s := newUnstarted(t, answer)
		s.TLS = config
		s.EnableHTTP2 = true
		s.StartTLS()
		return s
	}
	trust := func(c *Client, s *server) {
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
		// With TLS 1.3 the server would refuse when the client writes already, and the refusal may be lost on its way.
		"wants a certificate": {&tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, true, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newTLS(t, numbered, test.config)
			serverURL := server.URL + "/" + urlKey
			if test.change != nil {
				serverURL = test.change(serverURL)
			}
			client := newClient(t, Config{URL: serverURL})
			plain := newServer(t, status(http.StatusOK))
			loggedIn := withLogin(t, plain.hook(), serverURL)
			if test.trusted {
				trust(client, server)
				trust(loggedIn, server)
			}
			if !test.fails {
				require.Nil(t, send(t.Context(), t, client))
				require.Nil(t, send(t.Context(), t, loggedIn))
				require.Equal(t, "HTTP/1.1", server.got()[0].proto)
				return
			}
			failure := send(t.Context(), t, client)
			check(t, want{"No secure connection to the webhook " + insecure, false, true}, failure)
			require.Error(t, failure.Err)
			check(t, want{"No secure connection to the login server of the webhook " + insecure, false, true}, send(t.Context(), t, loggedIn))
			require.Empty(t, server.got())
			require.Empty(t, plain.got())
		})
	}
	t.Run("nonsense in TLS", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		var group sync.WaitGroup
		group.Go(func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "\x16\x03\x03\x00\x04\x0e\x00\x00\x00") // the last message of a server, as the first
			_, _ = io.Copy(io.Discard, conn)
		})
		t.Cleanup(func() {
			listener.Close()
			group.Wait()
		})
		check(t, want{"No secure connection to the webhook " + insecure, false, true},
			send(t.Context(), t, newClient(t, Config{URL: "https://" + listener.Addr().String()})))
	})
	t.Run("no TLS", func(t *testing.T) {
		t.Parallel()
		server := newServer(t, numbered)
		secure := strings.Replace(server.hook(), "http:", "https:", 1)
		check(t, want{"No secure connection to the webhook " + insecure, false, true},
			send(t.Context(), t, newClient(t, Config{URL: secure})))
		check(t, want{"No secure connection to the login server of the webhook " + insecure, false, true},
			send(t.Context(), t, withLogin(t, server.hook(), secure)))
		require.Empty(t, server.got())
	})
}

func TestSendGoesThroughProxies(t *testing.T) {
	t.Parallel()
	for code, test := range map[int]struct{ hook, login want }{
		403: {
			want{"A proxy refused the connection to the webhook (403); the operator has to check the proxy settings.", false, true},
			want{"A proxy refused the connection to the login server of the webhook (403); the operator has to check the proxy settings.", false, true},
		},
		407: {
			want{"A proxy refused the connection to the webhook (407); the operator has to check the proxy settings.", false, true},
			want{"A proxy refused the connection to the login server of the webhook (407); the operator has to check the proxy settings.", false, true},
		},
		503: {
			want{"The webhook can't be reached.", false, false},
			want{"The login server of the webhook can't be reached.", false, false},
		},
	} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			proxy := newRaw(t, say(fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", code, answerText)))
			proxyURL, err := url.Parse(proxy)
			require.NoError(t, err)
			hookURL := "https://hook.example/" + urlKey

			client := newClient(t, Config{URL: hookURL})
			client.transport.Proxy = http.ProxyURL(proxyURL)
			check(t, test.hook, send(t.Context(), t, client))

			client = withLogin(t, hookURL, "https://login.example/"+urlKey)
			client.transport.Proxy = http.ProxyURL(proxyURL)
			check(t, test.login, send(t.Context(), t, client))
		})
	}
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, Config{URL: "https://hook.example/" + urlKey})
		client.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: nobody(t)})
		check(t, want{"The webhook can't be reached.", false, false}, send(t.Context(), t, client))
	})
	t.Run("insecure", func(t *testing.T) {
		t.Parallel()
		unknown := newUnstarted(t, status(http.StatusOK))
		unknown.StartTLS()
		plain := newServer(t, status(http.StatusOK))
		for _, proxy := range []*server{unknown, plain} {
			client := newClient(t, Config{URL: "https://hook.example/" + urlKey})
			client.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "https", Host: proxy.Listener.Addr().String()})
			check(t, want{"No secure connection to the webhook could be made; the operator has to check its certificate.", false, true},
				send(t.Context(), t, client))
		}
	})
	t.Run("tunnel", func(t *testing.T) {
		t.Parallel()
		server := newUnstarted(t, status(http.StatusOK))
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
		client := newClient(t, Config{URL: server.hook()})
		client.transport.Proxy = http.ProxyURL(proxyURL)
		client.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		client.transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
		require.Nil(t, send(t.Context(), t, client))
		require.Len(t, proxy.got(), 1)
		require.Equal(t, "CONNECT", proxy.got()[0].method)
		require.NotContains(t, fmt.Sprint(proxy.got()), urlKey)
		client.Close()
	})
	t.Run("of the environment", func(t *testing.T) {
		t.Parallel()
		require.NotNil(t, newClient(t, Config{URL: "https://hook.example"}).transport.Proxy)
	})
}

func TestSendKeepsItsConnection(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]answerer{
		"no content": status(http.StatusNoContent),
		"short":      status(http.StatusOK),
		"long": func(w http.ResponseWriter, _ *http.Request, _ int) {
			fmt.Fprint(w, strings.Repeat("x", maxAnswer-1))
		},
		"refused": status(http.StatusTeapot),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, answer)
			client := newClient(t, Config{URL: server.hook()})
			for range 20 {
				_ = send(t.Context(), t, client) // some of the answers are refusals
			}
			require.Len(t, server.got(), 20)
			require.Equal(t, int32(1), server.connections.Load())

			client.Close()
			_ = send(t.Context(), t, client)
			require.Equal(t, int32(2), server.connections.Load())
		})
	}
}

// TestSendTogether is for the race detector as well.
func TestSendTogether(t *testing.T) {
	t.Parallel()
	const many = 40
	login := newServer(t, numbered)
	var accepts atomic.Value
	accepts.Store("1")
	server := newServer(t, func(w http.ResponseWriter, r *http.Request, n int) { only(accepts.Load().(string))(w, r, n) })
	client := withLogin(t, server.hook(), login.URL)
	together := func() {
		var group sync.WaitGroup
		failures := make([]error, many)
		for i := range many {
			group.Go(func() { failures[i] = client.Send(t.Context(), deliveryID+strconv.Itoa(i), time.Now(), sample()) })
		}
		group.Wait()
		for _, err := range failures {
			require.NoError(t, err)
		}
	}
	together()
	require.Len(t, login.got(), 1)
	require.Len(t, server.got(), many)
	require.LessOrEqual(t, server.connections.Load(), int32(maxConns))

	accepts.Store("2")
	together()
	require.Len(t, login.got(), 2, "who was refused together gets one new token together")
	require.LessOrEqual(t, server.connections.Load(), int32(maxConns))

	library, err := standardwebhooks.NewWebhook(secret())
	require.NoError(t, err)
	var ids []string
	for _, got := range server.got() {
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

// TestNewLeavesTheDefaultsAlone keeps what is set here from every other client of the process.
func TestNewLeavesTheDefaultsAlone(t *testing.T) {
	t.Parallel()
	shared := http.DefaultTransport.(*http.Transport)
	newClient(t, Config{URL: "https://hook.example"})
	require.Zero(t, shared.MaxConnsPerHost)
	require.Nil(t, shared.OnProxyConnectResponse)
	require.Nil(t, shared.Protocols)
}

// After a 101 the rest of the connection is nobody's to end.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	over := make(chan struct{})
	var talking sync.WaitGroup
	t.Cleanup(func() {
		close(over)
		_ = listener.Close()
		talking.Wait()
	})
	talking.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			talking.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
					<-over
				}
			})
		}
	})
	url := "http://" + listener.Addr().String() + "/hook"
	for name, client := range map[string]*Client{
		"webhook":      newClient(t, Config{URL: url}),
		"login server": withLogin(t, url, url),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			failure := send(ctx, t, client)
			require.NotNil(t, failure)
			require.NoError(t, ctx.Err(), "it did not wait for more")
			require.True(t, failure.Operator)
		})
	}
}
