package signin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"invited/internal/fault"
	"invited/internal/identity"
)

// leeway is how far the clocks of an issuer and of this machine may be apart.
const leeway = time.Minute

// maxSubject is the length of the longest subject, in bytes (OpenID Connect Core 1.0, section 2).
const maxSubject = 255

// validSubject reports whether a text can be somebody's subject. What is no UTF-8 is none: another text that is not would be
// the same person, because a decoder of JSON writes U+FFFD for both.
func validSubject(text string) bool {
	return text != "" && len(text) <= maxSubject && !strings.ContainsRune(text, utf8.RuneError) && !strings.ContainsFunc(text, unicode.IsControl)
}

// verify returns a token of an issuer whose signature, issuer, expiry and other times are right. Whom the token is for is
// the caller's to check.
func (i *issuer) verify(ctx context.Context, raw string) (*oidc.IDToken, error) {
	token, err := oidc.NewVerifier(i.URL, i, &oidc.Config{
		SkipClientIDCheck:    true,
		SupportedSigningAlgs: algorithms,
		Now:                  func() time.Time { return i.now().Add(-leeway) },
	}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	var times struct {
		NotBefore float64 `json:"nbf"`
		IssuedAt  float64 `json:"iat"`
	}
	if err := token.Claims(&times); err != nil {
		return nil, err
	}
	latest := float64(i.now().Add(leeway).Unix())
	switch {
	case times.NotBefore > latest || times.IssuedAt > latest:
		return nil, errors.New("the token is of a time to come")
	case token.Issuer != i.URL: // the library lets Google leave out the scheme
		return nil, errors.New("the token is of another issuer")
	case !validSubject(token.Subject):
		return nil, errors.New("the token has no subject")
	}
	return token, nil
}

// AuthenticateToken returns the person whose access token this is (RFC 9068). It returns fault.KindUnauthenticated for a
// token that does not work here, with the reason as its cause, and fault.KindUnavailable where the issuer's keys can't be
// had.
func (p *Providers) AuthenticateToken(ctx context.Context, raw string) (identity.Person, error) {
	person, err := p.authenticateToken(ctx, raw)
	var (
		refusal *fault.Error
		expired *oidc.TokenExpiredError
	)
	switch {
	case err == nil, errors.As(err, &refusal):
		return person, err
	case errors.As(err, &expired):
		refusal = fault.Unauthorized("Token has expired.")
	default:
		refusal = fault.Unauthorized("Invalid token.")
	}
	refusal.Cause = errors.New(shorten(err))
	return person, refusal
}

func (p *Providers) authenticateToken(ctx context.Context, raw string) (person identity.Person, err error) {
	signed, err := jose.ParseSignedCompact(raw, joseAlgorithms)
	if err != nil {
		return person, err
	}
	var unverified struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &unverified); err != nil {
		return person, err
	}
	i := p.find(func(each *issuer) bool { return each.URL == unverified.Issuer })
	if i == nil {
		return person, errors.New("the token is of no issuer that is configured")
	}
	if _, err := i.use(ctx); err != nil {
		return person, err
	}
	token, err := i.verify(ctx, raw)
	if err != nil {
		return person, err
	}
	if !slices.ContainsFunc(token.Audience, func(each string) bool { return slices.Contains(i.Audiences, each) }) {
		return person, fmt.Errorf("the token is for %.200q", token.Audience)
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return person, err
	}
	kind, _ := signed.Signatures[0].Header.ExtraHeaders[jose.HeaderType].(string)
	if !i.AcceptIDTokens && !isAccessToken(kind, claims) {
		return person, errors.New("the token is no access token")
	}
	person = i.person(token.Subject, claims)
	if _, has := claims[i.groupsClaim()]; !has {
		person.Staff = nil // providers may leave groups out of access tokens
	}
	return person, nil
}

// isAccessToken reports whether a token is an access token rather than an ID token. kind is its header typ. RFC 9068 has a
// type of its own; where a provider writes JWT for both, a token counts as an access token only if something says so.
func isAccessToken(kind string, claims map[string]any) bool {
	switch strings.TrimPrefix(strings.ToLower(kind), "application/") {
	case "at+jwt":
		return true
	case "jwt":
	default:
		return false
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, found := claims[name]; return found })
	}
	switch {
	case claims["typ"] == "Bearer" || claims["token_use"] == "access": // Keycloak, Cognito
		return true
	case has("typ", "token_use", "nonce", "at_hash", "c_hash", "s_hash"):
		return false
	default:
		return has("scope", "scp", "client_id")
	}
}

// emailClaim returns the name of the claim that has the address.
func (i *issuer) emailClaim() string { return cmp.Or(i.Claims.Email, "email") }

// groupsClaim returns the name of the claim that has the groups.
func (i *issuer) groupsClaim() string { return cmp.Or(i.Claims.Groups, "groups") }

// person returns what the claims of an issuer say about a person.
func (i *issuer) person(subject string, claims map[string]any) identity.Person {
	text := func(name string) string {
		value, _ := claims[name].(string)
		return value
	}
	email := text(i.emailClaim())
	p := identity.Person{
		Issuer: i.URL, Subject: subject,
		Email: email,
		// The claim email_verified is about the claim email, whichever claim the address is read from. The text "true" does not do.
		EmailVerified: i.EmailTrusted || claims["email_verified"] == true && text("email") == email,
		Username:      text(cmp.Or(i.Claims.Username, "preferred_username")),
		FullName:      text(cmp.Or(i.Claims.FullName, "name")),
		CivilNumber:   text(i.Claims.CivilNumber),
	}
	if len(i.StaffGroups) > 0 {
		groups := texts(claims[i.groupsClaim()])
		staff := slices.ContainsFunc(groups, func(each string) bool { return slices.Contains(i.StaffGroups, each) })
		p.Staff = &staff
	}
	return p
}

// texts returns the texts of a claim that is a list or a text.
func texts(claim any) []string {
	switch value := claim.(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, each := range value {
			if text, ok := each.(string); ok {
				all = append(all, text)
			}
		}
		return all
	default:
		return nil
	}
}
