package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	env := setup(t, "").Set("INVITED_SMTP_URL=smtp://user:pa55word@mail.example", "INVITED_PROFILE=secure", "INVITED_SITE_NAME=The \x1b[1msite")
	output := env.Run("", "config").OK()
	require.Regexp(t, `(?m)^INVITED_SMTP_URL +\[redacted\] +environment$`, output)
	require.Regexp(t, `(?m)^INVITED_INVITATION_MAX_AGE +72h +profile$`, output)
	require.Regexp(t, `(?m)^INVITED_INVITATION_LIFETIME +168h +default$`, output)
	require.NotContains(t, output, "pa55word")
	require.NotContains(t, output, "\x1b", "a terminal gets no escapes")
	require.Contains(t, env.With("INVITED_BOGUS=1").Run("", "config").Stderr, "INVITED_BOGUS is no variable")
	env.With("INVITED_WORKERS=perhaps").Run("", "config").Fails("INVITED_WORKERS", "perhaps")
	entries, err := os.ReadDir(env.Dir)
	require.NoError(t, err)
	require.Empty(t, entries, "no file is made")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		env := setup(t, e.Fresh(t)).Set("INVITED_LISTEN_ADDR=" + harness.FreeAddress(t))
		env.Run("", "health").Fails("does not answer", "connection refused")
		process := env.Serve()
		output := env.Run("", "health").OK()
		require.Regexp(t, `^ok\n(?s:.*)database: ok\n`, output)
		process.Stop()
		env.Run("", "health").Fails("does not answer")
	})
}

func TestManualPages(t *testing.T) {
	t.Parallel()
	env := setup(t, "")
	require.Empty(t, env.Run("", "man", "--output", ".").OK())
	path := filepath.Join(env.Dir, "invited-directory-apply.1")
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "INVITED-DIRECTORY-APPLY")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm(), "everybody reads manual pages")
	env.Run("", "man", "-o", "nowhere").Fails("nowhere")
}
