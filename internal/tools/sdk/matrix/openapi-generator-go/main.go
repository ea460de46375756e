// Command openapi-generator-go plays the steps of the matrix with the client that OpenAPI Generator makes for Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"play/client"
)

func main() {
	var (
		scope, role = variable("SCOPE"), variable("ROLE")
		owner       = as(variable("OWNER_TOKEN"))
		invitee     = as(variable("INVITEE_TOKEN"))
		api         = at(variable("URL"))
		uuid        string
	)
	ended := []client.InvitationState{client.InvitationStateCanceled, client.InvitationStateExpired}

	step("list", func() error {
		rows, _, err := api.UserInvitationsList(owner).State(ended).Execute()
		if err != nil {
			return err
		}
		return onlyCanceled(rows)
	})
	step("count", func() error {
		response, err := api.UserInvitationsCount(owner).State(ended).Execute()
		if err != nil {
			return err
		}
		count, err := strconv.Atoi(response.Header.Get("X-Result-Count"))
		return want(err == nil && count == 1, response.Header)
	})
	step("create", func() error {
		made, _, err := api.UserInvitationsCreate(owner).
			InvitationRequest(*client.NewInvitationRequest(role, scope, variable("INVITEE_EMAIL"))).Execute()
		if err != nil {
			return err
		}
		uuid = made.Uuid
		return want(uuid != "" && made.State == client.InvitationStatePending, made)
	})
	step("details", func() error {
		details, _, err := api.UserInvitationsDetailsRetrieve(invitee, uuid).Execute()
		if err != nil {
			return err
		}
		return want(details.Email == variable("INVITEE_EMAIL"), details)
	})
	step("accept", func() error {
		detail, _, err := api.UserInvitationsAccept(invitee, uuid).Execute()
		if err != nil {
			return err
		}
		return want(detail.Detail == "Invitation has been successfully accepted.", detail)
	})
	step("field_error", func() error {
		_, _, err := api.UserInvitationsCreate(owner).InvitationRequest(*client.NewInvitationRequest(role, scope, "nonsense")).Execute()
		fields, ok := model(err).(map[string][]string)
		return want(ok && slices.Equal(fields["email"], []string{"Enter a valid email address."}), err)
	})
	step("rule_error", func() error {
		_, _, err := api.UserInvitationsCancel(owner, uuid).Execute()
		rules, ok := model(err).([]string)
		if err := want(ok && slices.Equal(rules, []string{"Only pending or planned invitations can be canceled."}), err); err != nil {
			return err
		}
		_, _, err = api.UserInvitationsPartialUpdate(owner, uuid).
			PatchedInvitationUpdateRequest(client.PatchedInvitationUpdateRequest{Email: client.PtrString("ida@university.example")}).Execute()
		return want(strings.Contains(fmt.Sprint(model(err)), "Only pending invitations can be edited."), err)
	})
	step("not_found", func() error {
		_, response, err := api.UserInvitationsDetailsRetrieve(owner, "00000000-0000-4000-8000-000000000000").Execute()
		detail, ok := model(err).(client.Detail)
		return want(ok && response.StatusCode == http.StatusNotFound && detail.Detail == "Not found.", err)
	})
	step("unknown_field", func() error {
		newer := at(variable("NEWER_URL"))
		rows, _, err := newer.UserInvitationsList(owner).State(ended).Execute()
		if err != nil {
			return err
		}
		if err := onlyCanceled(rows); err != nil {
			return err
		}
		invitation, _, err := newer.UserInvitationsRetrieve(owner, variable("PENDING")).Execute()
		if err != nil {
			return err
		}
		return want(invitation.State == client.InvitationStatePending, invitation)
	})
}

func variable(name string) string { return os.Getenv("INVITED_TEST_" + name) }

func at(url string) *client.UserInvitationsAPIService {
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: url}}
	return client.NewAPIClient(configuration).UserInvitationsAPI
}

func as(token string) context.Context {
	keys := map[string]client.APIKey{"tokenAuth": {Key: token, Prefix: "Token"}}
	return context.WithValue(context.Background(), client.ContextAPIKeys, keys)
}

// model returns the decoded body of an error response.
func model(err error) any {
	var response *client.GenericOpenAPIError
	if errors.As(err, &response) {
		return response.Model()
	}
	return nil
}

// onlyCanceled returns an error where the filter of the list had no effect.
func onlyCanceled(rows []client.InvitationListItem) error {
	var uuids []string
	for _, row := range rows {
		uuids = append(uuids, row.GetUuid())
	}
	return want(slices.Contains(uuids, variable("CANCELED")) && !slices.Contains(uuids, variable("PENDING")), uuids)
}

func want(ok bool, got any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("got %+v", got)
}

func step(name string, try func() error) {
	if err := try(); err != nil {
		fmt.Printf("step %s failed: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("step %s ok\n", name)
}
