package dirfile_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory/dirfile"
	"invited/internal/storetest"
)

func TestExportReproducesTheFile(t *testing.T) {
	t.Parallel()
	id := func(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }
	text := `roles:
- uuid: ` + id(1) + `
  name: CUSTOMER.OWNER
  scope_type: customer
  permissions: [INVITATION.LIST, CUSTOMER.CREATE_PERMISSION]
- uuid: ` + id(2) + `
  name: PROJECT.ADMIN
  description: Administrator
  scope_type: project
  is_active: false
users:
- uuid: ` + id(3) + `
  username: alice
  email: Alice@example.com
  full_name: Älice
  civil_number: "0123"
  image: https://example.com/a.png
  is_staff: true
  is_support: true
  is_active: false
  notifications_enabled: false
- uuid: ` + id(4) + `
  username: "true"
  kind: service
customers:
- uuid: ` + id(5) + `
  name: Acme
  description: |-
    Two
      lines: of "text"
  user_email_patterns:
  - .*@acme\.com
  is_removed: true
  members:
  - user: alice
    role: CUSTOMER.OWNER
  - user: "true"
    role: CUSTOMER.OWNER
    expiration_time: 2999-01-01T00:00:00.5Z
  projects:
  - uuid: ` + id(6) + `
    name: Apollo
    start_date: 2027-01-01
    members:
    - user: alice
      role: PROJECT.ADMIN
  scopes:
  - uuid: ` + id(7) + `
    type: call
    name: Apollo
`
	eachEngine(t, func(t *testing.T, e *env) {
		require.Empty(t, e.export())
		e.apply(text)
		require.Equal(t, text, e.export())
	})
}

func TestExportReturnsTheWritersError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	eachEngine(t, func(t *testing.T, e *env) {
		e.apply(acme)
		require.ErrorIs(t, dirfile.Export(context.Background(), e.store, failingWriter{broken}), broken)
	})
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestApplyOfAnExportChangesNothing fills a database with texts that YAML must quote or escape, and applies the export to
// the same database and to an empty one.
func TestApplyOfAnExportChangesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := setup(t, engine, nil)
		for seed := range uint64(4) {
			text := randomDirectory(rand.New(rand.NewPCG(seed, 0)), seed)
			e.apply(text)
			exported := e.export()
			report := e.apply(exported)
			for _, each := range []dirfile.Count{
				report.Roles, report.Users, report.Customers, report.Projects, report.OtherScopes, report.Memberships,
			} {
				require.Zero(t, each.Created+each.Changed)
				require.NotZero(t, each.Unchanged)
			}
			require.Equal(t, exported, e.export())
		}
		other := setup(t, engine, nil)
		exported := e.export()
		other.apply(exported)
		require.Equal(t, exported, other.export())
	})
}

// withoutInvisible removes, from a quoted text, what no username may have.
var withoutInvisible = strings.NewReplacer(`\u200b`, "", `\ufeff`, "", `\u00a0`, "", `\u202e`, "")

// randomDirectory returns a directory file in which every text is a JSON string.
func randomDirectory(random *rand.Rand, seed uint64) string {
	pieces := []string{
		"a", "B", "ß", "İ", "K", "日本", "🙂", "e\u0301", "'", `"`, `\`, "#", " #", ": ", "- ", "-", "?", "!", "!!str ", "&a", "*a", "|", ">",
		"%", "@", "`", "{", "}", "[", "]", ",", "~", "null", "true", "yes", "0", "1e3", "0x1f", "2027-01-01", "<<", "=", " ",
		"\u00a0", "\u200b", "\ufeff", "\ufffd", "---", "...", "$", "\u202e",
	}
	lines := append([]string{"\n", "\n\n", "\n  ", "\n\t", "\t", "\n- ", "\n#", "\n---\n", " \n"}, pieces...)
	text := func(from []string, limit int) string {
		var out strings.Builder
		for range random.IntN(limit + 1) {
			out.WriteString(from[random.IntN(len(from))])
		}
		return out.String()
	}
	quote := func(s string) string {
		return strconv.QuoteToASCII(strings.TrimSpace(s))
	}
	names := 0
	name := func() string {
		names++
		return quote(fmt.Sprintf("%s%d-%d%s", text(pieces, 4), seed, names, text(pieces, 4)))
	}
	var out strings.Builder
	write := func(format string, arguments ...any) { fmt.Fprintf(&out, format, arguments...) }
	roles, users := []string{}, []string{}
	write("roles:\n")
	for i := range 6 {
		roles = append(roles, name())
		write("- {name: %s, description: %s, scope_type: %s, permissions: [%s, A.B], is_active: %t}\n", roles[i],
			quote(text(lines, 8)), []string{"customer", "project", "call"}[i%3], name(), random.IntN(2) == 0)
	}
	write("users:\n")
	for i := range 30 {
		users = append(users, withoutInvisible.Replace(name()))
		write("- {username: %s, full_name: %s, civil_number: %s, is_staff: %t, is_active: %t, notifications_enabled: %t}\n",
			users[i], quote(text(pieces, 8)), strings.ReplaceAll(withoutInvisible.Replace(quote(text(pieces, 5))), " ", ""), i%2 == 0, i%3 == 0, i%5 == 0)
	}
	members := func(kind int) string {
		var list []string
		for _, i := range random.Perm(len(users))[:random.IntN(5)] {
			list = append(list, fmt.Sprintf("{user: %s, role: %s}", users[i], roles[kind]),
				fmt.Sprintf("{user: %s, role: %s, expiration_time: 2999-01-01T00:00:00.%06dZ}", users[i], roles[kind+3],
					random.IntN(1e6)))
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	write("customers:\n")
	for range 10 {
		write("- name: %s\n  description: %s\n  is_removed: %t\n  user_email_patterns: [%s]\n  members: %s\n  projects:\n", name(),
			quote(text(lines, 12)), random.IntN(2) == 0, quote(`[ \t#:']+@.*\.example`), members(0))
		for range 1 + random.IntN(3) {
			write("  - {name: %s, uuid: %s, description: %s, start_date: 20%02d-02-03, members: %s}\n", name(), uuid.New(),
				quote(text(lines, 8)), random.IntN(99), members(1))
		}
		write("  scopes: [{type: call, name: %s, members: %s}]\n", name(), members(2))
	}
	return out.String()
}
