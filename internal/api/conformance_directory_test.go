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

// The lists of the directory.
const (
	customersPath   = "/api/customers/"
	projectsPath    = "/api/projects/"
	rolesPath       = "/api/roles/"
	permissionsPath = "/api/user-permissions/"
	me              = "/api/users/me/"
)

var lists = []string{customersPath, projectsPath, rolesPath, permissionsPath}

// rows are the objects of a list, as a user sees it.
func (w *world) rowsOf(user, path string) []map[string]any {
	w.t.Helper()
	var all []map[string]any
	w.request("GET", path, user, nil).is(http.StatusOK, "").into(&all)
	return all
}

// names are what the objects of a list say in a field, in the list's order.
func (w *world) texts(user, path, field string) []string {
	w.t.Helper()
	all := []string{}
	for _, each := range w.rowsOf(user, path) {
		all = append(all, fmt.Sprint(each[field]))
	}
	return all
}

// counted is how many rows a list is said to have.
func (w *world) counted(user, path string) int {
	w.t.Helper()
	answer := w.request("HEAD", path, user, nil).is(http.StatusOK, "")
	require.Empty(w.t, answer.Body)
	total, err := strconv.Atoi(answer.Header.Get("X-Result-Count"))
	require.NoError(w.t, err)
	return total
}

func TestDirectoryShapes(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.request("GET", customersPath+acme+"/", "owner", nil).is(http.StatusOK, `{
			"url": "https://api.example/api/customers/`+acme+`/", "uuid": "`+acme+`", "name": "Acme",
			"created": "2026-11-23T09:30:00.000000Z", "description": "Makers of things"}`)
		w.request("GET", projectsPath+artemis+"/", "owner", nil).is(http.StatusOK, `{
			"url": "https://api.example/api/projects/`+artemis+`/", "uuid": "`+artemis+`", "name": "Artemis",
			"customer": "https://api.example/api/customers/`+acme+`/", "customer_uuid": "`+acme+`", "customer_name": "Acme",
			"created": "2026-11-23T09:30:00.000000Z", "description": "Back to the moon", "start_date": "2026-12-24"}`)
		w.request("GET", rolesPath+owner+"/", "stranger", nil).is(http.StatusOK, `{
			"uuid": "`+owner+`", "name": "CUSTOMER.OWNER", "description": "Organization owner", "is_active": true,
			"content_type": "customer", "permissions": ["CUSTOMER.CREATE_PERMISSION", "INVITATION.LIST"]}`)
		w.request("GET", rolesPath+member+"/", "stranger", nil).is(http.StatusOK, `{
			"uuid": "`+member+`", "name": "PROJECT.MEMBER", "description": "", "is_active": true, "content_type": "project",
			"permissions": []}`)

		made := w.create("owner", "Invitee@University.example", manager, apollo)
		w.do("invitee", made.UUID, "accept").is(http.StatusOK, "")
		held := w.value("SELECT uuid FROM memberships WHERE user_uuid = '" + w.userID("invitee").String() + "'")
		permission := `{
			"uuid": "` + held + `", "user_uuid": "` + w.userID("invitee").String() + `", "user_name": "", "user_username": "invitee",
			"user_email": "Invitee@University.example", "created": "2026-11-23T09:30:00.000000Z", "expiration_time": null,
			"is_active": true, "created_by_full_name": "Olivia Owner", "created_by_username": "owner",
			"role_name": "PROJECT.MANAGER", "role_description": "Project manager", "role_uuid": "` + manager + `",
			"scope_type": "project", "scope_uuid": "` + apollo + `", "scope_name": "Apollo",
			"customer_uuid": "` + acme + `", "customer_name": "Acme"}`
		w.request("GET", permissionsPath+"?username=invitee", "owner", nil).is(http.StatusOK, "["+permission+"]")
		w.request("GET", me, "invitee", nil).is(http.StatusOK, `{
			"uuid": "`+w.userID("invitee").String()+`", "username": "invitee", "full_name": "",
			"email": "Invitee@University.example", "civil_number": "1234", "is_staff": false, "is_active": true,
			"is_support": false, "date_joined": "2026-11-23T09:30:00.000000Z", "notifications_enabled": true, "image": null,
			"permissions": [`+permission+`]}`)
		w.request("GET", me, "staff", nil).is(http.StatusOK, `{
			"uuid": "`+w.userID("staff").String()+`", "username": "staff", "full_name": "Sam Staff",
			"email": "staff@example.com", "civil_number": null, "is_staff": true, "is_active": true,
			"is_support": false, "date_joined": "2026-11-23T09:30:00.000000Z", "notifications_enabled": true, "image": null,
			"permissions": []}`)
	})
}

// directoryFilters are filters of each list, with what staff find by them: the names of customers, projects and roles, and
// of permissions the usernames.
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
	},
	rolesPath: {
		{url.Values{"content_type": {"customer"}}, "CUSTOMER.OWNER CUSTOMER.READER"},
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
	},
}

// nameOf is the field that tells the rows of a list apart for people.
func nameOf(path string) string {
	if path == permissionsPath {
		return "user_username"
	}
	return "name"
}

func TestDirectoryFilters(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(oddScopes)
		for path, filters := range directoryFilters {
			for _, each := range filters {
				query := each.query.Encode()
				found := w.texts("staff", path+"?page_size=300&"+query, nameOf(path))
				require.Equal(w.t, each.expected, strings.Join(found, " "), "%s?%s", path, query)
				require.Equal(w.t, len(found), w.counted("staff", path+"?"+query), "%s?%s", path, query)
			}
		}
		for _, id := range []string{w.userID("manager").String(), strings.ReplaceAll(w.userID("manager").String(), "-", "")} {
			require.Equal(w.t, []string{"Apollo"}, w.texts("staff", permissionsPath+"?user="+id, "scope_name"))
		}
	})
}

func TestDirectoryOrdering(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.clock.Advance(1e9)
		w.apply(oddScopes)
		w.apply(`
users: [{username: early, email: A@x.example, full_name: zoe}, {username: late, email: b@x.example, full_name: Adam}]
customers: [{name: Initech, projects: [{name: Ocean, members: [
  {user: early, role: PROJECT.ADMIN, expiration_time: '2030-01-01T00:00:00Z'}, {user: late, role: PROJECT.MEMBER, expiration_time: '2029-01-01T00:00:00Z'},
  {user: sibling, role: PROJECT.MEMBER}]}]}]`)
		first := func(user, path, field string, n int) string {
			all := w.texts(user, path, field)
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
		} {
			require.Equal(w.t, each.expected, first("staff", each.path, "name", 5), each.path)
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
			require.Equal(w.t, expected, first("staff", ocean+query, "user_username", 5), query)
		}
	})
}

// Pages, their headers and their errors are those of the list of invitations.
func TestDirectoryPages(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(oddScopes)
		for path, total := range map[string]int{customersPath: 3, projectsPath: 8, rolesPath: 9, permissionsPath: 6} {
			whole := w.texts("staff", path+"?page_size=300", "uuid")
			require.Len(w.t, whole, total)
			var parts []string
			for number := 1; number <= (total+1)/2; number++ {
				answer := w.request("GET", fmt.Sprintf("%s?page=%d&page_size=2&x=y", path, number), "staff", nil).is(200, "")
				require.Equal(w.t, itoa(total), answer.Header.Get("X-Result-Count"))
				require.Contains(w.t, answer.Header.Get("Link"),
					fmt.Sprintf(`<https://api.example%s?page=%d&page_size=2&x=y>; rel="last"`, path, (total+1)/2))
				var rows []map[string]any
				answer.into(&rows)
				for _, each := range rows {
					parts = append(parts, each["uuid"].(string))
				}
			}
			require.Equal(w.t, whole, parts, path)
			w.request("GET", path+"?page=2&page_size=300", "staff", nil).is(404, detail("Invalid page."))
			w.request("GET", path+"?page=1000000000000&page_size=300", "staff", nil).is(404, detail("Invalid page."))
			for _, bad := range []string{"0", "-1", "x", "1.5", ""} {
				w.request("GET", path+"?page="+bad, "staff", nil).is(404, detail("Invalid page."))
			}
			w.request("GET", path+"?page_size=0", "staff", nil).is(400, field("page_size", "A valid integer is required."))
			w.request("GET", path+"?page_size=100000000000000000000", "staff", nil).is(200, "")
			empty := w.request("GET", path+"?name=nothing&username=nobody", "staff", nil).is(200, "[]")
			require.Equal(w.t, "0", empty.Header.Get("X-Result-Count"))
		}
	})
}

func TestDirectoryFields(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for _, path := range lists {
			whole := w.rowsOf("staff", path+"?page_size=300")
			for name := range whole[0] {
				for i, each := range w.rowsOf("staff", path+"?page_size=300&field="+name) {
					require.Equal(w.t, map[string]any{name: whole[i][name]}, each, path)
				}
			}
			two := w.request("GET", path+"?field=uuid&field=uuid&field=created&page_size=1", "staff", nil)
			if path != rolesPath {
				two.is(200, "")
				require.Regexp(w.t, `^\[\{"created":"[^"]+","uuid":"[^"]+"\}\]\s$`, two.Body)
			} else {
				require.Equal(w.t, []string{"field"}, two.names())
			}
			bad := w.request("GET", path+"?field=colour", "staff", nil)
			require.Equal(w.t, []string{"field"}, bad.names())
			require.Equal(w.t, []string{"field"}, w.request("GET", path+"?field=", "staff", nil).names())
			require.Equal(w.t, []string{"field"}, w.request("GET", path+strings.Repeat("?field=uuid", 1)+strings.Repeat("&field=uuid", 32), "staff", nil).names())
		}
	})
}

func TestDirectoryRefusals(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for query, message := range map[string]string{
			customersPath + "?o=email":        "o",
			customersPath + "?o=":             "o",
			customersPath + "?name=a&name=b":  "name",
			customersPath + "?name=%00":       "name",
			projectsPath + "?customer=x":      "customer",
			projectsPath + "?customer=":       "customer",
			projectsPath + "?customer_uuid=1": "customer_uuid",
			projectsPath + "?o=state":         "o",
			rolesPath + "?is_active=maybe":    "is_active",
			rolesPath + "?is_active=":         "is_active",
			permissionsPath + "?user=me":      "user",
			permissionsPath + "?role_uuid=x":  "role_uuid",
			permissionsPath + "?scope_uuid=x": "scope_uuid",
			permissionsPath + "?o=scope_name": "o",
			permissionsPath + "?username=%ff": "username",
		} {
			require.Equal(w.t, []string{message}, w.request("GET", query, "staff", nil).names(), query)
			if !strings.Contains(query, "?o=") {
				w.request("HEAD", query, "staff", nil).is(400, "")
			}
		}
		for _, path := range []string{customersPath, projectsPath, rolesPath} {
			for _, id := range []string{"x", nodes, apollo[1:], "00000000-0000-0000-0000-000000000000"} {
				w.request("GET", path+id+"/", "staff", nil).is(404, notFound)
			}
		}
		w.request("GET", customersPath+apollo+"/", "staff", nil).is(404, notFound)
		w.request("GET", projectsPath+acme+"/", "staff", nil).is(404, notFound)
		w.request("GET", projectsPath+dropped+"/", "staff", nil).is(404, notFound)
		w.request("GET", customersPath+gone+"/", "staff", nil).is(404, notFound)
		for _, path := range []string{customersPath, projectsPath, rolesPath, permissionsPath, me, customersPath + acme + "/"} {
			w.request("POST", path, "staff", map[string]string{}).is(405, "")
			w.request("GET", path, "", nil).is(401, noCredential)
			w.request("GET", path, "inactive", nil).is(401, "")
		}
	})
}

// sees is what each persona sees of customers and projectsPath, and whose roles.
var sees = map[string]struct{ customers, projects, permissions string }{
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
	inEachWorld(t, func(w *world) {
		for user, want := range sees {
			require.Equal(w.t, want.customers, strings.Join(w.texts(user, customersPath, "name"), " "), user)
			require.Equal(w.t, want.projects, strings.Join(w.texts(user, projectsPath, "name"), " "), user)
			require.Equal(w.t, want.permissions, strings.Join(w.texts(user, permissionsPath+"?o=username", "user_username"), " "), user)
			require.Len(w.t, w.rowsOf(user, rolesPath), 9)
			for _, path := range lists {
				require.Equal(w.t, len(w.rowsOf(user, path)), w.counted(user, path), "%s of %s", path, user)
			}
		}
		// What was removed is not there, for whoever it was for.
		w.rewrite(apolloHead, apolloRemoved)
		require.Equal(w.t, []string{"Artemis", "Strict"}, w.texts("owner", projectsPath, "name"))
		require.Empty(w.t, w.texts("member", projectsPath, "name"))
		require.Empty(w.t, w.texts("member", permissionsPath, "uuid"))
		w.request("GET", projectsPath+apollo+"/", "staff", nil).is(404, notFound)
		require.NotContains(w.t, w.texts("staff", permissionsPath, "scope_name"), "Apollo")
		require.NotContains(w.t, w.request("GET", me, "member", nil).Body, "Apollo")
	})
}

// What is not in force any more is neither shown nor does it show anything.
func TestDirectoryKnowsWhatTimeHasDone(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.rewrite("{user: member, role: PROJECT.MEMBER}", "{user: member, role: PROJECT.MEMBER, expiration_time: '2026-11-24T00:00:00Z'}",
			"{user: manager, role: PROJECT.MANAGER}", "{user: manager, role: PROJECT.MANAGER, is_active: false}")
		require.Empty(w.t, w.texts("manager", projectsPath, "name"))
		require.Empty(w.t, w.texts("manager", permissionsPath, "uuid"))
		require.Equal(w.t, []string{"2026-11-24T00:00:00.000000Z"}, w.texts("member", permissionsPath, "expiration_time"))
		w.clock.Advance(14*3600e9 + 1800e9) // to the end, which is not before itself
		require.Empty(w.t, w.texts("member", permissionsPath, "uuid"))
		require.Empty(w.t, w.texts("member", projectsPath, "name"))
		require.NotContains(w.t, w.texts("staff", permissionsPath, "user_username"), "member")
	})
}

// A stranger finds nothing by any filter of what they don't see: no row, and no number. What the values mean is found
// where one sees all.
func TestFiltersTellStrangersNothing(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.apply(oddScopes)
		secrets := []string{
			acme, apollo, globex, owner, w.userID("owner").String(), w.userID("manager").String(), "Acme", "Apollo", "a", "Olivia Owner",
			"owner", "manager", "CUSTOMER.OWNER", "project", "Makers of things", "-", "000",
		}
		for _, path := range []string{customersPath, projectsPath, permissionsPath} {
			operation := loadContract(t).Paths.Find(path)
			found := 0
			for _, parameter := range slices.Concat(operation.Parameters, operation.Get.Parameters) {
				for _, secret := range secrets {
					query := path + "?" + url.Values{parameter.Value.Name: {secret}}.Encode()
					mine := w.request("GET", query, "stranger", nil)
					all := w.request("GET", query, "staff", nil)
					require.Equal(w.t, all.Status == 200, mine.Status == 200, query)
					if mine.Status != 200 {
						require.Equal(w.t, all.Body, mine.Body)
						continue
					}
					require.JSONEq(w.t, "[]", mine.Body)
					require.Equal(w.t, "0", mine.Header.Get("X-Result-Count"))
					require.Zero(w.t, w.counted("stranger", query))
					var rows []json.RawMessage
					all.into(&rows)
					found += len(rows)
				}
			}
			require.NotZero(w.t, found, "filters that find nothing for anybody prove nothing")
			// Nor does the refusal of one thing differ from that of another.
			for _, id := range []string{acme, apollo, nodes, "20000000-0000-4000-8000-0000000000ff"} {
				if path != permissionsPath {
					w.request("GET", path+id+"/", "stranger", nil).is(404, notFound)
				}
			}
		}
		// Who sees a part finds no more of the rest.
		for _, query := range []string{"?name=hydra", "?customer=" + globex, "?customer_name=globex", "?query=hydra"} {
			require.Empty(w.t, w.rowsOf("owner", projectsPath+query))
		}
		require.Equal(w.t, []string{"member"}, w.texts("member", permissionsPath+"?scope_uuid="+apollo, "user_username"))
		for _, query := range []string{"?user=" + w.userID("manager").String(), "?full_name=max", "?username=manager", "?role_name=PROJECT.MANAGER"} {
			require.Empty(w.t, w.rowsOf("member", permissionsPath+query), query)
		}
	})
}
