package api

import (
	"context"
	"errors"

	"invited/gen/server"
)

var errBulkLater = errors.New("api: bulk invitations are not made yet")

func (h handlers) UserInvitationsBulkList(
	ctx context.Context, request server.UserInvitationsBulkListRequestObject,
) (server.UserInvitationsBulkListResponseObject, error) {
	return nil, errBulkLater
}

func (h handlers) UserInvitationsBulkCount(
	ctx context.Context, request server.UserInvitationsBulkCountRequestObject,
) (server.UserInvitationsBulkCountResponseObject, error) {
	return nil, errBulkLater
}

func (h handlers) UserInvitationsBulkCreate(
	ctx context.Context, request server.UserInvitationsBulkCreateRequestObject,
) (server.UserInvitationsBulkCreateResponseObject, error) {
	return nil, errBulkLater
}

func (h handlers) UserInvitationsBulkRetrieve(
	ctx context.Context, request server.UserInvitationsBulkRetrieveRequestObject,
) (server.UserInvitationsBulkRetrieveResponseObject, error) {
	return nil, errBulkLater
}

func (h handlers) UserInvitationsBulkCsvRetrieve(
	ctx context.Context, request server.UserInvitationsBulkCsvRetrieveRequestObject,
) (server.UserInvitationsBulkCsvRetrieveResponseObject, error) {
	return nil, errBulkLater
}

func (h handlers) UserInvitationsBulkCancel(
	ctx context.Context, request server.UserInvitationsBulkCancelRequestObject,
) (server.UserInvitationsBulkCancelResponseObject, error) {
	return nil, errBulkLater
}
