package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signedIn are the workloads that are compared with a request to the same server by a token instead of with the floor.
var signedIn = []workload{
	{name: "page", next: (*writing).page, against: (*writing).details},
	{name: "jwt", next: func(w *writing, r *mathrand.Rand) (request, bool) {
		return w.retrieveBy(r, func(owner int) string { return w.jwts[owner] })
	}, against: (*writing).retrieve},
	{name: "session", next: func(w *writing, r *mathrand.Rand) (request, bool) {
		return w.retrieveBy(r, func(owner int) string { return cookieOf("owner", owner) })
	}, against: (*writing).retrieve},
}

// cookieName is the name of the cookie with the secret of a session, where the public URL is not https, and what follows it.
const cookieName = "invited="

// cookieOf returns the cookie of the session of a user.
func cookieOf(who string, i int) string { return fmt.Sprintf("%sbench_%s_%d", cookieName, who, i) }

// page asks for the page of an invitation that the person who is signed in can accept.
func (w *writing) page(r *mathrand.Rand) (request, bool) {
	i := r.IntN(invitees)
	return request{method: http.MethodGet, path: "/invitation/" + uuidOf(ofOffer, i).String() + "/", key: cookieOf("invitee", i), status: http.StatusOK}, true
}

// details asks for the same invitation as page, by the API.
func (w *writing) details(r *mathrand.Rand) (request, bool) {
	i := r.IntN(invitees)
	return request{method: http.MethodGet, path: api + uuidOf(ofOffer, i).String() + "/details/", key: keyOf("invitee", i), status: http.StatusOK}, true
}

// compareSignedIn measures workloads of signedIn on a server of its own, whose issuer this process is.
func (b *bench) compareSignedIn(ctx context.Context, d *database, data size, chosen []workload, out *report, stdout io.Writer) (err error) {
	tokens, err := startIssuer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tokens.close()) }()
	if err := errors.Join(d.offers(ctx, invitees, time.Hour), d.signIn(ctx, tokens.url), d.settle(ctx)); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, d.exec(ctx, "DELETE FROM sessions", "DELETE FROM identities"), d.reset(ctx))
	}()
	s, err := b.invited(ctx, d, "INVITED_OIDC_ISSUER="+tokens.url, "INVITED_OIDC_CLIENT_ID=bench", "INVITED_OIDC_CLIENT_SECRET=bench")
	if err != nil {
		return err
	}
	defer s.stop()
	b.jwts = tokens.jwts
	for _, each := range chosen {
		size, err := sameAs(s, each, &writing{data: data, jwts: b.jwts})
		if err != nil {
			return err
		}
		for _, clients := range b.clients {
			r, err := b.cell(ctx, d, data, each, clients, s, s)
			if err != nil {
				return fmt.Errorf("%s with %d clients: %w", each.name, clients, err)
			}
			out.Results = append(out.Results, r)
			fmt.Fprintf(stdout, "%s %s (%d bytes), %d clients: %.0f of %.0f requests/s by a token, %.2f times the time, %.2f of its p99\n",
				d.engine, each.name, size, clients, r.InvitedRPS, r.FloorRPS, 1/r.Ratio, r.P99Ratio)
		}
	}
	return nil
}

// sameAs returns an error where the two requests of a workload of signedIn do not answer for the same invitation. It returns
// the size of the first one's body.
func sameAs(s *server, w workload, state *writing) (size int, err error) {
	c := newClient(newHost(s.address, 1))
	ours, _ := w.next(state, dice(0, 0))
	theirs, _ := w.against(state, dice(0, 0))
	if err := c.do(theirs); err != nil {
		return 0, err
	}
	body := bytes.Clone(c.resp.Body())
	if err := c.do(ours); err != nil {
		return 0, err
	}
	var answer struct {
		ScopeName string `json:"scope_name"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	isPage := strings.HasPrefix(ours.path, "/invitation/")
	switch got := string(c.resp.Body()); {
	case isPage && (!strings.Contains(got, answer.ScopeName) || !strings.Contains(got, "Accept invitation")):
		return 0, fmt.Errorf("%s is not the page of an invitation to accept: %s", ours.path, got)
	case !isPage && got != string(body):
		return 0, fmt.Errorf("%s differs by credential: %s and %s", ours.path, got, body)
	}
	return len(c.resp.Body()), nil
}

// signIn creates a session of each owner and invitee, and an identity of each owner at an issuer.
func (d *database) signIn(ctx context.Context, issuer string) error {
	now := d.plain(d.ago("0", "0"))
	var sessions, identities []string
	for i := range invitees {
		sessions = append(sessions, fmt.Sprintf("('%s', '%s', %s, %s, '127.0.0.1')",
			digest(strings.TrimPrefix(cookieOf("invitee", i), cookieName)), uuidOf(ofInvitee, i), now, now))
	}
	for i := range owners {
		sessions = append(sessions, fmt.Sprintf("('%s', '%s', %s, %s, '127.0.0.1')",
			digest(strings.TrimPrefix(cookieOf("owner", i), cookieName)), uuidOf(ofOwner, i), now, now))
		identities = append(identities, fmt.Sprintf("('%s', 'owner-%d', '%s', %s, %s, FALSE)", issuer, i, uuidOf(ofOwner, i), now, now))
	}
	return d.exec(ctx, "INSERT INTO sessions (digest, user_uuid, created, last_used, client) VALUES "+strings.Join(sessions, ", "),
		"INSERT INTO identities (issuer, subject, user_uuid, created, last_used, gives_staff) VALUES "+strings.Join(identities, ", "))
}

// issuer is a provider of OpenID Connect that publishes a key, and an access token of each owner.
type issuer struct {
	url   string
	jwts  []string
	close func() error
}

// startIssuer starts an issuer in this process.
func startIssuer(ctx context.Context) (issuer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return issuer{}, err
	}
	i := issuer{url: "http://" + listener.Addr().String()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return i, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "bench"}},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return i, err
	}
	for owner := range owners {
		claims, err := json.Marshal(map[string]any{
			"iss": i.url, "sub": fmt.Sprintf("owner-%d", owner), "aud": "bench", "client_id": "bench",
			"iat": time.Now().Unix(), "exp": time.Now().Add(24 * time.Hour).Unix(),
		})
		if err != nil {
			return i, err
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			return i, err
		}
		compact, err := signed.CompactSerialize()
		if err != nil {
			return i, err
		}
		i.jwts = append(i.jwts, compact)
	}
	documents := map[string]any{
		"/.well-known/openid-configuration": map[string]any{
			"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"ES256"},
		},
		"/keys": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "bench", Algorithm: "ES256", Use: "sig"}}},
	}
	web := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(documents[r.URL.Path]) // the server may have left
	})}
	go func() { _ = web.Serve(listener) }() // ends by close
	i.close = web.Close
	return i, nil
}
