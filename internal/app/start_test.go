package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever prevents a start is found before the database file is created.
func TestFailedStartWritesNothing(t *testing.T) {
	t.Parallel()
	for name, variable := range map[string]string{
		"address in use":   "INVITED_LISTEN_ADDR=256.0.0.1:80",
		"no templates":     "INVITED_TEMPLATES_DIR=nowhere",
		"no mail folder":   "INVITED_MAIL_DIR=/dev/null/mail",
		"no mail server":   "INVITED_SMTP_URL=ftp://x",
		"no issuers":       "INVITED_OIDC_FILE=nowhere",
		"secret too short": "INVITED_SECRET_KEY=short",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := setup(t, "").Set(variable)
			result := env.Run("", "serve")
			require.Equal(t, 1, result.Code, result.Stderr)
			content, err := os.ReadFile(filepath.Join(env.Dir, "data", "invited.db"))
			if err == nil {
				require.Empty(t, content)
			}
		})
	}
}
