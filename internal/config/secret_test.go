package config_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/config"
)

func TestSecretKeyFromTheEnvironment(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	c := load(t, "INVITED_DATABASE_URL=sqlite://"+dir+"/invited.db", "INVITED_SECRET_KEY= "+longKey+"\n")
	key, err := c.LoadSecret()
	require.NoError(t, err)
	assert.Equal(t, longKey, key.Reveal())
	assert.NoFileExists(t, filepath.Join(dir, "secret.key"))
}

func TestSecretKeyIsRequiredWithPostgres(t *testing.T) {
	t.Parallel()

	_, err := load(t, "INVITED_DATABASE_URL=postgres://db/x").LoadSecret()
	require.ErrorContains(t, err, "INVITED_SECRET_KEY: required with PostgreSQL")
	assert.ErrorContains(t, err, "openssl rand -base64 32")
}

func TestSecretKeyIsGeneratedOnce(t *testing.T) {
	t.Parallel()

	dir := filepath.Join(t.TempDir(), "data")
	c := load(t, "INVITED_DATABASE_URL=sqlite://"+dir+"/invited.db")

	const processes = 16
	keys := make([]config.Secret, processes)
	errs := make([]error, processes)
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() { keys[i], errs[i] = c.LoadSecret() })
	}
	wg.Wait()

	for i := range processes {
		require.NoError(t, errs[i])
		assert.Equal(t, keys[0].Reveal(), keys[i].Reveal())
	}
	assert.Len(t, keys[0].Reveal(), 43)

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "only the key remains")
	info, err := entries[0].Info()
	require.NoError(t, err)
	assert.Equal(t, "secret.key", info.Name())
	assert.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestDamagedSecretKeyIsRefused(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret.key"), []byte("short\n"), 0o600))
	_, err := load(t, "INVITED_DATABASE_URL=sqlite://"+dir+"/invited.db").LoadSecret()
	require.ErrorContains(t, err, "damaged")
	assert.NotContains(t, err.Error(), "short")
}
