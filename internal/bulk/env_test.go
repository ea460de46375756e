package bulk_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

const (
	acme    = "10000000-0000-4000-8000-000000000001"
	apollo  = "20000000-0000-4000-8000-000000000001"
	borea   = "20000000-0000-4000-8000-000000000002" // starts later
	closed  = "20000000-0000-4000-8000-000000000003" // admits only some addresses
	gone    = "20000000-0000-4000-8000-000000000004" // removed
	managed = "20000000-0000-4000-8000-000000000005" // has a manager
	foreign = "20000000-0000-4000-8000-000000000006" // of another customer
	member  = "40000000-0000-4000-8000-000000000002"
	retired = "40000000-0000-4000-8000-000000000004" // not active
	nothing = "99999999-0000-4000-8000-000000000001"
)

const directoryFile = `
roles:
  - {name: CUSTOMER.OWNER, uuid: 40000000-0000-4000-8000-000000000005, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION, CUSTOMER.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: PROJECT.ADMIN, uuid: 40000000-0000-4000-8000-000000000001, scope_type: project, permissions: [PROJECT.UPDATE]}
  - {name: PROJECT.MEMBER, uuid: 40000000-0000-4000-8000-000000000002, scope_type: project}
  - {name: PROJECT.MANAGER, uuid: 40000000-0000-4000-8000-000000000003, scope_type: project}
  - {name: PROJECT.OLD, uuid: 40000000-0000-4000-8000-000000000004, scope_type: project, is_active: false}
users:
  - {username: sam, uuid: 30000000-0000-4000-8000-000000000001, email: sam@staff.example, is_staff: true}
  - {username: olivia, uuid: 30000000-0000-4000-8000-000000000002, email: olivia@acme.example, full_name: Olivia Owner}
  - {username: mia, uuid: 30000000-0000-4000-8000-000000000003, email: mia@university.example}
  - {username: max, uuid: 30000000-0000-4000-8000-000000000004, email: max@university.example, is_active: false}
  - {username: mona, uuid: 30000000-0000-4000-8000-000000000005, email: mona@other.example}
customers:
  - name: Acme
    uuid: 10000000-0000-4000-8000-000000000001
    members: [{user: olivia, role: CUSTOMER.OWNER}]
    projects:
      - {name: Apollo, uuid: 20000000-0000-4000-8000-000000000001, members: [{user: mia, role: PROJECT.MEMBER}, {user: max, role: PROJECT.MEMBER}, {user: mona, role: PROJECT.MEMBER}]}
      - {name: Borea, uuid: 20000000-0000-4000-8000-000000000002, start_date: 2026-12-24}
      - {name: Closed, uuid: 20000000-0000-4000-8000-000000000003, user_email_patterns: ['.*@university\.example']}
      - {name: Gone, uuid: 20000000-0000-4000-8000-000000000004, is_removed: true}
      - {name: Managed, uuid: 20000000-0000-4000-8000-000000000005, members: [{user: mia, role: PROJECT.MANAGER}, {user: mona, role: PROJECT.MEMBER}]}
  - name: Other
    uuid: 10000000-0000-4000-8000-000000000002
    members: [{user: mona, role: CUSTOMER.OWNER}]
    projects: [{name: Foreign, uuid: 20000000-0000-4000-8000-000000000006}]
`

// env is a database with a directory, and the use cases on it.
type env struct {
	*testing.T
	clock       *storetest.Clock
	db          *store.Store
	invitations *invitation.Service
	bulk        *bulk.Service
}

// onEachEngine runs a test on a fresh database of each engine.
func onEachEngine(t *testing.T, test func(e *env), configure ...func(*invitation.Policy)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) { test(newEnv(t, engine, configure...)) })
}

func newEnv(t *testing.T, engine storetest.Engine, configure ...func(*invitation.Policy)) *env {
	t.Helper()
	e := &env{T: t, clock: storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC))}
	e.db = engine.Open(t, e.clock.Now)
	e.apply(directoryFile)
	e.invitations = &invitation.Service{
		Store: e.db.Invitations(), Signer: token.NewSigner("the secret of the tests"), FrontendURL: "https://front.example/",
		Policy: invitation.Policy{
			Lifetime: 7 * 24 * time.Hour, MinLifetime: time.Hour, MaxLifetime: 30 * 24 * time.Hour, MaxAge: 24 * time.Hour,
			AllowedFields: []string{"full_name", "native_name", "phone_number", "organization", "job_title", "civil_number"},
		},
	}
	for _, each := range configure {
		each(&e.invitations.Policy)
	}
	e.bulk = &bulk.Service{Store: e.db.Bulk(), Invitations: e.invitations}
	return e
}

// apply writes a directory file into the database.
func (e *env) apply(text string) {
	e.Helper()
	file, err := dirfile.Decode(strings.NewReader(text))
	require.NoError(e, err)
	_, err = dirfile.Apply(e.Context(), e.db.FileStore(), file, nil)
	require.NoError(e, err)
}

// user returns a user with the grants that they hold now.
func (e *env) user(username string) (actor directory.Actor) {
	e.Helper()
	require.NoError(e, e.db.FileStore().Read(e.Context(), func(tx directory.FileTx) error {
		found, err := tx.FindUsers(nil, []string{username})
		require.Len(e, found, 1)
		actor.User = found[0]
		return err
	}))
	require.NoError(e, e.db.Bulk().Read(e.Context(), func(tx bulk.Tx) (err error) {
		actor, err = tx.FindActor(actor.UUID)
		return err
	}))
	return actor
}

// encode returns a value as JSON.
func encode(e *env, value any) string {
	e.Helper()
	text, err := json.Marshal(value)
	require.NoError(e, err)
	return string(text)
}

// find reads an invitation.
func (e *env) find(id uuid.UUID) (found invitation.Invitation) {
	e.Helper()
	require.NoError(e, e.db.Bulk().Read(e.Context(), func(tx bulk.Tx) (err error) {
		found, err = tx.Find(id)
		return err
	}))
	return found
}
