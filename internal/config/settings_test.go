package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/config"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	settings, err := config.Settings([]string{
		"INVITED_DATABASE_URL=postgres://invited:pa55word@db.example:5432/invited",
		"INVITED_SECRET_KEY=abcdefghijklmnopqrstuvwxyz0123456789",
		"INVITED_SECRET_KEY_FALLBACKS=zyxwvutsrqponmlkjihgfedcba9876543210",
		"INVITED_PROFILE=secure", "INVITED_LIMIT_INVITER=5/1h", "INVITED_LISTEN_ADDR=0.0.0.0:80",
	})
	require.NoError(t, err)
	found := map[string]config.Setting{}
	for _, s := range settings {
		require.NotContains(t, found, s.Name)
		found[s.Name] = s
	}
	for _, want := range []config.Setting{
		{"INVITED_DATABASE_URL", "postgres://db.example:5432/invited", config.FromEnvironment},
		{"INVITED_SECRET_KEY", "[redacted]", config.FromEnvironment},
		{"INVITED_SECRET_KEY_FALLBACKS", "[redacted]", config.FromEnvironment},
		{"INVITED_SMTP_URL", "", config.FromDefault},
		{"INVITED_LIMIT_INVITER", "5/1h", config.FromEnvironment},
		{"INVITED_LIMIT_RECIPIENT", "20/24h", config.FromProfile},
		{"INVITED_LIMIT_INVITATION", "10/1h", config.FromDefault},
		{"INVITED_PUBLIC_URL", "http://127.0.0.1:80/", config.FromOther},
		{"INVITED_FRONTEND_URL", "http://127.0.0.1:80/", config.FromOther},
		{"INVITED_OIDC_SCOPES", "openid email profile", config.FromDefault},
		{"INVITED_INVITATION_LIFETIME", "168h", config.FromDefault},
	} {
		require.Equal(t, want, found[want.Name])
	}

	_, err = config.Settings([]string{"INVITED_WORKERS=perhaps"})
	require.ErrorContains(t, err, "INVITED_WORKERS")
}

// A secret of any variable is hidden.
func TestSettingsHideSecrets(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAx"
	settings, err := config.Settings([]string{
		"INVITED_SECRET_KEY=" + secret, "INVITED_SECRET_KEY_FALLBACKS=" + secret + "," + secret,
		"INVITED_DATABASE_URL=postgres://" + secret + ":" + secret + "@db/invited?password=" + secret,
		"INVITED_SMTP_URL=smtp://" + secret + ":" + secret + "@mail", "INVITED_OIDC_CLIENT_SECRET=" + secret,
		"INVITED_INVITATION_WEBHOOK_URL=https://hooks.example/" + secret, "INVITED_INVITATION_WEBHOOK_SECRET=" + secret,
		"INVITED_INVITATION_WEBHOOK_TOKEN_URL=https://hooks.example/" + secret,
		"INVITED_INVITATION_WEBHOOK_TOKEN_CLIENT_ID=client", "INVITED_INVITATION_WEBHOOK_TOKEN_SECRET=" + secret,
	})
	require.NoError(t, err)
	for _, s := range settings {
		require.NotContains(t, s.Value, secret, s.Name)
	}
}
