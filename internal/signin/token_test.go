package signin_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/fault"
	"invited/internal/signin"
	"invited/internal/signin/signintest"
)

// env is one issuer, and a server that knows it, with a clock that only the test moves.
type env struct {
	*testing.T
	issuer    *signintest.Issuer
	config    signin.Config
	providers *signin.Providers
	now       time.Time
	log       *strings.Builder
}

func newEnv(t *testing.T, change ...func(*signin.Issuer)) *env {
	t.Helper()
	t.Parallel()
	e := &env{T: t, issuer: signintest.New(t), now: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC), log: &strings.Builder{}}
	clock := func() time.Time { return e.now }
	e.issuer.Now = clock
	one := signin.Issuer{
		ID: "campus", URL: e.issuer.URL, ClientID: signintest.ClientID, ClientSecret: signintest.ClientSecret, Name: "Campus",
		Scopes: []string{"openid", "email", "profile"},
	}
	for _, each := range change {
		each(&one)
	}
	e.config = signin.Config{
		Issuers: []signin.Issuer{one}, PublicURL: "https://invited.example/", Logger: slog.New(slog.NewTextHandler(e.log, nil)), Now: clock,
	}
	e.providers = signin.New(e.config)
	return e
}

// refuses checks that a token is refused with the API's words and for a reason that the log has.
func (e *env) refuses(raw, words, reason string) {
	e.Helper()
	_, err := e.providers.AuthenticateToken(e.Context(), raw)
	require.True(e, fault.Is(err, fault.KindUnauthenticated), "%v", err)
	var refusal *fault.Error
	require.ErrorAs(e, err, &refusal)
	require.Equal(e, words, refusal.Message)
	require.ErrorContains(e, err, reason)
}

func (e *env) accepts(raw string) {
	e.Helper()
	person, err := e.providers.AuthenticateToken(e.Context(), raw)
	require.NoError(e, err)
	require.Equal(e, e.issuer.URL, person.Issuer)
	require.Equal(e, "person-1", person.Subject)
}

const invalid = "Invalid token."

func TestAccessTokenClaims(t *testing.T) {
	e := newEnv(t, func(i *signin.Issuer) { i.Audiences = []string{"api", "invited"} })
	at := func(d time.Duration) int64 { return e.now.Add(d).Unix() }
	for name, test := range map[string]struct {
		changes signintest.Claims
		words   string // "": accepted
		reason  string
	}{
		"usual":                  {nil, "", ""},
		"several audiences":      {signintest.Claims{"aud": []string{"x", "api"}}, "", ""},
		"other audience":         {signintest.Claims{"aud": "other"}, invalid, "the token is for"},
		"longer audience":        {signintest.Claims{"aud": "invited2"}, invalid, "the token is for"},
		"no audience":            {signintest.Claims{"aud": nil}, invalid, "the token is for"},
		"empty audience":         {signintest.Claims{"aud": []string{}}, invalid, "the token is for"},
		"no issuer":              {signintest.Claims{"iss": nil}, invalid, "no issuer that is configured"},
		"issuer with a slash":    {signintest.Claims{"iss": e.issuer.URL + "/"}, invalid, "no issuer that is configured"},
		"issuer in capitals":     {signintest.Claims{"iss": strings.ToUpper(e.issuer.URL)}, invalid, "no issuer that is configured"},
		"issuer is a list":       {signintest.Claims{"iss": []string{e.issuer.URL}}, invalid, "cannot unmarshal"},
		"no subject":             {signintest.Claims{"sub": nil}, invalid, "no subject"},
		"long subject":           {signintest.Claims{"sub": strings.Repeat("x", 256)}, invalid, "no subject"},
		"subject has a line end": {signintest.Claims{"sub": "x\ny"}, invalid, "no subject"},
		"subject has a C1 code":  {signintest.Claims{"sub": "x\u0085"}, invalid, "no subject"},
		"subject is no UTF-8":    {signintest.Claims{"sub": "x\xff"}, invalid, "no subject"},
		"subject is a number":    {signintest.Claims{"sub": 1}, invalid, "cannot unmarshal"},
		"no expiry":              {signintest.Claims{"exp": nil}, "Token has expired.", "expired"},
		"expiry is zero":         {signintest.Claims{"exp": 0}, "Token has expired.", "expired"},
		"expiry is a text":       {signintest.Claims{"exp": "next year"}, invalid, "unmarshal"},
		"expired":                {signintest.Claims{"exp": at(-61 * time.Second)}, "Token has expired.", "expired"},
		"expired in the leeway":  {signintest.Claims{"exp": at(-60 * time.Second)}, "", ""},
		"not yet":                {signintest.Claims{"nbf": at(61 * time.Second)}, invalid, "a time to come"},
		"not yet, in the leeway": {signintest.Claims{"nbf": at(60 * time.Second)}, "", ""},
		"issued in the future":   {signintest.Claims{"iat": at(2 * time.Minute)}, invalid, "a time to come"},
	} {
		e.Run(name, func(t *testing.T) {
			sub := *e
			sub.T = t
			raw := e.issuer.AccessToken(test.changes)
			if test.words == "" {
				sub.accepts(raw)
			} else {
				sub.refuses(raw, test.words, test.reason)
			}
		})
	}
}

// An ID token of the same client is no access token, unless the issuer's entry says so.
func TestIDTokensAreNoAccessTokens(t *testing.T) {
	e := newEnv(t)
	usual := func(changes signintest.Claims) signintest.Claims {
		claims := signintest.Claims{"iss": e.issuer.URL, "sub": "person-1", "aud": "invited", "exp": e.now.Add(time.Minute).Unix()}
		for name, value := range changes {
			claims[name] = value
		}
		return claims
	}
	for name, test := range map[string]struct {
		kind   string
		claims signintest.Claims
		isOne  bool
	}{
		"RFC 9068":              {"at+jwt", nil, true},
		"RFC 9068, media type":  {"application/at+jwt", nil, true},
		"with a scope":          {"JWT", signintest.Claims{"scope": "openid"}, true},
		"Entra":                 {"JWT", signintest.Claims{"scp": "invite"}, true},
		"Keycloak":              {"JWT", signintest.Claims{"typ": "Bearer"}, true},
		"Keycloak's ID token":   {"JWT", signintest.Claims{"typ": "ID"}, false},
		"Keycloak's refresh":    {"JWT", signintest.Claims{"typ": "Refresh", "scope": "openid"}, false},
		"nothing says":          {"JWT", nil, false},
		"nonce":                 {"JWT", signintest.Claims{"nonce": "x", "scope": "openid"}, false},
		"hash of access token":  {"JWT", signintest.Claims{"at_hash": "x", "client_id": "x"}, false},
		"no type":               {"", signintest.Claims{"scope": "openid"}, false},
		"a logout token":        {"logout+jwt", signintest.Claims{"scope": "openid"}, false},
		"a proof of possession": {"dpop+jwt", signintest.Claims{"scope": "openid"}, false},
	} {
		header := map[string]string{"typ": test.kind}
		if test.kind == "" {
			header = nil
		}
		raw := e.issuer.Sign(usual(test.claims), header)
		_, err := e.providers.AuthenticateToken(e.Context(), raw)
		require.Equal(t, test.isOne, err == nil, "%s: %v", name, err)
	}

	lenient := e.config
	lenient.Issuers[0].AcceptIDTokens = true
	e.providers = signin.New(lenient)
	e.accepts(e.issuer.Sign(usual(signintest.Claims{"nonce": "x"}), map[string]string{"typ": "JWT"}))
	e.refuses(e.issuer.Sign(usual(signintest.Claims{"aud": "other"}), map[string]string{"typ": "JWT"}), invalid, "the token is for")
}

func part(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(text)
}

// Nobody but the issuer makes a token that is accepted.
func TestForgedTokens(t *testing.T) {
	e := newEnv(t)
	good := e.issuer.AccessToken(nil)
	e.accepts(good)
	parts := strings.Split(good, ".")
	public, ok := e.issuer.PublicKey().(*rsa.PublicKey)
	require.True(t, ok)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	hs256 := func(secret []byte, header map[string]any) string {
		text := part(t, header) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	header := func(algorithm string) map[string]any {
		return map[string]any{"alg": algorithm, "kid": "first", "typ": "at+jwt"}
	}
	other := signintest.New(t)
	other.Now = e.issuer.Now
	other.Rotate("first", "ES256")
	foreign := other.AccessToken(signintest.Claims{"iss": e.issuer.URL})
	other.Rotate("first", "EdDSA")
	embeddedKey, ok := other.PublicKey().(ed25519.PublicKey)
	require.True(t, ok)
	embedded := header("EdDSA")
	embedded["jwk"] = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(embeddedKey)}
	for name, raw := range map[string]string{
		"none":                        part(t, header("none")) + "." + parts[1] + ".",
		"None with a signature":       part(t, header("None")) + "." + parts[1] + "." + parts[2],
		"no algorithm":                part(t, map[string]any{"kid": "first"}) + "." + parts[1] + "." + parts[2],
		"HS256 with the key in PEM":   hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), header("HS256")),
		"HS256 with the key in DER":   hs256(der, header("HS256")),
		"HS256 with the modulus":      hs256(public.N.Bytes(), header("HS256")),
		"HS256 with a published key":  hs256([]byte("hush"), map[string]any{"alg": "HS256", "kid": "shared"}),
		"RS256 is called PS256":       part(t, header("PS256")) + "." + parts[1] + "." + parts[2],
		"RS256 is called RS512":       part(t, header("RS512")) + "." + parts[1] + "." + parts[2],
		"RS256 is called ES256":       part(t, header("ES256")) + "." + parts[1] + "." + parts[2],
		"another key":                 foreign,
		"another key, in the header":  part(t, embedded) + "." + parts[1] + "." + parts[2],
		"another payload":             parts[0] + "." + part(t, signintest.Claims{"iss": e.issuer.URL, "sub": "root", "aud": "invited", "exp": 4e9}) + "." + parts[2],
		"no signature":                parts[0] + "." + parts[1] + ".",
		"half a signature":            parts[0] + "." + parts[1] + "." + parts[2][:100],
		"two signatures":              `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		"critical extension":          part(t, map[string]any{"alg": "RS256", "kid": "first", "crit": []string{"x"}, "x": 1}) + "." + parts[1] + "." + parts[2],
		"no text":                     "..",
		"an encrypted token":          good + ".x.y",
		"not base64":                  "a b.c.d",
		"header is no object":         part(t, []string{"RS256"}) + "." + parts[1] + "." + parts[2],
		"payload is no object":        e.issuer.Sign(nil, nil),
		"a path as the key's ID":      part(t, map[string]any{"alg": "RS256", "kid": "../../etc/passwd"}) + "." + parts[1] + "." + parts[2],
		"a URL of keys in the header": part(t, map[string]any{"alg": "RS256", "jku": other.URL + "/keys"}) + "." + parts[1] + "." + parts[2],
	} {
		_, err := e.providers.AuthenticateToken(t.Context(), raw)
		require.True(t, fault.Is(err, fault.KindUnauthenticated), "%s: %v", name, err)
		var refusal *fault.Error
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, invalid, refusal.Message, name)
	}
	require.Zero(t, other.KeyFetches)
	e.accepts(good)
}

func TestAlgorithms(t *testing.T) {
	e := newEnv(t)
	for _, algorithm := range []string{"RS256", "RS512", "PS256", "ES256", "EdDSA"} {
		e.issuer.Rotate(algorithm, algorithm)
		e.now = e.now.Add(time.Minute)
		e.accepts(e.issuer.AccessToken(nil))
	}
	// A key signs by no other algorithm than it is published for.
	e.issuer.Publishes = "RS256"
	e.issuer.Rotate("other", "RS512")
	e.now = e.now.Add(time.Minute)
	e.refuses(e.issuer.AccessToken(nil), invalid, "no key of the issuer")
}

// A key that nobody knows is looked for at most once in 30 seconds, whatever many tokens say.
func TestUnknownKeys(t *testing.T) {
	e := newEnv(t)
	e.accepts(e.issuer.AccessToken(nil))
	require.Equal(t, 1, e.issuer.KeyFetches)
	e.now = e.now.Add(31 * time.Second)
	foreign := signintest.New(t)
	foreign.Now = e.issuer.Now
	foreign.Rotate("unknown", "ES256")
	flood := foreign.AccessToken(signintest.Claims{"iss": e.issuer.URL})
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			_, err := e.providers.AuthenticateToken(context.Background(), flood)
			if !fault.Is(err, fault.KindUnauthenticated) {
				t.Errorf("not refused: %v", err)
			}
		})
	}
	wait.Wait()
	require.Equal(t, 2, e.issuer.KeyFetches)

	old := e.issuer.AccessToken(nil)
	e.issuer.Rotate("second", "ES256")
	rotated := e.issuer.AccessToken(nil)
	e.refuses(rotated, invalid, "no key of the issuer")
	e.accepts(old)
	e.now = e.now.Add(30 * time.Second)
	e.accepts(rotated)
	require.Equal(t, 3, e.issuer.KeyFetches)
	e.refuses(old, invalid, "no key of the issuer") // the issuer has taken it back
}

func TestKeysAreKept(t *testing.T) {
	for name, test := range map[string]struct {
		header string
		fresh  time.Duration
	}{
		"nothing said":  {"", 5 * time.Minute},
		"no store":      {"no-store, max-age=0", 5 * time.Minute},
		"too short":     {"max-age=1", 5 * time.Minute},
		"an hour":       {"public, Max-Age=3600", time.Hour},
		"too long":      {"max-age=999999999", 24 * time.Hour},
		"not a number":  {"max-age=x", 5 * time.Minute},
		"out of range":  {"max-age=99999999999999999999", 5 * time.Minute},
		"less than now": {"max-age=-1", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.issuer.CacheControl = test.header
			e.providers.Refresh(t.Context())
			e.now = e.now.Add(test.fresh - time.Second)
			e.providers.Refresh(t.Context())
			require.Equal(t, 1, e.issuer.KeyFetches)
			e.now = e.now.Add(time.Second)
			e.providers.Refresh(t.Context())
			require.Equal(t, 2, e.issuer.KeyFetches)
		})
	}
}

// An issuer that is down does not stop anything: it is tried again, and its last keys serve on for a day.
func TestIssuerIsDown(t *testing.T) {
	e := newEnv(t)
	token := e.issuer.AccessToken(signintest.Claims{"exp": e.now.Add(72 * time.Hour).Unix()})
	e.issuer.IsDown = true
	e.providers.Refresh(t.Context())
	require.Equal(t, map[string]string{"campus": "can't be reached or used; the log has the reason"}, e.providers.Troubles())
	_, err := e.providers.AuthenticateToken(t.Context(), token)
	require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
	_, _, err = e.providers.Begin(t.Context(), "campus", signin.Attempt{ReturnTo: "/"})
	require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)

	e.issuer.IsDown = false
	e.now = e.now.Add(30 * time.Second)
	e.providers.Refresh(t.Context())
	require.Equal(t, map[string]string{"campus": ""}, e.providers.Troubles())
	e.accepts(token)

	e.issuer.HidesKeys = true
	e.now = e.now.Add(5 * time.Minute)
	e.providers.Refresh(t.Context())
	require.NotEmpty(t, e.providers.Troubles()["campus"])
	e.accepts(token)
	e.now = e.now.Add(24*time.Hour - 31*time.Second)
	e.accepts(token)
	e.now = e.now.Add(31 * time.Second)
	_, err = e.providers.AuthenticateToken(t.Context(), token)
	require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)

	e.issuer.HidesKeys = false
	e.now = e.now.Add(30 * time.Second)
	e.accepts(token)
	require.Equal(t, map[string]string{"campus": ""}, e.providers.Troubles())
	require.Equal(t, 2, strings.Count(e.log.String(), "issuer can't be used"), e.log)
}

// What an issuer answers is bounded, and it leads nowhere else.
func TestStrangeIssuers(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("was redirected") }))
	t.Cleanup(elsewhere.Close)
	for name, handler := range map[string]http.HandlerFunc{
		"redirects elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"redirects to itself": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
		"is another issuer":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"issuer":"https://a.example"}`)) },
		"is no JSON":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
	} {
		server := httptest.NewServer(handler)
		log := &strings.Builder{}
		p := signin.New(signin.Config{
			Issuers: []signin.Issuer{{ID: "x", URL: server.URL, ClientID: "x", Name: "X"}}, PublicURL: "https://invited.example/",
			Logger: slog.New(slog.NewTextHandler(log, nil)), Now: time.Now,
		})
		p.Refresh(t.Context())
		require.NotEmpty(t, p.Troubles()["x"], name)
		require.Less(t, log.Len(), 1000, name)
		server.Close()
	}
}

// A token says who is staff only where it has the groups.
func TestGroupsOfAccessTokens(t *testing.T) {
	e := newEnv(t, func(i *signin.Issuer) { i.StaffGroups, i.Claims.Groups = []string{"admins"}, "roles" })
	yes, no := true, false
	for name, test := range map[string]struct {
		changes signintest.Claims
		want    *bool
	}{
		"no groups":       {signintest.Claims{"groups": []string{"admins"}}, nil},
		"in the group":    {signintest.Claims{"roles": []string{"users", "admins"}}, &yes},
		"in other groups": {signintest.Claims{"roles": []string{"admins2"}}, &no},
		"groups are null": {signintest.Claims{"roles": []string(nil)}, &no},
	} {
		person, err := e.providers.AuthenticateToken(t.Context(), e.issuer.AccessToken(test.changes))
		require.NoError(t, err, name)
		require.Equal(t, test.want, person.Staff, name)
	}
}

// Whether an address is verified is said of the claim email alone.
func TestVerifiedAddressOfAnotherClaim(t *testing.T) {
	for name, test := range map[string]struct {
		claims  signintest.Claims
		trusted bool
		want    bool
	}{
		"one address":         {signintest.Claims{"email": "ina@x.example", "upn": "ina@x.example"}, false, true},
		"two addresses":       {signintest.Claims{"email": "ina@x.example", "upn": "olivia@x.example"}, false, false},
		"no claim email":      {signintest.Claims{"email": nil, "upn": "olivia@x.example"}, false, false},
		"trusted":             {signintest.Claims{"email": "ina@x.example", "upn": "olivia@x.example"}, true, true},
		"email is a list":     {signintest.Claims{"email": []string{"olivia@x.example"}, "upn": "olivia@x.example"}, false, false},
		"email, not verified": {signintest.Claims{"email": "ina@x.example", "upn": "ina@x.example", "email_verified": false}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, func(i *signin.Issuer) { i.Claims.Email, i.EmailTrusted = "upn", test.trusted })
			claims := signintest.Claims{"email_verified": true}
			maps.Copy(claims, test.claims)
			person, err := e.providers.AuthenticateToken(t.Context(), e.issuer.AccessToken(claims))
			require.NoError(t, err)
			require.Equal(t, claims["upn"], person.Email)
			require.Equal(t, test.want, person.EmailVerified)
		})
	}
}

func TestNoProviders(t *testing.T) {
	t.Parallel()
	var none *signin.Providers
	none.Refresh(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	none.Run(ctx)
}

// What an issuer says of itself has to be safe, and not too large.
func TestBadMetadata(t *testing.T) {
	for name, change := range map[string]func(*signintest.Issuer){
		"is large":        func(i *signintest.Issuer) { i.Padding = 1 << 20 },
		"no token URL":    func(i *signintest.Issuer) { i.Metadata = signintest.Claims{"token_endpoint": nil} },
		"secret in clear": func(i *signintest.Issuer) { i.Metadata = signintest.Claims{"token_endpoint": "http://a.example/"} },
		"person in clear": func(i *signintest.Issuer) {
			i.Metadata = signintest.Claims{"authorization_endpoint": "http://a.example/"}
		},
		"keys in clear":  func(i *signintest.Issuer) { i.Metadata = signintest.Claims{"jwks_uri": "http://a.example/"} },
		"keys in a file": func(i *signintest.Issuer) { i.Metadata = signintest.Claims{"jwks_uri": "file:///etc/passwd"} },
		"a script": func(i *signintest.Issuer) {
			i.Metadata = signintest.Claims{"authorization_endpoint": "javascript:alert(1)"}
		},
		"user in the URL":  func(i *signintest.Issuer) { i.Metadata = signintest.Claims{"token_endpoint": "https://u:p@a.example/"} },
		"a slash too many": func(i *signintest.Issuer) { i.Metadata = signintest.Claims{"issuer": i.URL + "/"} },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			change(e.issuer)
			e.providers.Refresh(t.Context())
			require.NotEmpty(t, e.providers.Troubles()["campus"])
		})
	}
	t.Run("no safe end of session", func(t *testing.T) {
		e := newEnv(t)
		e.issuer.Metadata = signintest.Claims{"end_session_endpoint": "javascript:alert(1)"}
		e.providers.Refresh(t.Context())
		require.Empty(t, e.providers.Troubles()["campus"])
		to, _ := e.providers.EndSession(e.issuer.URL)
		require.Empty(t, to)
	})
}
