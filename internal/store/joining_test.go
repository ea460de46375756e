package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/joining"
)

// On PostgreSQL a locked user, scope or group invitation can be referred to by new rows, whose foreign keys lock it FOR KEY SHARE,
// and nobody else locks it for a change.
func TestLocksLetForeignKeysPass(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		group := e.group()
		lock := func(read func(tx joining.Tx) error, table string, id uuid.UUID, isRefused map[string]bool) {
			require.NoError(t, e.db.Joining().Change(t.Context(), func(tx joining.Tx) ([]joining.Change, error) {
				require.NoError(t, read(tx))
				for strength, want := range isRefused {
					if e.postgres { // SQLite has one writer at a time
						_, err := e.outside.ExecContext(t.Context(), "SELECT 1 FROM "+table+" WHERE uuid = $1 FOR "+strength+" NOWAIT", id)
						require.Equal(t, want, err != nil, "%s FOR %s: %v", table, strength, err)
					}
				}
				return nil, nil
			}))
		}
		exclusive := map[string]bool{"KEY SHARE": false, "SHARE": true, "NO KEY UPDATE": true}
		lock(func(tx joining.Tx) error { _, err := tx.LockUser(oliviaID); return err }, "users", oliviaID, exclusive)
		lock(func(tx joining.Tx) error { return tx.LockScope(projectID) }, "scopes", projectID, exclusive)
		lock(func(tx joining.Tx) error { _, err := tx.FindGroupForChange(group.UUID); return err },
			"group_invitations", group.UUID, exclusive)
		lock(func(tx joining.Tx) error { _, err := tx.FindGroupToTakeUp(group.UUID); return err },
			"group_invitations", group.UUID, map[string]bool{"KEY SHARE": false, "SHARE": false, "NO KEY UPDATE": true})
	})
}

// group writes a group invitation of olivia's to the project.
func (e *env) group() joining.GroupInvitation {
	e.t.Helper()
	made := joining.GroupInvitation{
		UUID: uuid.New(), NotCanceled: true, RoleUUID: memberRoleID, ScopeUUID: projectID, CustomerUUID: customerID, CreatedByUUID: &oliviaID,
		Scope: directory.Scope{UUID: projectID}, EmailPatterns: []string{}, Affiliations: []string{}, IdentitySources: []string{},
	}
	require.NoError(e.t, e.db.Joining().Change(e.t.Context(), func(tx joining.Tx) ([]joining.Change, error) {
		made.Created = tx.Now()
		return []joining.Change{{After: &made}}, nil
	}))
	return made
}

// In a customer the schema refuses a second project of a name that approvals made, by whatever group invitation, unless the first
// was removed. Other projects may have the name.
func TestSchemaRefusesSecondMadeProject(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		write := func(name, made, removed string) (uuid.UUID, error) {
			id := uuid.New()
			return id, e.exec(`INSERT INTO scopes (uuid, type, name, name_folded, slug, description, description_folded, customer_uuid, created, is_removed, group_invitation_uuid)
				VALUES ('%s', 'project', '%s', 'moon', 'moon', '', '', '%s', '2026-11-23T09:30:00.000000Z', %s, %s)`, id, name, customerID, removed, made)
		}
		made := func() string { return "'" + uuid.NewString() + "'" }
		first, err := write("Moon", made(), "FALSE")
		require.NoError(t, err)
		for _, each := range []struct{ made, removed string }{{"NULL", "FALSE"}, {"NULL", "FALSE"}, {made(), "TRUE"}} {
			_, err = write("Moon", each.made, each.removed)
			require.NoError(t, err)
		}
		_, err = write("MOON", made(), "FALSE")
		requireRefused(t, err, notUnique)
		require.NoError(t, e.exec("UPDATE scopes SET is_removed = TRUE WHERE uuid = '%s'", first))
		_, err = write("MOON", made(), "FALSE")
		require.NoError(t, err)
		requireRefused(t, e.exec("UPDATE scopes SET is_removed = FALSE WHERE uuid = '%s'", first), notUnique)
	})
}
