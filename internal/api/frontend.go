package api

import (
	"context"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"invited/gen/server"
	"invited/internal/fault"
	"invited/internal/signin"
)

func (h handlers) ConfigurationRetrieve(
	context.Context, server.ConfigurationRetrieveRequestObject,
) (server.ConfigurationRetrieveResponseObject, error) {
	name := h.SiteName
	return server.ConfigurationRetrieve200JSONResponse{Body: server.PublicConfiguration{
		LANGUAGECODE: "en",
		LANGUAGES:    [][]string{{"en", "English"}},
		FEATURES:     map[string]any{},
		WALDURCORE: server.PublicCoreConfiguration{
			SITENAME: name, SHORTPAGETITLE: name, FULLPAGETITLE: name,
			MASTERMINDURL: h.PublicURL, HOMEPORTURL: h.Service.FrontendURL,
			INVITATIONSENABLED:    true,
			AUTHENTICATIONMETHODS: []string{"SOCIAL_SIGNUP"},
			USERMANDATORYFIELDS:   []string{},
		},
	}}, nil
}

// identityProviders returns the ways to sign in.
func (h handlers) identityProviders() []server.IdentityProvider {
	choices := h.Callers.Providers.Choices()
	if h.SignsInByMail {
		choices = append(choices, signin.Choice{ID: signin.Mail, Name: "Code by mail"})
	}
	return convertAll(choices, func(c signin.Choice) server.IdentityProvider {
		return server.IdentityProvider{
			Provider: c.ID, Label: c.Name, ClientID: c.ClientID, AuthURL: h.PublicURL + "api-auth/" + c.ID + "/init/", IsActive: true,
		}
	})
}

// identityProvider returns the way to sign in with a name.
func (h handlers) identityProvider(name string) (server.IdentityProvider, error) {
	all := h.identityProviders()
	i := slices.IndexFunc(all, func(p server.IdentityProvider) bool { return p.Provider == name })
	if i < 0 {
		return server.IdentityProvider{}, fault.NotFound()
	}
	return all[i], nil
}

func (h handlers) IdentityProvidersList(
	context.Context, server.IdentityProvidersListRequestObject,
) (server.IdentityProvidersListResponseObject, error) {
	return server.IdentityProvidersList200JSONResponse{Body: h.identityProviders()}, nil
}

func (h handlers) IdentityProvidersRetrieve(
	_ context.Context, request server.IdentityProvidersRetrieveRequestObject,
) (server.IdentityProvidersRetrieveResponseObject, error) {
	found, err := h.identityProvider(request.Provider)
	if err != nil {
		return nil, err
	}
	return server.IdentityProvidersRetrieve200JSONResponse{Body: found}, nil
}

// isSecure reports whether browsers reach the server by https.
func (h handlers) isSecure() bool { return strings.HasPrefix(h.PublicURL, "https:") }

type browserKey struct{}

// withBrowser gives a handler the request and the response: signing in keeps cookies in the browser, and its events have the
// client's address.
func withBrowser(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), browserKey{}, c)))
		return next(c)
	}
}

// browserOf returns the request and the response of an operation that has withBrowser.
func browserOf(ctx context.Context) echo.Context { return ctx.Value(browserKey{}).(echo.Context) }

func (h handlers) APIAuthInitRetrieve(
	ctx context.Context, request server.APIAuthInitRetrieveRequestObject,
) (server.APIAuthInitRetrieveResponseObject, error) {
	if _, err := h.identityProvider(request.Provider); err != nil {
		return nil, err
	}
	attempt, to := signin.Attempt{Issuer: signin.Mail, FrontEnd: true}, h.PublicURL+"sign-in/?return_to="+signin.MailCompleted
	var err error
	if request.Provider != signin.Mail {
		attempt, to, err = h.Callers.Providers.Begin(ctx, request.Provider, signin.Attempt{FrontEnd: true})
	}
	if text := signin.Explain(err); text != "" {
		h.logFailure(ctx, request.Provider, err)
		to = signin.FrontEndFailed(h.Service.FrontendURL, text)
	} else if err != nil {
		return nil, err
	} else {
		if request.Params.State != nil {
			attempt.Echo = *request.Params.State
		}
		if err := signin.KeepAttempt(browserOf(ctx).Response(), attempt, h.isSecure()); err != nil {
			return nil, err
		}
	}
	return server.APIAuthInitRetrieve303Response{Headers: server.APIAuthInitRetrieve303ResponseHeaders{Location: to}}, nil
}

func (h handlers) APIAuthCompleteRetrieve(
	ctx context.Context, request server.APIAuthCompleteRetrieveRequestObject,
) (server.APIAuthCompleteRetrieveResponseObject, error) {
	to, err := h.complete(ctx, request.Provider)
	if text := signin.Explain(err); text != "" {
		h.logFailure(ctx, request.Provider, err)
		to = signin.FrontEndFailed(h.Service.FrontendURL, text)
	} else if err != nil {
		return nil, err
	}
	return server.APIAuthCompleteRetrieve303Response{Headers: server.APIAuthCompleteRetrieve303ResponseHeaders{Location: to}}, nil
}

// complete signs the person in who comes back from an issuer, and returns where the browser goes.
func (h handlers) complete(ctx context.Context, provider string) (to string, err error) {
	b := browserOf(ctx)
	attempt := signin.TakeAttempt(b.Response(), b.Request(), signin.FrontEndAttempt, h.isSecure())
	session, err := h.Callers.Providers.SignIn(ctx, h.Callers.Identity, provider, attempt, b.QueryParams(), b.RealIP())
	if err != nil {
		return "", err
	}
	code, err := h.Callers.Identity.HandOver(ctx, session)
	if err != nil {
		return "", err
	}
	return signin.FrontEndCompleted(h.Service.FrontendURL, provider, code, attempt.Echo), nil
}

// logFailure logs why somebody is not signed in, unless SignIn has logged it.
func (h handlers) logFailure(ctx context.Context, provider string, err error) {
	if fault.Is(err, fault.KindForbidden) || fault.Is(err, fault.KindUnauthenticated) {
		return
	}
	h.Logger.WarnContext(ctx, "sign-in failed", "issuer", provider, "client", browserOf(ctx).RealIP(), "error", err)
}

func (h handlers) APIAuthTokenExchange(
	ctx context.Context, request server.APIAuthTokenExchangeRequestObject,
) (server.APIAuthTokenExchangeResponseObject, error) {
	key, err := h.Callers.Identity.RedeemTicket(ctx, request.Body.Code, browserOf(ctx).RealIP())
	if err != nil {
		return nil, err
	}
	return server.APIAuthTokenExchange200JSONResponse{Body: server.CoreAuthToken{Token: key}}, nil
}

func (h handlers) APIAuthCreate(
	ctx context.Context, request server.APIAuthCreateRequestObject,
) (server.APIAuthCreateResponseObject, error) {
	if _, err := h.identityProvider(request.Provider); err != nil {
		return nil, err
	}
	key, err := h.Callers.Identity.RedeemTicket(ctx, request.Body.Code, browserOf(ctx).RealIP())
	if err != nil {
		return nil, err
	}
	return server.APIAuthCreate200JSONResponse{Body: server.CoreAuthToken{Token: key}}, nil
}
