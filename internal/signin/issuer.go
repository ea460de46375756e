package signin

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"invited/internal/fault"
)

const (
	fetchInterval = 30 * time.Second // between two fetches from one issuer at least
	minLifetime   = 5 * time.Minute  // of keys
	maxLifetime   = 24 * time.Hour
	graceful      = 24 * time.Hour // for which keys serve on that can't be fetched again
)

// algorithms are those that a token may be signed with: none that needs a shared secret.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// joseAlgorithms are algorithms by the names of the library that parses tokens.
var joseAlgorithms = func() []jose.SignatureAlgorithm {
	var all []jose.SignatureAlgorithm
	for _, each := range algorithms {
		all = append(all, jose.SignatureAlgorithm(each))
	}
	return all
}()

// issuer is an Issuer together with what it has said about itself.
type issuer struct {
	Issuer
	client *http.Client
	now    func() time.Time
	logger *slog.Logger

	fetching sync.Mutex // held while something is fetched
	mu       sync.Mutex // guards the fields below
	found    discovery
	trouble  string    // why the issuer can't be used, for everybody; "" where it can
	tried    time.Time // when something was fetched last, or not
}

// discovery holds what an issuer said at one time.
type discovery struct {
	provider *oidc.Provider // nil: nothing
	metadata metadata
	keys     []jose.JSONWebKey
	fresh    time.Time // until when keys need not be fetched again
}

// metadata are the members of the discovery document that the library does not read.
type metadata struct {
	KeysURL     string   `json:"jwks_uri"`
	EndSession  string   `json:"end_session_endpoint"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	SendsIssuer bool     `json:"authorization_response_iss_parameter_supported"`
}

// issuerState holds what an issuer can be used with at a time.
type issuerState struct {
	discovery
	trouble string
}

func (i *issuer) state() issuerState {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := issuerState{i.found, i.trouble}
	if s.provider != nil && !i.now().Before(s.fresh.Add(graceful)) {
		s.provider, s.keys = nil, nil
	}
	return s
}

// isDue reports whether something has to be fetched.
func (i *issuer) isDue() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.trouble != "" || !i.now().Before(i.found.fresh)
}

// refreshNow is refresh for a request, whose client may leave: others wait for what is fetched, and it is not tried again
// soon.
func (i *issuer) refreshNow(ctx context.Context) { i.refresh(context.WithoutCancel(ctx)) }

// refresh fetches the discovery document and the keys, unless something was fetched within fetchInterval. It waits for a
// fetch that is under way. On failure the issuer stays what it was.
func (i *issuer) refresh(ctx context.Context) {
	i.fetching.Lock()
	defer i.fetching.Unlock()
	i.mu.Lock()
	now := i.now()
	early := !i.tried.IsZero() && now.Sub(i.tried) < fetchInterval
	if !early {
		i.tried = now
	}
	i.mu.Unlock()
	if early {
		return
	}
	found, err := i.discover(ctx)
	i.mu.Lock()
	before := i.trouble
	if err == nil {
		i.found, i.trouble = found, ""
	} else {
		i.trouble = "can't be reached or used; the log has the reason"
	}
	after := i.trouble
	i.mu.Unlock()
	switch {
	case after != "" && after != before:
		i.logger.WarnContext(ctx, "issuer can't be used", "issuer", i.URL, "error", shorten(err))
	case after == "" && before != "":
		i.logger.InfoContext(ctx, "issuer can be used", "issuer", i.URL, "keys", len(found.keys))
	}
}

// discover asks the issuer who it is and for its keys.
func (i *issuer) discover(ctx context.Context) (found discovery, err error) {
	if found.provider, err = oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.URL); err != nil {
		return found, err
	}
	if err := found.provider.Claims(&found.metadata); err != nil {
		return found, err
	}
	endpoint := found.provider.Endpoint()
	for name, address := range map[string]string{
		"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": found.metadata.KeysURL,
	} {
		if !isSafe(address) {
			return found, fmt.Errorf("its %s is missing, or neither https nor on this machine", name)
		}
	}
	if !isSafe(found.metadata.EndSession) {
		found.metadata.EndSession = ""
	}
	var age time.Duration
	found.keys, age, err = i.fetchKeys(ctx, found.metadata.KeysURL)
	found.fresh = i.now().Add(age)
	return found, err
}

// fetchKeys returns the keys at a URL that can sign tokens, and for how long they are fresh.
func (i *issuer) fetchKeys(ctx context.Context, address string) (keys []jose.JSONWebKey, age time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	response, err := i.client.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, 0, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("its keys: %s", response.Status)
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, 0, fmt.Errorf("its keys: %w", err)
	}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// RFC 7517, section 5: keys that nobody here understands are ignored.
		if key.UnmarshalJSON(raw) == nil && canSign(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, 0, errors.New("it has no key that tokens can be checked with")
	}
	return keys, lifetime(response.Header), nil
}

// canSign reports whether a key is a public one for signatures.
func canSign(key jose.JSONWebKey) bool {
	switch key.Key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return key.Valid() && (key.Use == "" || key.Use == "sig")
	default:
		return false
	}
}

// use returns what the issuer has said. It fetches that where nothing was heard yet, and returns fault.KindUnavailable
// where the issuer does not answer.
func (i *issuer) use(ctx context.Context) (discovery, error) {
	s := i.state()
	if s.provider == nil {
		i.refreshNow(ctx)
		s = i.state()
	}
	if s.provider == nil {
		return s.discovery, fault.Unavailable(fmt.Errorf("the issuer %s %s", i.URL, s.trouble))
	}
	return s.discovery, nil
}

// VerifySignature implements oidc.KeySet.
func (i *issuer) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	signed, err := jose.ParseSigned(jwt, joseAlgorithms)
	if err != nil {
		return nil, err
	}
	if len(signed.Signatures) != 1 {
		return nil, errors.New("a token has one signature")
	}
	header := signed.Signatures[0].Header
	keys := matching(i.state().keys, header)
	if len(keys) == 0 {
		i.refreshNow(ctx)
		keys = matching(i.state().keys, header)
	}
	for _, key := range keys {
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, fmt.Errorf("no key of the issuer has made the signature (%d were tried)", len(keys))
}

// matching returns the keys that can have signed a token. A token without a key's ID can be signed by any.
func matching(keys []jose.JSONWebKey, header jose.Header) []jose.JSONWebKey {
	var found []jose.JSONWebKey
	for _, key := range keys {
		if (header.KeyID == "" || key.KeyID == header.KeyID) && (key.Algorithm == "" || key.Algorithm == header.Algorithm) {
			found = append(found, key)
		}
	}
	return found
}
