package dirfile

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// render returns all of a file but its line numbers. They differ for a rare line break, such as U+2028: the YAML library
// counts it, and split does not.
func render(f *File) string {
	var text strings.Builder
	for _, each := range f.roles {
		fmt.Fprintf(&text, "%s %+v\n", each.path(""), each.Role)
	}
	for _, each := range f.users {
		fmt.Fprintf(&text, "%s %+v %v\n", each.path(""), each.User, each.tokens)
	}
	for _, each := range f.scopes {
		var start time.Time
		if each.StartDate != nil {
			start = *each.StartDate
		}
		each.StartDate = nil
		fmt.Fprintf(&text, "%s %+v %v %d\n", each.path(""), each.Scope, start, each.customer)
	}
	for _, each := range f.members {
		fmt.Fprintf(&text, "%s %s %s %d %v %v\n", each.path(""), each.user, each.role, each.scope, each.expires, each.isActive)
	}
	return text.String()
}

// FuzzDecode compares decoding in pieces with decoding as a whole: both refuse the same files, and decode the same records.
func FuzzDecode(f *testing.F) {
	for _, each := range []string{
		fullFile,
		"users:\n- username: \"a\n- username: b\"\n- username: c\n",
		"users:\n- username: a\n  full_name: 'b\nroles:\n'\n",
		"users:\n- {username: a,\nfull_name: b}\n- username: c\n",
		"customers:\n  - name: a\n    description: |\n\n      - name: b\n  - name: c\n    description: >2-\n       x\n",
		"customers:\n- name: a\n  description: |+\n   b\n\n\n- name: c\n",
		"users:\n- username: a\n  full_name: b\n   - c\n- username: d\n",
		"users:\n- &a\n  username: a\n- *a\n",
		"users:\n- username: &a x\n- username: y\n  full_name: *a\n",
		"roles:\n- name: R\n  scope_type: &t call\n  permissions:\n  - A\n- name: S\n  scope_type: *t\n",
		"users:\n-\n  username: a\n- - b\n",
		"users:\n- username: a\nusers:\n- username: b\n",
		"users:\n- username: a\n...\n",
		"%YAML 1.1\n---\nusers:\n- username: a\n",
		"\ufeffusers:\n- username: a\n",
		"users:\r\n- username: a\r\n- username: b\r\n",
		"users:\n- username: a\u2028- username: b\n",
		"users:\n# - username: a\n - username: b\n# x\n   # y\n - username: c\nroles:\n",
		"? users\n: - username: a\n",
		"users: !!seq\n- username: a\n",
		"users:\n- ? username\n  : a\n",
		"users:\n- username: a #\n\t\n-\tusername: b\n",
		"users:\r\n#00\r0000",
	} {
		f.Add([]byte(each))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		inPieces, errPieces := decodeBytes(data, 1)
		whole := newDecoder()
		whole.whole(data)
		if err := whole.err(); err != nil {
			require.Error(t, errPieces)
			return
		}
		require.NoError(t, errPieces)
		require.Equal(t, render(whole.file), render(inPieces))
	})
}

// TestPiecesDecodeLikeTheWhole combines lines that begin a multi-line value, or look like the begin of a piece.
func TestPiecesDecodeLikeTheWhole(t *testing.T) {
	t.Parallel()
	lines := []string{
		"users:", "roles:", "customers:", "users: # x", "- username: a", "- username: b", "  - username: c", "- {username: d,",
		"  full_name: \"e", "  full_name: 'f", "  full_name: g", "g\"", "h'", "}", "  i}", "  full_name: |", "  full_name: >+",
		"   j", "", "    k", "# l", "  # m", "  tokens:", "  - n", "  - o", "  tokens: [p,", "q]", "- &r", "- *r", "-", "  email: &s",
		"  email: *s", "---", "- name: t", "  name: u", "  scope_type: call", "  description: |-", "  members:", "  - {user: v,",
		"    role: w}", "? x", ": y", "\t", "  \t# z",
	}
	random := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range 15_000 {
		var text strings.Builder
		text.WriteString("users:\n- username: first\n")
		for range 1 + random.IntN(8) {
			text.WriteString(lines[random.IntN(len(lines))] + "\n")
		}
		inPieces, errPieces := decodeBytes([]byte(text.String()), 1)
		whole := newDecoder()
		whole.whole([]byte(text.String()))
		if whole.err() != nil {
			require.Error(t, errPieces, text.String())
			continue
		}
		require.NoError(t, errPieces, text.String())
		require.Equal(t, render(whole.file), render(inPieces), text.String())
		valid++
	}
	require.Greater(t, valid, 500)
}

func TestSplit(t *testing.T) {
	t.Parallel()
	pieces, ok := split([]byte(fullFile), 1)
	require.True(t, ok)
	require.Len(t, pieces, 5)
	for _, each := range pieces {
		require.Equal(t, 1, each.items)
	}
	require.Equal(t, "  - username: bob\n    email:\n", string(pieces[3].text))
	require.Equal(t, 22, pieces[3].linesBefore)
	require.True(t, newDecoder().pieces(pieces))

	pieces, ok = split([]byte(fullFile), pieceSize)
	require.True(t, ok)
	require.Len(t, pieces, 3)
}

func TestProblemsInPiecesHaveTheirLine(t *testing.T) {
	t.Parallel()
	_, err := decodeBytes([]byte(fullFile+"    - {type: call, name: GPU nodes, price: 1}\n"), 1)
	require.EqualError(t, err, "customers[0].scopes[1].price: is no key of a scope (line 45)")
}

// The test is not parallel, because it measures the memory that the process allocates.
func TestAliasesAreLimited(t *testing.T) {
	file, err := Decode(strings.NewReader(
		"roles:\n- {name: A, scope_type: call, permissions: &p [X, Y]}\n- {name: B, scope_type: call, permissions: *p}\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"X", "Y"}, file.roles[1].Permissions)

	bomb := "customers:\n- name: C\n  members: &m\n" + strings.Repeat("  - {}\n", 1_000) + "  projects:\n" +
		strings.Repeat("  - {name: P, members: *m}\n", 10_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Decode(strings.NewReader(bomb))
	runtime.ReadMemStats(&after)
	require.Error(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(200<<20))

	text := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'j'; i++ {
		text += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	_, err = Decode(strings.NewReader(text + "users: *i\n"))
	require.Error(t, err)

	text = "customers:\n- name: C\n  user_email_patterns: &p [" + strings.Repeat("x,", 9_998) + "x]\n  projects:\n"
	for i := range 101 {
		text += fmt.Sprintf("  - {name: P%d, user_email_patterns: *p}\n", i)
	}
	_, err = Decode(strings.NewReader(text))
	require.EqualError(t, err,
		"customers[0].projects[100].user_email_patterns: aliases stand for more than 1000000 values (line 105)")

	_, err = Decode(strings.NewReader("customers: &c [{name: A, projects: *c, scopes: *c, members: *c}]"))
	require.Error(t, err)
}
