package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/oauth2"

	"invited/internal/delivery"
	"invited/internal/tracing"
)

const (
	sendTimeout = 15 * time.Second // for a whole Send: from the token to the status of the response
	// drainTimeout bounds the wait for the rest of a response whose status is known.
	drainTimeout = 2 * time.Second
	// maxResponse is how many bytes of a response's header, and again of its body, are read.
	maxResponse = 64 << 10
	// maxConns is how many connections to one host there are at once.
	maxConns = 8
)

// Config says where invitations are posted and how the endpoint recognizes the sender.
type Config struct {
	// URL is the endpoint: absolute, http or https, without user and password. It is required.
	URL string

	// ClientID and ClientSecret are exchanged for an access token at TokenURL (RFC 6749, section 4.4). When all three are
	// empty, requests carry no token.
	TokenURL     string
	ClientID     string
	ClientSecret string

	// Secret is the signing key: 24 to 64 bytes in base64, with or without whsec_ in front. When it is empty, requests are
	// not signed.
	Secret string
}

// Payload is the JSON body of a request: an object with these members in this order. All but the last one are always there.
type Payload struct {
	Email               string `json:"email"`
	RoleName            string `json:"role_name"`
	RoleDescription     string `json:"role_description"`
	ScopeType           string `json:"scope_type"`
	ScopeName           string `json:"scope_name"`
	ScopeUUID           string `json:"scope_uuid"`
	ExtraInvitationText string `json:"extra_invitation_text"`
	CreatedByFullName   string `json:"created_by_full_name"`
	CreatedByUsername   string `json:"created_by_username"`
	Expires             Time   `json:"expires"`
	RedirectScopeURL    string `json:"redirect_scope_url"`
	RedirectURL         string `json:"redirect_url"`
	InvitationUUID      string `json:"invitation_uuid"`
	MembershipExpires   *Time  `json:"membership_expires,omitempty"` // when the role ends; nil: never
}

// Time is a time that JSON has in RFC 3339, in UTC and with microseconds.
type Time time.Time

// MarshalJSON never fails.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000000Z07:00"`)), nil
}

// Client posts to one endpoint. It is safe for concurrent use.
type Client struct {
	url       string
	transport httpTransport
	tokens    *tokenSource              // nil: requests carry no token
	signer    *standardwebhooks.Webhook // nil: requests are not signed
}

// The names of the settings in the errors of New.
const (
	SettingURL          = "the webhook URL"
	SettingTokenURL     = "the token URL" //nolint:gosec // a name
	SettingClientID     = "the client ID"
	SettingClientSecret = "the client secret"
	SettingSecret       = "the webhook secret" //nolint:gosec // a name
)

// New returns a client; it doesn't connect. An error is one line that names the wrong setting. It repeats no value: a URL
// may hold a key as well.
func New(c Config) (*Client, error) {
	if err := checkURL(SettingURL, c.URL); err != nil {
		return nil, err
	}
	client := &Client{url: c.URL, transport: newTransport()}
	var err error
	if client.tokens, err = newTokenSource(c, client.transport); err != nil {
		return nil, err
	}
	if client.signer, err = newSigner(c.Secret); err != nil {
		return nil, err
	}
	return client, nil
}

// checkURL returns no error of net/url: those repeat the URL.
func checkURL(name, raw string) error {
	if raw == "" {
		return errors.New(name + " is missing")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.TrimSpace(raw) != raw {
		return errors.New(name + " is not an absolute http or https URL")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return errors.New(name + " has a port out of range")
	}
	if u.User != nil {
		return errors.New(name + " has a user or a password in it, which would not be sent")
	}
	return nil
}

// newSigner decodes the secret itself, because the library accepts keys of any length, even an empty one.
func newSigner(secret string) (*standardwebhooks.Webhook, error) {
	if secret == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, errors.New(SettingSecret + " is not base64, with or without whsec_ in front")
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, errors.New(SettingSecret + " is not 24 to 64 bytes long")
	}
	return standardwebhooks.NewWebhookRaw(key)
}

// httpTransport is net/http's, but ends a response at its header when the server switches protocols. After a 101 the body is
// the bare connection, which no context closes and which nobody here asked for.
type httpTransport struct{ *http.Transport }

func (t httpTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.Transport.RoundTrip(r)
	if err == nil && response.StatusCode < 200 {
		_ = response.Body.Close()
		response.Body = http.NoBody
	}
	return response, err
}

func newTransport() httpTransport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	// With HTTP/2 all requests would share one connection. After that connection had died in silence, each attempt would
	// time out on it until the kernel gives it up. With HTTP/1 the first request that times out closes its connection.
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = maxConns, maxConns
	t.MaxResponseHeaderBytes = maxResponse
	t.DisableCompression = true // a small response could expand to a large one
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
		if response.StatusCode != http.StatusOK {
			return proxyRefusal(response.StatusCode)
		}
		return nil
	}
	return httpTransport{t}
}

// Send posts p within 15 seconds, or until ctx ends. It returns nil when the endpoint answers with a 2xx, and a
// [*delivery.Failure] otherwise. With client credentials, Send answers a refused token with one more attempt and a new
// token.
//
// id becomes the webhook-id header, by which an endpoint recognizes a delivery that it has had before: every attempt at
// one delivery has the same id, and every other delivery another. It is printable ASCII without input of users. now is the
// time of the attempt, and is signed: endpoints refuse times that are minutes off.
func (c *Client) Send(ctx context.Context, id string, now time.Time, p Payload) error {
	return c.send(ctx, id, now, p, statusFailure)
}

// SendEvent is Send for an event. A refusal is not final: an endpoint may take later what it refuses now.
func (c *Client) SendEvent(ctx context.Context, id string, now time.Time, e Event) error {
	return c.send(ctx, id, now, e, eventFailure)
}

// send posts a payload. classify returns the failure of a status other than 2xx.
func (c *Client) send(
	ctx context.Context, id string, now time.Time, payload any, classify func(from peer, status int) *delivery.Failure,
) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	body, err := json.Marshal(payload)
	if err != nil {
		return connectionFailure(ctx, endpoint, err)
	}
	var token *oauth2.Token
	for attempt := 1; ; attempt++ {
		if c.tokens != nil {
			if token, err = c.tokens.token(ctx, token); err != nil {
				return tokenFailure(ctx, err)
			}
		}
		status, retryAfter, err := c.post(ctx, id, now, body, token)
		switch {
		case err != nil:
			return connectionFailure(ctx, endpoint, err)
		case status >= 200 && status < 300:
			return nil
		case attempt > 1 || c.tokens == nil || !refusesLogin(status):
			f := classify(endpoint, status)
			f.RetryAfter = retryAfter
			return f
		}
	}
}

// maxRetryAfter bounds what an endpoint can ask for.
const maxRetryAfter = 24 * time.Hour

// parseRetryAfter returns the time that a Retry-After header asks for in seconds (RFC 9110, section 10.2.3); 0: none. A date is
// ignored: the endpoint's clock may be wrong.
func parseRetryAfter(value string) time.Duration {
	seconds, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// post returns the status of the response and after what time it asks for another attempt. It uses no http.Client, which
// would follow redirects and repeat the URL and a redirect's target in its errors.
func (c *Client) post(
	ctx context.Context, id string, now time.Time, body []byte, token *oauth2.Token,
) (status int, retryAfter time.Duration, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	r.Header.Set("User-Agent", "invited")
	r.Header.Set("Content-Type", "application/json")
	if token != nil {
		r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	}
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	if c.signer != nil {
		signature, err := c.signer.Sign(id, now, body)
		if err != nil {
			return 0, 0, err
		}
		r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	ctx, span := tracing.Call(ctx, http.MethodPost, "http.request.method", http.MethodPost, "server.address", r.URL.Hostname())
	defer func() { span.End(failureWord(status, err)) }()
	r = r.WithContext(ctx)
	tracing.Inject(ctx, r.Header)
	// A header without a value is not sent, but marks the request as safe to repeat: when the server closes an idle
	// connection just as the request is written to it, net/http sends the request again on another connection. The
	// webhook-id makes that safe.
	r.Header["Idempotency-Key"] = nil

	response, err := c.transport.RoundTrip(r)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	// The body is read only so that the connection can be used again. The status counts however the reading ends.
	defer time.AfterFunc(drainTimeout, cancel).Stop()
	_, _ = io.CopyN(io.Discard, response.Body, maxResponse)
	return response.StatusCode, parseRetryAfter(response.Header.Get("Retry-After")), nil
}

// failureWord returns the word by which a trace tells failures apart: the status, or that there was none; "" for a success.
func failureWord(status int, err error) string {
	switch {
	case err != nil:
		return "connection"
	case status < 200 || status >= 300:
		return strconv.Itoa(status)
	default:
		return ""
	}
}

// Close closes idle connections. It doesn't interrupt a Send.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
}
