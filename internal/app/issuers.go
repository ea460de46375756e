package app

import (
	"context"
	"time"

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

// startProviders fetches the issuers' keys until the App is released.
func (a *App) startProviders() {
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
