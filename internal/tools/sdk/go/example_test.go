package client_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/client"
)

// variable returns an environment variable that internal/tools/sdk/withserver sets, without its prefix INVITED_TEST_. It skips
// the test where there is no server.
func variable(t *testing.T, name string) string {
	t.Helper()
	if os.Getenv("INVITED_TEST_URL") == "" {
		t.Skip("needs a server: make sdk-test starts one")
	}
	value := os.Getenv("INVITED_TEST_" + name)
	require.NotEmpty(t, value, name)
	return value
}

// as returns a client with a token; "": without one.
func as(t *testing.T, token string) *client.ClientWithResponses {
	t.Helper()
	made, err := client.NewClientWithResponses(variable(t, "URL"), client.WithHTTPClient(&http.Client{Timeout: time.Minute}),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			if token != "" {
				r.Header.Set("Authorization", "Token "+token)
			}
			return nil
		}))
	require.NoError(t, err)
	return made
}

func create(t *testing.T, email string) *client.UserInvitationsCreateResponse {
	t.Helper()
	made, err := as(t, variable(t, "OWNER_TOKEN")).UserInvitationsCreateWithResponse(t.Context(), client.InvitationRequest{
		Email: email, Role: uuid.MustParse(variable(t, "ROLE")), Scope: variable(t, "SCOPE"),
	})
	require.NoError(t, err)
	return made
}

func TestCreateToAccept(t *testing.T) {
	email := variable(t, "INVITEE_EMAIL")
	owner, invitee, nobody := as(t, variable(t, "OWNER_TOKEN")), as(t, variable(t, "INVITEE_TOKEN")), as(t, "")

	created := create(t, email)
	require.Equal(t, http.StatusCreated, created.StatusCode(), string(created.Body))
	made := created.JSON201
	require.Equal(t, client.InvitationState("pending"), made.State)
	require.Equal(t, client.ScopeTypeProject, made.ScopeType)
	require.Nil(t, made.CreatedByImage)
	require.True(t, made.Created.Before(made.Expires))

	states, order := []client.InvitationState{"pending", "expired"}, []client.InvitationOEnum{client.OrderByCreatedDescending}
	listed, err := owner.UserInvitationsListWithResponse(t.Context(),
		&client.UserInvitationsListParams{EmailExact: &email, State: &states, O: &order})
	require.NoError(t, err)
	require.Len(t, *listed.JSON200, 1)
	require.Equal(t, made.UUID, (*listed.JSON200)[0].UUID)
	require.Equal(t, "1", listed.HTTPResponse.Header.Get("X-Result-Count"))

	checked, err := nobody.UserInvitationsCheckWithResponse(t.Context(), made.UUID)
	require.NoError(t, err)
	require.Equal(t, &client.InvitationCheck{Email: email}, checked.JSON200)
	seen, err := invitee.UserInvitationsDetailsRetrieveWithResponse(t.Context(), made.UUID)
	require.NoError(t, err)
	require.Equal(t, "Apollo", seen.JSON200.ScopeName)
	accepted, err := invitee.UserInvitationsAcceptWithResponse(t.Context(), made.UUID)
	require.NoError(t, err)
	require.Equal(t, &client.Detail{Detail: "Invitation has been successfully accepted."}, accepted.JSON200)

	again, err := invitee.UserInvitationsAcceptWithResponse(t.Context(), made.UUID)
	require.NoError(t, err)
	require.Equal(t, &client.NotFound{Detail: "Not found."}, again.JSON404)
	canceled, err := owner.UserInvitationsCancelWithResponse(t.Context(), made.UUID)
	require.NoError(t, err)
	require.Equal(t, &client.RuleErrors{"Only pending or planned invitations can be canceled."}, canceled.JSON400)
}

func TestErrorShapes(t *testing.T) {
	bad := create(t, "no address")
	require.Equal(t, []string{"Enter a valid email address."}, (*bad.JSON400)["email"])

	// An object or a list: which one shows when the body is read.
	unsigned, err := as(t, "").UserInvitationsApproveWithResponse(t.Context(), client.TokenRequest{Token: "no token"})
	require.NoError(t, err)
	var rule client.RuleErrors
	require.NoError(t, json.Unmarshal(unsigned.Body, &rule))
	require.Equal(t, client.RuleErrors{"Invalid signature."}, rule)
	var fields client.FieldErrors
	require.Error(t, json.Unmarshal(unsigned.Body, &fields))

	unknown, err := as(t, "nobody").UserInvitationsListWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, &client.Unauthorized{Detail: "Invalid token."}, unknown.JSON401)
	kept, err := as(t, variable(t, "OWNER_TOKEN")).UserInvitationsDeleteWithResponse(t.Context(), create(t, "somebody@university.example").JSON201.UUID)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, kept.StatusCode())
	require.Equal(t, &client.Forbidden{Detail: "You do not have permission to perform this action."}, kept.JSON403)
}

// A stranger takes up a link, an owner lists the request and approves it, and the stranger holds the role.
func TestJoinByLink(t *testing.T) {
	owner, stranger := as(t, variable(t, "OWNER_TOKEN")), as(t, variable(t, "STRANGER_TOKEN"))
	text := "For members of the institute."
	link, err := owner.UserGroupInvitationsCreateWithResponse(t.Context(), client.GroupInvitationRequest{
		Role: uuid.MustParse(variable(t, "ROLE")), Scope: variable(t, "SCOPE"), CustomText: &text,
	})
	require.NoError(t, err)
	require.NotNil(t, link.JSON201, string(link.Body))
	offer, err := stranger.UserGroupInvitationsRetrieveWithResponse(t.Context(), link.JSON201.UUID)
	require.NoError(t, err)
	require.Equal(t, text, offer.JSON200.CustomText)
	asked, err := stranger.UserGroupInvitationsSubmitRequestWithResponse(t.Context(), link.JSON201.UUID, client.SubmitRequestRequest{})
	require.NoError(t, err)
	require.False(t, asked.JSON200.AutoApproved)
	require.Nil(t, asked.JSON200.ProjectUUID)

	states := []client.RemoteProjectUpdateRequestStateEnum{client.PermissionRequestStatePending}
	waiting, err := owner.UserPermissionRequestsListWithResponse(t.Context(),
		&client.UserPermissionRequestsListParams{Invitation: &link.JSON201.UUID, State: &states})
	require.NoError(t, err)
	require.Len(t, *waiting.JSON200, 1)
	require.Equal(t, asked.JSON200.UUID, (*waiting.JSON200)[0].UUID)
	approved, err := owner.UserPermissionRequestsApproveWithResponse(t.Context(), asked.JSON200.UUID, client.ReviewCommentRequest{})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, approved.StatusCode(), string(approved.Body))
	late, err := owner.UserPermissionRequestsRejectWithResponse(t.Context(), asked.JSON200.UUID, client.ReviewCommentRequest{})
	require.NoError(t, err)
	require.Equal(t, &client.NotPending{Detail: "Valid states for operation: pending."}, late.JSON409)
}
