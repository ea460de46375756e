package signintest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// The client that is registered at every Issuer.
const (
	ClientID     = "invited"
	ClientSecret = "hush"
)

// Claims are the claims of a token or a person.
type Claims map[string]any

// Issuer is a provider. A test may change its exported fields between requests.
type Issuer struct {
	URL    string
	Server *httptest.Server

	Person       Claims       // who signs in; "sub" among them
	Change       func(Claims) // changes the claims of the next ID tokens; nil: nothing is changed
	UserInfo     Claims       // what the user info says; nil: there is none
	CacheControl string       // of the keys
	IsDown       bool         // everything answers 503
	HidesKeys    bool         // the keys answer 503
	Metadata     Claims       // replaces members of the discovery document
	Padding      int          // every document has as many more bytes
	Publishes    string       // the algorithm that the keys are published for; "": their own
	NamesItself  bool         // the callback has the parameter iss (RFC 9207)
	Now          func() time.Time
	KeyFetches   int // how often the keys were fetched

	t     testing.TB
	mu    sync.Mutex
	keys  []key
	codes map[string]code
}

type key struct {
	id, algorithm string
	signer        crypto.Signer
}

type code struct {
	callback, challenge, nonce string
}

// New returns a provider with one key for RS256. The test's cleanup closes it.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, Now: time.Now, codes: map[string]code{}, Person: Claims{"sub": "person-1"}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.serveKeys)
	mux.HandleFunc("GET /auth", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /user", i.user)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.IsDown {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.Server.Close)
	i.URL = i.Server.URL
	i.Rotate("first", "RS256")
	return i
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Rotate replaces the keys by a new one. All keys for RSA are the same key: to make one takes long.
func (i *Issuer) Rotate(id, algorithm string) {
	i.t.Helper()
	k := key{id: id, algorithm: algorithm}
	var err error
	switch algorithm {
	case "ES256":
		k.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.signer, err = rsaKey()
	}
	require.NoError(i.t, err)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = []key{k}
}

// PublicKey returns the newest key's public part.
func (i *Issuer) PublicKey() crypto.PublicKey { return i.keys[len(i.keys)-1].signer.Public() }

// Sign returns a token with claims, signed by the newest key. header has more parts of the token's header.
func (i *Issuer) Sign(claims Claims, header map[string]string) string {
	i.t.Helper()
	k := i.keys[len(i.keys)-1]
	options := new(jose.SignerOptions)
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(k.algorithm), Key: jose.JSONWebKey{Key: k.signer, KeyID: k.id},
	}, options)
	require.NoError(i.t, err)
	payload, err := json.Marshal(claims)
	require.NoError(i.t, err)
	signed, err := signer.Sign(payload)
	require.NoError(i.t, err)
	raw, err := signed.CompactSerialize()
	require.NoError(i.t, err)
	return raw
}

// AccessToken returns a token of RFC 9068 for the client, with changes; a change to nil takes a claim away.
func (i *Issuer) AccessToken(changes Claims) string {
	i.t.Helper()
	claims := Claims{
		"iss": i.URL, "sub": "person-1", "aud": ClientID, "client_id": "a client", "jti": rand.Text(),
		"iat": i.Now().Unix(), "exp": i.Now().Add(5 * time.Minute).Unix(),
	}
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return i.Sign(claims, map[string]string{"typ": "at+jwt"})
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	document := map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"end_session_endpoint": i.URL + "/logout", "authorization_response_iss_parameter_supported": i.NamesItself,
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
	}
	if i.UserInfo != nil {
		document["userinfo_endpoint"] = i.URL + "/user"
	}
	maps.Copy(document, i.Metadata)
	_, _ = io.WriteString(w, strings.Repeat(" ", i.Padding))
	answer(w, document)
}

func (i *Issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.KeyFetches++
	if i.HidesKeys {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	keys := []any{
		map[string]string{"kty": "of the future", "kid": "unknown"},
		map[string]string{"kty": "oct", "kid": "shared", "k": "aHVzaA"},
	}
	for _, each := range i.keys {
		keys = append(keys, jose.JSONWebKey{Key: each.signer.Public(), KeyID: each.id, Algorithm: cmp.Or(i.Publishes, each.algorithm), Use: "sig"})
	}
	w.Header().Set("Cache-Control", i.CacheControl)
	answer(w, map[string]any{"keys": keys})
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Get("client_id") != ClientID || query.Get("response_type") != "code" || query.Get("code_challenge_method") != "S256" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	made := rand.Text()
	i.codes[made] = code{query.Get("redirect_uri"), query.Get("code_challenge"), query.Get("nonce")}
	back := url.Values{"code": {made}, "state": {query.Get("state")}}
	if i.NamesItself {
		back.Set("iss", i.URL)
	}
	http.Redirect(w, r, query.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound) //nolint:gosec // G710: a test has one client
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	given, known := i.codes[r.FormValue("code")]
	delete(i.codes, r.FormValue("code"))
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !known || id != ClientID || secret != ClientSecret || given.callback != r.FormValue("redirect_uri") ||
		given.challenge != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	claims := Claims{
		"iss": i.URL, "aud": ClientID, "nonce": given.nonce, "iat": i.Now().Unix(), "exp": i.Now().Add(time.Minute).Unix(),
	}
	maps.Copy(claims, i.Person)
	if i.Change != nil {
		i.Change(claims)
	}
	answer(w, map[string]any{
		"access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": i.Sign(claims, map[string]string{"typ": "JWT"}),
	})
}

func (i *Issuer) user(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer opaque" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer(w, i.UserInfo)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client may have left
}
