package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"invited/internal/fault"
	"invited/internal/identity"
)

// Begin completes an attempt to sign in with an issuer, and returns it with the URL that the browser goes to. a says what the
// sign-in is for. Begin returns fault.KindNotFound for an unknown issuer, and fault.KindUnavailable where the issuer can't be
// reached.
func (p *Providers) Begin(ctx context.Context, id string, a Attempt) (_ Attempt, to string, err error) {
	i := p.find(func(each *issuer) bool { return each.ID == id })
	if i == nil {
		return a, "", fault.NotFound()
	}
	found, err := i.use(ctx)
	if err != nil {
		return a, "", err
	}
	a.Issuer = id
	a.State, a.Nonce, a.Verifier = rand.Text()+rand.Text(), rand.Text()+rand.Text(), oauth2.GenerateVerifier()
	client := p.client(i, found, a)
	return a, client.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// client returns the OAuth client of an issuer for an attempt.
func (p *Providers) client(i *issuer, found discovery, a Attempt) *oauth2.Config {
	endpoint := found.provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // client_secret_basic is the default of the standard
	methods := found.metadata.AuthMethods
	if i.ClientSecret == "" || len(methods) > 0 && !slices.Contains(methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	callback := "sign-in/" + i.ID + "/callback/"
	if a.FrontEnd {
		callback = "api-auth/" + i.ID + "/complete/"
	}
	return &oauth2.Config{
		ClientID: i.ClientID, ClientSecret: i.ClientSecret, Endpoint: endpoint, Scopes: i.Scopes, RedirectURL: p.publicURL + callback,
	}
}

// Finish returns the person who came back from an issuer. id is the issuer that the callback belongs to, a the attempt that
// the browser has kept, and query the query of the callback. Finish returns fault.KindRejected, with the reason as its cause,
// where the person is not signed in, and fault.KindUnavailable where the issuer does not answer.
func (p *Providers) Finish(ctx context.Context, id string, a Attempt, query url.Values) (person identity.Person, err error) {
	i := p.find(func(each *issuer) bool { return each.ID == id })
	if i == nil {
		return person, fault.NotFound()
	}
	// The state is compared before anything else that the query says is believed.
	if a.State == "" || a.Issuer != id || !same(a.State, single(query, "state")) {
		return person, rejected("This sign-in was not begun in this browser, or it took too long. Begin again.",
			errors.New("the state is not that of the browser"))
	}
	found, err := i.use(ctx)
	if err != nil {
		return person, err
	}
	// RFC 9207: another issuer can't pass its answer off as this one's.
	if query.Has("iss") && single(query, "iss") != i.URL || found.metadata.SendsIssuer && !query.Has("iss") {
		return person, rejected(tryAgain, errors.New("the answer is of another issuer"))
	}
	if reason := query.Get("error"); reason != "" {
		return person, rejected(i.Name+" did not sign you in. Begin again, or choose another way.",
			fmt.Errorf("the issuer answers %.100q", reason))
	}
	code := single(query, "code")
	if code == "" {
		return person, rejected(tryAgain, errors.New("the answer has no code"))
	}
	subject, claims, err := p.redeem(oidc.ClientContext(ctx, i.client), i, found, a, code)
	if err != nil {
		return person, err
	}
	return i.person(subject, claims), nil
}

// SignIn signs the person in who came back from an issuer, and returns the secret of the session. client is the network
// address of the browser. SignIn returns the errors of Finish and of identity.Service.SignInPerson, and fault.KindThrottled
// after too many failures of the client: each can cost the issuer a request.
func (p *Providers) SignIn(
	ctx context.Context, users *identity.Service, id string, a Attempt, query url.Values, client string,
) (session string, err error) {
	if p == nil {
		return "", fault.NotFound()
	}
	defer func() { users.NoteSignIn("issuer", err) }()
	if wait := p.failures.wait(client, "", p.now()); wait > 0 {
		return "", users.Limits.Throttled("sign_ins", wait)
	}
	person, err := p.Finish(ctx, id, a, query)
	if err != nil {
		p.failures.fail(client, "", p.now())
		return "", err
	}
	session, user, err := users.SignInPerson(ctx, person, client)
	if err != nil {
		p.logger.WarnContext(ctx, "sign-in refused", "issuer", person.Issuer, "subject", person.Subject, "client", client, "error", err)
		return "", err
	}
	p.logger.InfoContext(ctx, "signed in", "user", user.Username, "by", person.Issuer, "subject", person.Subject,
		"staff", user.IsStaff, "client", client)
	return session, nil
}

// Explain returns why somebody is not signed in, in words for them; "" where an error of Begin or SignIn is none of theirs.
func Explain(err error) string {
	var f *fault.Error
	switch errors.As(err, &f); {
	case f == nil:
		return ""
	case f.Kind == fault.KindForbidden, f.Kind == fault.KindRejected:
		return f.Message
	case f.Kind == fault.KindUnauthenticated:
		return "Your user here is inactive. Ask the people who run this site."
	case f.Kind == fault.KindUnavailable:
		return "Something is out of reach at the moment. Nothing was changed. Begin again in a moment."
	default:
		return ""
	}
}

const tryAgain = "Something went wrong on the way back. Begin again."

func rejected(message string, cause error) error {
	refusal := fault.Rejected(message)
	refusal.Cause = errors.New(shorten(cause))
	return refusal
}

// single returns the value of a parameter that occurs once, else "".
func single(query url.Values, name string) string {
	if values := query[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// same compares two texts in a time that does not depend on how much of them is the same.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// redeem exchanges a code for an ID token, and returns the person's subject and claims.
func (p *Providers) redeem(ctx context.Context, i *issuer, found discovery, a Attempt, code string) (string, map[string]any, error) {
	tokens, err := p.client(i, found, a).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if refusal := new(oauth2.RetrieveError); errors.As(err, &refusal) && refusal.Response.StatusCode < http.StatusInternalServerError {
		// The error of the library repeats the response.
		return "", nil, rejected(tryAgain, fmt.Errorf("the issuer refuses the code: %s, %.100q", refusal.Response.Status, refusal.ErrorCode))
	} else if err != nil {
		return "", nil, fault.Unavailable(errors.New(shorten(err)))
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := i.verify(ctx, raw)
	if err != nil {
		return "", nil, rejected(tryAgain, err)
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return "", nil, rejected(tryAgain, err)
	}
	switch party, _ := claims["azp"].(string); {
	case !slices.Contains(token.Audience, i.ClientID), (party != "" || len(token.Audience) > 1) && party != i.ClientID:
		err = errors.New("the ID token is for another client")
	case !same(token.Nonce, a.Nonce):
		err = errors.New("the nonce is not that of the browser")
	case token.AccessTokenHash != "":
		err = token.VerifyAccessToken(tokens.AccessToken)
	}
	if err != nil {
		return "", nil, rejected(tryAgain, err)
	}
	if _, has := claims[i.emailClaim()]; !has && found.provider.UserInfoEndpoint() != "" {
		// Some providers say there what the scopes ask for.
		more, err := found.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
		switch {
		case err != nil:
			return "", nil, fault.Unavailable(errors.New(shorten(err)))
		case more.Subject != token.Subject:
			return "", nil, rejected(tryAgain, errors.New("the user info is of another person"))
		}
		delete(claims, "email_verified") // it was of no address
		if err := more.Claims(&claims); err != nil {
			return "", nil, rejected(tryAgain, err)
		}
	}
	return token.Subject, claims, nil
}

// NameOf returns the name of the issuer with a URL; "" where there is none.
func (p *Providers) NameOf(issuerURL string) string {
	if i := p.find(func(each *issuer) bool { return each.URL == issuerURL }); i != nil {
		return i.Name
	}
	return ""
}

// EndSession returns the URL at which an issuer ends its own session, and the issuer's name; "" where there is none.
func (p *Providers) EndSession(issuerURL string) (to, name string) {
	i := p.find(func(each *issuer) bool { return each.URL == issuerURL })
	if i == nil {
		return "", ""
	}
	address := i.state().metadata.EndSession
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return "", ""
	}
	query := u.Query()
	query.Set("client_id", i.ClientID)
	query.Set("post_logout_redirect_uri", p.publicURL+"signed-out/")
	u.RawQuery = query.Encode()
	return u.String(), i.Name
}
