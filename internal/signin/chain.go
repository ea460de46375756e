package signin

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
)

// Chain authenticates requests, those of the API and those of the pages alike. The first credential that a request has
// decides: the header Authorization, then the cookie of a session, then the headers of a trusted proxy. A credential that
// does not work is refused, and the next one is not tried.
type Chain struct {
	ChainConfig
	unknownKeys *throttle
	origins     *http.CrossOriginProtection
}

// ChainConfig holds the parts of NewChain. Every field but Providers, Proxy and Now must be set.
type ChainConfig struct {
	Tokens      directory.Authenticator
	TokenUses   *directory.TokenUses // collects the tokens that requests are authenticated by
	UnknownKeys Limit                // of requests with an API key that no token has, for each client address
	Identity    *identity.Service
	Providers   *Providers // nil: a JWT is no credential
	Proxy       *Proxy     // nil: no proxy is trusted
	// Origin is scheme and host of the public URL, from which browsers may send what changes something.
	Origin string
	// ClientIP returns the address of the client of a request.
	ClientIP func(*http.Request) string
	Logger   *slog.Logger
	// Now replaces the machine's clock in limits; nil: the machine's own. Tests move time with it.
	Now func() time.Time
}

// NewChain returns a Chain. It returns an error where the origin is none.
func NewChain(c ChainConfig) (*Chain, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	origins := http.NewCrossOriginProtection()
	return &Chain{ChainConfig: c, unknownKeys: newThrottle(c.UnknownKeys), origins: origins}, origins.AddTrustedOrigin(c.Origin)
}

// ErrOtherSite is the error of a request that a browser sends for another site.
var ErrOtherSite = &fault.Error{Kind: fault.KindForbidden, Message: "The request comes from another site. Nothing was changed."}

// CheckOrigin returns ErrOtherSite for a request that may change something and that a browser sends for another site.
func (c *Chain) CheckOrigin(r *http.Request) error {
	if c.origins.Check(r) != nil {
		return ErrOtherSite
	}
	return nil
}

// A Caller is the user who sends a request.
type Caller struct {
	directory.Actor
	Session identity.Session // of ViaSession; the zero value otherwise
}

// Authenticate returns who sends a request. It returns fault.KindUnauthenticated, with the reason, where the request has no
// credential or one that does not work, ErrOtherSite where the browser added the credential, and fault.KindThrottled after too
// many unknown API keys. With an error, the Caller has nothing but Via, the credential that was refused; "" where there was none.
func (c *Chain) Authenticate(r *http.Request) (Caller, error) {
	caller, err := c.authenticate(r)
	if err == nil && (caller.Via == directory.ViaSession || caller.Via == directory.ViaProxy) {
		err = c.CheckOrigin(r)
	}
	if err != nil {
		return Caller{Actor: directory.Actor{Via: caller.Via}}, err
	}
	return caller, nil
}

func (c *Chain) authenticate(r *http.Request) (caller Caller, err error) {
	if scheme, secret, found := authorization(r); found {
		if isBearer := strings.EqualFold(scheme, "Bearer"); isBearer && c.Providers != nil && isJWT(secret) {
			caller.Actor, err = c.fromJWT(r, secret)
			caller.Via = directory.ViaIssuer
			return caller, err
		}
		caller.Actor, err = c.fromKey(r, secret)
		caller.Via = directory.ViaToken
		return caller, err
	}
	if cookie, err := r.Cookie(CookieName(SessionCookie, c.isSecure())); err == nil {
		signedIn, err := c.Identity.Authenticate(r.Context(), cookie.Value)
		caller = Caller{Actor: signedIn.Actor, Session: signedIn.Session}
		caller.Via = directory.ViaSession
		return caller, err
	}
	if c.Proxy.sent(r) {
		caller.Actor, err = c.fromProxy(r)
		caller.Via = directory.ViaProxy
		return caller, err
	}
	return caller, fault.Unauthorized("Authentication credentials were not provided.")
}

const (
	// maxKey is the length of the longest API key that is looked up, in bytes.
	maxKey = 512
	// maxJWT is the length of the longest JWT that is looked at, in bytes.
	maxJWT = 16 << 10
)

// isSecure reports whether browsers reach the server by https.
func (c *Chain) isSecure() bool { return strings.HasPrefix(strings.ToLower(c.Origin), "https:") }

// authorization returns the credential of `Authorization: Token <key>`, `Bearer <key>` or `Bearer Token <key>`, which some
// generated clients send, and whether there is one. The secret is "" where the header can't be read. A header with another
// scheme counts as missing, as in Django REST framework.
func authorization(r *http.Request) (scheme, secret string, found bool) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", "", false
	}
	scheme, secret, _ = strings.Cut(strings.TrimSpace(headers[0]), " ")
	if !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		return "", "", false
	}
	secret = strings.TrimSpace(secret)
	if before, after, _ := strings.Cut(secret, " "); strings.EqualFold(scheme, "Bearer") && strings.EqualFold(before, "Token") {
		scheme, secret = before, strings.TrimSpace(after)
	}
	if len(headers) > 1 || strings.ContainsAny(secret, " \t") {
		secret = ""
	}
	return scheme, secret, true
}

// fromKey returns the user of an API key.
func (c *Chain) fromKey(r *http.Request, key string) (directory.Actor, error) {
	if key == "" || len(key) > maxKey {
		return directory.Actor{}, fault.Unauthorized("Invalid token.")
	}
	client := c.ClientIP(r)
	if wait := c.unknownKeys.wait(client, key, c.Now()); wait > 0 {
		return directory.Actor{}, c.Identity.Limits.Throttled("unknown_keys", wait)
	}
	actor, err := directory.Authenticate(r.Context(), c.Tokens, key)
	if errors.Is(err, directory.ErrUnknownKey) {
		c.unknownKeys.fail(client, key, c.Now())
	}
	if err != nil {
		return directory.Actor{}, err
	}
	c.unknownKeys.succeed(client, key)
	c.TokenUses.Add(key)
	return actor, nil
}

// isJWT reports whether a credential has three parts with dots between them (RFC 7515, section 7.1) and is no API key of
// ours.
func isJWT(secret string) bool {
	return strings.Count(secret, ".") == 2 && !strings.HasPrefix(secret, "inv_")
}

// fromJWT returns the user of an access token of an issuer.
func (c *Chain) fromJWT(r *http.Request, jwt string) (directory.Actor, error) {
	if len(jwt) > maxJWT {
		return directory.Actor{}, fault.Unauthorized("Invalid token.")
	}
	person, err := c.Providers.AuthenticateToken(r.Context(), jwt)
	if err != nil {
		c.logRefusal(r, person, err)
		return directory.Actor{}, err
	}
	return c.fromPerson(r, person)
}

// fromPerson returns the user of somebody whom an issuer or a proxy vouches for. Who is nobody here is refused as one whose
// credential does not work, in words that say whom to ask.
func (c *Chain) fromPerson(r *http.Request, person identity.Person) (directory.Actor, error) {
	actor, err := c.Identity.AuthenticatePerson(r.Context(), person, c.ClientIP(r))
	if err == nil {
		return actor, nil
	}
	c.logRefusal(r, person, err)
	var refusal *fault.Error
	if errors.As(err, &refusal) && refusal.Kind == fault.KindForbidden {
		err = fault.Unauthorized(refusal.Message)
	}
	return directory.Actor{}, err
}

func (c *Chain) logRefusal(r *http.Request, person identity.Person, err error) {
	if fault.Is(err, fault.KindUnauthenticated) || fault.Is(err, fault.KindForbidden) {
		c.Logger.WarnContext(r.Context(), "credential refused", "issuer", person.Issuer, "subject", person.Subject,
			"client", c.ClientIP(r), "error", err)
	}
}
