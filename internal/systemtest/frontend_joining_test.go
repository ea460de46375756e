package systemtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/signin/signintest"
	"invited/internal/systemtest/harness"
)

// What Waldur's front end reads of the rows of its lists.
const (
	groupFields = "uuid url created is_active is_public role role_name role_description scope_uuid scope_name scope_description scope_type" +
		" scope_image customer_uuid customer_name created_by_full_name created_by_username created_by_image auto_create_project" +
		" project_role project_name_template auto_approve user_email_patterns user_affiliations user_identity_sources custom_text" +
		" allow_multiple_requests allow_custom_project_details"
	requestFields = "uuid url invitation state created created_by_full_name created_by_username created_by_email reviewed_by_full_name" +
		" reviewed_by_username reviewed_at review_comment scope_uuid scope_name customer_uuid customer_name role_name role_description" +
		" project_name project_description project_name_template"
	submitted = "uuid scope_name scope_uuid scope_type auto_approved project_uuid project_created"

	groupsPath   = "/api/user-group-invitations/"
	requestsPath = "/api/user-permission-requests/"
)

// Waldur's front end goes from its start to a role by a join link, and an owner of an organization makes the links and decides
// about the requests with it. All its requests are in its own order, from another origin.
func TestFrontEndJoins(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		issuer := signintest.New(t)
		env.WriteFile("issuers.yaml", `[{id: campus, issuer: "`+issuer.URL+`", client_id: `+signintest.ClientID+`, client_secret: `+
			signintest.ClientSecret+`, name: Campus}]`)
		env.Set("INVITED_OIDC_FILE=issuers.yaml", "INVITED_FRONTEND_URL="+portal+"/", "INVITED_CORS_ORIGINS="+portal,
			"INVITED_SIGNIN_CREATE_USERS=any").Apply()
		p := env.Serve()
		p.WaitLog("issuer can be used")
		signsIn := func(name string) *homePort {
			issuer.Person = signintest.Claims{"sub": name, "email": name + "@university.example", "email_verified": true, "name": "New Comer"}
			f := newHomePort(t, p)
			f.starts()
			f.token = signIns["today"](f, env, "")
			return f
		}

		owner := newHomePort(t, p)
		owner.starts()
		owner.token = harness.Key("olivia")
		acme := owner.organization()
		owner.manages(acme)
		staff := newHomePort(t, p)
		staff.token = harness.Key("sam")

		// The organization's link needs a person's word. The public one makes a project for each who takes it up.
		link := owner.makesLink(map[string]any{
			"role": harness.RoleUUID, "scope": "http://" + p.Address + "/api/projects/" + harness.ProjectUUID + "/",
		})
		public := staff.makesLink(map[string]any{
			"role": harness.RoleUUID, "scope": "http://" + p.Address + "/api/customers/" + acme + "/", "is_public": true,
			"auto_create_project": true, "auto_approve": true, "allow_custom_project_details": true,
		})

		// Nobody needs to sign in to see which organizations can be joined.
		visitor := newHomePort(t, p)
		visitor.starts()
		listed := visitor.readAll(groupsPath + "?is_active=true&is_public=true")
		require.Len(t, listed, 1)
		card := visitor.has(listed[0], groupFields)
		require.Equal(t, []any{public, "Acme", nil}, []any{card["uuid"], card["customer_name"], card["created_by_full_name"]})
		visitor.has(visitor.read(groupsPath+public+"/"), groupFields)
		visitor.call(http.MethodGet, groupsPath+link+"/", nil).Is(http.StatusNotFound)
		visitor.call(http.MethodPost, groupsPath+public+"/submit_request/", nil).Is(http.StatusUnauthorized)

		newcomer := signsIn("newcomer")
		id := newcomer.asks(link)
		newcomer.takesBack(id)
		owner.decides(acme, link, newcomer.asks(link), "reject", "Ask the organizer first.")
		newcomer.reads(link, "rejected", "Ask the organizer first.")
		owner.decides(acme, link, newcomer.asks(link), "approve", "")
		newcomer.reads(link, "approved", nil)
		require.Contains(t, env.Members("Apollo"), "newcomer@university.example PROJECT.ADMIN")
		newcomer.isMember(harness.ProjectUUID)
		newcomer.refusedIn(link, "User already has this role in the scope.")

		// A project of one's own is nobody else's: who comes later gives another name.
		first, latecomer := newcomer.takesUp(public, "Moon rocks"), signsIn("latecomer")
		latecomer.refusedAs(public, "moon ROCKS", "The organization has a project of this name already, so the request needs another name.")
		second := latecomer.takesUp(public, "Sea shells")
		require.Equal(t, []any{true, true}, []any{first["project_created"], second["project_created"]})
		require.Equal(t, []string{"newcomer@university.example PROJECT.ADMIN"}, env.Members("Moon rocks"))
		require.Equal(t, []string{"latecomer@university.example PROJECT.ADMIN"}, env.Members("Sea shells"))

		owner.endsLink(link)
		newcomer.refusedIn(link, "Only pending invitation can be requested.")
		owner.call(http.MethodDelete, groupsPath+link+"/", nil).Is(http.StatusNoContent)
		require.Empty(t, newcomer.readAll(requestsPath+"?invitation="+link))
		p.Stop()
	})
}

// organization returns the uuid of the organization of an owner, as the front end finds it in its ways.
func (f *homePort) organization() string {
	f.t.Helper()
	me := f.has(f.read("/api/users/me/"), "uuid url agreement_date permissions")
	id := f.has(me["permissions"].([]any)[0], "scope_uuid scope_type role_name customer_uuid")["customer_uuid"].(string)
	for query, found := range map[string]int{
		"owned_by_current_user=true":                                         1,
		"current_user_has_role=CUSTOMER.OWNER":                               1,
		"current_user_has_role=CUSTOMER.NONE&current_user_has_role=X":        0,
		"current_user_has_project_create_permission=true":                    0, // to create projects, and not to invite into them
		"user_uuid=" + me["uuid"].(string) + "&field=uuid&field=name&o=name": 1,
	} {
		rows := f.readAll("/api/customers/?page_size=1&" + query)
		require.Len(f.t, rows, found, query)
		for _, each := range rows {
			require.Equal(f.t, id, f.has(each, "uuid name")["uuid"])
		}
	}
	return id
}

// manages invites with the form, and cancels, sends again and deletes in the list of invitations.
func (f *homePort) manages(customer string) {
	f.t.Helper()
	for _, each := range f.readAll("/api/roles/?available_for_customer=" + customer) {
		f.has(each, "uuid name description content_type permissions is_active")
	}
	project := f.has(f.readAll("/api/projects/?customer=" + customer + "&field=name&field=url&field=uuid&o=name")[0], "url uuid name")
	// A project manager is not invited where there is one.
	users := "/api/projects/" + project["uuid"].(string) + "/list_users/?role=PROJECT.MANAGER&role=PROJECT.ADMIN"
	require.Empty(f.t, f.readAll(users))
	require.Equal(f.t, "0", f.call(http.MethodHead, users, nil).Is(http.StatusOK).Header.Get("X-Result-Count"))

	scope := project["url"].(string)
	rows := []any{map[string]any{"email": "one@university.example", "role": harness.RoleUUID}, map[string]any{"email": "two@university.example", "role": harness.RoleUUID}}
	require.JSONEq(f.t, `[]`, f.duplicates(scope, rows))
	for _, each := range rows {
		row := each.(map[string]any)
		made := f.call(http.MethodPost, "/api/user-invitations/", map[string]any{"email": row["email"], "role": row["role"], "scope": scope}).Is(http.StatusCreated)
		require.Equal(f.t, "pending", made.Invitation().State)
	}
	require.Contains(f.t, f.duplicates(scope, rows), "two@university.example")
	listed := f.readAll("/api/user-invitations/?customer_uuid=" + customer + "&state=pending&state=requested&o=email&page_size=1")
	require.Len(f.t, listed, 2)
	for _, each := range listed {
		path := "/api/user-invitations/" + f.has(each, "uuid")["uuid"].(string)
		f.call(http.MethodPost, path+"/send/", nil).Is(http.StatusOK)
		f.call(http.MethodPost, path+"/cancel/", nil).Is(http.StatusOK)
		f.call(http.MethodPost, path+"/delete/", nil).Is(http.StatusForbidden) // staff's
		f.call(http.MethodDelete, path+"/", nil).Is(http.StatusNoContent)
	}
	require.Empty(f.t, f.readAll("/api/user-invitations/?scope="+url.QueryEscape(scope)))
}

// duplicates returns the rows of the form that are invited already.
func (f *homePort) duplicates(scope string, rows []any) string {
	f.t.Helper()
	answer := f.call(http.MethodPost, "/api/user-invitations/check-duplicates/", map[string]any{"scope": scope, "invitations": rows}).Is(http.StatusOK)
	var found struct{ Duplicates json.RawMessage }
	require.NoError(f.t, json.Unmarshal([]byte(answer.Body), &found))
	return string(found.Duplicates)
}

// makesLink fills in the form of a group invitation, corrects its text, and returns its uuid.
func (f *homePort) makesLink(body map[string]any) string {
	f.t.Helper()
	var made map[string]any
	require.NoError(f.t, json.Unmarshal([]byte(f.call(http.MethodPost, groupsPath, body).Is(http.StatusCreated).Body), &made))
	f.has(made, groupFields)
	id := made["uuid"].(string)
	f.call(http.MethodPatch, groupsPath+id+"/", map[string]any{"custom_text": "For the workshop"}).Is(http.StatusOK)
	rows := f.readAll(groupsPath + "?page_size=1&o=-created&customer_uuid=" + made["customer_uuid"].(string))
	newest := f.has(rows[0], groupFields)
	require.Equal(f.t, []any{id, true, "For the workshop"}, []any{newest["uuid"], newest["is_active"], newest["custom_text"]})
	require.NotEmpty(f.t, newest["created_by_username"])
	return id
}

// endsLink cancels a group invitation, after which it can't be edited.
func (f *homePort) endsLink(id string) {
	f.t.Helper()
	f.call(http.MethodDelete, groupsPath+id+"/", nil).Is(http.StatusBadRequest)
	f.call(http.MethodPost, groupsPath+id+"/cancel/", nil).Is(http.StatusOK)
	f.call(http.MethodPatch, groupsPath+id+"/", map[string]any{"custom_text": "Late"}).Is(http.StatusBadRequest)
	require.Equal(f.t, false, f.has(f.read(groupsPath+id+"/"), groupFields)["is_active"])
}

// opens reads what a link offers, as its page does, and again after the person's yes.
func (f *homePort) opens(link string) (offer map[string]any) {
	f.t.Helper()
	for range 2 {
		offer = f.has(f.read(groupsPath+link+"/"), groupFields)
	}
	return offer
}

// asks opens a link that somebody has to approve, asks, and returns the uuid of the request. Who asks twice reads why not.
func (f *homePort) asks(link string) string {
	f.t.Helper()
	offer := f.opens(link)
	require.Equal(f.t, false, offer["allow_custom_project_details"])
	var made map[string]any
	require.NoError(f.t, json.Unmarshal([]byte(f.call(http.MethodPost, groupsPath+link+"/submit_request/", nil).Is(http.StatusOK).Body), &made))
	f.has(made, submitted)
	require.Equal(f.t, []any{false, offer["scope_name"], offer["scope_uuid"], offer["scope_type"], nil, nil},
		[]any{made["auto_approved"], made["scope_name"], made["scope_uuid"], made["scope_type"], made["project_uuid"], made["project_created"]})
	f.refusedIn(link, "Permission request already exists for this scope.")
	return made["uuid"].(string)
}

// refusedIn asks by a link in vain. The front end translates the message by its exact text.
func (f *homePort) refusedIn(link, message string) {
	f.t.Helper()
	f.refusedAs(link, "", message)
}

// refusedAs is refusedIn for a request that names a project.
func (f *homePort) refusedAs(link, project, message string) {
	f.t.Helper()
	body := map[string]any{"project_name": project}
	require.JSONEq(f.t, `["`+message+`"]`, f.call(http.MethodPost, groupsPath+link+"/submit_request/", body).Is(http.StatusBadRequest).Body)
}

// takesUp opens a link that approves by itself and makes a project, names the project, and is in.
func (f *homePort) takesUp(link, name string) (made map[string]any) {
	f.t.Helper()
	offer := f.opens(link)
	require.Equal(f.t, []any{true, nil}, []any{offer["allow_custom_project_details"], offer["project_name_template"]})
	body := map[string]any{"project_name": name, "project_description": "What Apollo brought home"}
	require.NoError(f.t, json.Unmarshal([]byte(f.call(http.MethodPost, groupsPath+link+"/submit_request/", body).Is(http.StatusOK).Body), &made))
	require.Equal(f.t, true, f.has(made, submitted)["auto_approved"])
	f.isMember(made["project_uuid"].(string))
	return made
}

// isMember reads who has signed in again, after which the front end opens what they are in now.
func (f *homePort) isMember(project string) {
	f.t.Helper()
	var in []any
	for _, each := range f.has(f.read("/api/users/me/"), "permissions")["permissions"].([]any) {
		in = append(in, f.has(each, "scope_type scope_uuid role_name customer_uuid")["scope_uuid"])
	}
	require.Contains(f.t, in, project)
	found := f.has(f.read("/api/projects/"+project+"/"), "uuid name customer_uuid customer_name")
	f.has(f.read("/api/customers/"+found["customer_uuid"].(string)+"/"), "uuid name")
}

// own returns the newest request of who has signed in that is in one of some states.
func (f *homePort) own(states ...string) map[string]any {
	f.t.Helper()
	me := f.has(f.read("/api/users/me/"), "uuid")["uuid"].(string)
	query := requestsPath + "?" + url.Values{"created_by": {me}, "state": states, "o": {"-created"}}.Encode()
	rows := f.readAll(query + "&page_size=1")
	require.NotEmpty(f.t, rows)
	require.NotEmpty(f.t, f.call(http.MethodHead, query, nil).Is(http.StatusOK).Header.Get("X-Result-Count"))
	return f.has(rows[0], requestFields)
}

// takesBack cancels a request in the list of own ones.
func (f *homePort) takesBack(id string) {
	f.t.Helper()
	found := f.own("draft", "pending")
	require.Equal(f.t, []any{id, "pending", "Acme", "PROJECT.ADMIN"}, []any{found["uuid"], found["state"], found["customer_name"], found["role_name"]})
	f.call(http.MethodPost, requestsPath+id+"/cancel_request/", nil).Is(http.StatusOK)
	require.Equal(f.t, id, f.own("canceled")["uuid"])
	f.call(http.MethodPost, requestsPath+id+"/cancel_request/", nil).Is(http.StatusBadRequest)
}

// reads asserts what the requester reads of the review of their newest request by a link.
func (f *homePort) reads(link, state string, comment any) {
	f.t.Helper()
	found := f.own("approved", "rejected")
	require.Equal(f.t, []any{state, comment, "Olivia Owner"}, []any{found["state"], found["review_comment"], found["reviewed_by_full_name"]})
	require.NotEmpty(f.t, found["reviewed_at"])
	require.True(f.t, strings.HasSuffix(found["invitation"].(string), groupsPath+link+"/"), found["invitation"])
}

// decides opens the row of a link in the list, and approves or rejects the one request that waits there.
func (f *homePort) decides(customer, link, id, action, comment string) {
	f.t.Helper()
	var opened []any
	for _, each := range f.readAll(groupsPath + "?page_size=1&customer_uuid=" + customer) {
		opened = append(opened, f.has(each, groupFields)["uuid"])
	}
	require.Contains(f.t, opened, link)
	rows := f.readAll(requestsPath + "?invitation=" + link + "&state=pending&page_size=1")
	require.Len(f.t, rows, 1)
	found := f.has(rows[0], requestFields)
	require.Equal(f.t, []any{id, "New Comer", ""}, []any{found["uuid"], found["created_by_full_name"], found["project_name"]})
	var body any
	if comment != "" {
		body = map[string]any{"comment": comment}
	}
	require.Empty(f.t, f.call(http.MethodPost, requestsPath+id+"/"+action+"/", body).Is(http.StatusOK).Body)
	f.call(http.MethodPost, requestsPath+id+"/"+action+"/", body).Is(http.StatusConflict)
}
