package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/joining"
	"invited/internal/storetest"
)

// On PostgreSQL a locked user, scope or group invitation can be referred to by new rows, whose foreign keys lock it FOR KEY
// SHARE, and nobody else locks it for a change.
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

// Deletes, lists and limits find their rows by an index. SQLite plans without statistics, so its plan shows that. A plan of
// PostgreSQL depends on the rows, so there the index only has to exist.
func TestJoiningIndexes(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		const id = "'c0000000-0000-4000-8000-000000000001'"
		for query, index := range map[string]string{
			"permission_requests WHERE membership_uuid = " + id:                                                        "permission_requests_membership",
			"permission_requests WHERE reviewed_by_uuid = " + id:                                                       "permission_requests_reviewed_by",
			"permission_requests WHERE scope_uuid = " + id + " ORDER BY created DESC, uuid":                            "permission_requests_scope",
			"group_invitations WHERE created_by_uuid = " + id:                                                          "group_invitations_created_by",
			"group_invitations WHERE offered_by_uuid = " + id:                                                          "group_invitations_offered_by",
			"group_invitations WHERE role_uuid = " + id + " ORDER BY created DESC, uuid":                               "group_invitations_role",
			"scopes WHERE customer_uuid = " + id + " AND type = 'project' AND NOT is_removed AND name_folded = 'moon'": "scopes_customer_name",
		} {
			if e.postgres {
				require.NoError(t, e.exec("SELECT '%s'::regclass", index))
				continue
			}
			plan := e.plan("SELECT * FROM " + query)
			require.Contains(t, plan, "SEARCH", query)
			require.Contains(t, plan, "INDEX "+index, query)
			require.NotContains(t, plan, "TEMP B-TREE", query)
		}
	})
}

// MadeTime reads as many entries of an index as it counts: neither other events of the user nor those of others cost anything.
func TestMadeTime(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		statements := &storetest.Statements{}
		address := engine.Fresh(t)
		e := &env{t: t, url: address, postgres: engine.Name == "postgres", outside: outside(t, address)}
		e.db = statements.Open(t, address, database.Options{})
		applyFile(t, e.db, directoryFile)
		group, other := e.group(), e.group()
		at := func(minute int) time.Time { return time.Date(2026, 11, 23, 9, minute, 0, 0, time.UTC) }
		minute := 0
		write := func(kind joining.EventType, group uuid.UUID) {
			require.NoError(t, e.exec(`INSERT INTO group_invitation_events (group_invitation_uuid, created, event_type, user_uuid, user_username,
				user_full_name, from_state, to_state, scope_uuid, scope_name, role_uuid, role_name, message, comment, recipient, error_message, request_id)
				VALUES ('%s', '%s', '%s', '%s', '', '', '', '', '%s', '', '%s', '', '', '', '', '', '')`,
				group, at(minute).Format(database.TimeFormat), kind, oliviaID, projectID, memberRoleID))
			minute++
		}
		write(joining.EventCreated, group.UUID)   // 0
		write(joining.EventSubmitted, group.UUID) // 1
		write(joining.EventSubmitted, other.UUID) // 2
		write(joining.EventApproved, group.UUID)  // 3
		write(joining.EventSubmitted, group.UUID) // 4
		for _, test := range []struct {
			group  *uuid.UUID
			n      int
			want   time.Time
			byPlan string
		}{
			{nil, 1, at(4), "group_invitation_events_user"},
			{nil, 2, at(2), "group_invitation_events_user"},
			{nil, 4, at(0), "group_invitation_events_user"},
			{nil, 5, time.Time{}, "group_invitation_events_user"},
			{&group.UUID, 1, at(4), "group_invitation_events_submitted"},
			{&group.UUID, 2, at(1), "group_invitation_events_submitted"},
			{&group.UUID, 3, time.Time{}, "group_invitation_events_submitted"},
		} {
			statements.Take()
			require.NoError(t, e.db.Joining().Read(t.Context(), func(tx joining.Tx) error {
				got, err := tx.MadeTime(oliviaID, test.group, test.n)
				require.Equal(t, test.want, got, "%+v", test)
				return err
			}))
			if texts := statements.Take(); !e.postgres {
				plan := e.plan(texts[len(texts)-1], oliviaID, group.UUID)
				require.Contains(t, plan, "INDEX "+test.byPlan+" (user_uuid=?", texts)
				require.NotContains(t, plan, "TEMP B-TREE", texts)
			}
		}
	})
}

// MailedTime counts mails about requests that wait, one for all requests of a mail, and not those that tell of a rejection.
func TestMailedTime(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		group := e.group()
		at := func(minute int) time.Time { return time.Date(2026, 11, 23, 9, minute, 0, 0, time.UTC) }
		write := func(minute int, kind joining.EventType, about joining.State, address string) {
			require.NoError(t, e.exec(`INSERT INTO group_invitation_events (group_invitation_uuid, created, event_type, user_username,
				user_full_name, from_state, to_state, scope_uuid, scope_name, role_uuid, role_name, message, comment, recipient, error_message, request_id)
				VALUES ('%s', '%s', '%s', '', '', '%s', '%s', '%s', '', '%s', '', '', '', '%s', '', '')`,
				group.UUID, at(minute).Format(database.TimeFormat), kind, about, about, projectID, memberRoleID, address))
		}
		const address = "olivia@university.example"
		write(0, joining.EventNotified, joining.Pending, address)
		write(1, joining.EventNotified, joining.Pending, address)
		write(1, joining.EventNotified, joining.Pending, address) // in the same mail
		write(2, joining.EventNotified, joining.Rejected, address)
		write(3, joining.EventNotificationFailed, joining.Pending, address)
		write(4, joining.EventNotified, joining.Pending, "ina@university.example")
		for _, test := range []struct {
			since time.Time
			n     int
			want  time.Time
		}{
			{at(0).Add(-time.Second), 1, at(1)},
			{at(0).Add(-time.Second), 2, at(0)},
			{at(0).Add(-time.Second), 3, time.Time{}},
			{at(0), 2, time.Time{}},
		} {
			require.NoError(t, e.db.Joining().Read(t.Context(), func(tx joining.Tx) error {
				got, err := tx.MailedTime(address, test.since, test.n)
				require.Equal(t, test.want, got, "%+v", test)
				return err
			}))
		}
	})
}

// plan returns SQLite's plan of a query.
func (e *env) plan(query string, args ...any) string {
	e.t.Helper()
	for len(args) > strings.Count(query, "?") {
		args = args[:len(args)-1]
	}
	rows, err := e.outside.Query("EXPLAIN QUERY PLAN "+query, args...)
	require.NoError(e.t, err)
	defer func() { require.NoError(e.t, rows.Close()) }()
	var steps []string
	for rows.Next() {
		var step string
		var ignored int
		require.NoError(e.t, rows.Scan(&ignored, &ignored, &ignored, &step))
		steps = append(steps, step)
	}
	require.NoError(e.t, rows.Err())
	return strings.Join(steps, "\n")
}
