package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

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
