package directory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
)

// Both forms of an internationalized domain fold to one form, and nothing else does.
func TestFoldEmail(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"Uma@Müller.example":                 "uma@müller.example",
		"UMA@XN--MLLER-KVA.Example":          "uma@müller.example",
		"uma@mail.xn--mller-kva.example":     "uma@mail.müller.example",
		"uma@xn--mller-kva.xn--e1afmkfd.org": "uma@müller.пример.org",
		"xn--mller-kva@example.org":          "xn--mller-kva@example.org",
		"uma@xn--99999999999.example":        "uma@xn--99999999999.example", // no valid form
		"uma@xn--example-.org":               "uma@xn--example-.org",
		"uma@ｅxample.org":                    "uma@ｅxample.org", // IDNA would map it to another domain
		"uma@example.org":                    "uma@example.org",
		"":                                   "",
		"xn--mller-kva":                      "xn--mller-kva",
	} {
		require.Equal(t, want, directory.FoldEmail(address), address)
		require.Equal(t, want, directory.FoldEmail(want), "folding again changes nothing")
	}
	require.NotEqual(t, directory.FoldEmail("a@xn--fa-hia.example"), directory.FoldEmail("a@fass.example"))
}

// A part of an address is searched for in the same form.
func TestFoldEmailPart(t *testing.T) {
	t.Parallel()
	for part, want := range map[string]string{
		"XN--mller-kva": "müller", "müll": "müll", "@xn--mller-kva.ex": "@müller.ex", "uma@": "uma@",
	} {
		require.Equal(t, want, directory.FoldEmailPart(part), part)
	}
}

// A pattern may name a domain in either form, whichever form the address has.
func TestPatternsOfInternationalizedDomains(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{`.*@müller\.example`, `.*@xn--mller-kva\.example`, `uma@(MÜLLER|other)\.example`} {
		scope := directory.Scope{Type: directory.Customer, UserEmailPatterns: []string{pattern}}
		for _, address := range []string{"uma@müller.example", "Uma@MÜLLER.example", "uma@xn--mller-kva.example", "uma@XN--MLLER-KVA.example"} {
			require.Empty(t, scope.RefusesEmail(address), "%s, %s", pattern, address)
		}
		for _, address := range []string{"uma@muller.example", "uma@xn--mller-kva.example.org", "uma@möller.example"} {
			require.NotEmpty(t, scope.RefusesEmail(address), "%s, %s", pattern, address)
		}
	}
}
