package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// A credential is read from the database each time: a user who was changed is the changed user with the next request.
func TestCredentialIsOfThisMoment(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		digest := token.Digest("olivia-key")
		before, err := e.db.Credential(t.Context(), digest)
		require.NoError(t, err)
		require.Equal(t, digest, before.Token.Digest)
		require.Equal(t, oliviaID, before.Token.UserUUID)
		require.Nil(t, before.Token.Expires)
		require.Equal(t, oliviaID, before.UUID)
		require.Equal(t, "olivia", before.Username)
		require.Empty(t, before.Grants)
		require.WithinDuration(t, time.Now(), before.ReadAt, 10*time.Second)
		for round := range 3 {
			require.NoError(t, e.exec("UPDATE users SET full_name = '%d' WHERE username = 'olivia'", round))
			found, err := e.db.Credential(t.Context(), digest)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(round), found.FullName)
		}
		require.NoError(t, e.change(invitation.Change{Member: e.newMembership()}))
		found, err := e.db.Credential(t.Context(), digest)
		require.NoError(t, err)
		require.Equal(t, []directory.Grant{{
			ScopeUUID: projectID, ScopeType: directory.Project, CustomerUUID: customerID, RoleUUID: adminRoleID, RoleName: "PROJECT.ADMIN",
			Permissions: []string{},
		}}, found.Grants)

		require.NoError(t, e.exec("UPDATE api_tokens SET expires = '2026-11-23T09:30:00.000000Z'"))
		found, err = e.db.Credential(t.Context(), digest)
		require.NoError(t, err, "the caller compares the expiry")
		require.Equal(t, time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC), found.Token.Expires.UTC())

		_, err = e.db.Credential(t.Context(), token.Digest("another-key"))
		require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
		require.NoError(t, e.exec("DELETE FROM api_tokens"))
		_, err = e.db.Credential(t.Context(), digest)
		require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
	})
}

// A user may hold any number of roles. Memberships that are revoked or have expired are no grants.
func TestCredentialHasEachActiveGrant(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		clock := storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))
		db := engine.Open(t, clock.Now)
		const many = 60
		var file strings.Builder
		file.WriteString("users: [{username: ann, tokens: [ann-key]}, {username: bob, tokens: [bob-key]}]\n" +
			"roles: [{name: R, scope_type: customer, permissions: [INVITATION.LIST]}]\n" +
			"customers:\n- {name: B, members: [{user: bob, role: R}]}\n")
		for i := range many {
			fmt.Fprintf(&file, "- {name: C%d, members: [{user: ann, role: R}]}\n", i)
		}
		applyFile(t, db, file.String())
		_, err := db.QueuePool().ExecContext(t.Context(), "UPDATE memberships SET expires = '2026-11-23T10:00:00.000000Z'"+
			" WHERE user_uuid IN (SELECT uuid FROM users WHERE username = 'bob')")
		require.NoError(t, err)
		grants := func(key string) []directory.Grant {
			found, err := db.Credential(t.Context(), token.Digest(key))
			require.NoError(t, err)
			require.NoError(t, db.Invitations().Read(t.Context(), func(tx invitation.Tx) error {
				actor, err := tx.FindActor(found.UUID)
				require.Equal(t, found.User, actor.User)
				require.ElementsMatch(t, found.Grants, actor.Grants)
				return err
			}))
			return found.Grants
		}
		require.Len(t, grants("ann-key"), many)
		require.Len(t, grants("bob-key"), 1)
		require.Equal(t, []string{directory.InvitationList}, grants("bob-key")[0].Permissions)
		clock.Advance(30*time.Minute - time.Microsecond)
		require.Len(t, grants("bob-key"), 1)
		clock.Advance(time.Microsecond)
		require.Empty(t, grants("bob-key"), "a membership is expired from its Expires on")
		_, err = db.QueuePool().ExecContext(t.Context(), "UPDATE memberships SET revoked = created")
		require.NoError(t, err)
		require.Empty(t, grants("ann-key"))
	})
}

func TestStoreOfUnreachablePostgres(t *testing.T) {
	t.Parallel()
	db, err := store.Open(database.Options{Postgres: "postgres://invited:pa55word@127.0.0.1:1/invited"})
	require.NoError(t, err, "opening must not need the server")
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, credential := db.Credential(t.Context(), "digest")
	_, migrating := db.Migrate(t.Context())
	_, current := db.Current(t.Context())
	for what, err := range map[string]error{
		"credential": credential,
		"migrate":    migrating,
		"current":    current,
		"read":       db.Invitations().Read(t.Context(), func(invitation.Tx) error { return nil }),
		"change":     db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) { return nil, nil }),
		"directory":  db.FileStore().Write(t.Context(), func(directory.FileTx) error { return nil }),
		"export":     db.FileStore().Read(t.Context(), func(directory.FileTx) error { return nil }),
		"scopes":     db.ReadStore().Read(t.Context(), func(directory.ReadTx) error { return nil }),
	} {
		require.True(t, fault.Is(err, fault.KindUnavailable), "%s: %v", what, err)
		require.ErrorIs(t, err, database.ErrUnavailable, what)
		require.NotContains(t, err.Error(), "pa55word", what)
	}
}
