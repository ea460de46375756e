package app

import (
	"context"
	"errors"
	"time"

	"invited/internal/api"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/signin"
)

// newProviders returns the issuers that people may sign in with; nil where there are none.
func (a *App) newProviders() (*signin.Providers, error) {
	configured, err := a.config.LoadIssuers()
	if err != nil || len(configured) == 0 {
		return nil, err
	}
	issuers := make([]signin.Issuer, 0, len(configured))
	for _, each := range configured {
		issuers = append(issuers, signin.Issuer{
			ID: each.ID, URL: each.URL, ClientID: each.ClientID, ClientSecret: each.ClientSecret.Reveal(), Name: each.Name,
			Scopes: each.Scopes, Audiences: each.Audiences, Roots: each.CA, Claims: signin.Claims(each.Claims),
			EmailTrusted: each.EmailTrusted, StaffGroups: each.StaffGroups, AcceptIDTokens: each.AcceptIDTokens,
		})
	}
	return signin.New(signin.Config{
		Issuers: issuers, PublicURL: a.config.PublicURL.String(), Logger: a.logger, Now: time.Now,
	}), nil
}

// newJWTs returns how the API takes access tokens of the issuers; nil where there are no issuers.
func (a *App) newJWTs(service *invitation.Service) api.JWTs {
	if a.providers == nil {
		return nil
	}
	identities := a.newIdentity(service)
	return func(ctx context.Context, jwt string) (directory.Actor, error) {
		person, err := a.providers.AuthenticateToken(ctx, jwt)
		var actor directory.Actor
		if err == nil {
			actor, err = identities.AuthenticatePerson(ctx, person)
		}
		var refusal *fault.Error
		if errors.As(err, &refusal) && (refusal.Kind == fault.KindUnauthenticated || refusal.Kind == fault.KindForbidden) {
			a.logger.WarnContext(ctx, "access token refused", "issuer", person.Issuer, "subject", person.Subject,
				"request_id", invitation.RequestID(ctx), "error", err)
		}
		return actor, unknownPerson(err)
	}
}

// unknownPerson turns the refusal of a person who has no user here into a 401: to the API, the token is one of nobody.
func unknownPerson(err error) error {
	var refusal *fault.Error
	if errors.As(err, &refusal) && refusal.Kind == fault.KindForbidden {
		return fault.Unauthorized(refusal.Message)
	}
	return err
}

// startProviders fetches the issuers' keys until the App is released.
func (a *App) startProviders() {
	if a.providers == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.providers.Run(ctx)
	}()
	a.stopProviders = func() {
		cancel()
		<-done
	}
}
