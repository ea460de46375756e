package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"invited/gen/server"
	"invited/internal/directory"
	"invited/internal/identity"
	"invited/internal/invitation"
)

// scopeExtension is the contract's extension that has the scope of an API token that an operation needs.
const scopeExtension = "x-token-scope"

// tokenScopeOf returns the scope that an operation needs. It returns an error where the contract has none, or one that does
// not exist, so that nobody adds an operation without thinking of tokens.
func tokenScopeOf(operation *openapi3.Operation) (directory.TokenScope, error) {
	text, _ := operation.Extensions[scopeExtension].(string)
	scope := directory.TokenScope(text)
	if scope != directory.NoToken && !slices.Contains(directory.TokenScopes, scope) {
		return "", fmt.Errorf("the contract's operation %s needs %s: %s, or %s where no token may call it",
			operation.OperationID, scopeExtension, directory.JoinTokenScopes(directory.TokenScopes), directory.NoToken)
	}
	return scope, nil
}

// checkScope refuses a request whose API token does not reach the operations of a scope.
func checkScope(scope directory.TokenScope) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := callerOrNobody(c.Request().Context()).CheckScope(scope); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// tokensResponse is a listResponse that implements the generated interface.
type tokensResponse listResponse[server.PersonalAccessToken]

// VisitPersonalAccessTokensListResponse writes the response.
func (l tokensResponse) VisitPersonalAccessTokensListResponse(w http.ResponseWriter) error {
	return listResponse[server.PersonalAccessToken](l).write(w)
}

func (h handlers) PersonalAccessTokensList(
	ctx context.Context, request server.PersonalAccessTokensListRequestObject,
) (server.PersonalAccessTokensListResponseObject, error) {
	page := pageOf(request.Params.Page, request.Params.PageSize)
	rows, total, now, err := h.Callers.Identity.Tokens(ctx, caller(ctx), page.number, page.size)
	if err != nil {
		return nil, err
	}
	convert := func(t directory.APIToken) server.PersonalAccessToken { return personalAccessToken(t, now) }
	return tokensResponse{convertAll(rows, convert), nil, h.linkHeader(ctx, "personal-access-tokens", page, total), total}, nil
}

func (h handlers) PersonalAccessTokensCount(
	ctx context.Context, _ server.PersonalAccessTokensCountRequestObject,
) (server.PersonalAccessTokensCountResponseObject, error) {
	_, total, _, err := h.Callers.Identity.Tokens(ctx, caller(ctx), 1, 1)
	if err != nil {
		return nil, err
	}
	return server.PersonalAccessTokensCount200Response{
		Headers: server.PersonalAccessTokensCount200ResponseHeaders{XResultCount: total},
	}, nil
}

func (h handlers) PersonalAccessTokensRetrieve(
	ctx context.Context, request server.PersonalAccessTokensRetrieveRequestObject,
) (server.PersonalAccessTokensRetrieveResponseObject, error) {
	found, now, err := h.Callers.Identity.Token(ctx, caller(ctx), request.UUID)
	if err != nil {
		return nil, err
	}
	return server.PersonalAccessTokensRetrieve200JSONResponse{Body: personalAccessToken(found, now)}, nil
}

func (h handlers) PersonalAccessTokensCreate(
	ctx context.Context, request server.PersonalAccessTokensCreateRequestObject,
) (server.PersonalAccessTokensCreateResponseObject, error) {
	draft := identity.TokenDraft{Name: request.Body.Name, Scopes: convertAll(request.Body.Scopes, tokenScope)}
	if text := request.Body.ExpiresAt; text != nil {
		expires, err := time.Parse(time.RFC3339, *text) // the validator has parsed it
		if err != nil {
			return nil, err
		}
		draft.Expires = &expires
	}
	made, err := h.Callers.Identity.CreateToken(ctx, caller(ctx), draft, clientOf(ctx))
	if err != nil {
		return nil, err
	}
	h.Logger.InfoContext(ctx, "API token made", aboutToken(ctx, caller(ctx).User, made.UUID,
		"scopes", directory.JoinTokenScopes(made.Scopes), "expires", *made.Expires)...)
	return server.PersonalAccessTokensCreate201JSONResponse{
		Body: madeToken(made),
		Headers: server.PersonalAccessTokensCreate201ResponseHeaders{
			Location: h.PublicURL + "api/personal-access-tokens/" + made.UUID.String() + "/",
		},
	}, nil
}

func (h handlers) PersonalAccessTokensDestroy(
	ctx context.Context, request server.PersonalAccessTokensDestroyRequestObject,
) (server.PersonalAccessTokensDestroyResponseObject, error) {
	if err := h.Callers.Identity.RevokeToken(ctx, caller(ctx), request.UUID, clientOf(ctx)); err != nil {
		return nil, err
	}
	h.Logger.InfoContext(ctx, "API token revoked", aboutToken(ctx, caller(ctx).User, request.UUID)...)
	return server.PersonalAccessTokensDestroy204Response{}, nil
}

func (h handlers) UsersTokenCreate(
	ctx context.Context, request server.UsersTokenCreateRequestObject,
) (server.UsersTokenCreateResponseObject, error) {
	made, user, err := h.Callers.Identity.CreateUserToken(ctx, caller(ctx), request.UUID, clientOf(ctx))
	if err != nil {
		return nil, err
	}
	h.Logger.InfoContext(ctx, "API token made for a user", aboutToken(ctx, user, made.UUID, "by", caller(ctx).Username)...)
	return server.UsersTokenCreate201JSONResponse{Body: madeToken(made)}, nil
}

// aboutToken returns the attributes of a log line about a user's token, never the token itself.
func aboutToken(ctx context.Context, user directory.User, token uuid.UUID, more ...any) []any {
	return append([]any{
		"request_id", invitation.RequestID(ctx), "user", user.Username, "token", token.String(), "client", clientOf(ctx),
	}, more...)
}

func tokenScope(s server.PersonalAccessTokenScope) directory.TokenScope {
	return directory.TokenScope(s)
}

func scopesOf(t directory.APIToken) []server.PersonalAccessTokenScope {
	return convertAll(t.Scopes, func(s directory.TokenScope) server.PersonalAccessTokenScope {
		return server.PersonalAccessTokenScope(s)
	})
}

func personalAccessToken(t directory.APIToken, now time.Time) server.PersonalAccessToken {
	converted := server.PersonalAccessToken{
		Created: timestamp(t.Created), IsActive: t.WorksAt(now), Name: t.Name, Scopes: scopesOf(t), UUID: t.UUID,
	}
	if t.Expires != nil {
		converted.ExpiresAt = new(timestamp(*t.Expires))
	}
	if t.LastUsed != nil {
		converted.LastUsedAt = new(timestamp(*t.LastUsed))
	}
	return converted
}

func madeToken(made identity.MadeToken) server.PersonalAccessTokenCreated {
	return server.PersonalAccessTokenCreated{
		Created: timestamp(made.Created), ExpiresAt: timestamp(*made.Expires), Name: made.Name, Scopes: scopesOf(made.APIToken),
		Token: made.Key, UUID: made.UUID,
	}
}
