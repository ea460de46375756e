package person_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/person"
)

func TestAddressIsFoundInEachSpelling(t *testing.T) {
	a, err := person.ParseAddress(" Ann.Lee+x@MÜLLER.example ")
	require.NoError(t, err)
	require.Equal(t, "ann.lee+x@müller.example", a.Folded)
	for text, want := range map[string]string{
		"ann.lee+x@müller.example":                            "E",
		"ANN.LEE+X@MÜLLER.EXAMPLE":                            "E",
		"ann.lee+x@xn--mller-kva.example":                     "E",
		"Ann.Lee+X@XN--MLLER-KVA.example":                     "E",
		"550 <ann.lee+x@xn--mller-kva.example>: no":           "550 <E>: no",
		`["^ann\\.lee\\+x@müller\\.example$"]`:                `["^E$"]`,
		`ann\.lee\+x@xn--mller-kva\.example`:                  "E",
		"to ann.lee+x@müller.example.":                        "to E.",
		"ann.lee+x@müller.example, ann.lee+x@müller.example":  "E, E",
		"https://x.example/?u=ann.lee%2Bx%40m%C3%BCller.e":    "https://x.example/?u=ann.lee%2Bx%40m%C3%BCller.e", // not searched
		"https://x.example/?u=ann.lee%2Bx%40müller.example&a": "https://x.example/?u=E&a",
		`a\nann.lee+x@müller.example`:                         `a\nE`,
		"'ann.lee+x@müller.example'":                          "'E'",
		// Others.
		"joann.lee+x@müller.example":      "joann.lee+x@müller.example",
		"mary-ann.lee+x@müller.example":   "mary-ann.lee+x@müller.example",
		"ann.lee+x@müller.example.org":    "ann.lee+x@müller.example.org",
		"ann.lee+x@müller.examples":       "ann.lee+x@müller.examples",
		"ann.lee@müller.example":          "ann.lee@müller.example",
		"annXlee+x@müller.example":        "annXlee+x@müller.example",
		"ann.lee+x@muller.example":        "ann.lee+x@muller.example",
		"ann.lee+x at müller.example, no": "ann.lee+x at müller.example, no",
	} {
		require.Equal(t, want, a.Replace(text, "E"), text)
		require.Equal(t, want != text, a.Has(text), text)
	}
	ampersand, err := person.ParseAddress("a&b@x.example")
	require.NoError(t, err)
	require.JSONEq(t, `{"email":"E"}`, ampersand.Replace(`{"email":"a\u0026b@x.example"}`, "E"))
	for _, text := range []string{"", "ann", "@x.example", "ann@", "a b@x.example", "ann@x.example\n<b@x.example>"} {
		_, err := person.ParseAddress(text)
		require.ErrorContains(t, err, "e-mail address", text)
	}
}

// An address whose end is the address is another one, whichever sign that directory.ValidEmail admits is between.
func TestAddressIsNoEndOfAnother(t *testing.T) {
	a, err := person.ParseAddress("brien@x.example")
	require.NoError(t, err)
	for _, sign := range "!#$%&'*+/=?^_`{|}~-." {
		other := "o" + string(sign) + "brien@x.example"
		require.True(t, directory.ValidEmail(other))
		encoded, err := json.Marshal(other + ", " + other) // with the & as \u0026
		require.NoError(t, err)
		for _, text := range []string{
			other, "to <" + other + ">", "'" + other + "'", "o" + string(sign) + other, regexp.QuoteMeta(other), string(encoded), url.QueryEscape(other),
		} {
			require.False(t, a.Is(text))
			require.Equal(t, text, a.Replace(text, "E"))
		}
	}
	for text, want := range map[string]string{
		"'brien@x.example' *brien@x.example* `brien@x.example`":     "'E' *E* `E`",
		`^o'brien@x\.example$|^brien@x\.example$`:                   `^o'brien@x\.example$|^E$`,
		`["^brien@x\\.example$","(a@x\\.example|brien@x.example)"]`: `["^E$","(a@x\\.example|E)"]`,
		"o'brien@x.example/brien@x.example":                         "o'brien@x.example/E",
		"https://x.example/?u=brien@x.example&v=o'brien@x.example":  "https://x.example/?u=E&v=o'brien@x.example",
		`Dear\n'brien@x.example'`:                                   `Dear\n'E'`,
		`\u003cbrien@x.example\u003e`:                               `\u003cE\u003e`,
	} {
		require.Equal(t, want, a.Replace(text, "E"), text)
	}
}
