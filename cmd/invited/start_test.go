package main

import (
	"net/mail"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What keeps the server from starting is found out before the database is made.
func TestAStartThatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	for name, variable := range map[string]string{
		"address in use":   "INVITED_LISTEN_ADDR=256.0.0.1:80",
		"no templates":     "INVITED_TEMPLATES_DIR=nowhere",
		"no mail folder":   "INVITED_MAIL_DIR=/dev/null/mail",
		"no mail server":   "INVITED_SMTP_URL=ftp://x",
		"secret too short": "INVITED_SECRET_KEY=short",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "")
			s.set(variable)
			out := s.run("", "serve")
			require.Equal(t, exitFailed, out.code, out.stderr)
			content, err := os.ReadFile(filepath.Join(s.dir, "data", "invited.db"))
			if err == nil {
				require.Empty(t, content)
			}
		})
	}
}

func TestMessageIDsAreASCII(t *testing.T) {
	t.Parallel()
	require.Equal(t, "xn--bcher-kva.example", domain(mail.Address{Address: "x@bücher.example"}))
	require.Equal(t, "example.org", domain(mail.Address{Address: "x@Example.org"}))
}
