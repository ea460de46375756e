package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListOfFields(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.create("owner", "a@x.example", admin, apollo, "extra_invitation_text", "<uuid>")
		w.create("owner", "b@x.example", admin, apollo)
		names := func(query string) (all [][]string) {
			var rows []map[string]any
			w.request("GET", base+"?"+query, "owner", nil).is(http.StatusOK, "").into(&rows)
			for _, row := range rows {
				all = append(all, slices.Sorted(maps.Keys(row)))
			}
			return all
		}
		require.Equal(w.t, [][]string{{"email"}, {"email"}}, names("field=email"))
		require.Equal(w.t, [][]string{{"email", "uuid"}}, names("field=uuid&field=email&field=uuid&email=b@x"))
		require.Len(w.t, names("")[0], 27)
		require.Nil(w.t, names("field=email&email=nobody"))

		whole, cut := w.request("GET", base+"?o=email", "owner", nil), w.request("GET", base+"?o=email&field=extra_invitation_text", "owner", nil)
		var texts []map[string]string
		cut.into(&texts)
		require.Equal(w.t, []map[string]string{{"extra_invitation_text": "<uuid>"}, {"extra_invitation_text": ""}}, texts)
		require.Equal(w.t, whole.Header.Get("X-Result-Count"), cut.Header.Get("X-Result-Count"))
		require.Contains(w.t, cut.Header.Get("Link"), "field=extra_invitation_text")

		for _, bad := range []string{"field=x", "field=", "field=email&field=EMAIL", "field=email,uuid"} {
			require.Equal(w.t, []string{"field"}, w.request("GET", base+"?"+bad, "owner", nil).names())
		}
	})
}

// The count is that of the list, whatever is asked for and whoever asks.
func TestCount(t *testing.T) {
	inEachWorld(t, func(w *world) {
		everyState(w)
		w.create("rival", "other@x.example", admin, hydra)
		w.create("owner", "seller@x.example", seller, nodes)
		for _, user := range []string{"staff", "support", "owner", "reader", "manager", "member", "rival", "invitee", "stranger"} {
			for _, query := range []string{
				"", "email=states", "email_exact=pending@states.example", "state=pending", "state=expired&state=pending", "state=canceled",
				"scope_type=project", "scope_name=apollo", "role_name=PROJECT.ADMIN", "role_uuid=" + admin, "customer_uuid=" + acme,
				"scope=" + url.QueryEscape(scopeURL(apollo)), "scope_description=moon", "civil_number=1", "page=99", "page_size=x", "o=x",
			} {
				listed := query
				switch query {
				case "page=99", "page_size=x", "o=x": // of a list, and of no account for its length
					listed = ""
				}
				answer := w.request("HEAD", base+"?"+query, user, nil)
				require.Equal(w.t, http.StatusOK, answer.Status, query)
				require.Empty(w.t, answer.Header.Get("Link"))
				require.Equal(w.t, w.request("GET", base+"?"+listed, user, nil).Header.Get("X-Result-Count"),
					answer.Header.Get("X-Result-Count"), "%s: %s", user, query)
			}
		}
		require.Equal(w.t, "9", w.request("HEAD", base, "staff", nil).Header.Get("X-Result-Count"))
		require.Equal(w.t, http.StatusUnauthorized, w.request("HEAD", base, "", nil).Status)
		require.Equal(w.t, http.StatusUnauthorized, w.request("HEAD", base, "inactive", nil).Status)
		for _, bad := range []string{"state=x", "role_uuid=x", "scope=x", "email=a&email=b", "email=%00"} {
			require.Equal(w.t, http.StatusBadRequest, w.request("HEAD", base+"?"+bad, "staff", nil).Status, bad)
		}
	}, onlyStaff)
}

func TestScopeFilter(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for i, scope := range []string{apollo, apollo, artemis, acme} {
			role := admin
			if scope == acme {
				role = reader
			}
			w.create("owner", fmt.Sprintf("%d@x.example", i), role, scope)
		}
		count := func(user, address string) int {
			number, err := strconv.Atoi(w.request("GET", base+"?scope="+url.QueryEscape(address), user, nil).is(http.StatusOK, "").
				Header.Get("X-Result-Count"))
			require.NoError(w.t, err)
			return number
		}
		require.Equal(w.t, 2, count("owner", scopeURL(apollo)))
		require.Equal(w.t, 1, count("owner", scopeURL(artemis)))
		require.Equal(w.t, 1, count("owner", "/api/customers/"+acme+"/"), "the customer's own, not its projects'")
		require.Zero(w.t, count("owner", "https://x/api/customers/"+apollo+"/"), "a project is no customer")
		require.Zero(w.t, count("owner", scopeURL(hydra)))
		require.Zero(w.t, count("rival", scopeURL(apollo)))
		require.Zero(w.t, count("owner", "/api/projects/"+admin+"/"), "there is no such project")
		for _, bad := range []string{"x", apollo, "/api/users/" + apollo + "/", "/api/projects/x/", "ftp://x/api/projects/" + apollo + "/"} {
			w.request("GET", base+"?scope="+url.QueryEscape(bad), "owner", nil).
				is(http.StatusBadRequest, `{"scope": ["This is not the URL of a scope."]}`)
		}
		require.Equal(w.t, []string{"scope"}, w.request("GET", base+"?scope=", "owner", nil).names())
	})
}
