package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
)

var readContract = sync.OnceValues(func() (*openapi3.T, error) { return openapi3.NewLoader().LoadFromFile("../../openapi.yaml") })

// loadContract returns openapi.yaml, which all tests share.
func loadContract(t testing.TB) *openapi3.T {
	t.Helper()
	document, err := readContract()
	require.NoError(t, err)
	return document
}

// Clients of Waldur import these operations and schemas by name.
func TestContractNames(t *testing.T) {
	t.Parallel()
	document := loadContract(t)
	want := map[string]string{
		"user_invitations_list":                   "GET /api/user-invitations/",
		"user_invitations_count":                  "HEAD /api/user-invitations/",
		"user_invitations_create":                 "POST /api/user-invitations/",
		"user_invitations_retrieve":               "GET /api/user-invitations/{uuid}/",
		"user_invitations_update":                 "PUT /api/user-invitations/{uuid}/",
		"user_invitations_partial_update":         "PATCH /api/user-invitations/{uuid}/",
		"user_invitations_destroy":                "DELETE /api/user-invitations/{uuid}/",
		"user_invitations_bulk_action":            "POST /api/user-invitations/bulk-action/",
		"user_invitations_check_duplicates":       "POST /api/user-invitations/check-duplicates/",
		"user_invitations_details_retrieve":       "GET /api/user-invitations/{uuid}/details/",
		"user_invitations_mine_list":              "GET /api/user-invitations/mine/",
		"user_invitations_mine_count":             "HEAD /api/user-invitations/mine/",
		"user_invitations_events_list":            "GET /api/user-invitations/{uuid}/events/",
		"events_list":                             "GET /api/events/",
		"user_invitations_accept":                 "POST /api/user-invitations/{uuid}/accept/",
		"user_invitations_cancel":                 "POST /api/user-invitations/{uuid}/cancel/",
		"user_invitations_check":                  "POST /api/user-invitations/{uuid}/check/",
		"user_invitations_delete":                 "POST /api/user-invitations/{uuid}/delete/",
		"user_invitations_send":                   "POST /api/user-invitations/{uuid}/send/",
		"user_invitations_approve":                "POST /api/user-invitations/approve/",
		"user_invitations_reject":                 "POST /api/user-invitations/reject/",
		"user_invitations_decline":                "POST /api/user-invitations/{uuid}/decline/",
		"user_invitations_undo_decline":           "POST /api/user-invitations/{uuid}/undo-decline/",
		"user_invitations_ask_again":              "POST /api/user-invitations/{uuid}/ask-again/",
		"user_invitations_approve_request":        "POST /api/user-invitations/{uuid}/approve-request/",
		"user_invitations_reject_request":         "POST /api/user-invitations/{uuid}/reject-request/",
		"user_invitations_link_retrieve":          "GET /api/user-invitations/{uuid}/link/",
		"user_invitations_bulk_list":              "GET /api/user-invitations/bulk/",
		"user_invitations_bulk_count":             "HEAD /api/user-invitations/bulk/",
		"user_invitations_bulk_create":            "POST /api/user-invitations/bulk/",
		"user_invitations_bulk_retrieve":          "GET /api/user-invitations/bulk/{uuid}/",
		"user_invitations_bulk_csv_retrieve":      "GET /api/user-invitations/bulk/{uuid}/csv/",
		"user_invitations_bulk_cancel":            "POST /api/user-invitations/bulk/{uuid}/cancel/",
		"user_group_invitations_list":             "GET /api/user-group-invitations/",
		"user_group_invitations_count":            "HEAD /api/user-group-invitations/",
		"user_group_invitations_create":           "POST /api/user-group-invitations/",
		"user_group_invitations_retrieve":         "GET /api/user-group-invitations/{uuid}/",
		"user_group_invitations_update":           "PUT /api/user-group-invitations/{uuid}/",
		"user_group_invitations_partial_update":   "PATCH /api/user-group-invitations/{uuid}/",
		"user_group_invitations_destroy":          "DELETE /api/user-group-invitations/{uuid}/",
		"user_group_invitations_cancel":           "POST /api/user-group-invitations/{uuid}/cancel/",
		"user_group_invitations_projects_list":    "GET /api/user-group-invitations/{uuid}/projects/",
		"user_group_invitations_events_list":      "GET /api/user-group-invitations/{uuid}/events/",
		"user_group_invitations_submit_request":   "POST /api/user-group-invitations/{uuid}/submit_request/",
		"user_group_invitations_request":          "POST /api/user-group-invitations/{uuid}/request/",
		"user_permission_requests_list":           "GET /api/user-permission-requests/",
		"user_permission_requests_count":          "HEAD /api/user-permission-requests/",
		"user_permission_requests_retrieve":       "GET /api/user-permission-requests/{uuid}/",
		"user_permission_requests_destroy":        "DELETE /api/user-permission-requests/{uuid}/",
		"user_permission_requests_approve":        "POST /api/user-permission-requests/{uuid}/approve/",
		"user_permission_requests_reject":         "POST /api/user-permission-requests/{uuid}/reject/",
		"user_permission_requests_cancel_request": "POST /api/user-permission-requests/{uuid}/cancel_request/",
		"customers_count":                         "HEAD /api/customers/",
		"projects_count":                          "HEAD /api/projects/",
		"roles_count":                             "HEAD /api/roles/",
		"user_permissions_count":                  "HEAD /api/user-permissions/",
		"customers_list":                          "GET /api/customers/",
		"customers_retrieve":                      "GET /api/customers/{uuid}/",
		"projects_list":                           "GET /api/projects/",
		"projects_retrieve":                       "GET /api/projects/{uuid}/",
		"roles_list":                              "GET /api/roles/",
		"roles_retrieve":                          "GET /api/roles/{uuid}/",
		"user_permissions_list":                   "GET /api/user-permissions/",
		"users_me_retrieve":                       "GET /api/users/me/",
		"configuration_retrieve":                  "GET /api/configuration/",
		"identity_providers_list":                 "GET /api/identity-providers/",
		"identity_providers_retrieve":             "GET /api/identity-providers/{provider}/",
		"api_auth_token_exchange":                 "POST /api-auth/token-exchange/",
		"customers_list_users_list":               "GET /api/customers/{uuid}/list_users/",
		"customers_list_users_count":              "HEAD /api/customers/{uuid}/list_users/",
		"projects_list_users_list":                "GET /api/projects/{uuid}/list_users/",
		"projects_list_users_count":               "HEAD /api/projects/{uuid}/list_users/",
		// Waldur has these for each provider: api_auth_keycloak_init_retrieve.
		"api_auth_create":                 "POST /api-auth/{provider}/",
		"api_auth_init_retrieve":          "GET /api-auth/{provider}/init/",
		"api_auth_complete_retrieve":      "GET /api-auth/{provider}/complete/",
		"users_token_create":              "POST /api/users/{uuid}/token/",
		"personal_access_tokens_list":     "GET /api/personal-access-tokens/",
		"personal_access_tokens_count":    "HEAD /api/personal-access-tokens/",
		"personal_access_tokens_create":   "POST /api/personal-access-tokens/",
		"personal_access_tokens_retrieve": "GET /api/personal-access-tokens/{uuid}/",
		"personal_access_tokens_destroy":  "DELETE /api/personal-access-tokens/{uuid}/",
	}
	have := map[string]string{}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			have[operation.OperationID] = method + " " + path
			require.Equal(t, []string{strings.Split(strings.TrimPrefix(path, "/api/"), "/")[either(strings.HasPrefix(path, "/api/"), 0, 1)]}, operation.Tags)
		}
	}
	require.Equal(t, want, have)
	for _, name := range []string{
		"Invitation", "InvitationRequest", "VisibleInvitationDetails", "InvitationCheck", "TokenRequest",
		"InvitationState", "ExecutionStateEnum", "InvitationOEnum", "InvitationEvent", "InvitationEventType", "LifecycleEvent", "LifecycleEventType",
		"Customer", "CustomerFieldEnum", "Project", "ProjectFieldEnum", "MarketplaceProviderCustomerProjectOEnum",
		"RoleDetails", "RoleDetailsFieldEnum", "UserMe", "Permission", "OfferingPermissionOEnum",
		"RoleDetailsOEnum", "UserRoleDetails", "UserRoleDetailsFieldEnum", "UserRoleDetailsOEnum",
		"InvitationUpdate", "InvitationUpdateRequest", "PatchedInvitationUpdateRequest", "InvitationDuplicateCheckRequest",
		"InvitationDuplicateCheckItemRequest", "InvitationDuplicateCheckResponse", "InvitationDuplicate",
		"InvitationReasonRequest", "InvitationLink", "OwnInvitation",
		"BulkInvitationActionRequest", "BulkInvitationActionFilter", "BulkInvitationActionReport", "BulkInvitationActionResult",
		"GroupInvitation", "GroupInvitationRequest", "GroupInvitationUpdate", "GroupInvitationUpdateRequest",
		"PatchedGroupInvitationUpdateRequest", "NestedProject", "BackendResourceReqOEnum",
		"SubmitRequestRequest", "SubmitRequestResponse", "PermissionRequest", "ReviewCommentRequest", "CancelRequestResponse",
		"RemoteProjectUpdateRequestStateEnum", "ProposalReviewOEnum",
		"IdentityProvider", "TokenExchangeRequest", "CoreAuthToken",
		"PersonalAccessToken", "PersonalAccessTokenCreateRequest", "PersonalAccessTokenCreated",
	} {
		require.Contains(t, document.Components.Schemas, name)
	}
}

// The contract is valid, its examples conform to its schemas, and every operation is described completely.
func TestContractIsComplete(t *testing.T) {
	t.Parallel()
	document := loadContract(t)
	require.NoError(t, document.Validate(t.Context(), openapi3.EnableExamplesValidation()))
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			where := method + " " + path
			require.NotEmpty(t, operation.Summary, where)
			require.NotEmpty(t, operation.Description, where)
			if operation.RequestBody != nil {
				requireExample(t, operation.RequestBody.Value.Content, where)
				require.Contains(t, operation.Extensions, "x-max-body-bytes", where)
			}
			for _, status := range []string{"405", "406", "414", "429", "500", "503"} {
				require.Contains(t, operation.Responses.Map(), status, where)
			}
			public := operation.Security != nil && len(*operation.Security) == 0
			require.Equal(t, !public, operation.Responses.Value("401") != nil, where)
			require.Equal(t, !public, operation.Responses.Value("403") != nil, where)
			require.Equal(t, !public, operation.Extensions["x-token-scope"] != nil, where)
			for status, described := range operation.Responses.Map() {
				reviews := slices.Contains([]string{"user_permission_requests_approve", "user_permission_requests_reject"}, operation.OperationID)
				if method == http.MethodHead || (reviews && status == "200") || status == "204" || status == "303" || status == "304" {
					require.Empty(t, described.Value.Content, where+" "+status)
					continue
				}
				requireExample(t, described.Value.Content, where+" "+status)
				require.Contains(t, described.Value.Headers, "X-Request-ID", where+" "+status)
			}
		}
	}
}

func requireExample(t *testing.T, content openapi3.Content, where string) {
	t.Helper()
	require.NotEmpty(t, content, where)
	for name, media := range content {
		require.Contains(t, []string{"application/json", "text/csv"}, name, where)
		require.True(t, media.Example != nil || len(media.Examples) > 0, "%s has no example", where)
	}
}

// The contract in gen/server is openapi.yaml.
func TestEmbeddedContract(t *testing.T) {
	t.Parallel()
	embedded, err := server.GetSpec()
	require.NoError(t, err)
	got, err := json.Marshal(embedded)
	require.NoError(t, err)
	want, err := json.Marshal(loadContract(t))
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
}
