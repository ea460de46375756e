package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// The commands show and erase a person while a server runs, and the server's next request finds it so.
func TestPerson(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		env := setup(t, engine.Fresh(t)).Apply()
		p := env.Serve()
		id := p.Create("Ina@university.example").UUID
		p.WaitDelivered(id)
		p.Do("GET", harness.InvitationsPath, "ina", "").Is(200)

		var exported map[string]any
		require.NoError(t, json.Unmarshal([]byte(env.Run("", "person", "export", "--email", "INA@university.example").OK()), &exported))
		require.Equal(t, "ina@university.example", exported["email"])
		for _, table := range []string{"users", "invitations", "invitation_events", "api_tokens"} {
			require.Len(t, exported[table], map[string]int{"invitation_events": 2}[table]+map[string]int{"users": 1, "invitations": 1, "api_tokens": 1}[table], table)
		}
		require.Contains(t, env.Run("", "person", "export", "--email", "ina@university.example", "-o", "ina.json").OK(), "ina.json: ")
		info, err := os.Stat(filepath.Join(env.Dir, "ina.json"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		env.Run("", "person", "export", "--email", "ina@university.example", "-o", "ina.json").Fails("ina.json exists already")

		env.Run("", "person", "erase", "--email", "sam@staff.example", "--yes").Fails("sam", "staff", "--force")
		p.Do("GET", harness.InvitationsPath, "sam", "").Is(200)
		require.Contains(t, env.Run("", "person", "erase", "--email", "ina@university.example", "--dry-run").OK(), "invitations: 1 row\n")
		p.Do("GET", harness.InvitationsPath, "ina", "").Is(200)
		erased := env.Run("", "person", "erase", "--email", "ina@university.example", "--yes").OK()
		require.Contains(t, erased, "erased: 1 invitation (1 of them open until now), 1 user, ")
		require.Contains(t, erased, "backups")
		require.NotContains(t, erased, "ina@")
		p.Do("GET", harness.InvitationsPath, "ina", "").Is(401)
		require.NotContains(t, p.Do("GET", harness.InvitationsPath+id+"/", "sam", "").Is(200).Body, "university.example")
		require.Equal(t, "nothing is kept of this address\n", env.Run("", "person", "erase", "--email", "ina@university.example", "--yes").OK())
		require.Equal(t, "nothing is kept of this address\n", env.Run("", "person", "erase", "--email", "ina@university.example", "--dry-run").OK())
		require.Contains(t, env.Run("", "user", "events", "--limit", "1").OK(), "by the operator; invitations: 1, users: 1, other rows: ")
		require.Contains(t, env.Run("", "person", "erase", "--email", "sam@staff.example", "--yes", "--force").OK(), "1 user")
		for _, wrong := range [][]string{
			{"person"},
			{"person", "export"},
			{"person", "erase", "--email", "a@x.example"},
			{"person", "erase", "--yes"},
			{"person", "erase", "--email", "a@x.example", "--yes", "--dry-run"},
		} {
			require.Equal(t, 2, env.Run("", wrong...).Code, "%q", wrong)
		}
		env.Run("", "person", "export", "--email", "nobody").Fails("Enter an e-mail address")
	})
}
