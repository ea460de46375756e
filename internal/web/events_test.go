package web_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/identity"
)

// events returns what happened, the oldest first, as "TYPE USERNAME".
func (e *env) events() []string {
	e.Helper()
	found, err := e.identity.Events(e.Context(), nil, 100)
	require.NoError(e, err)
	names := make([]string, len(found))
	for i, each := range found {
		names[len(found)-1-i] = string(each.Type) + " " + each.Username
	}
	return names
}

// Each sign-in, refusal, new user and link is an event, which says who and from where, and has no secret.
func TestSignInsAreEvents(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("newer@university.example", apollo)
		b := e.browser()
		b.post("/sign-in/", "email", "newer@university.example")
		code := e.lastCode()
		require.Equal(e, http.StatusBadRequest, b.post("/sign-in/code/", "code", "x").status)
		require.Equal(e, http.StatusSeeOther, b.post("/sign-in/code/", "code", code).status)
		b.signIn("ina@university.example") // ends the session before
		require.Equal(e, http.StatusSeeOther, b.post("/sign-out/").status)
		require.Equal(e, http.StatusSeeOther, b.post("/sign-out/").status)
		require.Equal(e, []string{
			"sign_in_refused ", "user_created newer@university.example", "signed_in newer@university.example",
			"signed_in ina", "signed_out newer@university.example", "signed_out ina",
		}, e.events())
		found, err := e.identity.Events(e.Context(), nil, 100)
		require.NoError(e, err)
		for _, each := range found {
			require.Equal(e, "127.0.0.1", each.Client)
			require.NotEmpty(e, each.RequestID)
			require.True(e, e.clock.Now().Equal(each.Created))
			require.NotContains(e, each.Detail, code)
		}
		require.Contains(e, found[5].Detail, "newer@university.example")

		ina := e.user("ina").UUID
		own, err := e.identity.Events(e.Context(), &ina, 1)
		require.NoError(e, err)
		require.Equal(e, found[:1], own)

		e.clock.Advance(identity.EventsKept + time.Second)
		b.signIn("ina@university.example")
		require.NoError(e, e.identity.Sweep(e.Context()))
		require.Equal(e, []string{"signed_in ina"}, e.events())
	})
}

func TestSignInsAtIssuerAreEvents(t *testing.T) {
	onEachEngine(t, func(e *env) {
		campus := e.issuers["campus"]
		campus.Person = person("person-1", "ina@university.example")
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
		require.Equal(e, http.StatusSeeOther, e.browser().signInWith("campus").status)
		campus.Person = person("person-2", "stranger@university.example")
		require.Equal(e, http.StatusForbidden, e.browser().signInWith("campus").status)
		require.Equal(e, []string{"identity_linked ina", "signed_in ina", "signed_in ina", "sign_in_refused "}, e.events())
		found, err := e.identity.Events(e.Context(), nil, 1)
		require.NoError(e, err)
		require.Equal(e, campus.URL, found[0].Issuer)
		require.Equal(e, "person-2", found[0].Subject)
		require.Contains(e, found[0].Detail, "Nobody has invited stranger@university.example")
	}, issuer("campus"))
}
