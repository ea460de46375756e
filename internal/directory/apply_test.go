package directory_test

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
	"invited/internal/storetest"
	"invited/internal/token"
)

func parse(t testing.TB, text string) *directory.File {
	t.Helper()
	file, err := directory.Parse(strings.NewReader(text))
	require.NoError(t, err)
	return file
}

func apply(t testing.TB, s directory.Store, text string) directory.Report {
	t.Helper()
	report, err := directory.Apply(context.Background(), s, parse(t, text), nil)
	require.NoError(t, err)
	return report
}

func refused(t testing.TB, s directory.Store, text string) string {
	t.Helper()
	report, err := directory.Apply(context.Background(), s, parse(t, text), nil)
	var bad *directory.FileError
	require.ErrorAs(t, err, &bad)
	require.Zero(t, report)
	return err.Error()
}

func export(t testing.TB, s directory.Store) string {
	t.Helper()
	var text strings.Builder
	require.NoError(t, directory.Export(context.Background(), s, &text))
	return text.String()
}

func read(t testing.TB, s directory.Store, f func(directory.Tx) error) {
	t.Helper()
	require.NoError(t, s.Read(context.Background(), f))
}

// userNamed returns a user, or none.
func userNamed(t testing.TB, s directory.Store, name string) (found directory.User) {
	t.Helper()
	read(t, s, func(tx directory.Tx) error {
		users, err := tx.UsersBy(nil, []string{name})
		if len(users) > 0 {
			found = users[0]
		}
		return err
	})
	return found
}

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
	onEach(t, func(t *testing.T, s directory.Store) {
		var steps []int
		report, err := directory.Apply(context.Background(), s, parse(t, acme), func(done, total int) {
			require.Equal(t, 30, total)
			steps = append(steps, done)
		})
		require.NoError(t, err)
		require.IsNonDecreasing(t, steps)
		require.Equal(t, 30, steps[len(steps)-1])
		n := func(created int) directory.Count { return directory.Count{Created: created} }
		require.Equal(t, directory.Report{
			Roles: n(3), Users: n(2), Tokens: n(1), Customers: n(2), Projects: n(2), OtherScopes: n(2), Memberships: n(4),
		}, report)
		before := export(t, s)

		n = func(unchanged int) directory.Count { return directory.Count{Unchanged: unchanged} }
		require.Equal(t, directory.Report{
			Roles: n(3), Users: n(2), Tokens: n(1), Customers: n(2), Projects: n(2), OtherScopes: n(2), Memberships: n(4),
		}, apply(t, s, acme))
		require.Equal(t, before, export(t, s))

		alice := userNamed(t, s, "alice")
		require.Equal(t, "Alice@Example.com", alice.Email)
		require.Equal(t, "alice@example.com", alice.EmailFolded)
		require.True(t, alice.IsStaff && alice.IsActive && alice.NotificationsEnabled)
		read(t, s, func(tx directory.Tx) error {
			tokens, err := tx.TokensBy([]string{token.Digest("alice-token"), token.Digest("bob-token")})
			require.Len(t, tokens, 1)
			require.Equal(t, alice.UUID, tokens[0].UserUUID)
			require.Nil(t, tokens[0].Expires)
			require.NoError(t, err)
			customers, err := tx.ScopesBy(nil, []directory.ScopeKey{{Type: directory.Customer, Name: "Ácme"}})
			require.Len(t, customers, 1)
			require.Equal(t, "ácme", customers[0].NameFolded)
			require.Equal(t, customers[0].UUID, customers[0].CustomerUUID)
			return err
		})
	})
}

func TestReportIsShortWhereTheFileIs(t *testing.T) {
	t.Parallel()
	report := directory.Report{
		Users:       directory.Count{Created: 100_000},
		OtherScopes: directory.Count{Created: 1, Changed: 2, Unchanged: 3},
	}
	require.Equal(t, ""+
		"users:         100000 created       0 changed       0 unchanged\n"+
		"other scopes:       1 created       2 changed       3 unchanged\n", report.String())
	require.Equal(t, "the file has no records\n", directory.Report{}.String())
}

func TestApplyMakesRecordsWhatTheFileSays(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s directory.Store) {
		apply(t, s, acme)
		alice, bob := userNamed(t, s, "alice"), userNamed(t, s, "bob")
		report := apply(t, s, `
roles: [{name: PROJECT.ADMIN, scope_type: project}]
users:
  - {username: alice}
  - {uuid: `+bob.UUID.String()+`, username: robert}
customers:
  - name: Ácme
    description: Now described
    projects: [{name: Apollo, members: [{user: robert, role: PROJECT.ADMIN}]}]
    scopes: [{name: GPU nodes, type: call, user_email_patterns: ['.*']}]
`)
		changed := directory.Count{Changed: 1}
		require.Equal(t, directory.Report{
			Roles: changed, Users: directory.Count{Changed: 2}, Customers: changed, Projects: changed, OtherScopes: changed,
			Memberships: directory.Count{Unchanged: 1},
		}, report)
		now := userNamed(t, s, "alice")
		require.Equal(t, directory.User{
			UUID: alice.UUID, Username: "alice", IsActive: true, NotificationsEnabled: true, Created: alice.Created,
		}, now)
		require.Equal(t, bob.UUID, userNamed(t, s, "robert").UUID)
		require.Zero(t, userNamed(t, s, "bob"))
		text := export(t, s)
		require.Contains(t, text, "Now described")
		require.NotContains(t, text, "start_date")
		require.NotContains(t, text, "Administrator")
		require.Contains(t, text, "name: Other", "what the file does not name is left alone")
		require.Equal(t, 4, strings.Count(text, "role: "), "and so are memberships")
	})
}

func TestApplyRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s directory.Store) {
		apply(t, s, acme)
		alice, bob := userNamed(t, s, "alice").UUID, userNamed(t, s, "bob").UUID
		var role directory.Role
		customer := map[string]uuid.UUID{}
		scope := map[directory.ScopeType]uuid.UUID{}
		read(t, s, func(tx directory.Tx) error {
			roles, err := tx.RolesBy(nil, []string{"PROJECT.ADMIN"})
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
		apply(t, s, twins)
		before := export(t, s)
		in := func(form string, a ...any) string { return fmt.Sprintf(form, a...) }
		for _, each := range []struct{ text, want string }{
			{"roles: [{name: PROJECT.ADMIN, scope_type: customer}]", "roles[0].scope_type: can't be changed from project to customer (line 1)"},
			{in("roles: [{name: CUSTOMER.OWNER, uuid: %s, scope_type: project}]", role.UUID), "roles[0].name: CUSTOMER.OWNER belongs to another one already, "},
			{in("roles: [{name: PROJECT.ADMIN, scope_type: project}, {name: P, uuid: %s, scope_type: project}]", role.UUID), in("roles[1]: is the same as roles[0]: both mean %s (line 1)", role.UUID)},
			{in("users: [{username: bob, uuid: %s}]", alice), in("users[0].username: bob belongs to another one already, %s (line 1)", bob)},
			{in("users: [{username: bob, uuid: %s}]", uuid.New()), in("users[0].username: bob belongs to another one already, %s (line 1)", bob)},
			{in("users: [{username: carol, uuid: %s}, {username: alice}]", alice), in("users[1]: is the same as users[0]: both mean %s (line 1)", alice)},
			{"users: [{username: bob, tokens: [bob-token, alice-token]}]", "users[0].tokens[1]: is the token of another user already (line 1)"},
			{"users: [{username: carol, tokens: [alice-token]}]", "users[0].tokens[0]: is the token of another user already (line 1)"},
			{"customers: [{name: Twin}]", "customers[0].name: is that of 2 scopes, "},
			{in("customers: [{name: C, uuid: %s}]", scope[directory.Project]), "customers[0].uuid: is that of a project, not a customer: the type can't be changed (line 1)"},
			{in("customers: [{name: Ácme, scopes: [{name: S, type: call, uuid: %s}]}]", scope[directory.Offering]), "customers[0].scopes[0].uuid: is that of a offering, not a call: the type can't be changed (line 1)"},
			{in("customers: [{name: Other, projects: [{name: Apollo 2, uuid: %s}]}]", scope[directory.Project]), in("customers[0].projects[0].uuid: is that of a scope of another customer, %s: it can't be moved (line 1)", customer["Ácme"])},
			{in("customers: [{name: New, projects: [{name: Apollo, uuid: %s}]}]", scope[directory.Project]), in("customers[0].projects[0].uuid: is that of a scope of another customer, %s: it can't be moved (line 1)", customer["Ácme"])},
			{in("customers: [{name: Ácme}, {name: Best, uuid: %s}]", customer["Ácme"]), in("customers[1]: is the same as customers[0]: both mean %s (line 1)", customer["Ácme"])},
			{"customers: [{name: C, members: [{user: zoe, role: CUSTOMER.OWNER}]}]", "customers[0].members[0].user: there is no user zoe (line 1)"},
			{"customers: [{name: Other, members: [{user: bob, role: BOSS}]}]", "customers[0].members[0].role: there is no role BOSS (line 1)"},
			{"customers:\n- name: Other\n  projects:\n  - name: Apollo\n    members:\n    - {user: bob, role: CUSTOMER.OWNER}", "customers[0].projects[0].members[0].role: CUSTOMER.OWNER is a role in a customer, not in a project (line 6)"},
			{in("users: [{username: carol, uuid: %s}]\ncustomers: [{name: C, members: [{user: alice, role: CUSTOMER.OWNER}]}]", alice), "customers[0].members[0].user: there is no user alice (line 2)"},
			{in("roles: [{name: P, uuid: %s, scope_type: project}]\ncustomers: [{name: C, projects: [{name: D, members: [{user: bob, role: PROJECT.ADMIN}]}]}]", role.UUID), "customers[0].projects[0].members[0].role: there is no role PROJECT.ADMIN (line 2)"},
		} {
			got := refused(t, s, each.text)
			assert.True(t, strings.HasPrefix(got, each.want), "%s\n%s\n%s", each.text, got, each.want)
			assert.NotContains(t, got, "alice-token")
			assert.Equal(t, before, export(t, s), each.text)
		}
	})
}

func TestApplyGivesAndEndsMemberships(t *testing.T) {
	t.Parallel()
	form := "roles: [{name: R, scope_type: customer, is_active: false}, {name: Q, scope_type: customer}]\n" +
		"users: [{username: u}]\ncustomers: [{name: C, members: [{user: u, role: R%s}]}]"
	const created, changed, unchanged = "created", "changed", "unchanged"
	counts := map[string]directory.Count{created: {Created: 1}, changed: {Changed: 1}, unchanged: {Unchanged: 1}}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	onEachAt(t, start, func(t *testing.T, s directory.Store, clock *storetest.Clock) {
		for i, each := range []struct {
			says string
			want string
			held int // memberships in force afterwards
			move time.Duration
		}{
			{", is_active: false", unchanged, 0, 0},
			{", expiration_time: 2026-05-01T12:00:00Z", unchanged, 0, 0}, // over this moment
			{"", created, 1, 0},
			{"", unchanged, 1, 0},
			{", expiration_time: 2026-05-02T12:00:00.5Z", changed, 1, 0},
			{", expiration_time: 2026-05-02T14:00:00.5+02:00", unchanged, 1, 24 * time.Hour},
			{", expiration_time: 2026-05-02T12:00:00.5Z", unchanged, 1, time.Second}, // its time is over after this
			{", expiration_time: 2026-05-02T12:00:00.5Z", unchanged, 0, 0},
			{", is_active: false", unchanged, 0, 0},
			{"", created, 1, 0}, // the row whose time was over gives way
			{"", unchanged, 1, 0},
			{", is_active: false", changed, 0, 0},
			{", is_active: false", unchanged, 0, 0},
			{", expiration_time: 2026-06-01T00:00:00Z", created, 1, 0},
			{", expiration_time: 2026-05-01T00:00:00Z", changed, 0, 0},
			{", expiration_time: 2026-05-01T00:00:00Z", unchanged, 0, 0},
		} {
			require.Equal(t, counts[each.want], apply(t, s, fmt.Sprintf(form, each.says)).Memberships, "step %d", i)
			require.Equal(t, each.held, strings.Count(export(t, s), "role: "), "step %d", i)
			clock.Advance(each.move)
		}
		both := fmt.Sprintf(form, "}, {user: u, role: Q")
		require.Equal(t, directory.Count{Created: 2}, apply(t, s, both).Memberships, "several roles in one scope")
	})
}

func TestApplyMakesAListedTokenEndless(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s directory.Store) {
		apply(t, s, "users: [{username: u}]")
		key, err := directory.IssueToken(context.Background(), s, "u", time.Hour)
		require.NoError(t, err)
		text := "users: [{username: u, tokens: [" + key + "]}]"
		require.Equal(t, directory.Count{Changed: 1}, apply(t, s, text).Tokens)
		require.Equal(t, directory.Count{Unchanged: 1}, apply(t, s, text).Tokens)
	})
}

func TestTwoAppliesAtOnceAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s directory.Store) {
		file := parse(t, acme)
		reports := make([]directory.Report, 6)
		var all sync.WaitGroup
		for i := range reports {
			all.Go(func() {
				var err error
				reports[i], err = directory.Apply(context.Background(), s, file, nil)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		var created, unchanged int
		for _, each := range reports {
			created += each.Memberships.Created
			unchanged += each.Memberships.Unchanged
		}
		require.Equal(t, 4, created)
		require.Equal(t, 20, unchanged)
		require.Equal(t, 2, strings.Count(export(t, s), "name: Apollo"))
	})
}

// meddling is a store where something happens before a transaction's last memberships are saved.
type meddling struct {
	directory.Store
	before func() error
}

type meddledTx struct {
	directory.Tx
	before func() error
}

func (s meddling) Write(ctx context.Context, f func(directory.Tx) error) error {
	return s.Store.Write(ctx, func(tx directory.Tx) error { return f(meddledTx{tx, s.before}) })
}

func (tx meddledTx) SaveMemberships(rows []directory.Membership) error {
	if err := tx.before(); err != nil {
		return err
	}
	return tx.Tx.SaveMemberships(rows)
}

func TestApplyWritesAllOrNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s directory.Store) {
		broken := errors.New("the disk is full")
		report, err := directory.Apply(context.Background(), meddling{s, func() error { return broken }}, parse(t, acme), nil)
		require.ErrorIs(t, err, broken)
		require.Zero(t, report)
		require.Empty(t, export(t, s))
		require.Equal(t, 1, apply(t, s, acme).Tokens.Created)

		ctx, cancel := context.WithCancel(context.Background())
		_, err = directory.Apply(ctx, s, parse(t, "users: [{username: carol}]"), func(int, int) { cancel() })
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, userNamed(t, s, "carol"))
	})
}

func TestApplyTriesAgainWhereSomebodyElseWasFaster(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		if e.Name == "sqlite" {
			return // it has one writer at a time: nobody is faster
		}
		s := e.Open(t, nil).Directory()
		text := "roles: [{name: R, scope_type: customer}]\nusers: [{username: u}]\ncustomers: [{name: C%s}]"
		apply(t, s, fmt.Sprintf(text, ""))
		var key directory.MembershipKey
		read(t, s, func(tx directory.Tx) error {
			users, _ := tx.UsersBy(nil, []string{"u"})
			roles, _ := tx.RolesBy(nil, []string{"R"})
			scopes, err := tx.CustomersAfter("", uuid.Nil, 1)
			key = directory.MembershipKey{User: users[0].UUID, Role: roles[0].UUID, Scope: scopes[0].UUID}
			return err
		})
		grants := 0
		grant := func() error {
			if grants++; grants > 1 {
				return nil
			}
			return s.Write(context.Background(), func(tx directory.Tx) error {
				return tx.SaveMemberships([]directory.Membership{{
					UUID: uuid.New(), UserUUID: key.User, RoleUUID: key.Role, ScopeUUID: key.Scope, Created: tx.Now(),
				}})
			})
		}
		member := parse(t, fmt.Sprintf(text, ", members: [{user: u, role: R}]"))
		report, err := directory.Apply(context.Background(), meddling{s, grant}, member, nil)
		require.NoError(t, err)
		require.Equal(t, directory.Count{Unchanged: 1}, report.Memberships)
	})
}
