package directory

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// maxPatternsLike returns patterns that differ only in a number, as many as the limits allow for a scope.
func maxPatternsLike(format string) []string {
	patterns, total := []string{}, 0
	for len(patterns) < MaxEmailPatterns {
		pattern := fmt.Sprintf(format, len(patterns))
		cost, err := EmailPatternCost(pattern)
		if err != nil {
			panic(pattern + " " + err.Error())
		}
		total += cost
		if total > MaxEmailPatternsCost {
			break
		}
		patterns = append(patterns, pattern)
	}
	return patterns
}

// costlyPatterns are formats of the slowest patterns that the limits allow.
var costlyPatterns = map[string]string{
	"10,000 domains":        `.*@department-%d\.university\.example`,
	"10,000 domains, inner": `.*@(department-%d)\.university\.example`,
	"nested quantifiers":    `((a+)+)+b%d|(.*)*c`,
	"repetitions":           `(a{100}){9}%d`,
	"repeated classes":      `([[:^upper:]]\pL){5}%d`,
	"alternations":          strings.Repeat("aa|bb|", 80) + `%d`,
	"a megabyte":            strings.Repeat("x", 495) + `%05d`,
	"dots":                  `(.?){500}@x%d`,
}

// Time and memory to match an address are bounded for any patterns that the limits allow, from the first address on,
// because no compiled pattern is cached.
func TestMatchingPatternsTakesBoundedTime(t *testing.T) {
	for name, pattern := range costlyPatterns {
		t.Run(name, func(t *testing.T) {
			scope := Scope{UserEmailPatterns: maxPatternsLike(pattern)}
			require.NotEmpty(t, scope.UserEmailPatterns)
			if strings.HasPrefix(name, "10,000") {
				require.Len(t, scope.UserEmailPatterns, MaxEmailPatterns)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			require.False(t, scope.allowsEmail(strings.Repeat("a", 64)+"@"+strings.Repeat("aaaaaaaa.", 20)+"example"))
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			t.Logf("%d patterns: %s, %d MB allocated", len(scope.UserEmailPatterns), took, (after.TotalAlloc-before.TotalAlloc)>>20)
			require.Less(t, took, 15*time.Second, "a request has 20 s")
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(16<<20), "memory is freed")
		})
	}
	scope := Scope{UserEmailPatterns: maxPatternsLike(costlyPatterns["10,000 domains"])}
	require.True(t, scope.allowsEmail("A@Department-9999.UNIVERSITY.example"))
}

// An address of an internationalized domain is tried in up to three forms.
func TestHasFewEmailPatterns(t *testing.T) {
	t.Parallel()
	of := func(own, customers int) Scope {
		return Scope{UserEmailPatterns: make([]string, own), Customer: &Scope{UserEmailPatterns: make([]string, customers)}}
	}
	for _, each := range []struct {
		scope   Scope
		address string
		want    bool
	}{
		{of(10, 10), "a@x.example", true},
		{of(11, 0), "a@x.example", false},
		{of(0, 11), "a@x.example", false},
		{of(5, 5), "a@bücher.example", true},
		{of(6, 0), "a@bücher.example", false},
		{of(3, 3), "a@BÜCHER.example", true},
		{of(0, 4), "a@BÜCHER.example", false},
		{Scope{}, "a@BÜCHER.example", true},
	} {
		require.Equal(t, each.want, each.scope.HasFewEmailPatterns(each.address), each)
	}
}

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

// FuzzMayMatch checks that an address which mayMatch rules out doesn't match the compiled pattern.
func FuzzMayMatch(f *testing.F) {
	for _, pattern := range []string{`.*@a\.b`, `a@x|b@y`, `\Qa@b`, `a@\x41`, `(?i)@k$`, `[@]a`, `.@.\\.`, `a@b\.$`} {
		f.Add(pattern, "a@A.B")
		f.Add(pattern, "b@y")
	}
	f.Fuzz(func(t *testing.T, pattern, address string) {
		if _, err := EmailPatternCost(pattern); err != nil || len(address) > 300 {
			return
		}
		compiled, err := compileEmailPattern(pattern)
		require.NoError(t, err)
		if !mayMatch(pattern, address) {
			require.False(t, compiled.MatchString(address), "%q of %q was ruled out", pattern, address)
		}
	})
}

func BenchmarkAllowsEmail(b *testing.B) {
	for name, pattern := range costlyPatterns {
		b.Run(name, func(b *testing.B) {
			scope := Scope{UserEmailPatterns: maxPatternsLike(pattern)}
			b.ReportAllocs()
			for b.Loop() {
				scope.allowsEmail("nobody@nowhere.example")
			}
		})
	}
}
