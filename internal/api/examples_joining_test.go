package api_test

import (
	"maps"
	"net/http"

	"invited/gen/server"
	"invited/internal/invitation"
)

const groups = "/api/user-group-invitations/"

// group makes the group invitation of the examples. more has pairs of field and value that differ.
func (x *exampleEnv) group(user string, more ...any) (server.GroupInvitation, response) {
	x.t.Helper()
	r := x.newRequest("POST", groups, user, x.groupDraft(more...))
	r.Header.Set("X-Request-ID", "4f9d1c2b7a6e4d0f8b3a5c1e9d7f2a60")
	answer := x.send(r).is(http.StatusCreated, "")
	var made server.GroupInvitation
	answer.decode(&made)
	x.made = append(x.made, made.UUID.String())
	return made, answer
}

func (x *exampleEnv) groupDraft(more ...any) map[string]any {
	body := map[string]any{"role": exampleMember, "scope": exampleServer + "api/projects/" + exampleApollo + "/"}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return body
}

const exampleCustomerURL = exampleServer + "api/customers/" + exampleAcme + "/"

// publicGroup makes a public group invitation that makes projects.
func (x *exampleEnv) publicGroup() server.GroupInvitation {
	x.t.Helper()
	made, _ := x.group("sam", "role", exampleManager, "scope", exampleCustomerURL, "is_public", true, "auto_create_project", true,
		"project_name_template", "Workshop of {username}", "custom_text", "A project of your own for the workshop.")
	return made
}

func groupAt(id string, action ...string) string {
	path := groups + id + "/"
	if len(action) > 0 {
		path += action[0] + "/"
	}
	return path
}

func init() { maps.Copy(exampleRequests, groupExamples) }

var groupExamples = map[string]struct {
	policy func(*invitation.Policy)
	send   func(x *exampleEnv) response
}{
	"user_group_invitations_list 200 one": {nil, func(x *exampleEnv) response {
		x.group("olivia")
		return x.request("GET", groups+"?customer_uuid="+exampleAcme, "sam", nil)
	}},
	"user_group_invitations_create 201 created": {nil, func(x *exampleEnv) response {
		_, answer := x.group("olivia")
		return answer
	}},
	"user_group_invitations_retrieve 200 public": {nil, func(x *exampleEnv) response {
		return x.request("GET", groupAt(x.publicGroup().UUID.String()), "", nil)
	}},
	"user_group_invitations_update 200 edited": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("PUT", groupAt(made.UUID.String()), "olivia", groupEdit)
	}},
	"user_group_invitations_partial_update 200 edited": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("PATCH", groupAt(made.UUID.String()), "olivia", groupEdit)
	}},
	"user_group_invitations_destroy 400": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("DELETE", groupAt(made.UUID.String()), "olivia", nil)
	}},
	"user_group_invitations_cancel 200": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("POST", groupAt(made.UUID.String(), "cancel"), "olivia", nil)
	}},
	"user_group_invitations_cancel 400": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		x.request("POST", groupAt(made.UUID.String(), "cancel"), "olivia", nil).is(http.StatusOK, "")
		return x.request("POST", groupAt(made.UUID.String(), "cancel"), "olivia", nil)
	}},
	"user_group_invitations_projects_list 200 one": {nil, func(x *exampleEnv) response {
		return x.request("GET", groupAt(x.publicGroup().UUID.String(), "projects"), "ina", nil)
	}},
	"user_group_invitations_projects_list 404 invitation": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("GET", groupAt(made.UUID.String(), "projects"), "ina", nil)
	}},
	"user_group_invitations_projects_list 404 page": {nil, func(x *exampleEnv) response {
		return x.request("GET", groupAt(x.publicGroup().UUID.String(), "projects")+"?page=2", "ina", nil)
	}},
	"user_group_invitations_events_list 200 created": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("GET", groupAt(made.UUID.String(), "events"), "olivia", nil)
	}},
	"user_group_invitations_events_list 404 invitation": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("GET", groupAt(made.UUID.String(), "events"), "ina", nil)
	}},
	"user_group_invitations_events_list 404 page": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("GET", groupAt(made.UUID.String(), "events")+"?page=2", "olivia", nil)
	}},
	"BadGroupInvitation fields": {nil, func(x *exampleEnv) response {
		text := make([]byte, 501)
		for i := range text {
			text[i] = 'x'
		}
		return x.request("POST", groups, "olivia", map[string]any{"scope": exampleCustomerURL, "custom_text": string(text)})
	}},
	"BadGroupInvitation template": {nil, func(x *exampleEnv) response {
		return x.request("POST", groups, "olivia", x.groupDraft("project_name_template", "{name}", "user_email_patterns", []string{"("}))
	}},
	"BadGroupInvitation scope": {nil, func(x *exampleEnv) response {
		return x.request("POST", groups, "ina", x.groupDraft())
	}},
	"BadGroupInvitation public": {nil, func(x *exampleEnv) response {
		return x.request("POST", groups, "olivia", x.groupDraft("is_public", true))
	}},
	"BadGroupInvitation role": {nil, func(x *exampleEnv) response {
		return x.request("POST", groups, "olivia", x.groupDraft("scope", exampleCustomerURL))
	}},
	"BadGroupInvitation projectRole": {nil, func(x *exampleEnv) response {
		return x.request("POST", groups, "olivia",
			x.groupDraft("role", "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e01", "scope", exampleCustomerURL, "auto_create_project", true))
	}},
	"BadGroupInvitationEdit state": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		x.request("POST", groupAt(made.UUID.String(), "cancel"), "olivia", nil).is(http.StatusOK, "")
		return x.request("PATCH", groupAt(made.UUID.String()), "olivia", groupEdit)
	}},
}

// groupEdit is the body of the examples of an edit.
var groupEdit = map[string]any{"custom_text": "Ask before the workshop.", "expires": "2026-12-24T09:30:00Z"}
