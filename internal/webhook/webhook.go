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
)

const (
	sendTimeout = 15 * time.Second // from the token to the status of the answer
	// drainTimeout bounds the wait for the rest of an answer whose status is known.
	drainTimeout = 2 * time.Second
	// maxAnswer is how many bytes of an answer's header, and again of its body, are read.
	maxAnswer = 64 << 10
	// maxConns is how many connections there are to one host at once.
	maxConns = 8
)

// Config says where invitations are posted and how the endpoint knows that they are ours.
type Config struct {
	// URL is where to post: absolute, http or https, without user and password. It is required.
	URL string

	// The client credentials that are changed for an access token at TokenURL (RFC 6749, section 4.4). With all three
	// empty there is no login.
	TokenURL     string
	ClientID     string
	ClientSecret string

	// Secret is the key that signs: 24 to 64 bytes in base64, with or without whsec_ in front. With an empty one
	// nothing is signed.
	Secret string
}

// Payload is what the endpoint is told of an invitation, as a JSON object with all of these members in this order.
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
}

// Time is a moment that JSON has in RFC 3339, in UTC and with microseconds, whatever zone and precision it came with.
type Time time.Time

// MarshalJSON never fails.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000000Z07:00"`)), nil
}

// Client posts to one endpoint. It is safe for concurrent use.
type Client struct {
	url       string
	transport oneAnswer
	login     *login                    // nil: none
	signer    *standardwebhooks.Webhook // nil: none
}

// The settings, as errors of New call them.
const (
	SettingURL          = "the webhook URL"
	SettingTokenURL     = "the token URL" //nolint:gosec // a name
	SettingClientID     = "the client ID"
	SettingClientSecret = "the client secret"
	SettingSecret       = "the webhook secret" //nolint:gosec // a name
)

// New doesn't connect. An error is one line that says which setting is wrong; it repeats no value, because a URL may
// carry a key as well.
func New(c Config) (*Client, error) {
	if err := checkURL(SettingURL, c.URL); err != nil {
		return nil, err
	}
	client := &Client{url: c.URL, transport: oneAnswer{newTransport()}}
	var err error
	if client.login, err = newLogin(c, client.transport); err != nil {
		return nil, err
	}
	if client.signer, err = newSigner(c.Secret); err != nil {
		return nil, err
	}
	return client, nil
}

// checkURL describes a problem in its own words: errors of net/url repeat the URL.
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

// newSigner decodes the secret itself because the library takes keys of any length, an empty one among them.
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

func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	// With HTTP/2 all would share one connection, and when that has died in silence, each attempt would time out on it
	// until the kernel gives it up. One of HTTP/1 is closed by the first that times out.
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = maxConns, maxConns
	t.MaxResponseHeaderBytes = maxAnswer
	t.DisableCompression = true // a small answer would only hide a large one
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return proxyRefusal(answer.StatusCode)
		}
		return nil
	}
	return t
}

// oneAnswer has an answer be one. After a 101 the body is the bare connection, which no context ends and nobody here has
// asked for.
type oneAnswer struct{ *http.Transport }

func (t oneAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.Transport.RoundTrip(r)
	if err == nil && answer.StatusCode < 200 {
		_ = answer.Body.Close()
		answer.Body = http.NoBody
	}
	return answer, err
}

// Send posts p within 15 seconds, or sooner where ctx ends. Nil means that the endpoint answered with a 2xx; every
// other outcome is a [*delivery.Failure]. An answer that refuses the login is followed by one more attempt with a new
// token, where there is a login.
//
// id becomes the webhook-id, by which an endpoint knows what it got before: give every attempt at one delivery the same
// and every other delivery another. It is printable ASCII that no user has a say in. now is the moment of the attempt,
// which is signed with it: endpoints refuse what a clock dates that is minutes off.
func (c *Client) Send(ctx context.Context, id string, now time.Time, p Payload) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	body, err := json.Marshal(p)
	if err != nil {
		return connectionFailure(ctx, endpoint, err)
	}
	var token *oauth2.Token
	for attempt := 1; ; attempt++ {
		if c.login != nil {
			if token, err = c.login.token(ctx, token); err != nil {
				return tokenFailure(ctx, err)
			}
		}
		status, err := c.post(ctx, id, now, body, token)
		switch {
		case err != nil:
			return connectionFailure(ctx, endpoint, err)
		case status >= 200 && status < 300:
			return nil
		case attempt > 1 || c.login == nil || !refusesLogin(status):
			return statusFailure(endpoint, status)
		}
	}
}

// post returns the status of the answer. It does without http.Client, which would follow redirects, and would repeat
// the URL and a redirect's target in its errors.
func (c *Client) post(
	ctx context.Context, id string, now time.Time, body []byte, token *oauth2.Token,
) (status int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
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
			return 0, err
		}
		r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	// Without a value it isn't sent; it has the transport post again, on another connection, what it wrote to a kept one
	// that the server was just closing. The webhook-id makes that safe.
	r.Header["Idempotency-Key"] = nil

	answer, err := c.transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	// The rest is read only so that the connection can be used again, and however that ends, the status stands.
	defer time.AfterFunc(drainTimeout, cancel).Stop()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	return answer.StatusCode, nil
}

// Close closes the connections that are kept for the next invitation. It doesn't interrupt a Send.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
}
