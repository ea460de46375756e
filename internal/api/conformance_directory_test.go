package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Paths of the directory.
const (
	customersPath   = "/api/customers/"
	projectsPath    = "/api/projects/"
	rolesPath       = "/api/roles/"
	permissionsPath = "/api/user-permissions/"
	me              = "/api/users/me/"
)

var listPaths = []string{customersPath, projectsPath, rolesPath, permissionsPath}

// rows returns the objects of a list as a user sees it.
func (e *env) rows(user, path string) []map[string]any {
	e.t.Helper()
	var all []map[string]any
	e.request("GET", path, user, nil).is(http.StatusOK, "").decode(&all)
	return all
}

// column returns the values of one field of a list as a user sees it, in its order.
func (e *env) column(user, path, field string) []string {
	e.t.Helper()
	all := []string{}
	for _, each := range e.rows(user, path) {
		all = append(all, fmt.Sprint(each[field]))
	}
	return all
}

// headCount returns the number of rows that HEAD reports for a list.
func (e *env) headCount(user, path string) int {
	e.t.Helper()
	answer := e.request("HEAD", path, user, nil).is(http.StatusOK, "")
	require.Empty(e.t, answer.Body)
	total, err := strconv.Atoi(answer.Header.Get("X-Result-Count"))
	require.NoError(e.t, err)
	return total
}

func TestDirectoryBodies(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.request("GET", customersPath+acme+"/", "owner", nil).is(http.StatusOK, `{
			"url": "https://api.example/api/customers/`+acme+`/", "uuid": "`+acme+`", "name": "Acme",
			"created": "2026-11-23T09:30:00.000000Z", "description": "Makers of things", "slug": "acme", "image": null,
			"projects_count": 3, "users_count": 5, "user_email_patterns": []}`)
		e.request("GET", projectsPath+artemis+"/", "owner", nil).is(http.StatusOK, `{
			"url": "https://api.example/api/projects/`+artemis+`/", "uuid": "`+artemis+`", "name": "Artemis",
			"customer": "https://api.example/api/customers/`+acme+`/", "customer_uuid": "`+acme+`", "customer_name": "Acme",
			"created": "2026-11-23T09:30:00.000000Z", "description": "Back to the moon", "start_date": "2026-12-24",
			"slug": "artemis", "end_date": null, "image": null, "is_removed": false, "user_email_patterns": []}`)
		e.request("GET", rolesPath+owner+"/", "stranger", nil).is(http.StatusOK, `{
			"uuid": "`+owner+`", "name": "CUSTOMER.OWNER", "description": "Organization owner", "is_active": true,
			"content_type": "customer", "permissions": ["CUSTOMER.CREATE_PERMISSION", "INVITATION.LIST"]}`)
		e.request("GET", rolesPath+member+"/", "stranger", nil).is(http.StatusOK, `{
			"uuid": "`+member+`", "name": "PROJECT.MEMBER", "description": "", "is_active": true, "content_type": "project",
			"permissions": []}`)

		made := e.create("owner", "Invitee@University.example", manager, apollo)
		e.do("invitee", made.UUID, "accept").is(http.StatusOK, "")
		held := e.value("SELECT uuid FROM memberships WHERE user_uuid = '" + e.userID("invitee").String() + "'")
		permission := `{
			"uuid": "` + held + `", "user_uuid": "` + e.userID("invitee").String() + `", "user_name": "", "user_username": "invitee",
			"user_email": "Invitee@University.example", "created": "2026-11-23T09:30:00.000000Z", "expiration_time": null,
			"is_active": true, "created_by_full_name": "Olivia Owner", "created_by_username": "owner",
			"role_name": "PROJECT.MANAGER", "role_description": "Project manager", "role_uuid": "` + manager + `",
			"scope_type": "project", "scope_uuid": "` + apollo + `", "scope_name": "Apollo",
			"customer_uuid": "` + acme + `", "customer_name": "Acme", "project_uuid": "` + apollo + `", "scope_is_removed": false}`
		e.request("GET", permissionsPath+"?username=invitee", "owner", nil).is(http.StatusOK, "["+permission+"]")
		e.request("GET", me, "invitee", nil).is(http.StatusOK, `{
			"url": "https://api.example/api/users/`+e.userID("invitee").String()+`/", "agreement_date": "2026-11-23T09:30:00.000000Z",
			"uuid": "`+e.userID("invitee").String()+`", "username": "invitee", "full_name": "",
			"first_name": "", "last_name": "", "native_name": "", "phone_number": "",
			"email": "Invitee@University.example", "civil_number": "1234", "is_staff": false, "is_active": true,
			"is_support": false, "date_joined": "2026-11-23T09:30:00.000000Z", "notifications_enabled": true, "image": null,
			"permissions": [`+permission+`]}`)
		e.request("GET", me, "staff", nil).is(http.StatusOK, `{
			"url": "https://api.example/api/users/`+e.userID("staff").String()+`/", "agreement_date": "2026-11-23T09:30:00.000000Z",
			"uuid": "`+e.userID("staff").String()+`", "username": "staff", "full_name": "Sam Staff",
			"first_name": "Sam", "last_name": "Staff", "native_name": "", "phone_number": "",
			"email": "staff@example.com", "civil_number": null, "is_staff": true, "is_active": true,
			"is_support": false, "date_joined": "2026-11-23T09:30:00.000000Z", "notifications_enabled": true, "image": null,
			"permissions": []}`)
	})
}

// directoryFilters has filters of each list and what staff find with them: the names of customers, projects and roles,
// the usernames of permissions.
var directoryFilters = map[string][]struct {
	query    url.Values
	expected string
}{
	customersPath: {
		{url.Values{}, "Acme Globex Initech"},
		{url.Values{"name": {"AC"}}, "Acme"},
		{url.Values{"name": {"x_"}}, ""},
		{url.Values{"name": {"%"}}, ""},
		{url.Values{"name": {" Acme\t"}}, "Acme"},
		{url.Values{"name": {""}}, "Acme Globex Initech"},
		{url.Values{"name_exact": {"Acme"}}, "Acme"},
		{url.Values{"name_exact": {"acme"}}, ""},
		{url.Values{"query": {"MAKERS"}}, "Acme"},
		{url.Values{"query": {"glob"}}, "Globex"},
		{url.Values{"query": {"others_"}}, "Globex"},
		{url.Values{"query": {"100%"}}, "Globex"},
		{url.Values{"query": {"éTUDE"}}, "Initech"},
		{url.Values{"query": {"4000-8000-000000000002"}}, "Globex"},
		{url.Values{"query": {"4000-8000-00000000000_"}}, ""},
		{url.Values{"query": {"gone"}}, ""},
		{url.Values{"name": {"m"}, "query": {"makers"}}, "Acme"},
		{url.Values{"name": {"glob"}, "query": {"makers"}}, ""},
		{url.Values{"unknown": {"x"}, "email": {"x"}}, "Acme Globex Initech"},
		{url.Values{"slug": {"acme"}}, "Acme"},
		{url.Values{"slug": {"Acme"}}, ""},
		{url.Values{"slug": {""}}, "Acme Globex Initech"},
		{url.Values{"slug": {"gone"}}, ""},
		{url.Values{"owned_by_current_user": {"false"}, "current_user_has_project_create_permission": {"true"}}, "Acme Globex Initech"},
	},
	projectsPath: {
		{url.Values{"customer": {acme}}, "Apollo Artemis Strict"},
		{url.Values{"customer": {strings.ReplaceAll(acme, "-", "")}}, "Apollo Artemis Strict"},
		{url.Values{"customer": {acme, globex}}, "Apollo Artemis Hydra Strict"},
		{url.Values{"customer": {apollo}}, ""},
		{url.Values{"customer": {gone}}, ""},
		{url.Values{"customer_uuid": {globex}}, "Hydra"},
		{url.Values{"customer_uuid": {globex}, "customer": {acme}}, ""},
		{url.Values{"customer_name": {"ACM"}}, "Apollo Artemis Strict"},
		{url.Values{"customer_name": {"glob_x"}}, ""},
		{url.Values{"description": {"MOON"}}, "Apollo Artemis"},
		{url.Values{"name": {"AR"}}, "Artemis"},
		{url.Values{"name": {"50%"}}, `50%_off \ sale`},
		{url.Values{"name": {"%_"}}, `50%_off \ sale`},
		{url.Values{"name": {`\ S`}}, `50%_off \ sale`},
		{url.Values{"name": {"été"}}, "ÉTÉ"},
		{url.Values{"name": {"kelvin"}}, ""},
		{url.Values{"name": {"\u212aELVIN"}}, "\u212aelvin"},
		{url.Values{"name_exact": {"Apollo"}}, "Apollo"},
		{url.Values{"name_exact": {"Apoll%"}}, ""},
		{url.Values{"query": {"BACK to"}}, "Artemis"},
		{url.Values{"query": {"hydra"}}, "Hydra"},
		{url.Values{"query": {strings.ToUpper(apollo)}}, "Apollo"},
		{url.Values{"query": {`a\b`}}, `50%_off \ sale`},
		{url.Values{"query": {"dropped"}}, ""},
		{url.Values{"slug": {"50-off-sale"}}, `50%_off \ sale`},
		{url.Values{"slug": {"ete"}}, "ÉTÉ"},
		{url.Values{"slug": {"kelvin"}}, "\u212aelvin"},
		{url.Values{"is_removed": {"true"}}, ""},
		{url.Values{"is_removed": {"false"}, "customer_uuid": {globex}}, "Hydra"},
		{url.Values{"can_manage": {"true"}, "customer_uuid": {globex}}, "Hydra"},
		{url.Values{"created": {"2026-11-23T09:30:00Z"}, "customer_uuid": {globex}}, "Hydra"},
		{url.Values{"created": {"2026-11-23T09:30:00.000001Z"}, "customer_uuid": {globex}}, ""},
		{url.Values{"created_before": {"2026-11-23T10:30:00+01:00"}, "customer_uuid": {globex}}, "Hydra"},
		{url.Values{"created_before": {"2026-11-23T10:29:59.9+01:00"}, "customer_uuid": {globex}}, ""},
		{url.Values{"created_before": {"9999-12-31T23:59:59-12:00"}, "customer_uuid": {globex}}, "Hydra"},
		{url.Values{"created": {"9999-12-31T23:59:59-12:00"}, "customer_uuid": {globex}}, ""},
		{url.Values{"created": {"0000-01-01T00:00:00+12:00"}, "customer_uuid": {globex}}, "Hydra"},
		{url.Values{"modified": {"2026-11-23T09:30:00Z"}, "customer_uuid": {globex}}, "Hydra"},
		{url.Values{"modified": {"2026-11-23T09:31:00Z"}, "customer_uuid": {globex}}, ""},
		{url.Values{"modified_before": {"2026-11-23T09:29:00Z"}, "customer_uuid": {globex}}, ""},
	},
	rolesPath: {
		{url.Values{"content_type": {"customer"}}, "CUSTOMER.OWNER CUSTOMER.READER"},
		{url.Values{"content_type": {"customer,call"}}, "CALL.REVIEWER CUSTOMER.OWNER CUSTOMER.READER"},
		{url.Values{"content_type": {"call", "planet"}}, "CALL.REVIEWER"},
		{url.Values{"content_type[]": {"call"}}, "CALL.REVIEWER"},
		{url.Values{"query": {"ORGANIZATION"}}, "CUSTOMER.OWNER"},
		{url.Values{"query": {"manager"}}, "OFFERING.MANAGER PROJECT.MANAGER"},
		{url.Values{"query": {"%"}}, ""},
		{url.Values{"available_for_customer": {acme}, "content_type": {"call"}}, "CALL.REVIEWER"},
		{url.Values{"content_type": {"project"}}, "PROJECT.ADMIN PROJECT.MANAGER PROJECT.MEMBER PROJECT.RETIRED"},
		{url.Values{"content_type": {"project"}, "is_active": {"true"}}, "PROJECT.ADMIN PROJECT.MANAGER PROJECT.MEMBER"},
		{url.Values{"is_active": {"false"}}, "PROJECT.RETIRED"},
		{url.Values{"content_type": {"planet"}}, ""},
		{url.Values{"content_type": {"projec_"}}, ""},
		{url.Values{"name": {"manager"}}, "OFFERING.MANAGER PROJECT.MANAGER"},
		{url.Values{"name": {"project%"}}, ""},
		{url.Values{"description": {"SYSTEM"}}, "PROJECT.ADMIN"},
	},
	permissionsPath: {
		{url.Values{"role_name": {"CUSTOMER.OWNER"}, "o": {"username"}}, "owner rival"},
		{url.Values{"role_name": {"customer.owner"}}, ""},
		{url.Values{"role_uuid": {manager}, "o": {"username"}}, "manager sibling"},
		{url.Values{"scope_type": {"customer"}, "o": {"username"}}, "owner reader rival"},
		{url.Values{"scope_type": {"planet"}}, ""},
		{url.Values{"scope_uuid": {apollo}, "o": {"-username"}}, "member manager"},
		{url.Values{"scope_name": {"ACM"}, "o": {"username"}}, "owner reader"},
		{url.Values{"scope_name": {"a_me"}}, ""},
		{url.Values{"username": {"owner"}}, "owner"},
		{url.Values{"username": {"own"}}, ""},
		{url.Values{"full_name": {"OLIVIA"}}, "owner"},
		{url.Values{"full_name": {"%"}}, ""},
		{url.Values{"full_name": {"m"}, "scope_type": {"project"}}, "manager"},
		{url.Values{"customer_uuid": {globex}}, "rival"},
		{url.Values{"customer_uuid": {acme}, "scope_type": {"project"}, "o": {"username"}}, "manager member sibling"},
		{url.Values{"customer_uuid": {apollo}}, ""},
		{url.Values{"is_active": {"true"}, "username": {"owner"}}, "owner"},
		{url.Values{"is_active": {"false"}}, ""},
		{url.Values{"created": {"2026-11-23T09:30:00Z"}, "username": {"owner"}}, "owner"},
		{url.Values{"created": {"2026-11-23T09:30:00.000001Z"}}, ""},
		{url.Values{"created_before": {"2026-11-23T09:29:59Z"}}, ""},
		{url.Values{"modified": {"2026-11-23T09:30:00Z"}, "username": {"owner"}}, "owner"},
		{url.Values{"modified": {"2026-11-23T09:31:00Z"}}, ""},
		{url.Values{"modified_before": {"2026-11-23T09:29:59Z"}}, ""},
	},
}

// nameOf returns the field with the names that directoryFilters has.
func nameOf(path string) string {
	if path == permissionsPath {
		return "user_username"
	}
	return "name"
}

func TestDirectoryFilters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(oddScopes)
		for path, filters := range directoryFilters {
			for _, each := range filters {
				query := each.query.Encode()
				found := e.column("staff", path+"?page_size=300&"+query, nameOf(path))
				require.Equal(e.t, each.expected, strings.Join(found, " "), "%s?%s", path, query)
				require.Equal(e.t, len(found), e.headCount("staff", path+"?"+query), "%s?%s", path, query)
			}
		}
		for _, id := range []string{e.userID("manager").String(), strings.ReplaceAll(e.userID("manager").String(), "-", "")} {
			require.Equal(e.t, []string{"Apollo"}, e.column("staff", permissionsPath+"?user="+id, "scope_name"))
		}
	})
}

func TestDirectoryOrdering(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.clock.Advance(1e9)
		e.apply(oddScopes)
		e.apply(`
users: [{username: early, email: A@x.example, full_name: zoe}, {username: late, email: b@x.example, full_name: Adam}]
customers: [{name: Initech, projects: [{name: Ocean, members: [
  {user: early, role: PROJECT.ADMIN, expiration_time: '2030-01-01T00:00:00Z'}, {user: late, role: PROJECT.MEMBER, expiration_time: '2029-01-01T00:00:00Z'},
  {user: sibling, role: PROJECT.MEMBER}]}]}]`)
		firstRows := func(user, path, field string, n int) string {
			all := e.column(user, path, field)
			return strings.Join(all[:min(n, len(all))], " ")
		}
		for _, each := range []struct{ path, expected string }{
			{customersPath, "Acme Globex Initech"},
			{customersPath + "?o=-name", "Initech Globex Acme"},
			{customersPath + "?o=-created,name", "Initech Acme Globex"},
			{customersPath + "?o=created&o=-name", "Globex Acme Initech"},
			{projectsPath + "?name=a", `50%_off \ sale Apollo Artemis Hydra Ocean`},
			{projectsPath + "?o=-customer_name,-name&page_size=1", "\u212aelvin"},
			{projectsPath + "?o=start_date,name&customer_uuid=" + acme, "Artemis Apollo Strict"},
			{projectsPath + "?o=-start_date,-name&customer_uuid=" + acme, "Artemis Strict Apollo"},
			{rolesPath + "?page_size=2", "CALL.REVIEWER CUSTOMER.OWNER"},
			{rolesPath + "?page_size=2&o=-name", "PROPOSAL.AUTHOR PROJECT.RETIRED"},
			{rolesPath + "?page_size=2&o=is_active,-name", "PROJECT.RETIRED PROPOSAL.AUTHOR"},
			{rolesPath + "?page_size=2&o=-scope&o=-name", "PROPOSAL.AUTHOR PROJECT.RETIRED"},
			{rolesPath + "?page_size=4&o=-users_count,name", "PROJECT.MEMBER CUSTOMER.OWNER PROJECT.MANAGER CUSTOMER.READER"},
		} {
			require.Equal(e.t, each.expected, firstRows("staff", each.path, "name", 5), each.path)
		}
		const ocean = permissionsPath + "?scope_name=ocean&"
		for query, expected := range map[string]string{
			"o=email":                  "early late sibling",
			"o=-email":                 "sibling late early",
			"o=full_name":              "sibling late early",
			"o=-full_name":             "early late sibling",
			"o=expiration_time":        "late early sibling",
			"o=-expiration_time":       "early late sibling",
			"o=role,-username":         "early sibling late",
			"o=-role,username":         "late sibling early",
			"o=username":               "early late sibling",
			"o=created,username":       "early late sibling",
			"o=-created&o=-username":   "sibling late early",
			"o=full_name,created,role": "sibling late early",
		} {
			require.Equal(e.t, expected, firstRows("staff", ocean+query, "user_username", 5), query)
		}
	})
}

// Paging is the same as in the list of invitations.
func TestDirectoryPages(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(oddScopes)
		for path, total := range map[string]int{customersPath: 3, projectsPath: 8, rolesPath: 9, permissionsPath: 6} {
			whole := e.column("staff", path+"?page_size=300", "uuid")
			require.Len(e.t, whole, total)
			var parts []string
			for number := 1; number <= (total+1)/2; number++ {
				answer := e.request("GET", fmt.Sprintf("%s?page=%d&page_size=2&x=y", path, number), "staff", nil).is(200, "")
				require.Equal(e.t, strconv.Itoa(total), answer.Header.Get("X-Result-Count"))
				require.Contains(e.t, answer.Header.Get("Link"),
					fmt.Sprintf(`<https://api.example%s?page=%d&page_size=2>; rel="last"`, path, (total+1)/2))
				var rows []map[string]any
				answer.decode(&rows)
				for _, each := range rows {
					parts = append(parts, each["uuid"].(string))
				}
			}
			require.Equal(e.t, whole, parts, path)
			e.request("GET", path+"?page=2&page_size=300", "staff", nil).is(404, detailBody("Invalid page."))
			e.request("GET", path+"?page=1000000000000&page_size=300", "staff", nil).is(404, detailBody("Invalid page."))
			for _, bad := range []string{"0", "-1", "x", "1.5"} {
				e.request("GET", path+"?page="+bad, "staff", nil).is(404, detailBody("Invalid page."))
			}
			e.request("GET", path+"?page_size=0", "staff", nil).is(400, fieldError("page_size", "A valid integer is required."))
			e.request("GET", path+"?page_size=100000000000000000000", "staff", nil).is(200, "")
			empty := e.request("GET", path+"?name=nothing&username=nobody", "staff", nil).is(200, "[]")
			require.Equal(e.t, "0", empty.Header.Get("X-Result-Count"))
		}
	})
}

func TestDirectoryFields(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, path := range listPaths {
			whole := e.rows("staff", path+"?page_size=300")
			for name := range whole[0] {
				for i, each := range e.rows("staff", path+"?page_size=300&field="+name) {
					require.Equal(e.t, map[string]any{name: whole[i][name]}, each, path)
				}
			}
			two := e.request("GET", path+"?field=uuid&field=uuid&field=created&page_size=1", "staff", nil)
			if path != rolesPath {
				require.Regexp(e.t, `^\[\{"created":"[^"]+","uuid":"[^"]+"\}\]\s$`, two.is(200, "").Body)
			} else { // roles have no such field
				require.Regexp(e.t, `^\[\{"uuid":"[^"]+"\}\]\s$`, two.is(200, "").Body)
			}
			require.Equal(e.t, whole, e.rows("staff", path+"?page_size=300&field=colour"))
			require.Equal(e.t, whole, e.rows("staff", path+"?page_size=300&field=&o=colour"))
			require.Equal(e.t, []string{"field"}, e.request("GET", path+strings.Repeat("?field=uuid", 1)+strings.Repeat("&field=uuid", 32), "staff", nil).invalidFields())
		}
	})
}

func TestDirectoryErrors(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for query, message := range map[string]string{
			customersPath + "?name=a&name=b":                         "name",
			customersPath + "?name=%00":                              "name",
			projectsPath + "?customer=x":                             "customer",
			projectsPath + "?customer_uuid=1":                        "customer_uuid",
			rolesPath + "?is_active=maybe":                           "is_active",
			rolesPath + "?available_for_customer=x":                  "available_for_customer",
			rolesPath + "?query=%00":                                 "query",
			customersPath + "?user_uuid=me":                          "user_uuid",
			customersPath + "?owned_by_current_user=2":               "owned_by_current_user",
			customersPath + "?current_user_has_role=%ff":             "current_user_has_role",
			customersPath + "?slug=a&slug=b":                         "slug",
			projectsPath + "?created=2026-11-23":                     "created",
			projectsPath + "?modified=yesterday":                     "modified",
			projectsPath + "?modified_before=2026-13-23T00:00:00Z":   "modified_before",
			projectsPath + "?can_manage=x":                           "can_manage",
			projectsPath + "?is_removed=x":                           "is_removed",
			permissionsPath + "?customer_uuid=x":                     "customer_uuid",
			permissionsPath + "?is_active=x":                         "is_active",
			permissionsPath + "?created_before=x":                    "created_before",
			customersPath + acme + "/list_users/?user=x":             "user",
			projectsPath + apollo + "/list_users/?search_string=%00": "search_string",
			permissionsPath + "?user=me":                             "user",
			permissionsPath + "?role_uuid=x":                         "role_uuid",
			permissionsPath + "?scope_uuid=x":                        "scope_uuid",
			permissionsPath + "?username=%ff":                        "username",
		} {
			require.Equal(e.t, []string{message}, e.request("GET", query, "staff", nil).invalidFields(), query)
			e.request("HEAD", query, "staff", nil).is(400, "")
		}
		e.request("GET", projectsPath+"?created=2026-11-23", "staff", nil).
			is(400, fieldError("created", "Enter a date and time such as 2026-11-23T09:30:00Z."))
		for _, path := range []string{customersPath, projectsPath, rolesPath} {
			for _, id := range []string{"x", nodes, apollo[1:], "00000000-0000-0000-0000-000000000000"} {
				e.request("GET", path+id+"/", "staff", nil).is(404, notFound)
			}
		}
		e.request("GET", customersPath+apollo+"/", "staff", nil).is(404, notFound)
		e.request("GET", projectsPath+acme+"/", "staff", nil).is(404, notFound)
		e.request("GET", projectsPath+dropped+"/", "staff", nil).is(404, notFound)
		e.request("GET", customersPath+gone+"/", "staff", nil).is(404, notFound)
		for _, path := range []string{customersPath, projectsPath, rolesPath, permissionsPath, me, customersPath + acme + "/"} {
			e.request("POST", path, "staff", map[string]string{}).is(405, "")
			if path != rolesPath { // everybody sees the roles
				e.request("GET", path, "", nil).is(401, noCredential)
			}
			e.request("GET", path, "inactive", nil).is(401, "")
		}
	})
}

// visibleTo has the customers, the projects and the users with memberships that each user sees.
var visibleTo = map[string]struct{ customers, projects, permissions string }{
	"staff":    {"Acme Globex", "Apollo Artemis Hydra Strict", "manager member owner reader rival sibling"},
	"support":  {"Acme Globex", "Apollo Artemis Hydra Strict", "manager member owner reader rival sibling"},
	"owner":    {"Acme", "Apollo Artemis Strict", "manager member owner reader sibling"},
	"reader":   {"Acme", "Apollo Artemis Strict", "reader"},
	"manager":  {"Acme", "Apollo", "manager member"},
	"member":   {"Acme", "Apollo", "member"},
	"sibling":  {"Acme", "Artemis", "sibling"},
	"rival":    {"Globex", "Hydra", "rival"},
	"invitee":  {"", "", ""},
	"stranger": {"", "", ""},
}

func TestDirectoryVisibility(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for user, want := range visibleTo {
			require.Equal(e.t, want.customers, strings.Join(e.column(user, customersPath, "name"), " "), user)
			require.Equal(e.t, want.projects, strings.Join(e.column(user, projectsPath, "name"), " "), user)
			require.Equal(e.t, want.permissions, strings.Join(e.column(user, permissionsPath+"?o=username", "user_username"), " "), user)
			require.Len(e.t, e.rows(user, rolesPath), 9)
			for _, path := range listPaths {
				require.Equal(e.t, len(e.rows(user, path)), e.headCount(user, path), "%s of %s", path, user)
			}
		}
		// A removed project and its memberships are hidden from everybody.
		e.applyReplaced(apolloUUID, apolloRemoved)
		require.Equal(e.t, []string{"Artemis", "Strict"}, e.column("owner", projectsPath, "name"))
		require.Empty(e.t, e.column("member", projectsPath, "name"))
		require.Empty(e.t, e.column("member", permissionsPath, "uuid"))
		e.request("GET", projectsPath+apollo+"/", "staff", nil).is(404, notFound)
		require.NotContains(e.t, e.column("staff", permissionsPath, "scope_name"), "Apollo")
		require.NotContains(e.t, e.request("GET", me, "member", nil).Body, "Apollo")
	})
}

// An expired or revoked membership is hidden, and shows its user nothing.
func TestDirectoryHidesInactiveMemberships(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.applyReplaced("{user: member, role: PROJECT.MEMBER}", "{user: member, role: PROJECT.MEMBER, expiration_time: '2026-11-24T00:00:00Z'}",
			"{user: manager, role: PROJECT.MANAGER}", "{user: manager, role: PROJECT.MANAGER, is_active: false}")
		require.Empty(e.t, e.column("manager", projectsPath, "name"))
		require.Empty(e.t, e.column("manager", permissionsPath, "uuid"))
		require.Equal(e.t, []string{"2026-11-24T00:00:00.000000Z"}, e.column("member", permissionsPath, "expiration_time"))
		e.clock.Advance(14*3600e9 + 1800e9) // exactly the expiration time
		require.Empty(e.t, e.column("member", permissionsPath, "uuid"))
		require.Empty(e.t, e.column("member", projectsPath, "name"))
		require.NotContains(e.t, e.column("staff", permissionsPath, "user_username"), "member")
	})
}

// A filter shows nothing of rows that the caller can't see, neither in the list nor in the count. Staff find rows with
// the same filters.
func TestDirectoryFiltersLeakNothing(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(oddScopes)
		secrets := []string{
			acme, apollo, globex, owner, e.userID("owner").String(), e.userID("manager").String(), "Acme", "Apollo", "a", "Olivia Owner",
			"owner", "manager", "CUSTOMER.OWNER", "project", "Makers of things", "-", "000",
		}
		for _, path := range []string{customersPath, projectsPath, permissionsPath} {
			operation := loadContract(t).Paths.Find(path)
			found := 0
			for _, parameter := range slices.Concat(operation.Parameters, operation.Get.Parameters) {
				for _, secret := range secrets {
					query := path + "?" + url.Values{parameter.Value.Name: {secret}}.Encode()
					mine := e.request("GET", query, "stranger", nil)
					all := e.request("GET", query, "staff", nil)
					require.Equal(e.t, all.Status == 200, mine.Status == 200, query)
					if mine.Status != 200 {
						require.Equal(e.t, all.Body, mine.Body)
						continue
					}
					require.JSONEq(e.t, "[]", mine.Body)
					require.Equal(e.t, "0", mine.Header.Get("X-Result-Count"))
					require.Zero(e.t, e.headCount("stranger", query))
					var rows []json.RawMessage
					all.decode(&rows)
					found += len(rows)
				}
			}
			require.NotZero(e.t, found, "filters that find nothing for staff prove nothing")
			// An object that exists and one that does not have the same error.
			for _, id := range []string{acme, apollo, nodes, "20000000-0000-4000-8000-0000000000ff"} {
				if path != permissionsPath {
					e.request("GET", path+id+"/", "stranger", nil).is(404, notFound)
				}
			}
		}
		// A user who sees a part of the rows finds only those.
		for _, query := range []string{"?name=hydra", "?customer=" + globex, "?customer_name=globex", "?query=hydra"} {
			require.Empty(e.t, e.rows("owner", projectsPath+query))
		}
		require.Equal(e.t, []string{"member"}, e.column("member", permissionsPath+"?scope_uuid="+apollo, "user_username"))
		for _, query := range []string{"?user=" + e.userID("manager").String(), "?full_name=max", "?username=manager", "?role_name=PROJECT.MANAGER"} {
			require.Empty(e.t, e.rows("member", permissionsPath+query), query)
		}
	})
}
