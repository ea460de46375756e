package directory

import (
	"errors"
	"slices"
	"strings"

	"invited/internal/fault"
)

// TokenScope is a part of the API that an API token can be limited to.
type TokenScope string

// The scopes.
const (
	ReadInvitations  TokenScope = "invitations:read"
	WriteInvitations TokenScope = "invitations:write"
	ReadDirectory    TokenScope = "directory:read"
	// IssueUserTokens lets a service user ask for tokens of others. A token has the scope only where the scope is named.
	IssueUserTokens TokenScope = "users:token"
	// NoToken is the scope of operations that no token reaches. No token has it.
	NoToken TokenScope = "none"
)

// TokenScopes lists the scopes that a token can have.
var TokenScopes = []TokenScope{ReadInvitations, WriteInvitations, ReadDirectory, IssueUserTokens}

// ParseTokenScopes returns the scopes with some names, each once and in the order of TokenScopes. It returns an error that
// names the reason where a name is no scope.
func ParseTokenScopes(names []string) ([]TokenScope, error) {
	for _, name := range names {
		if !slices.Contains(TokenScopes, TokenScope(name)) {
			return nil, errors.New("there is no scope " + Excerpt(name) + ": the scopes are " + JoinTokenScopes(TokenScopes))
		}
	}
	var scopes []TokenScope
	for _, each := range TokenScopes {
		if slices.Contains(names, string(each)) {
			scopes = append(scopes, each)
		}
	}
	return scopes, nil
}

// JoinTokenScopes returns the names of scopes with commas between them.
func JoinTokenScopes(scopes []TokenScope) string {
	names := make([]string, len(scopes))
	for i, each := range scopes {
		names[i] = string(each)
	}
	return strings.Join(names, ", ")
}

// CheckScope returns fault.KindForbidden, in words, where the credential of the actor's request does not reach the
// operations of a scope. Only API tokens are limited: one without scopes reaches everything but NoToken and
// IssueUserTokens. Nothing but a token with that very scope reaches the operations of IssueUserTokens.
func (a Actor) CheckScope(scope TokenScope) error {
	isNamed := slices.Contains(a.TokenScopes, scope)
	switch {
	case scope == NoToken && a.Via != ViaSession && a.Via != ViaIssuer && a.Via != ViaProxy:
		return forbidden("An API token can't do this. Sign in on the pages, or send an access token of an issuer.")
	case scope == NoToken:
		return nil
	case scope == IssueUserTokens && !isNamed:
		return forbidden("This needs an API token of a service user with the scope " + string(scope) + ".")
	case len(a.TokenScopes) > 0 && !isNamed:
		return forbidden("The API token lacks the scope " + string(scope) + ".")
	}
	return nil
}

func forbidden(message string) error {
	return &fault.Error{Kind: fault.KindForbidden, Message: message}
}
