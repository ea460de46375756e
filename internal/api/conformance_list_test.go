package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListFields(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.create("owner", "a@x.example", admin, apollo, "extra_invitation_text", "<uuid>")
		e.create("owner", "b@x.example", admin, apollo)
		names := func(query string) (all [][]string) {
			var rows []map[string]any
			e.request("GET", base+"?"+query, "owner", nil).is(http.StatusOK, "").decode(&rows)
			for _, row := range rows {
				all = append(all, slices.Sorted(maps.Keys(row)))
			}
			return all
		}
		require.Equal(e.t, [][]string{{"email"}, {"email"}}, names("field=email"))
		require.Equal(e.t, [][]string{{"email", "uuid"}}, names("field=uuid&field=email&field=uuid&email=b@x"))
		require.Len(e.t, names("")[0], 30)
		require.Nil(e.t, names("field=email&email=nobody"))

		whole, cut := e.request("GET", base+"?o=email", "owner", nil), e.request("GET", base+"?o=email&field=extra_invitation_text", "owner", nil)
		var texts []map[string]string
		cut.decode(&texts)
		require.Equal(e.t, []map[string]string{{"extra_invitation_text": "<uuid>"}, {"extra_invitation_text": ""}}, texts)
		require.Equal(e.t, whole.Header.Get("X-Result-Count"), cut.Header.Get("X-Result-Count"))
		require.Contains(e.t, cut.Header.Get("Link"), "field=extra_invitation_text")

		// Unknown names are ignored. Without a known one there are all fields.
		for _, written := range []string{"field=email,uuid", "field[]=uuid&field[]=email", "field=email&field=EMAIL&field=uuid", "field[0]=uuid&field[1]=email"} {
			require.Equal(e.t, names("field=email&field=uuid"), names(written), written)
		}
		for _, none := range []string{"field=x", "field=", "field[]=", "field=x,EMAIL"} {
			require.Equal(e.t, names(""), names(none), none)
		}
		require.Equal(e.t, []string{"field"}, e.request("GET", base+"?field="+strings.Repeat("email,", 33), "owner", nil).invalidFields())
	})
}

// HEAD reports the count of the list, for every filter and every user.
func TestCount(t *testing.T) {
	onEachEngine(t, func(e *env) {
		oneInEachState(e)
		e.create("rival", "other@x.example", admin, hydra)
		e.create("owner", "seller@x.example", seller, nodes)
		for _, user := range []string{"staff", "support", "owner", "reader", "manager", "member", "rival", "invitee", "stranger"} {
			for _, query := range []string{
				"", "email=states", "email_exact=pending@states.example", "state=pending", "state=expired&state=pending", "state=canceled",
				"scope_type=project", "scope_name=apollo", "role_name=PROJECT.ADMIN", "role_uuid=" + admin, "customer_uuid=" + acme,
				"scope=" + url.QueryEscape(scopeURL(apollo)), "scope_description=moon", "civil_number=1", "page=99", "page_size=x", "o=x",
			} {
				listed := query
				switch query {
				case "page=99", "page_size=x", "o=x": // parameters of the list that HEAD ignores
					listed = ""
				}
				answer := e.request("HEAD", base+"?"+query, user, nil)
				require.Equal(e.t, http.StatusOK, answer.Status, query)
				require.Empty(e.t, answer.Header.Get("Link"))
				require.Equal(e.t, e.request("GET", base+"?"+listed, user, nil).Header.Get("X-Result-Count"),
					answer.Header.Get("X-Result-Count"), "%s: %s", user, query)
			}
		}
		require.Equal(e.t, "9", e.request("HEAD", base, "staff", nil).Header.Get("X-Result-Count"))
		require.Equal(e.t, http.StatusUnauthorized, e.request("HEAD", base, "", nil).Status)
		require.Equal(e.t, http.StatusUnauthorized, e.request("HEAD", base, "inactive", nil).Status)
		for _, bad := range []string{"state=x", "role_uuid=x", "scope=x", "email=a&email=b", "email=%00"} {
			require.Equal(e.t, http.StatusBadRequest, e.request("HEAD", base+"?"+bad, "staff", nil).Status, bad)
		}
	}, onlyStaff)
}

func TestScopeFilter(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for i, scope := range []string{apollo, apollo, artemis, acme} {
			role := admin
			if scope == acme {
				role = reader
			}
			e.create("owner", fmt.Sprintf("%d@x.example", i), role, scope)
		}
		matches := func(user, address string) int {
			number, err := strconv.Atoi(e.request("GET", base+"?scope="+url.QueryEscape(address), user, nil).is(http.StatusOK, "").
				Header.Get("X-Result-Count"))
			require.NoError(e.t, err)
			return number
		}
		require.Equal(e.t, 2, matches("owner", scopeURL(apollo)))
		require.Equal(e.t, 1, matches("owner", scopeURL(artemis)))
		require.Equal(e.t, 1, matches("owner", "/api/customers/"+acme+"/"), "the customer's own, not its projects'")
		require.Zero(e.t, matches("owner", "https://x/api/customers/"+apollo+"/"), "the project's uuid is no customer's")
		require.Zero(e.t, matches("owner", scopeURL(hydra)))
		require.Zero(e.t, matches("rival", scopeURL(apollo)))
		require.Zero(e.t, matches("owner", "/api/projects/"+admin+"/"), "the project does not exist")
		for _, bad := range []string{"x", apollo, "/api/users/" + apollo + "/", "/api/projects/x/", "ftp://x/api/projects/" + apollo + "/"} {
			e.request("GET", base+"?scope="+url.QueryEscape(bad), "owner", nil).
				is(http.StatusBadRequest, `{"scope": ["This is not the URL of a scope."]}`)
		}
	})
}
