package api_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// founders has another customer of the user "sibling", who may make projects there, and a user with several roles.
const founders = `
roles:
  - {name: CUSTOMER.FOUNDER, scope_type: customer, permissions: [PROJECT.CREATE]}
users:
  - {username: Busy, full_name: Bea Zimmer, email: bea@acme.example, image: 'https://example.com/bea.png', tokens: [Busy-key]}
customers:
  - name: Initech
    members: [{user: sibling, role: CUSTOMER.FOUNDER}]
    projects: [{name: Ocean, user_email_patterns: ['.*@ocean\.example'], members: [{user: owner, role: PROJECT.MEMBER}]}]
  - name: Acme
    uuid: ` + acme + `
    projects:
      - name: Apollo
        uuid: ` + apollo + `
        members: [{user: Busy, role: PROJECT.ADMIN}, {user: Busy, role: PROJECT.MEMBER, expiration_time: '2030-01-01T00:00:00Z'}]
`

// callerFilters has filters that depend on the caller, and what each caller finds with them.
var callerFilters = []struct{ path, query, expected string }{
	{customersPath, "owned_by_current_user=true", "owner: Acme, rival: Globex"},
	{customersPath, "owned_by_current_user=true&name=glo", "rival: Globex"},
	{customersPath, "current_user_has_role=CUSTOMER.OWNER", "owner: Acme, rival: Globex"},
	{customersPath, "current_user_has_role=CUSTOMER.READER&current_user_has_role=CUSTOMER.FOUNDER", "reader: Acme, sibling: Initech"},
	{customersPath, "current_user_has_role[]=CUSTOMER.READER", "reader: Acme"},
	{customersPath, "current_user_has_role=customer.owner", ""},
	{customersPath, "current_user_has_role=PROJECT.MANAGER", ""}, // held in a project
	{customersPath, "current_user_has_project_create_permission=true", "staff: Acme Globex Initech, sibling: Initech"},
	{customersPath, "current_user_has_project_create_permission=true&owned_by_current_user=true", ""},
	{projectsPath, "current_user_has_role=PROJECT.MANAGER", "manager: Apollo, sibling: Artemis"},
	{projectsPath, "current_user_has_role=PROJECT.MANAGER,PROJECT.MEMBER", "owner: Ocean, manager: Apollo, member: Apollo, sibling: Artemis"},
	{projectsPath, "can_manage=true", "staff: Apollo Artemis Hydra Ocean Strict, owner: Apollo Artemis Strict, manager: Apollo, sibling: Artemis, rival: Hydra"},
	{projectsPath, "can_manage=true&current_user_has_role=PROJECT.MEMBER", ""},
	{projectsPath, "is_removed=true", ""},
}

func TestDirectoryFiltersByCaller(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(founders)
		for _, each := range callerFilters {
			var found []string
			for _, user := range []string{"staff", "support", "owner", "reader", "manager", "member", "sibling", "rival", "stranger"} {
				names := e.column(user, each.path+"?"+each.query, "name")
				require.Equal(e.t, len(names), e.headCount(user, each.path+"?"+each.query))
				if len(names) > 0 {
					found = append(found, user+": "+strings.Join(names, " "))
				}
			}
			require.Equal(e.t, each.expected, strings.Join(found, ", "), "%s?%s", each.path, each.query)
		}
		for _, query := range []string{"can_manage=false", "is_removed=false", "can_manage=&current_user_has_role="} {
			require.Equal(e.t, e.rows("owner", projectsPath), e.rows("owner", projectsPath+"?"+query))
		}
		for _, query := range []string{"owned_by_current_user=false", "current_user_has_project_create_permission=false"} {
			require.Equal(e.t, e.rows("owner", customersPath), e.rows("owner", customersPath+"?"+query))
		}
	})
}

// The filter by a user follows the permissions that the caller sees: it tells nobody of roles that `user-permissions` hides.
func TestDirectoryFilterByUser(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(founders)
		finds := func(caller, path, user string) string {
			query := path + "?user_uuid=" + e.userID(user).String()
			found := e.column(caller, query, "name")
			require.Equal(e.t, len(found), e.headCount(caller, query))
			return strings.Join(found, " ")
		}
		for _, each := range []struct{ caller, user, customers, projects string }{
			{"staff", "owner", "Acme Initech", "Apollo Artemis Ocean Strict"},
			{"staff", "manager", "Acme", "Apollo"},
			{"staff", "sibling", "Acme Initech", "Artemis Ocean"},
			{"staff", "stranger", "", ""},
			{"staff", "staff", "", ""}, // sees all, by no role
			{"owner", "owner", "Acme Initech", "Apollo Artemis Ocean Strict"},
			{"owner", "sibling", "Acme", "Artemis"}, // the role in Initech is hidden, though the owner sees Initech
			{"owner", "rival", "", ""},
			{"member", "manager", "", ""},
			{"member", "member", "Acme", "Apollo"},
			{"manager", "member", "Acme", "Apollo"},
			{"stranger", "owner", "", ""},
		} {
			require.Equal(e.t, each.customers, finds(each.caller, customersPath, each.user), "%v", each)
			require.Equal(e.t, each.projects, finds(each.caller, projectsPath, each.user), "%v", each)
		}
		require.Empty(e.t, e.rows("staff", projectsPath+"?user_uuid="+acme))
	})
}

// Counts count what the caller sees. Only staff and support get the number of a role's users.
func TestDirectoryCounts(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(founders)
		for user, expected := range map[string]string{
			"staff": "Acme 3 6, Globex 1 1, Initech 1 2", "support": "Acme 3 6, Globex 1 1, Initech 1 2",
			"owner": "Acme 3 6, Initech 1 1", "reader": "Acme 3 1", "manager": "Acme 1 3", "member": "Acme 1 1",
			"sibling": "Acme 1 1, Initech 1 1", "rival": "Globex 1 1", "stranger": "",
		} {
			var found []string
			for _, each := range e.rows(user, customersPath) {
				found = append(found, fmt.Sprint(each["name"], " ", each["projects_count"], " ", each["users_count"]))
				var one map[string]any
				e.request("GET", customersPath+each["uuid"].(string)+"/", user, nil).is(200, "").decode(&one)
				require.Equal(e.t, []any{}, one["user_email_patterns"])
				delete(one, "user_email_patterns")
				require.Equal(e.t, each, one)
			}
			require.Equal(e.t, expected, strings.Join(found, ", "), user)
		}
		require.NotContains(e.t, e.rows("sibling", projectsPath+"?name=ocean")[0], "user_email_patterns")
		require.Equal(e.t, []string{"[.*@ocean\\.example]"}, e.column("sibling", projectsPath+"?name=ocean&field=user_email_patterns", "user_email_patterns"))
		require.Equal(e.t, []map[string]any{{"user_email_patterns": []any{}}}, e.rows("owner", customersPath+"?name=acme&field=user_email_patterns"))

		query := rolesPath + "?o=-users_count&o=name&page_size=3"
		require.Equal(e.t, []string{"3", "2", "2"}, e.column("staff", query, "users_count"))
		require.Equal(e.t, []string{"PROJECT.MEMBER", "CUSTOMER.OWNER", "PROJECT.MANAGER"}, e.column("support", query, "name"))
		require.Contains(e.t, e.request("GET", rolesPath+member+"/", "staff", nil).Body, `"users_count":3`)
		for _, user := range []string{"owner", ""} { // the order would tell
			require.Equal(e.t, []string{"CALL.REVIEWER", "CUSTOMER.FOUNDER", "CUSTOMER.OWNER"}, e.column(user, query, "name"))
			require.NotContains(e.t, e.request("GET", query, user, nil).Body, "users_count")
			require.NotContains(e.t, e.request("GET", rolesPath+member+"/", user, nil).Body, "users_count")
			require.Equal(e.t, map[string]any{}, e.rows(user, rolesPath+"?field=users_count")[0])
		}
		// A removed project and revoked memberships count for nobody.
		e.applyReplaced(apolloUUID, apolloRemoved)
		require.Equal(e.t, []string{"2"}, e.column("staff", customersPath+"?name=acme", "projects_count"))
		require.Equal(e.t, []string{"3"}, e.column("staff", customersPath+"?name=acme", "users_count"))
		require.Equal(e.t, []string{"1"}, e.column("staff", rolesPath+"?name=project.member", "users_count"))
	})
}

// Rows are modified when a directory file changes them, and not when it repeats them.
func TestDirectoryFilterByModified(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const since = "modified=2026-11-23T09:31:00Z"
		e.clock.Advance(60e9)
		e.apply(directoryFile)
		require.Empty(e.t, e.rows("staff", projectsPath+"?"+since))
		require.Empty(e.t, e.rows("staff", permissionsPath+"?"+since))
		e.apply(strings.NewReplacer("To the moon", "To the moon and back",
			"{user: member, role: PROJECT.MEMBER}", "{user: member, role: PROJECT.MEMBER, expiration_time: '2030-01-01T00:00:00Z'}",
		).Replace(directoryFile))
		require.Equal(e.t, []string{"Apollo"}, e.column("staff", projectsPath+"?"+since, "name"))
		require.Equal(e.t, []string{"member"}, e.column("staff", permissionsPath+"?"+since, "user_username"))
		require.Equal(e.t, []string{"Artemis", "Hydra", "Strict"},
			e.column("staff", projectsPath+"?modified_before=2026-11-23T09:30:59.999999Z", "name"))
		require.Empty(e.t, e.rows("staff", projectsPath+"?created=2026-11-23T09:31:00Z"))
		made := e.create("owner", "Invitee@University.example", admin, apollo)
		e.do("invitee", made.UUID, "accept").is(200, "")
		require.ElementsMatch(e.t, []string{"member", "invitee"}, e.column("staff", permissionsPath+"?"+since, "user_username"))
		require.Equal(e.t, []string{"invitee"}, e.column("staff", permissionsPath+"?created=2026-11-23T09:31:00Z", "user_username"))
	})
}

func TestListUsers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(founders)
		users := projectsPath + apollo + "/list_users/"
		held := e.value("SELECT memberships.uuid FROM memberships JOIN roles ON roles.uuid = role_uuid" +
			" WHERE roles.name = 'PROJECT.MEMBER' AND user_uuid = '" + e.userID("Busy").String() + "'")
		e.request("GET", users+"?user="+e.userID("Busy").String()+"&role="+member, "manager", nil).is(200, `[{
			"uuid": "`+held+`", "created": "2026-11-23T09:30:00.000000Z", "expiration_time": "2030-01-01T00:00:00.000000Z",
			"role_name": "PROJECT.MEMBER", "role_uuid": "`+member+`", "user_email": "bea@acme.example",
			"user_full_name": "Bea Zimmer", "user_username": "Busy", "user_uuid": "`+e.userID("Busy").String()+`",
			"user_image": "https://example.com/bea.png", "created_by_full_name": "", "created_by_uuid": null}]`)
		for query, expected := range map[string]string{
			"":                                     "Busy Busy manager member",
			"role=PROJECT.MANAGER":                 "manager",
			"role=PROJECT.MANAGER," + admin:        "Busy manager",
			"role=" + strings.ToUpper(manager):     "manager",
			"role=project.manager":                 "",
			"role=" + acme:                         "",
			"full_name=ZIMM":                       "Busy Busy",
			"search_string=BUSY":                   "Busy Busy",
			"search_string=acme.EXAMPLE":           "Busy Busy manager member",
			"search_string=max":                    "manager",
			"search_string=%25":                    "",
			"username=Busy&role=PROJECT.ADMIN":     "Busy",
			"username=busy":                        "",
			"user=" + e.userID("member").String():  "member",
			"native_name=x&user_slug=x&user_url=x": "Busy Busy manager member",
		} {
			query += "&o=username,role"
			require.Equal(e.t, expected, strings.Join(e.column("staff", users+"?"+query, "user_username"), " "), query)
			require.Equal(e.t, len(strings.Fields(expected)), e.headCount("staff", users+"?"+query), query)
		}
		for order, expected := range map[string]string{
			"-username,role": "member manager Busy Busy", "email,-role": "Busy Busy manager member", "full_name,-role": "member Busy Busy manager",
			"-full_name,expiration_time": "manager Busy Busy member", "expiration_time,username": "Busy Busy manager member",
			"role,username": "Busy manager Busy member", "-created,username,role": "Busy Busy manager member", "native_name,username,role": "Busy Busy manager member",
		} {
			require.Equal(e.t, expected, strings.Join(e.column("staff", users+"?o="+order, "user_username"), " "), order)
		}
		// Roles in the customer's projects are not roles in the customer.
		require.ElementsMatch(e.t, []string{"owner", "reader"}, e.column("staff", customersPath+acme+"/list_users/", "user_username"))
		// Whoever sees the scope sees their own roles, and whoever manages it sees all.
		for caller, expected := range map[string]string{
			"manager": "Busy Busy manager member", "owner": "Busy Busy manager member", "support": "Busy Busy manager member",
			"member": "member", "Busy": "Busy Busy", "reader": "",
		} {
			require.Equal(e.t, expected, strings.Join(e.column(caller, users+"?o=username,role", "user_username"), " "), caller)
		}
		for _, path := range []string{
			projectsPath + hydra, projectsPath + acme, customersPath + apollo, customersPath + gone, projectsPath + dropped,
			projectsPath + nodes, projectsPath + "x", customersPath + "00000000-0000-0000-0000-000000000000",
		} {
			e.request("GET", path+"/list_users/", "owner", nil).is(404, notFound)
			e.request("HEAD", path+"/list_users/", "owner", nil).is(404, "")
		}
		// Pages and fields are those of the other lists.
		second := e.request("GET", users+"?page=2&page_size=3&o=username&role=PROJECT.MEMBER&role=PROJECT.ADMIN&x=y&field=user_username", "staff", nil)
		second.is(404, detailBody("Invalid page."))
		second = e.request("GET", users+"?page=2&page_size=2&o=username&role=PROJECT.MEMBER&role=PROJECT.ADMIN&x=y&field=user_username", "staff", nil)
		second.is(200, `[{"user_username": "member"}]`)
		require.Equal(e.t, strconv.Itoa(3), second.Header.Get("X-Result-Count"))
		require.Contains(e.t, second.Header.Get("Link"), `<https://api.example`+users+`?field=user_username&o=username&page_size=2&`+
			url.Values{"role": {"PROJECT.MEMBER", "PROJECT.ADMIN"}}.Encode()+`>; rel="first"`)
		e.request("GET", strings.ReplaceAll(users, "-", ""), "staff", nil).is(200, "")
		e.request("GET", users, "", nil).is(401, noCredential)
		e.request("POST", users, "staff", map[string]string{}).is(405, "")
	})
}

// A filter that the contract names as ignored changes nothing, whatever its value.
func TestIgnoredParametersChangeNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for path, item := range loadContract(t).Paths.Map() {
			if item.Get == nil {
				continue
			}
			path = strings.ReplaceAll(path, "{uuid}", either(strings.HasPrefix(path, customersPath), acme, apollo))
			names, _ := item.Get.Extensions["x-ignored-parameters"].([]any)
			for _, name := range names {
				require.Equal(e.t, e.rows("staff", path), e.rows("staff", path+"?"+name.(string)+"=x"), "%s?%s", path, name)
			}
		}
	})
}
