package api_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/fault"
	"invited/internal/identity"
	"invited/internal/signin"
	"invited/internal/signin/signintest"
)

// withIssuer makes the environment's API take access tokens of an issuer, which it returns.
func (e *env) withIssuer(create identity.CreateUsers) *signintest.Issuer {
	e.t.Helper()
	issuer := signintest.New(e.t)
	issuer.Now = e.clock.Now
	providers := signin.New(signin.Config{
		Issuers:   []signin.Issuer{{ID: "campus", URL: issuer.URL, ClientID: signintest.ClientID, Name: "Campus"}},
		PublicURL: "https://api.example/", Logger: slog.New(slog.NewTextHandler(e.log, nil)), Now: e.clock.Now,
	})
	e.server = httptest.NewServer(e.handler(func(c *api.Config) {
		c.Callers = e.callers(func(c *signin.ChainConfig) { c.Providers, c.Identity = providers, e.identity(create) })
	}))
	e.t.Cleanup(e.server.Close)
	return issuer
}

// An access token of an issuer authenticates as a key does, and one that does not work is refused whatever else is there.
func TestJWTAuthenticates(t *testing.T) {
	onEachEngine(t, func(e *env) {
		issuer := e.withIssuer(identity.CreateNone)
		me := func(authorization string) response { return e.requestWith(authorization, "GET", "/api/users/me/", nil) }
		owner := e.value("SELECT email FROM users WHERE username = 'owner'")
		verified := signintest.Claims{"sub": "owner-1", "email": owner, "email_verified": true}
		jwt := issuer.AccessToken(verified)
		var found struct{ Username string }
		require.NoError(e.t, json.Unmarshal([]byte(me("Bearer "+jwt).is(http.StatusOK, "").Body), &found))
		require.Equal(e.t, "owner", found.Username)
		me("bearer  "+issuer.AccessToken(signintest.Claims{"sub": "owner-1"})).is(http.StatusOK, "") // linked, so that the subject does
		me("Bearer owner-key").is(http.StatusOK, "")
		me("Token owner-key").is(http.StatusOK, "")

		me("Token " + jwt).isUnauthorized("Invalid token.")
		me("Bearer " + jwt + "x").isUnauthorized("Invalid token.")
		me("Bearer " + jwt[:len(jwt)-10]).isUnauthorized("Invalid token.")
		me("Bearer a.b.c").isUnauthorized("Invalid token.")
		me("Bearer ..").isUnauthorized("Invalid token.")
		me("Bearer " + strings.Repeat("x", 10_000) + "." + strings.Repeat("y", 10_000) + ".z").isUnauthorized("Invalid token.")
		me("Bearer " + jwt + " " + jwt).isUnauthorized("Invalid token.")
		me("Bearer " + issuer.AccessToken(signintest.Claims{"sub": "owner-1", "aud": "other"})).isUnauthorized("Invalid token.")
		two := e.newRequest("GET", "/api/users/me/", "", nil)
		two.Header["Authorization"] = []string{"Bearer " + jwt, "Token owner-key"}
		e.send(two).isUnauthorized("Invalid token.")
		e.clock.Advance(7 * time.Minute)
		me("Bearer " + jwt).isUnauthorized("Token has expired.")

		e.exec("UPDATE users SET is_active = FALSE WHERE username = 'owner'")
		me("Bearer " + issuer.AccessToken(signintest.Claims{"sub": "owner-1"})).isUnauthorized("User inactive or deleted.")
		issuer.IsDown = true
		e.clock.Advance(30 * time.Hour)
		answer := me("Bearer " + issuer.AccessToken(signintest.Claims{"sub": "owner-1"}))
		require.Equal(e.t, http.StatusServiceUnavailable, answer.Status)
		require.NotContains(e.t, e.log.String(), jwt[strings.LastIndexByte(jwt, '.')+1:])
	})
}

// Without an issuer, a key with two dots is a key.
func TestJWTWithoutIssuer(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply("users: [{username: owner, tokens: [dotted.own.key-0123456789]}]")
		e.requestWith("Bearer dotted.own.key-0123456789", "GET", "/api/users/me/", nil).is(http.StatusOK, "")
		e.requestWith("Bearer a.b.c", "GET", "/api/users/me/", nil).isUnauthorized("Invalid token.")
		e.withIssuer(identity.CreateNone)
		e.requestWith("Token dotted.own.key-0123456789", "GET", "/api/users/me/", nil).is(http.StatusOK, "")
	})
}

// People who are nobody here are refused, and cost no transaction.
func TestJWTOfNobody(t *testing.T) {
	onEachEngine(t, func(e *env) {
		service := e.identity(identity.CreateInvited)
		person := identity.Person{Issuer: "https://a.example", Subject: "1", Email: "new@x.example", EmailVerified: true, Username: "owner"}
		_, err := service.AuthenticatePerson(e.context(), person, "192.0.2.1")
		require.True(e.t, fault.Is(err, fault.KindForbidden), "%v", err)
		e.create("owner", "new@x.example", admin, apollo)
		actor, err := service.AuthenticatePerson(e.context(), person, "192.0.2.1")
		require.NoError(e.t, err)
		require.Equal(e.t, "owner-2", actor.Username)
		person.Username, person.Email = "other", "other@x.example"
		again, err := service.AuthenticatePerson(e.context(), person, "192.0.2.1")
		require.NoError(e.t, err)
		require.Equal(e.t, actor, again, "a request changes nobody")
	})
}
