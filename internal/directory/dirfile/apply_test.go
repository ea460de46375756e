package dirfile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/storetest"
	"invited/internal/token"
)

const acme = `
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [INVITATION.LIST]}
  - {name: PROJECT.ADMIN, scope_type: project, description: Administrator}
  - {name: OFFERING.MANAGER, scope_type: offering}
users:
  - {username: alice, email: Alice@Example.com, full_name: Älice Öwner, tokens: [alice-token], is_staff: true}
  - {username: bob}
customers:
  - name: Ácme
    members: [{user: alice, role: CUSTOMER.OWNER}]
    projects:
      - {name: Apollo, start_date: 2027-01-01, members: [{user: bob, role: PROJECT.ADMIN}, {user: alice, role: PROJECT.ADMIN}]}
    scopes:
      - {type: offering, name: GPU nodes, members: [{user: bob, role: OFFERING.MANAGER, expiration_time: 2999-01-01T00:00:00Z}]}
      - {type: call, name: GPU nodes}
  - name: Other
    projects: [{name: Apollo}]
`

func TestApplyCreatesAndIsIdempotent(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		var steps []int
		report, err := dirfile.Apply(context.Background(), e.store, decode(t, acme), func(done, total int) {
			require.Equal(t, 30, total)
			steps = append(steps, done)
		})
		require.NoError(t, err)
		require.IsNonDecreasing(t, steps)
		require.Equal(t, 30, steps[len(steps)-1])
		n := func(created int) dirfile.Count { return dirfile.Count{Created: created} }
		require.Equal(t, dirfile.Report{
			Roles: n(3), Users: n(2), Tokens: n(1), Customers: n(2), Projects: n(2), OtherScopes: n(2), Memberships: n(4),
		}, report)
		before := e.export()

		n = func(unchanged int) dirfile.Count { return dirfile.Count{Unchanged: unchanged} }
		require.Equal(t, dirfile.Report{
			Roles: n(3), Users: n(2), Tokens: n(1), Customers: n(2), Projects: n(2), OtherScopes: n(2), Memberships: n(4),
		}, e.apply(acme))
		require.Equal(t, before, e.export())

		alice := e.user("alice")
		require.Equal(t, "Alice@Example.com", alice.Email)
		require.Equal(t, "alice@example.com", alice.EmailFolded)
		require.True(t, alice.IsStaff && alice.IsActive && alice.NotificationsEnabled)
		e.read(func(tx directory.FileTx) error {
			tokens, err := tx.FindTokens([]string{token.Digest("alice-token"), token.Digest("bob-token")})
			require.Len(t, tokens, 1)
			require.Equal(t, alice.UUID, tokens[0].UserUUID)
			require.Nil(t, tokens[0].Expires)
			require.NoError(t, err)
			customers, err := tx.FindScopes(nil, []directory.ScopeKey{{Type: directory.Customer, Name: "Ácme"}})
			require.Len(t, customers, 1)
			require.Equal(t, "ácme", customers[0].NameFolded)
			require.Equal(t, customers[0].UUID, customers[0].CustomerUUID)
			return err
		})
	})
}

func TestReportOmitsKindsWithoutRecords(t *testing.T) {
	t.Parallel()
	report := dirfile.Report{
		Users:       dirfile.Count{Created: 100_000},
		Tokens:      dirfile.Count{Revoked: 1},
		OtherScopes: dirfile.Count{Created: 1, Changed: 2, Unchanged: 3},
	}
	require.Equal(t, ""+
		"users:         100000 created       0 changed       0 unchanged\n"+
		"tokens:             0 created       0 changed       0 unchanged       1 revoked\n"+
		"other scopes:       1 created       2 changed       3 unchanged\n", report.String())
	require.Equal(t, "the file has no records\n", dirfile.Report{}.String())
}

func TestApplyReplacesValues(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply(acme)
		alice, bob := e.user("alice"), e.user("bob")
		report := e.apply(`
roles: [{name: PROJECT.ADMIN, scope_type: project, description: '', permissions: [], is_active: true}]
users:
  - {username: alice, email: '', full_name: '', civil_number: '', image: '', is_staff: false, is_support: false, is_active: true,
     notifications_enabled: true, kind: person}
  - {uuid: ` + bob.UUID.String() + `, username: robert}
customers:
  - name: Ácme
    description: Now described
    projects: [{name: Apollo, start_date: '', description: '', members: [{user: robert, role: PROJECT.ADMIN}]}]
    scopes: [{name: GPU nodes, type: call, user_email_patterns: ['.*']}]
`)
		report.Fields = nil
		changed := dirfile.Count{Changed: 1}
		require.Equal(t, dirfile.Report{
			Roles: changed, Users: dirfile.Count{Changed: 2}, Customers: changed, Projects: changed, OtherScopes: changed,
			Memberships: dirfile.Count{Unchanged: 1},
		}, report)
		changedAlice := e.user("alice")
		require.Equal(t, directory.User{
			UUID: alice.UUID, Username: "alice", IsActive: true, NotificationsEnabled: true, Created: alice.Created,
		}, changedAlice)
		require.Equal(t, bob.UUID, e.user("robert").UUID)
		require.Zero(t, e.user("bob"))
		text := e.export()
		require.Contains(t, text, "Now described")
		require.NotContains(t, text, "start_date")
		require.NotContains(t, text, "Administrator")
		require.Contains(t, text, "name: Other", "a customer that the file does not name stays")
		require.Equal(t, 4, strings.Count(text, "role: "), "memberships stay too")
	})
}

func TestApplyRefusesFilesThatContradictTheDatabase(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply(acme)
		alice, bob := e.user("alice").UUID, e.user("bob").UUID
		var role directory.Role
		customer := map[string]uuid.UUID{}
		scope := map[directory.ScopeType]uuid.UUID{}
		e.read(func(tx directory.FileTx) error {
			roles, err := tx.FindRoles(nil, []string{"PROJECT.ADMIN"})
			require.NoError(t, err)
			role = roles[0]
			customers, err := tx.CustomersAfter("", uuid.Nil, 10)
			require.NoError(t, err)
			for _, each := range customers {
				customer[each.Name] = each.UUID
			}
			scopes, err := tx.ScopesOf([]uuid.UUID{customer["Ácme"]})
			for _, each := range scopes {
				scope[each.Type] = each.UUID
			}
			return err
		})
		twins := "customers: [{name: Twin, uuid: " + uuid.NewString() + "}, {name: Twin, uuid: " + uuid.NewString() + "}]"
		e.apply(twins)
		before := e.export()
		for _, each := range []struct{ text, want string }{
			{"roles: [{name: PROJECT.ADMIN, scope_type: customer}]", "roles[0].scope_type: can't be changed from project to customer (line 1)"},
			{fmt.Sprintf("roles: [{name: CUSTOMER.OWNER, uuid: %s, scope_type: project}]", role.UUID), "roles[0].name: CUSTOMER.OWNER belongs to another one already, "},
			{fmt.Sprintf("roles: [{name: PROJECT.ADMIN, scope_type: project}, {name: P, uuid: %s, scope_type: project}]", role.UUID), fmt.Sprintf("roles[1]: is the same as roles[0]: both mean %s (line 1)", role.UUID)},
			{fmt.Sprintf("users: [{username: bob, uuid: %s}]", alice), fmt.Sprintf("users[0].username: bob belongs to another one already, %s (line 1)", bob)},
			{fmt.Sprintf("users: [{username: bob, uuid: %s}]", uuid.New()), fmt.Sprintf("users[0].username: bob belongs to another one already, %s (line 1)", bob)},
			{fmt.Sprintf("users: [{username: carol, uuid: %s}, {username: alice}]", alice), fmt.Sprintf("users[1]: is the same as users[0]: both mean %s (line 1)", alice)},
			{"users: [{username: bob, tokens: [bob-token, alice-token]}]", "users[0].tokens[1]: is the token of another user already (line 1)"},
			{"users: [{username: carol, tokens: [alice-token]}]", "users[0].tokens[0]: is the token of another user already (line 1)"},
			{"customers: [{name: Twin}]", "customers[0].name: is that of 2 scopes, "},
			{fmt.Sprintf("customers: [{name: C, uuid: %s}]", scope[directory.Project]), "customers[0].uuid: is that of a project, not a customer: the type can't be changed (line 1)"},
			{fmt.Sprintf("customers: [{name: Ácme, scopes: [{name: S, type: call, uuid: %s}]}]", scope[directory.Offering]), "customers[0].scopes[0].uuid: is that of a offering, not a call: the type can't be changed (line 1)"},
			{fmt.Sprintf("customers: [{name: Other, projects: [{name: Apollo 2, uuid: %s}]}]", scope[directory.Project]), fmt.Sprintf("customers[0].projects[0].uuid: is that of a scope of another customer, %s: it can't be moved (line 1)", customer["Ácme"])},
			{fmt.Sprintf("customers: [{name: New, projects: [{name: Apollo, uuid: %s}]}]", scope[directory.Project]), fmt.Sprintf("customers[0].projects[0].uuid: is that of a scope of another customer, %s: it can't be moved (line 1)", customer["Ácme"])},
			{fmt.Sprintf("customers: [{name: Ácme}, {name: Best, uuid: %s}]", customer["Ácme"]), fmt.Sprintf("customers[1]: is the same as customers[0]: both mean %s (line 1)", customer["Ácme"])},
			{"customers: [{name: C, members: [{user: zoe, role: CUSTOMER.OWNER}]}]", "customers[0].members[0].user: there is no user zoe (line 1)"},
			{"customers: [{name: Other, members: [{user: bob, role: BOSS}]}]", "customers[0].members[0].role: there is no role BOSS (line 1)"},
			{"customers:\n- name: Other\n  projects:\n  - name: Apollo\n    members:\n    - {user: bob, role: CUSTOMER.OWNER}", "customers[0].projects[0].members[0].role: CUSTOMER.OWNER is a role in a customer, not in a project (line 6)"},
			{fmt.Sprintf("users: [{username: carol, uuid: %s}]\ncustomers: [{name: C, members: [{user: alice, role: CUSTOMER.OWNER}]}]", alice), "customers[0].members[0].user: there is no user alice (line 2)"},
			{fmt.Sprintf("roles: [{name: P, uuid: %s, scope_type: project}]\ncustomers: [{name: C, projects: [{name: D, members: [{user: bob, role: PROJECT.ADMIN}]}]}]", role.UUID), "customers[0].projects[0].members[0].role: there is no role PROJECT.ADMIN (line 2)"},
		} {
			got := e.applyError(each.text)
			assert.True(t, strings.HasPrefix(got, each.want), "%s\n%s\n%s", each.text, got, each.want)
			assert.NotContains(t, got, "alice-token")
			assert.Equal(t, before, e.export(), each.text)
		}
	})
}

// Who signs in may choose a username, and must not become whom a record in the file means by that name.
func TestApplyTakesNobodyWhoSignedInByName(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply(acme)
		eve := directory.User{UUID: uuid.New(), Username: "eve", IsActive: true, MadeBySignIn: true, Created: time.Now()}
		require.NoError(t, e.store.Write(t.Context(), func(tx directory.FileTx) error { return tx.SaveUsers([]directory.User{eve}) }))
		before := e.export()
		const member = "customers: [{name: Other, members: [{user: eve, role: CUSTOMER.OWNER}]}]"
		refuses := func() {
			problem := ": eve is a user who made themselves by signing in; add "
			require.Equal(t, "users[1].username"+problem+"their uuid ("+eve.UUID.String()+") to the record if you mean this user (line 1)",
				e.applyError("users: [{username: zoe}, {username: eve, is_staff: true}]\n"+member))
			require.Equal(t, "customers[0].members[0].user"+problem+"a record with their uuid ("+eve.UUID.String()+
				") to users if you mean this user (line 1)", e.applyError(member))
		}
		refuses()
		require.Equal(t, before, e.export())
		require.Equal(t, dirfile.Count{Unchanged: 3}, e.apply(before).Users, "the export names users by their uuids")

		report := e.apply("users: [{username: eve, uuid: " + eve.UUID.String() + ", is_staff: true}]\n" + member)
		require.Equal(t, dirfile.Count{Changed: 1}, report.Users)
		require.Equal(t, dirfile.Count{Created: 1}, report.Memberships)
		require.True(t, e.user("eve").IsStaff)
		refuses()
		require.Equal(t, dirfile.Count{Unchanged: 3}, e.apply(e.export()).Users)
	})
}

func TestApplyCreatesAndRevokesMemberships(t *testing.T) {
	t.Parallel()
	format := "roles: [{name: R, scope_type: customer, is_active: false}, {name: Q, scope_type: customer}]\n" +
		"users: [{username: u}]\ncustomers: [{name: C, members: [{user: u, role: R%s}]}]"
	const created, changed, unchanged = "created", "changed", "unchanged"
	counts := map[string]dirfile.Count{created: {Created: 1}, changed: {Changed: 1}, unchanged: {Unchanged: 1}}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	eachEngineAt(t, start, func(t *testing.T, e *env, clock *storetest.Clock) {
		for i, each := range []struct {
			values  string // of the membership in the file
			want    string
			active  int // number of active memberships afterwards
			advance time.Duration
		}{
			{", is_active: false", unchanged, 0, 0},
			{", expiration_time: 2026-05-01T12:00:00Z", unchanged, 0, 0}, // expires at this moment
			{"", created, 1, 0},
			{"", unchanged, 1, 0},
			{", expiration_time: 2026-05-02T12:00:00.5Z", changed, 1, 0},
			{", expiration_time: 2026-05-02T14:00:00.5+02:00", unchanged, 1, 24 * time.Hour},
			{", expiration_time: 2026-05-02T12:00:00.5Z", unchanged, 1, time.Second}, // expires after this step
			{", expiration_time: 2026-05-02T12:00:00.5Z", unchanged, 0, 0},
			{", is_active: false", unchanged, 0, 0},
			{"", created, 1, 0}, // the expired row is revoked
			{"", unchanged, 1, 0},
			{", is_active: false", changed, 0, 0},
			{", is_active: false", unchanged, 0, 0},
			{", expiration_time: 2026-06-01T00:00:00Z", created, 1, 0},
			{", expiration_time: 2026-05-01T00:00:00Z", changed, 0, 0},
			{", expiration_time: 2026-05-01T00:00:00Z", unchanged, 0, 0},
		} {
			require.Equal(t, counts[each.want], e.apply(fmt.Sprintf(format, each.values)).Memberships, "step %d", i)
			require.Equal(t, each.active, strings.Count(e.export(), "role: "), "step %d", i)
			clock.Advance(each.advance)
		}
		both := fmt.Sprintf(format, "}, {user: u, role: Q")
		require.Equal(t, dirfile.Count{Created: 2}, e.apply(both).Memberships, "several roles in one scope")
	})
}

func TestApplyRemovesTheExpiryOfAToken(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply("users: [{username: u}]")
		key, err := directory.IssueToken(context.Background(), e.store, "u", time.Hour, "")
		require.NoError(t, err)
		text := "users: [{username: u, tokens: [" + key + "]}]"
		require.Equal(t, dirfile.Count{Changed: 1}, e.apply(text).Tokens)
		require.Equal(t, dirfile.Count{Unchanged: 1}, e.apply(text).Tokens)
	})
}

// Where a user's record has the key tokens, its tokens are all that the user has.
func TestApplyRevokesTokensThatAreLeftOut(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply("users: [{username: u, tokens: [token-number-one, token-number-two]}, {username: v, tokens: [token-of-another]}]")
		issue := func() string {
			key, err := directory.IssueToken(context.Background(), e.store, "u", 0, "")
			require.NoError(t, err)
			return key
		}
		issued := issue()
		require.ElementsMatch(t, []string{"token-number-one", "token-number-two", issued}, e.tokensOf("u", issued))
		for _, each := range []struct {
			record string
			want   dirfile.Count
			tokens []string
		}{
			{"{username: u}", dirfile.Count{}, []string{"token-number-one", "token-number-two", issued}},
			{
				"{username: u, tokens: [token-number-two, token-number-three, " + issued + "]}",
				dirfile.Count{Created: 1, Unchanged: 2, Revoked: 1},
				[]string{"token-number-two", "token-number-three", issued},
			},
			{"{username: u, tokens: [token-number-three]}", dirfile.Count{Unchanged: 1, Revoked: 2}, []string{"token-number-three"}},
			{"{username: u, tokens: [token-number-three]}", dirfile.Count{Unchanged: 1}, []string{"token-number-three"}},
			{"{username: u, tokens: []}", dirfile.Count{Revoked: 1}, []string{}},
			{"{username: u, tokens: []}", dirfile.Count{}, []string{}},
			{"{username: u, tokens: [token-number-one]}", dirfile.Count{Created: 1}, []string{"token-number-one"}},
			{"{username: u, tokens: null}", dirfile.Count{Revoked: 1}, []string{}},
			{"{username: u, tokens: [token-number-one]}", dirfile.Count{Created: 1}, []string{"token-number-one"}},
			{"{username: u, tokens: }", dirfile.Count{Revoked: 1}, []string{}},
			{"{username: new, tokens: []}", dirfile.Count{}, []string{}},
		} {
			require.Equal(t, each.want, e.apply("users: ["+each.record+"]").Tokens, each.record)
			require.ElementsMatch(t, each.tokens, e.tokensOf("u", issued), each.record)
			require.Equal(t, []string{"token-of-another"}, e.tokensOf("v", issued), "a user who is not in the file keeps their tokens")
		}

		// A file that fails ends no token, and another user's token is not taken over.
		key := issue()
		require.Contains(t, e.applyError("users: [{username: u, tokens: []}, {username: w, tokens: ["+key+"]}]"),
			"users[1].tokens[0]: is the token of another user already")
		require.Equal(t, []string{key}, e.tokensOf("u", key))
	})
}

// tokensOf returns the user's tokens among those that TestApplyRevokesTokensThatAreLeftOut knows, and fails where the user
// has others.
func (e *env) tokensOf(username, issued string) (all []string) {
	e.t.Helper()
	known := map[string]string{}
	for _, each := range []string{"token-number-one", "token-number-two", "token-number-three", "token-of-another", issued} {
		known[token.Digest(each)] = each
	}
	found, _, err := directory.ListTokens(context.Background(), e.store, username)
	require.NoError(e.t, err)
	for _, each := range found {
		require.Contains(e.t, known, each.Digest)
		all = append(all, known[each.Digest])
	}
	return all
}

func TestConcurrentAppliesRunOneAfterAnother(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		file := decode(t, acme)
		reports := make([]dirfile.Report, 6)
		var group sync.WaitGroup
		for i := range reports {
			group.Go(func() {
				var err error
				reports[i], err = dirfile.Apply(context.Background(), e.store, file, nil)
				assert.NoError(t, err)
			})
		}
		group.Wait()
		var created, unchanged int
		for _, each := range reports {
			created += each.Memberships.Created
			unchanged += each.Memberships.Unchanged
		}
		require.Equal(t, 4, created)
		require.Equal(t, 20, unchanged)
		require.Equal(t, 2, strings.Count(e.export(), "name: Apollo"))
	})
}

// hookStore is a store that calls a function before a transaction saves memberships.
type hookStore struct {
	directory.FileStore
	before func() error
}

type hookTx struct {
	directory.FileTx
	before func() error
}

func (s hookStore) Write(ctx context.Context, f func(directory.FileTx) error) error {
	return s.FileStore.Write(ctx, func(tx directory.FileTx) error { return f(hookTx{tx, s.before}) })
}

func (tx hookTx) SaveMemberships(rows []directory.Membership) error {
	if err := tx.before(); err != nil {
		return err
	}
	return tx.FileTx.SaveMemberships(rows)
}

func TestApplyWritesAllOrNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e *env) {
		broken := errors.New("the disk is full")
		report, err := dirfile.Apply(context.Background(), hookStore{e.store, func() error { return broken }}, decode(t, acme), nil)
		require.ErrorIs(t, err, broken)
		require.Zero(t, report)
		require.Empty(t, e.export())
		require.Equal(t, 1, e.apply(acme).Tokens.Created)

		ctx, cancel := context.WithCancel(context.Background())
		_, err = dirfile.Apply(ctx, e.store, decode(t, "users: [{username: carol}]"), func(int, int) { cancel() })
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, e.user("carol"))
	})
}

func TestApplyRetriesAfterAConflict(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		if engine.Name == "sqlite" {
			return // SQLite has one writer at a time, so transactions don't conflict
		}
		e := setup(t, engine, nil)
		text := "roles: [{name: R, scope_type: customer}]\nusers: [{username: u}]\ncustomers: [{name: C%s}]"
		e.apply(fmt.Sprintf(text, ""))
		var key directory.MembershipKey
		e.read(func(tx directory.FileTx) error {
			users, _ := tx.FindUsers(nil, []string{"u"})
			roles, _ := tx.FindRoles(nil, []string{"R"})
			scopes, err := tx.CustomersAfter("", uuid.Nil, 1)
			key = directory.MembershipKey{User: users[0].UUID, Role: roles[0].UUID, Scope: scopes[0].UUID}
			return err
		})
		grants := 0
		grant := func() error {
			if grants++; grants > 1 {
				return nil
			}
			return e.store.Write(context.Background(), func(tx directory.FileTx) error {
				return tx.SaveMemberships([]directory.Membership{{
					UUID: uuid.New(), UserUUID: key.User, RoleUUID: key.Role, ScopeUUID: key.Scope, Created: tx.Now(),
				}})
			})
		}
		file := decode(t, fmt.Sprintf(text, ", members: [{user: u, role: R}]"))
		report, err := dirfile.Apply(context.Background(), hookStore{e.store, grant}, file, nil)
		require.NoError(t, err)
		require.Equal(t, dirfile.Count{Unchanged: 1}, report.Memberships)
	})
}
