package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/config"
)

func loadFile(t *testing.T, content string, environ ...string) ([]config.Issuer, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "oidc.yaml")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return load(t, append(environ, "INVITED_OIDC_FILE="+file)...).LoadIssuers()
}

func TestIssuers(t *testing.T) {
	t.Parallel()

	none, err := load(t).LoadIssuers()
	require.NoError(t, err)
	assert.Empty(t, none)

	all, err := loadFile(t, `
- id: campus
  issuer: https://login.campus.example/realms/main
  client_id: invited
- id: work
  issuer: https://login.work.example/v2.0
  client_id: abc
  client_secret: hush
  name: Work
  scopes: [openid, email]
  audiences: ["api://invited"]
  claims: {email: mail, username: upn, full_name: display_name, civil_number: civil, groups: roles}
  email_trusted: true
  staff_groups: [admins]
  accept_id_tokens: true
`, "INVITED_OIDC_ISSUER=http://127.0.0.1:5556/dex", "INVITED_OIDC_CLIENT_ID=here", "INVITED_OIDC_AUDIENCES=a,b")
	require.NoError(t, err)
	usual := []string{"openid", "email", "profile"}
	assert.Equal(t, []config.Issuer{
		{ID: "oidc", URL: "http://127.0.0.1:5556/dex", ClientID: "here", Name: "127.0.0.1:5556", Scopes: usual, Audiences: []string{"a", "b"}},
		{ID: "campus", URL: "https://login.campus.example/realms/main", ClientID: "invited", Name: "login.campus.example", Scopes: usual},
		{
			ID: "work", URL: "https://login.work.example/v2.0", ClientID: "abc", ClientSecret: "hush", Name: "Work",
			Scopes: []string{"openid", "email"}, Audiences: []string{"api://invited"},
			Claims:       config.IssuerClaims{Email: "mail", Username: "upn", FullName: "display_name", CivilNumber: "civil", Groups: "roles"},
			EmailTrusted: true, StaffGroups: []string{"admins"}, AcceptIDTokens: true,
		},
	}, all)
}

// A bad entry is an error with its line, and without a value that may be a secret.
func TestBadIssuerFile(t *testing.T) {
	t.Parallel()

	const good = "- {id: a, issuer: 'https://a.example', client_id: x}\n"
	for name, test := range map[string]struct{ file, want string }{
		"no list":           {"id: a", "line 1: cannot unmarshal"},
		"no YAML":           {good + "- {", "line 2"},
		"unknown key":       {good + "- id: b\n  isuer: https://b.example\n", "line 3: field isuer not found"},
		"secret is a list":  {good + "- id: b\n  client_secret: [hush]\n", "line 3: cannot unmarshal"},
		"flag is a text":    {good + "- id: b\n  email_trusted: hush\n", "line 3: cannot unmarshal !!str a value into bool"},
		"no id":             {good + "- {issuer: 'https://b.example', client_id: x}\n", "line 2: id is missing or wrong"},
		"bad id":            {good + "- {id: ../b, issuer: 'https://b.example', client_id: x}\n", "line 2: id is missing or wrong"},
		"reserved id":       {"- {id: code, issuer: 'https://b.example', client_id: x}\n", "line 1: id is missing or wrong"},
		"reserved for mail": {"- {id: mail, issuer: 'https://b.example', client_id: x}\n", "and not code, mail, token-exchange"},
		"same id":           {good + "- {id: a, issuer: 'https://b.example', client_id: x}\n", "line 2: there is another issuer with the id a"},
		"same issuer":       {good + "- {id: b, issuer: 'https://a.example', client_id: x}\n", "line 2: there is another entry for the issuer"},
		"no client":         {good + "\n- {id: b, issuer: 'https://b.example'}\n", "line 3: client_id is missing"},
		"plain http":        {"- {id: b, issuer: 'http://b.example', client_id: x}\n", "line 1: issuer is not an https URL"},
		"user in the URL":   {"- {id: b, issuer: 'https://u:hush@b.example', client_id: x}\n", "line 1: issuer is not an https URL"},
		"no openid":         {"- {id: b, issuer: 'https://b.example', client_id: x, scopes: [email]}\n", "line 1: scopes does not have openid"},
		"empty group":       {"- {id: b, issuer: 'https://b.example', client_id: x, staff_groups: ['']}\n", "empty text"},
		"no certificates":   {"- {id: b, issuer: 'https://b.example', client_id: x, ca_file: /dev/null}\n", "line 1: ca_file: /dev/null has no certificate"},
	} {
		_, err := loadFile(t, test.file)
		require.Error(t, err, name)
		assert.Regexp(t, `^INVITED_OIDC_FILE: .*oidc\.yaml: `, err.Error(), name)
		assert.Contains(t, err.Error(), test.want, name)
		assert.NotContains(t, err.Error(), "hush", name)
		assert.NotContains(t, err.Error(), "\n", name)
	}
	_, err := load(t, "INVITED_OIDC_FILE=/nowhere/x.yaml").LoadIssuers()
	require.ErrorContains(t, err, "INVITED_OIDC_FILE: ")
	_, err = load(t, "INVITED_OIDC_ISSUER=https://a.example", "INVITED_OIDC_CLIENT_ID=x", "INVITED_OIDC_CA_FILE=/dev/null").LoadIssuers()
	require.ErrorContains(t, err, "INVITED_OIDC_CA_FILE: /dev/null has no certificate")
}
