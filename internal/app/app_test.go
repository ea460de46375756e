package app

import (
	"log/slog"
	"net/http"
	netmail "net/mail"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/config"
	"invited/internal/directory"
	"invited/internal/storetest"
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

// The last use of a token is saved while the server runs, and what is left when the server ends.
func TestLastUseOfTokens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for name, interval := range map[string]time.Duration{
			"while serving": time.Millisecond, "at the end": time.Hour, "no database at the end": time.Hour,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				address := e.Fresh(t)
				db := storetest.Open(t, address, nil)
				require.NoError(t, db.FileStore().Write(t.Context(), func(tx directory.FileTx) error {
					return tx.SaveUsers([]directory.User{{UUID: uuid.New(), Username: "olivia", IsActive: true}})
				}))
				used, err := directory.IssueToken(t.Context(), db.FileStore(), "olivia", 0, "used")
				require.NoError(t, err)
				_, err = directory.IssueToken(t.Context(), db.FileStore(), "olivia", 0, "unused")
				require.NoError(t, err)
				lastUsed := func() (names []string) {
					found, now, err := directory.ListTokens(t.Context(), db.FileStore(), "")
					require.NoError(t, err)
					for _, each := range found {
						if each.LastUsed != nil {
							require.WithinDuration(t, now, *each.LastUsed, time.Minute)
							names = append(names, each.Name)
						}
					}
					return names
				}

				dir := t.TempDir()
				c, err := config.Load([]string{
					"INVITED_LISTEN_ADDR=127.0.0.1:0", "INVITED_DATABASE_URL=" + address, "INVITED_WORKERS=false",
					"INVITED_MAIL_DIR=" + filepath.Join(dir, "mail"), "INVITED_SECRET_KEY=" + strings.Repeat("k", 40),
				})
				require.NoError(t, err)
				a := New(c, Options{Logger: slog.New(slog.DiscardHandler), SaveTokenUses: interval})
				require.NoError(t, a.Start(t.Context()))
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr().String()+"/api/users/me/", nil)
				require.NoError(t, err)
				r.Header.Set("Authorization", "Token "+used)
				response, err := (&http.Client{Timeout: 10 * time.Second}).Do(r)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Equal(t, http.StatusOK, response.StatusCode)
				if interval < time.Hour {
					require.Eventually(t, func() bool { return slices.Equal(lastUsed(), []string{"used"}) }, 20*time.Second, 10*time.Millisecond)
				} else {
					require.Empty(t, lastUsed())
				}
				if name == "no database at the end" {
					require.NoError(t, a.db.Close())
					require.NoError(t, a.Close(), "nothing depends on the last use")
					require.Empty(t, lastUsed())
					return
				}
				require.NoError(t, a.Close())
				require.Equal(t, []string{"used"}, lastUsed())
			})
		}
	})
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
