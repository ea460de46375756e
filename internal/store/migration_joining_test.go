package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/storetest"
)

// beforeJoining is the version before group invitations.
const beforeJoining = 22

// A database of the version before, with rows, gets group invitations, and all of its rows stay. It can go back, also where
// projects were made by then, which stay as any other, and come again. A replica of the version before can still write.
func TestMigrationAddsGroupInvitations(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		db, address := openAt(t, engine, beforeJoining)
		e := &env{t: t, url: address, db: db, outside: outside(t, address)}
		const at = "'2026-11-23T09:30:00.000000Z'"
		insertScope := func(id, customer uuid.UUID, kind, name string) {
			t.Helper()
			require.NoError(t, e.exec(`INSERT INTO scopes (uuid, type, name, name_folded, description, description_folded, customer_uuid,
				is_removed, created) VALUES ('%s', '%s', '%s', lower('%s'), '', '', '%s', false, `+at+`)`, id, kind, name, name, customer))
		}
		ownerRoleID, inaID := uuid.New(), uuid.New()
		for name, id := range map[string]uuid.UUID{"olivia": oliviaID, "ina": inaID} {
			require.NoError(t, e.exec(`INSERT INTO users (uuid, username, full_name, email, email_folded, civil_number, image,
				is_staff, is_support, is_active, notifications_enabled, created)
				VALUES ('%s', '%s', '', '%s@acme.example', '%s@acme.example', '', '', false, false, true, true, `+at+`)`, id, name, name, name))
		}
		for _, role := range []struct {
			id                      uuid.UUID
			name, kind, permissions string
		}{
			{ownerRoleID, directory.CustomerOwner, "customer", `["CUSTOMER.CREATE_PERMISSION","PROJECT.CREATE_PERMISSION","INVITATION.LIST"]`},
			{adminRoleID, "PROJECT.ADMIN", "project", "[]"},
		} {
			require.NoError(t, e.exec(`INSERT INTO roles (uuid, name, description, scope_type, permissions, is_active)
				VALUES ('%s', '%s', '', '%s', '%s', true)`, role.id, role.name, role.kind, role.permissions))
		}
		insertScope(customerID, customerID, "customer", "Acme")
		insertScope(projectID, customerID, "project", "Apollo")
		require.NoError(t, e.exec(`INSERT INTO memberships (uuid, user_uuid, role_uuid, scope_uuid, created)
			VALUES ('%s', '%s', '%s', '%s', `+at+`)`, uuid.New(), oliviaID, ownerRoleID, customerID))
		invited := uuid.New()
		require.NoError(t, e.exec(`INSERT INTO invitations (uuid, state, created, delivery, execution_state, error_message, reminded,
			role_uuid, scope_uuid, customer_uuid, created_by_uuid, email, email_folded, full_name, native_name, phone_number,
			organization, job_title, civil_number, extra_invitation_text)
			VALUES ('%s', 'pending', `+at+`, 0, 'OK', '', false, '%s', '%s', '%s', '%s', 'guest@university.example',
			'guest@university.example', '', '', '', '', '', '', '')`, invited, adminRoleID, projectID, customerID, oliviaID))
		tables := map[string]string{
			"invitations": "uuid", "users": "uuid", "roles": "uuid", "memberships": "uuid", "scopes": "uuid", "invitation_events": "id",
		}
		rows := func() map[string][]string {
			found := map[string][]string{}
			for table, key := range tables {
				found[table] = e.texts("SELECT CAST(" + key + " AS text) FROM " + table + " ORDER BY 1")
			}
			return found
		}

		for round := range 2 {
			before := rows()
			applied, err := db.Migrate(t.Context())
			require.NoError(t, err)
			require.Contains(t, versions(applied), int64(beforeJoining+1))
			require.Equal(t, before, rows(), "the step changes no rows")
			insertScope(uuid.New(), customerID, "project", "Of a replica of the version before")

			e.takeUp(oliviaID, inaID)
			require.Equal(t, invited, e.mustFind(invited).UUID)
			require.NoError(t, e.change(invitation.Change{Event: newEvent(invited, invitation.EventReminded)}))
			made := e.texts("SELECT CAST(uuid AS text) FROM scopes WHERE group_invitation_uuid IS NOT NULL AND name = 'ina'")
			require.Len(t, made, 1)
			if round == 1 {
				return
			}

			after := rows()
			_, err = provider(t, engine, db).DownTo(t.Context(), beforeJoining)
			require.NoError(t, err)
			require.Equal(t, after, rows(), "the step back keeps what other tables have")
			require.Error(t, e.exec("SELECT 1 FROM permission_requests"))
			require.NoError(t, e.exec("DELETE FROM memberships WHERE user_uuid = '%s'", inaID))
			require.NoError(t, e.exec("UPDATE scopes SET is_removed = TRUE WHERE uuid = '%s'", made[0])) // its name is free again
		}
	})
}

// takeUp has the first user offer projects, and the second one ask for one and get it.
func (e *env) takeUp(offers, asks uuid.UUID) {
	e.t.Helper()
	service := &joining.Service{Store: e.db.Joining()}
	role, scope, makes := adminRoleID, "https://any.example/api/projects/"+projectID.String()+"/", true
	var owner, requester directory.Actor
	e.read(func(tx invitation.Tx) {
		var err error
		owner, err = tx.FindActor(offers)
		require.NoError(e.t, err)
		requester, err = tx.FindActor(asks)
		require.NoError(e.t, err)
	})
	group, err := service.Create(e.t.Context(), owner, joining.Edit{Role: &role, ScopeURL: &scope, MakesProjects: &makes})
	require.NoError(e.t, err)
	asked, err := service.Submit(e.t.Context(), requester, group.UUID, "", "")
	require.NoError(e.t, err)
	require.NoError(e.t, service.Approve(e.t.Context(), owner, asked.Request.UUID, ""))
	found, total, err := service.Requests(e.t.Context(), owner, joining.RequestQuery{States: []joining.State{joining.Approved}}, 1, 10)
	require.NoError(e.t, err)
	require.Equal(e.t, 1, total)
	require.Equal(e.t, asked.Request.UUID, found[0].UUID)
	require.NotNil(e.t, found[0].MembershipUUID)
}

func versions(steps []database.Migration) (all []int64) {
	for _, each := range steps {
		all = append(all, each.Version)
	}
	return all
}
