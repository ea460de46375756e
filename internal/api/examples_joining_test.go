package api_test

import (
	"maps"
	"net/http"
	"strings"

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
	return withFields(map[string]any{"role": exampleMember, "scope": exampleServer + "api/projects/" + exampleApollo + "/"}, more...)
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

const exampleGroup = "5d0b7d1e-3c1e-4f0e-8a52-0d3d8f6c1b77"

// ask has Alice ask to take up a group invitation whose fields differ from the example's by pairs of field and value.
func (x *exampleEnv) ask(more ...any) (id string, answer response) {
	x.t.Helper()
	made, _ := x.group("olivia", more...)
	x.exec("UPDATE group_invitations SET uuid = '" + exampleGroup + "' WHERE uuid = '" + made.UUID.String() + "'")
	answer = x.request("POST", groupAt(exampleGroup, "submit_request"), "alice", nil)
	if answer.Status == http.StatusOK {
		var submitted server.SubmitRequestResponse
		answer.decode(&submitted)
		id = submitted.UUID.String()
		x.made = append(x.made, id)
	}
	return id, answer
}

const permissionRequests = "/api/user-permission-requests/"

func requestAt(id string, action ...string) string {
	path := permissionRequests + id + "/"
	if len(action) > 0 {
		path += action[0] + "/"
	}
	return path
}

func init() { maps.Copy(exampleRequests, requestExamples) }

var requestExamples = map[string]struct {
	policy func(*invitation.Policy)
	send   func(x *exampleEnv) response
}{
	"user_permission_requests_list 200 one": {nil, func(x *exampleEnv) response {
		x.ask()
		return x.request("GET", permissionRequests+"?state=pending", "olivia", nil)
	}},
	"user_permission_requests_retrieve 200 rejected": {nil, func(x *exampleEnv) response {
		id, _ := x.ask()
		x.request("POST", requestAt(id, "reject"), "olivia", map[string]string{"comment": "The workshop is full."}).is(http.StatusOK, "")
		return x.request("GET", requestAt(id), "alice", nil)
	}},
	"user_group_invitations_submit_request 200 pending": {nil, func(x *exampleEnv) response {
		_, answer := x.ask()
		return answer
	}},
	"user_group_invitations_submit_request 200 approved": {nil, func(x *exampleEnv) response {
		_, answer := x.ask("scope", exampleCustomerURL, "auto_create_project", true, "auto_approve", true)
		var submitted server.SubmitRequestResponse
		answer.decode(&submitted)
		answer.Body = strings.ReplaceAll(answer.Body, submitted.ProjectUUID.String(), exampleGroup)
		return answer
	}},
	"user_group_invitations_request 200": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		answer := x.request("POST", groupAt(made.UUID.String(), "request"), "alice", nil)
		var submitted server.SubmitRequestUUID
		answer.decode(&submitted)
		x.made = append(x.made, submitted.UUID.String())
		return answer
	}},
	"user_permission_requests_cancel_request 200 canceled": {nil, func(x *exampleEnv) response {
		id, _ := x.ask()
		return x.request("POST", requestAt(id, "cancel_request"), "alice", nil)
	}},
	"user_permission_requests_cancel_request 400": {nil, func(x *exampleEnv) response {
		id, _ := x.ask()
		x.request("POST", requestAt(id, "approve"), "olivia", nil).is(http.StatusOK, "")
		return x.request("POST", requestAt(id, "cancel_request"), "alice", nil)
	}},
	"BadPermissionRequest fields": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		return x.request("POST", groupAt(made.UUID.String(), "submit_request"), "alice",
			map[string]string{"project_name": strings.Repeat("x", 501)})
	}},
	"BadPermissionRequest inactive": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia")
		x.request("POST", groupAt(made.UUID.String(), "cancel"), "olivia", nil).is(http.StatusOK, "")
		return x.request("POST", groupAt(made.UUID.String(), "submit_request"), "alice", nil)
	}},
	"BadPermissionRequest held": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia", "role", exampleManager)
		return x.request("POST", groupAt(made.UUID.String(), "submit_request"), "max", nil)
	}},
	"BadPermissionRequest requested": {nil, func(x *exampleEnv) response {
		x.ask()
		return x.request("POST", groupAt(exampleGroup, "submit_request"), "alice", nil)
	}},
	"BadPermissionRequest restricted": {nil, func(x *exampleEnv) response {
		_, answer := x.ask("user_email_patterns", []string{`.*@university\.example`})
		return answer
	}},
	"BadPermissionRequest pattern": {nil, func(x *exampleEnv) response {
		x.pattern()
		_, answer := x.ask()
		return answer
	}},
	"BadPermissionRequest name": {nil, func(x *exampleEnv) response {
		made, _ := x.group("olivia", "scope", exampleCustomerURL, "auto_create_project", true, "allow_custom_project_details", true)
		return x.request("POST", groupAt(made.UUID.String(), "submit_request"), "alice", map[string]string{"project_name": "apollo"})
	}},
	"BadApproval comment": {nil, func(x *exampleEnv) response {
		return x.request("POST", requestAt(exampleInvitation, "approve"), "olivia", map[string]string{"comment": " "})
	}},
	"BadApproval role": {nil, func(x *exampleEnv) response {
		id, _ := x.ask()
		x.apply("roles: [{name: PROJECT.MEMBER, scope_type: project, is_active: false}]")
		return x.request("POST", requestAt(id, "approve"), "olivia", nil)
	}},
	"BadComment": {nil, func(x *exampleEnv) response {
		return x.request("POST", requestAt(exampleInvitation, "reject"), "olivia", map[string]string{"comment": " "})
	}},
	"NotPending": {nil, func(x *exampleEnv) response {
		id, _ := x.ask()
		x.request("POST", requestAt(id, "cancel_request"), "alice", nil).is(http.StatusOK, "")
		return x.request("POST", requestAt(id, "approve"), "olivia", nil)
	}},
	"NotYourRequest": {nil, func(x *exampleEnv) response {
		id, _ := x.ask()
		return x.request("POST", requestAt(id, "cancel_request"), "olivia", nil)
	}},
}
