// Command ogen plays the steps of the matrix with the client that ogen makes.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"

	"ogen/client"
)

// A caller is the owner of a token.
type caller struct{ token string }

// TokenAuth is the method of the generated interface for credentials.
func (c caller) TokenAuth(context.Context, client.OperationName) (client.TokenAuth, error) {
	return client.TokenAuth{APIKey: "Token " + c.token}, nil
}

func main() {
	ctx := context.Background()
	owner, invitee := as(variable("URL"), variable("OWNER_TOKEN")), as(variable("URL"), variable("INVITEE_TOKEN"))
	ended := []client.InvitationState{client.InvitationStateCanceled, client.InvitationStateExpired}
	request := func(email string) *client.InvitationRequest {
		return &client.InvitationRequest{Email: email, Role: uuid.MustParse(variable("ROLE")), Scope: client.ScopeURL(variable("SCOPE"))}
	}
	var id uuid.UUID

	step("list", func() error { return list(ctx, owner, ended) })
	step("count", func() error {
		response, err := owner.UserInvitationsCount(ctx, client.UserInvitationsCountParams{State: ended})
		counted, ok := response.(*client.UserInvitationsCountOK)
		return want(ok && counted.XResultCount == 1, response, err)
	})
	step("create", func() error {
		response, err := owner.UserInvitationsCreate(ctx, request(variable("INVITEE_EMAIL")), client.UserInvitationsCreateParams{})
		made, ok := response.(*client.InvitationHeaders)
		if ok {
			id = made.Response.UUID
		}
		return want(ok && id != uuid.Nil && made.Response.State == client.InvitationStatePending, response, err)
	})
	step("details", func() error {
		response, err := invitee.UserInvitationsDetailsRetrieve(ctx, client.UserInvitationsDetailsRetrieveParams{UUID: id})
		details, ok := response.(*client.VisibleInvitationDetailsHeaders)
		return want(ok && details.Response.ScopeName != "", response, err)
	})
	step("accept", func() error {
		response, err := invitee.UserInvitationsAccept(ctx, client.UserInvitationsAcceptParams{UUID: id})
		accepted, ok := response.(*client.UserGroupInvitationsCancelOKHeaders) // the first operation with these headers names the type
		return want(ok && accepted.Response.Detail == "Invitation has been successfully accepted.", response, err)
	})
	step("field_error", func() error {
		response, err := owner.UserInvitationsCreate(ctx, request("nonsense"), client.UserInvitationsCreateParams{})
		refused, ok := response.(*client.FieldErrorsHeaders)
		return want(ok && slices.Equal(refused.Response["email"], []string{"Enter a valid email address."}), response, err)
	})
	step("rule_error", func() error {
		response, err := owner.UserInvitationsCancel(ctx, client.UserInvitationsCancelParams{UUID: id})
		refused, ok := response.(*client.UserInvitationsCancelBadRequestHeaders)
		if err := want(ok && slices.Equal(refused.Response, []string{"Only pending or planned invitations can be canceled."}), response, err); err != nil {
			return err
		}
		change := client.NewOptPatchedInvitationUpdateRequest(client.PatchedInvitationUpdateRequest{Email: client.NewOptString("other@university.example")})
		edited, err := owner.UserInvitationsPartialUpdate(ctx, change, client.UserInvitationsPartialUpdateParams{UUID: id})
		kept, ok := edited.(*client.UserInvitationsPartialUpdateBadRequestHeaders)
		if !ok {
			return want(false, edited, err)
		}
		var rules client.RuleErrors // or FieldErrors: the schema of this body has no type
		err = json.Unmarshal(kept.Response, &rules)
		return want(slices.Equal(rules, []string{"Only pending invitations can be edited."}), string(kept.Response), err)
	})
	step("not_found", func() error {
		response, err := invitee.UserInvitationsDetailsRetrieve(ctx, client.UserInvitationsDetailsRetrieveParams{UUID: uuid.New()})
		missing, ok := response.(*client.NotFoundHeaders)
		return want(ok && missing.Response.Detail == "Not found.", response, err)
	})
	step("unknown_field", func() error {
		newer := as(variable("NEWER_URL"), variable("OWNER_TOKEN"))
		if err := list(ctx, newer, ended); err != nil {
			return err
		}
		canceled := client.UserInvitationsDetailsRetrieveParams{UUID: uuid.MustParse(variable("CANCELED"))}
		response, err := newer.UserInvitationsDetailsRetrieve(ctx, canceled)
		_, ok := response.(*client.VisibleInvitationDetailsHeaders)
		return want(ok, response, err)
	})
}

// list returns an error where the filter of the list has no effect.
func list(ctx context.Context, api *client.Client, states []client.InvitationState) error {
	response, err := api.UserInvitationsList(ctx, client.UserInvitationsListParams{State: states})
	listed, ok := response.(*client.UserInvitationsListOKHeaders)
	if !ok {
		return want(false, response, err)
	}
	var uuids []string
	for _, row := range listed.Response {
		uuids = append(uuids, row.UUID.Value.String())
	}
	return want(slices.Contains(uuids, variable("CANCELED")) && !slices.Contains(uuids, variable("PENDING")), uuids, err)
}

func variable(name string) string { return os.Getenv("INVITED_TEST_" + name) }

func as(url, token string) *client.Client {
	made, err := client.NewClient(url, caller{token})
	if err != nil {
		panic(err)
	}
	return made
}

func want(ok bool, got any, err error) error {
	if err == nil && !ok {
		err = fmt.Errorf("got %T %+v", got, got)
	}
	return err
}

func step(name string, try func() error) {
	if err := try(); err != nil {
		fmt.Printf("step %s failed: %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
		return
	}
	fmt.Printf("step %s ok\n", name)
}
