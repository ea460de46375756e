package web_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// A visitor of the demonstration is one of its people with a click, and nobody else, and only by a name of this machine.
func TestDemo(t *testing.T) {
	onEachEngine(t, func(e *env) {
		b := e.browser()
		got := b.get("/demo/")
		require.Equal(e, "Try it", got.heading(e))
		require.Contains(e, got.body, `<a href="http://127.0.0.1/x/">`)
		require.Contains(e, got.body, `<a href="/user-group-invitation/`+apollo+`/">the join link of Apollo</a>`)
		require.Contains(e, got.body, "&lt;b&gt;")
		require.Equal(e, http.StatusNotFound, b.post("/demo/be/sam/").status)
		require.False(e, b.isSignedIn())
		require.Equal(e, http.StatusSeeOther, b.post("/demo/be/ina/").status)
		require.True(e, b.isSignedIn())

		proxied := e.browser()
		proxied.header.Set("X-Forwarded-For", "192.0.2.7")
		require.Equal(e, http.StatusNotFound, proxied.post("/demo/be/ina/").status)
		rebound := e.browser()
		rebound.host = "evil.example:8080"
		require.Equal(e, http.StatusNotFound, rebound.get("/demo/").status)
		require.Equal(e, http.StatusNotFound, rebound.post("/demo/be/ina/").status)
		rebound.host = ""
		require.False(e, rebound.isSignedIn())
	})
}
