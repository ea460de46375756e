package directory

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// filled are patterns made of one by its number, as many as a scope can have.
func filled(pattern string) []string {
	all, size := []string{}, 0
	for len(all) < maxPatterns {
		one := fmt.Sprintf(pattern, len(all))
		checked := checkPattern(one)
		if checked.problem != "" {
			panic(one + " " + checked.problem)
		}
		size += checked.size
		if size > maxPatternsSize {
			break
		}
		all = append(all, one)
	}
	return all
}

// What a file can bring, at its worst.
var costly = map[string]string{
	"10,000 domains":        `.*@department-%d\.university\.example`,
	"10,000 domains, inner": `.*@(department-%d)\.university\.example`,
	"nested quantifiers":    `((a+)+)+b%d|(.*)*c`,
	"repetitions":           `(a{100}){9}%d`,
	"repeated classes":      `([[:^upper:]]\pL){5}%d`,
	"alternations":          strings.Repeat("aa|bb|", 80) + `%d`,
	"a megabyte":            strings.Repeat("x", 495) + `%05d`,
	"dots":                  `(.?){500}@x%d`,
}

// However many patterns there are and whatever they are, an address is looked at in a time and with memory that are
// bounded: the first time too, for nothing is kept.
func TestPatternsTakeBoundedTime(t *testing.T) {
	for name, pattern := range costly {
		t.Run(name, func(t *testing.T) {
			scope := Scope{UserEmailPatterns: filled(pattern)}
			require.NotEmpty(t, scope.UserEmailPatterns)
			if strings.HasPrefix(name, "10,000") {
				require.Len(t, scope.UserEmailPatterns, maxPatterns)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			require.False(t, scope.allowsEmail(strings.Repeat("a", 64)+"@"+strings.Repeat("aaaaaaaa.", 20)+"example"))
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			t.Logf("%d patterns: %s, %d MB allocated", len(scope.UserEmailPatterns), took, (after.TotalAlloc-before.TotalAlloc)>>20)
			require.Less(t, took, 15*time.Second, "a request has 20 s")
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(16<<20), "nothing is kept")
		})
	}
	last := Scope{UserEmailPatterns: filled(costly["10,000 domains"])}
	require.True(t, last.allowsEmail("A@Department-9999.UNIVERSITY.example"))
}

// What a glance rules out, the pattern itself does.
func TestMayMatch(t *testing.T) {
	t.Parallel()
	for pattern, addresses := range map[string]map[string]bool{
		`.*@acme\.example`:         {"a@acme.example": true, "A@ACME.EXAMPLE": true, "a@acme-example": false, "a@b.acme.example": false, "e": false},
		`.*@acme.example`:          {"a@acme.example": true, "a@acmexexample": true, "a@other.example": false},
		`.*@acme\.example$`:        {"a@acme.example": true, "a@acme.example$": false, "a@b.example": false},
		`.*@kelvin\.example`:       {"a@\u212aelvin.example": true, "a@kelvin.example": true},
		`a@x|b@y`:                  {"a@x": true, "b@y": true},
		`(a@x)`:                    {"a@x": true, "b@y": true},
		`a@[xyz]`:                  {"a@x": true, "b@q": true},
		`a@\x41`:                   {"a@A": true},
		`a@\pL`:                    {"a@A": true},
		`\Q.*@a\.b\E`:              {`.*@a\.b`: true},
		`\Qa@b`:                    {"a@b": true},
		`a@b\\.`:                   {`a@b\c`: true},
		`a@x?`:                     {"a@": true},
		`a@x{2}`:                   {"a@xx": true},
		`@`:                        {"@": true, "a": false},
		``:                         {"": true},
		`.*`:                       {"a@x": true},
		`[@a]b`:                    {"ab": true},
		`(?-i)a@x\.example`:        {"a@x.example": true},
		`.+@(.*\.)?uni\.example`:   {"a@x.uni.example": true},
		`.*@a-b\.example`:          {"a@a-b.example": true, "a@axb.example": false},
		`.*@(a|b)\.example`:        {"a@a.example": true},
		`^[^@]+@acme\.example$`:    {"a@acme.example": true, "a@acme.exampl": false},
		`(?:.*)@acme\.example(?:)`: {"a@acme.example": true},
	} {
		for address, want := range addresses {
			require.Equal(t, want, mayMatch(pattern, address), "%q of %q", pattern, address)
		}
	}
}

func FuzzMayMatch(f *testing.F) {
	for _, pattern := range []string{`.*@a\.b`, `a@x|b@y`, `\Qa@b`, `a@\x41`, `(?i)@k$`, `[@]a`, `.@.\\.`, `a@b\.$`} {
		f.Add(pattern, "a@A.B")
		f.Add(pattern, "b@y")
	}
	f.Fuzz(func(t *testing.T, pattern, address string) {
		if checked := checkPattern(pattern); checked.problem != "" || len(address) > 300 {
			return
		}
		compiled, err := emailPattern(pattern)
		require.NoError(t, err)
		if !mayMatch(pattern, address) {
			require.False(t, compiled.MatchString(address), "%q of %q was ruled out", pattern, address)
		}
	})
}

// A scope's patterns have a limit together, and a file is told where it is over.
func TestPatternsTooManyTogether(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		pattern string
		n       int
		fits    bool
	}{
		{`(a{10}){90}(b{10}){90}%d`, 300, true}, {`(a{10}){90}(b{10}){90}%d`, 2_000, false}, {`.*@department-%d\.university\.example`, 10_000, true},
	} {
		var file strings.Builder
		file.WriteString("customers:\n- name: C\n  projects:\n  - name: P\n    user_email_patterns:\n")
		for i := range each.n {
			fmt.Fprintf(&file, "    - '"+each.pattern+"'\n", i)
		}
		_, err := Parse(strings.NewReader(file.String()))
		if each.fits {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "customers[0].projects[0].user_email_patterns: take too long to be matched together: "+
				"there must be fewer, or shorter ones (line 6)")
		}
	}
}

func BenchmarkPatterns(b *testing.B) {
	for name, pattern := range costly {
		b.Run(name, func(b *testing.B) {
			scope := Scope{UserEmailPatterns: filled(pattern)}
			b.ReportAllocs()
			for b.Loop() {
				scope.allowsEmail("nobody@nowhere.example")
			}
		})
	}
}
