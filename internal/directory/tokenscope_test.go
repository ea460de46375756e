package directory_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

func TestWhatACredentialReaches(t *testing.T) {
	t.Parallel()
	none := []directory.TokenScope(nil)
	one := []directory.TokenScope{directory.ReadInvitations}
	service := []directory.TokenScope{directory.IssueUserTokens}
	for _, test := range []struct {
		via     directory.Via
		scopes  []directory.TokenScope
		reaches []directory.TokenScope
	}{
		{directory.ViaToken, none, directory.TokenScopes[:3]},
		{directory.ViaToken, one, one},
		{directory.ViaToken, service, service},
		{directory.ViaToken, directory.TokenScopes, directory.TokenScopes},
		{directory.ViaSession, none, append([]directory.TokenScope{directory.NoToken}, directory.TokenScopes[:3]...)},
		{directory.ViaIssuer, none, append([]directory.TokenScope{directory.NoToken}, directory.TokenScopes[:3]...)},
		{directory.ViaProxy, none, append([]directory.TokenScope{directory.NoToken}, directory.TokenScopes[:3]...)},
		{"", none, directory.TokenScopes[:3]}, // a way that nobody has thought of makes no tokens
	} {
		actor := directory.Actor{Via: test.via, TokenScopes: test.scopes}
		for _, scope := range append([]directory.TokenScope{directory.NoToken}, directory.TokenScopes...) {
			err := actor.CheckScope(scope)
			if reaches := slices.Contains(test.reaches, scope); reaches {
				require.NoError(t, err, "%q with %q reaches %s", test.via, test.scopes, scope)
			} else {
				require.True(t, fault.Is(err, fault.KindForbidden), "%q with %q reaches %s", test.via, test.scopes, scope)
			}
		}
	}
}

func TestParseTokenScopes(t *testing.T) {
	t.Parallel()
	scopes, err := directory.ParseTokenScopes([]string{"directory:read", "invitations:read", "directory:read"})
	require.NoError(t, err)
	require.Equal(t, []directory.TokenScope{directory.ReadInvitations, directory.ReadDirectory}, scopes)
	require.Equal(t, "invitations:read, directory:read", directory.JoinTokenScopes(scopes))
	for name, want := range map[string]string{
		"none":      "there is no scope none: the scopes are invitations:read, invitations:write, directory:read, users:token",
		"":          "there is no scope : the scopes are",
		"a\x1b[2Jb": `there is no scope "a\x1b[2Jb": the scopes are`,
	} {
		_, err := directory.ParseTokenScopes([]string{"invitations:read", name})
		require.ErrorContains(t, err, want)
	}
}
