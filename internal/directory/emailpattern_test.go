package directory

import (
	"fmt"
	"runtime"
	"slices"
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

// Whether others can wait for the patterns depends on their cost and on the forms of the address, not on their number.
func TestHasFastEmailPatterns(t *testing.T) {
	t.Parallel()
	domains := func(count int) []string { return slices.Repeat([]string{`.*@(a|b)\.example`}, count) }
	costly, wide := `(?:.?){990}(?:.?){990}(?:.?){990}x`, `[a-\x{1E943}]`
	long := strings.Repeat("a", 64) + "@" + strings.Repeat("a.", 90) + "example"
	for _, each := range []struct {
		own, customers []string
		address        string
		want           bool
	}{
		{nil, nil, "a@BÜCHER.example", true},
		{domains(15), domains(15), "a@x.example", true},
		{domains(10), domains(40), "a@x.example", false},
		{domains(60), nil, "a@x.example", false},
		{domains(15), nil, long, false},
		{domains(5), nil, long, true},
		{domains(15), nil, "a@" + strings.Repeat("BÜCHER.", 10) + "example", false}, // three forms
		{[]string{costly}, nil, "a@x", false},
		{nil, []string{costly}, "a@x", false},
		{[]string{wide}, nil, "a@x", false},
		{[]string{`\d{3}@x`}, nil, "a@x", true},
		{[]string{"["}, nil, "a@x", true},
		{[]string{"(" + strings.Repeat("?:x", 800)}, nil, "a@x", false},
	} {
		scope := Scope{UserEmailPatterns: each.own, Customer: &Scope{UserEmailPatterns: each.customers}}
		require.Equal(t, each.want, scope.HasFastEmailPatterns(each.address), each)
	}
}

// The slowest patterns that a group invitation may have, whose costs add up to 20,000, are tried on the slowest address in
// about a tenth of a second; and those that others wait for in milliseconds.
func TestSlowestPatterns(t *testing.T) {
	short := strings.Repeat("a", 64) + "@" + strings.Repeat("aaaaaaaa.", 19) + "example"
	inForms := strings.Repeat("A", 64) + "@" + strings.Repeat("ÜAAAAAA.", 11) + "example"
	for _, each := range []string{
		`(?:.?){990}(?:.?){990}(?:.?){990}x`, `(?:(?:.?){0,30}){30}x`, strings.Repeat("(.*)*", 100) + "x", strings.Repeat(`(?:.*.?)*`, 80) + "x",
		"[" + strings.Repeat(`a-\x{1E943}`, 5) + "]", strings.Repeat("[a-\U0001E943]", 5), "(?i)[" + strings.Repeat("b-\U0010FFFF", 5) + "]", strings.Repeat(`\pL`, 6),
		`(?:[^b]?|[^c]?){700}x`, strings.Repeat("(", 480) + "a" + strings.Repeat(")?", 480),
	} {
		cost, err := EmailPatternCost(each)
		require.NoError(t, err)
		scope := Scope{UserEmailPatterns: slices.Repeat([]string{each}, 20_000/cost)}
		for _, address := range []string{short, inForms} {
			start := time.Now()
			scope.allowsEmail(address)
			took := time.Since(start)
			start = time.Now()
			isFast := scope.HasFastEmailPatterns(address)
			t.Logf("%.30s: cost %d, %d times, %d forms: %s; fast: %v in %s", each, cost, len(scope.UserEmailPatterns), len(emailForms(address)), took, isFast, time.Since(start))
			require.Less(t, took, 5*time.Second)
		}
	}
	for _, each := range []string{
		strings.Repeat("[a-\U0001E943]", 6), "[" + strings.Repeat("b-\U0010FFFF", 100) + "]", "(?i)[" + strings.Repeat(`a-\x{1e943}`, 6) + "]", `[a-\x{999999999}]{10}`,
	} {
		_, err := EmailPatternCost(each)
		require.Error(t, err, each)
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
