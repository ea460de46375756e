package directory_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
)

const (
	someID   = "5d9f6a14-2c8e-4f0b-8a6d-1e7b3c9d5f20"
	someHex  = "5d9f6a142c8e4f0b8a6d1e7b3c9d5f20"
	upperID  = "5D9F6A14-2C8E-4F0B-8A6D-1E7B3C9D5F20"
	upperHex = "5D9F6A142C8E4F0B8A6D1E7B3C9D5F20"
)

// segmentOf maps a scope type to the path segment after /api/.
var segmentOf = map[directory.ScopeType]string{
	directory.Customer: "customers", directory.Project: "projects", directory.Offering: "marketplace-provider-offerings",
	directory.Call: "proposal-protected-calls", directory.Proposal: "proposal-proposals",
}

func TestParseScopeURL(t *testing.T) {
	t.Parallel()
	require.Len(t, segmentOf, len(directory.ScopeTypes))
	for kind, segment := range segmentOf {
		for _, prefix := range []string{
			"https://waldur.example", "http://127.0.0.1:8080", "", "//h", "https://user:pw@h.example:1", "https://h.example/deep/er",
			"HTTPS://H.EXAMPLE", "https://[::1]", "https://bücher.example",
		} {
			for _, id := range []string{someID, someHex, upperID, upperHex} {
				for _, suffix := range []string{"", "?x=y", "#z", "?/api/customers/" + someHex[1:] + "0/"} {
					address := prefix + "/api/" + segment + "/" + id + "/" + suffix
					gotKind, gotID, ok := directory.ParseScopeURL(address)
					require.True(t, ok, address)
					require.Equal(t, kind, gotKind, address)
					require.Equal(t, someID, gotID.String(), address)
				}
			}
		}
	}
}

func TestParseScopeURLRefusesOtherURLs(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "/", "/api/", "/api/projects/", "/api/projects//", "/api/projects/" + someID, "/api/projects/" + someID + "//",
		"/api/projects/" + someID + "/x", "/api/projects/" + someID + "/x/", "/api/users/" + someID + "/", "/api//" + someID + "/",
		"/api/Projects/" + someID + "/", "/api/project/" + someID + "/", "/API/projects/" + someID + "/",
		"api/projects/" + someID + "/", "/xapi/projects/" + someID + "/", "/projects/" + someID + "/",
		"/api/projects/" + someID + "%2f", "/api/projects%2f" + someID + "/", "/api/projects/%35d9f6a142c8e4f0b8a6d1e7b3c9d5f20/",
		"/api/projects/" + someID + "%00/", "/api/projects/" + someID + "\x00/", "/api/projects/" + someID + "/\n",
		"javascript:/api/projects/" + someID + "/", "javascript://h/api/projects/" + someID + "/", "ftp://h/api/projects/" + someID + "/",
		"file:///api/projects/" + someID + "/", "data:,/api/projects/" + someID + "/", "https:/api/projects/{" + someID + "}/",
		"https://h/#/api/projects/" + someID + "/", "https://h/?/api/projects/" + someID + "/", "https://[::1/api/projects/" + someID + "/",
		"https://h/api/projects/" + someHex[1:] + "/", "https://h/api/projects/" + someHex + "0/", "https://h/%zz/api/projects/" + someID + "/",
		"https://h\\api\\projects\\" + someID + "\\", "https://h/api/projects/" + someID[:35] + "٣/",
	} {
		_, _, ok := directory.ParseScopeURL(address)
		require.False(t, ok, "%q", address)
	}
}

func TestParseUUID(t *testing.T) {
	t.Parallel()
	for _, text := range []string{someID, someHex, upperID, upperHex} {
		id, ok := directory.ParseUUID(text)
		require.True(t, ok, text)
		require.Equal(t, someID, id.String())
	}
	for _, text := range []string{
		"", "x", "{" + someID + "}", "urn:uuid:" + someID, someID + "\n", " " + someID, someID + " ", someHex + "0", someHex[1:], someID[1:],
		strings.Replace(someID, "-", "", 1), someHex[:8] + "-" + someHex[8:], strings.ReplaceAll(someID, "-", "_"),
		strings.Replace(someID, "5", "g", 1), strings.Replace(someID, "5", "５", 1), "\ufeff" + someID, someID + "\x00",
		someHex[:16] + "-" + someHex[16:31], strings.ReplaceAll(someID, "-", "--"), strings.Repeat("0", 1<<20),
	} {
		_, ok := directory.ParseUUID(text)
		require.False(t, ok, "%q", text)
	}
}

// FuzzParseUUID checks that ParseUUID accepts exactly 32 hexadecimal digits, with dashes in the canonical places or nowhere.
func FuzzParseUUID(f *testing.F) {
	for _, seed := range []string{someID, someHex, upperID, "{" + someID + "}", "urn:uuid:" + someID, "", strings.Repeat("-", 36)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := directory.ParseUUID(text)
		canonical := strings.ToLower(text)
		if len(text) == 32 {
			canonical = strings.Join([]string{canonical[:8], canonical[8:12], canonical[12:16], canonical[16:20], canonical[20:]}, "-")
		}
		parsed, err := uuid.Parse(canonical)
		valid := err == nil && parsed.String() == canonical && isASCII(text)
		require.Equal(t, valid, ok, "%q", text)
		if !ok {
			require.Equal(t, uuid.Nil, id)
			return
		}
		require.Equal(t, canonical, id.String())
		again, ok := directory.ParseUUID(id.String())
		require.True(t, ok)
		require.Equal(t, id, again)
	})
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > 127 })
}

// FuzzParseScopeURL checks that a URL composed of the returned type and uuid is parsed to the same type and uuid.
func FuzzParseScopeURL(f *testing.F) {
	for _, segment := range segmentOf {
		f.Add("https://waldur.example/api/" + segment + "/" + someID + "/")
	}
	for _, seed := range []string{
		"/api/projects/" + someHex + "/", "javascript:/api/projects/" + someID + "/", "https://h/?/api/projects/" + someID + "/",
		"//h/api/customers/" + someID + "/#x", "https://h/api/projects/%35/", "/api/projects/" + someID + "/../",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		kind, id, ok := directory.ParseScopeURL(address)
		if !ok {
			return
		}
		require.Contains(t, segmentOf, kind)
		parsed, err := url.Parse(address)
		require.NoError(t, err)
		require.Contains(t, []string{"", "http", "https"}, parsed.Scheme)
		rest, ok := strings.CutSuffix(parsed.Path, "/")
		require.True(t, ok, address)
		at := strings.LastIndex(rest, "/")
		inPath, ok := directory.ParseUUID(rest[at+1:])
		require.True(t, ok, address)
		require.Equal(t, id, inPath)
		require.True(t, strings.HasSuffix(rest[:at], "/api/"+segmentOf[kind]), address)

		sameKind, sameID, ok := directory.ParseScopeURL("https://h/api/" + segmentOf[kind] + "/" + id.String() + "/")
		require.True(t, ok)
		require.Equal(t, kind, sameKind)
		require.Equal(t, id, sameID)
	})
}
