package app

import (
	"log/slog"
	"net/http"
	netmail "net/mail"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/config"
)

func TestAppStartsOnAFreePortAndCloses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := config.Load([]string{
		"INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_DATABASE_URL=sqlite://" + filepath.Join(dir, "invited.db"),
		"INVITED_MAIL_DIR=" + filepath.Join(dir, "mail"),
	})
	require.NoError(t, err)
	a := New(c, Options{Logger: slog.New(slog.DiscardHandler), Migrate: true})
	require.NoError(t, a.Start(t.Context()))
	address := "http://" + a.Addr().String()
	get := func() (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/readyz", nil)
		require.NoError(t, err)
		return (&http.Client{Timeout: 10 * time.Second}).Do(r)
	}
	response, err := get()
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.NoError(t, a.Close())
	response, err = get()
	if err == nil {
		require.NoError(t, response.Body.Close())
	}
	require.Error(t, err, "nothing listens any more")
}

func TestMessageIDHostIsASCII(t *testing.T) {
	t.Parallel()
	require.Equal(t, "xn--bcher-kva.example", messageIDHost(netmail.Address{Address: "x@bücher.example"}))
	require.Equal(t, "example.org", messageIDHost(netmail.Address{Address: "x@Example.org"}))
}

// The system tests wait for the header's timeout only: the others are too long.
func TestEveryTimeoutIsSet(t *testing.T) {
	t.Parallel()
	server := newHTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for _, timeout := range []time.Duration{server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout, server.IdleTimeout} {
		require.Positive(t, timeout)
	}
	require.Positive(t, server.MaxHeaderBytes)
	require.Less(t, server.ReadHeaderTimeout, server.ReadTimeout)
	require.Less(t, server.ReadTimeout+api.RequestTimeout, server.WriteTimeout)
}
