package api_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

// oddScopes have names and descriptions with the characters of patterns, and with letters beyond ASCII.
const oddScopes = `
customers:
  - name: Initech
    uuid: 10000000-0000-4000-8000-000000000009
    description: 'Étude de cas'
    projects:
      - {name: '50%_off \ sale', uuid: 20000000-0000-4000-8000-000000000091, description: 'a\b'}
      - {name: '50 percent off', uuid: 20000000-0000-4000-8000-000000000092, description: 'ab'}
      - {name: 'ÉTÉ', uuid: 20000000-0000-4000-8000-000000000093, description: 'Ünï'}
      - {name: "\u212Aelvin", uuid: 20000000-0000-4000-8000-000000000094, description: "tem\u212A"}
`

const (
	initech = "10000000-0000-4000-8000-000000000009"
	sale    = "20000000-0000-4000-8000-000000000091"
	percent = "20000000-0000-4000-8000-000000000092"
	summer  = "20000000-0000-4000-8000-000000000093"
	kelvin  = "20000000-0000-4000-8000-000000000094"
)

// createForFilters creates the invitations that the tests of filters look for.
func createForFilters(e *env) {
	e.t.Helper()
	e.apply(oddScopes)
	for _, each := range []struct{ email, role, scope, civil string }{
		{"Anna.Berg@alpha.example", admin, apollo, "1234"},
		{"bob@BETA.example", member, apollo, "12345"},
		{"under_score@x.example", admin, hydra, "a"},
		{"underXscore@x.example", member, hydra, "A"},
		{"per%cent@x.example", admin, artemis, ""},
		{"per--cent@x.example", admin, artemis, ""},
		{"eve@École.example", owner, acme, ""},
		{"kim@kelvin.example", reader, acme, ""},
		{"off@x.example", admin, sale, ""},
		{"percent@x.example", admin, percent, ""},
		{"summer@x.example", admin, summer, ""},
		{"temp@x.example", admin, kelvin, ""},
		{"gpu@x.example", seller, nodes, ""},
	} {
		body := draft(each.email, each.role, apollo, "civil_number", each.civil)
		segment := scopeSegments[each.scope]
		if segment == "" {
			segment = "projects"
		}
		body["scope"] = "https://anywhere.example/api/" + segment + "/" + each.scope + "/"
		e.request("POST", base, "staff", body).is(http.StatusCreated, "")
	}
}

func TestFilters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		createForFilters(e)
		all := e.emails("staff", "page_size=300")
		require.Len(e.t, all, 13)
		undashed := func(id string) string { return strings.ReplaceAll(id, "-", "") }
		for _, each := range []struct {
			query    url.Values
			expected []string
		}{
			{url.Values{"civil_number": {"1234"}}, []string{"Anna.Berg@alpha.example"}},
			{url.Values{"civil_number": {"a"}}, []string{"under_score@x.example"}},
			{url.Values{"civil_number": {"123"}}, nil},
			{url.Values{"civil_number": {"%"}}, nil},

			{url.Values{"customer_uuid": {acme}}, []string{
				"Anna.Berg@alpha.example", "bob@BETA.example", "per%cent@x.example", "per--cent@x.example",
				"eve@École.example", "kim@kelvin.example", "gpu@x.example",
			}},
			{url.Values{"customer_uuid": {undashed(globex)}}, []string{"under_score@x.example", "underXscore@x.example"}},
			{url.Values{"customer_uuid": {strings.ToUpper(initech)}}, []string{
				"off@x.example", "percent@x.example", "summer@x.example", "temp@x.example",
			}},
			{url.Values{"customer_uuid": {apollo}}, nil},

			{url.Values{"email": {"berg"}}, []string{"Anna.Berg@alpha.example"}},
			{url.Values{"email": {"BOB@beta"}}, []string{"bob@BETA.example"}},
			{url.Values{"email": {"r_s"}}, []string{"under_score@x.example"}},
			{url.Values{"email": {"r%c"}}, []string{"per%cent@x.example"}},
			{url.Values{"email": {"%"}}, []string{"per%cent@x.example"}},
			{url.Values{"email": {`r\_s`}}, nil},
			{url.Values{"email": {`\`}}, nil},
			{url.Values{"email": {"a.*b"}}, nil},
			{url.Values{"email": {"ÉCOLE"}}, []string{"eve@École.example"}},
			{url.Values{"email": {"école"}}, []string{"eve@École.example"}},
			{url.Values{"email": {"ecole"}}, nil},
			{url.Values{"email": {"\u212Aim"}}, nil},
			{url.Values{"email": {"kim@\u212Aelvin"}}, nil},
			{url.Values{"email": {"KIM@Kelvin"}}, []string{"kim@kelvin.example"}},
			{url.Values{"email": {"' OR 1=1 --"}}, nil},

			{url.Values{"email_exact": {"anna.berg@ALPHA.example"}}, []string{"Anna.Berg@alpha.example"}},
			{url.Values{"email_exact": {"anna.berg"}}, nil},
			{url.Values{"email_exact": {"under%"}}, nil},
			{url.Values{"email_exact": {"EVE@ÉCOLE.EXAMPLE"}}, []string{"eve@École.example"}},
			{url.Values{"email_exact": {"\u212Aim@kelvin.example"}}, nil},

			{url.Values{"role_name": {"PROJECT.MEMBER"}}, []string{"bob@BETA.example", "underXscore@x.example"}},
			{url.Values{"role_name": {"project.member"}}, nil},
			{url.Values{"role_name": {"PROJECT.MEMBE_"}}, nil},
			{url.Values{"role_name": {"PROJECT"}}, nil},
			{url.Values{"role_uuid": {reader}}, []string{"kim@kelvin.example"}},
			{url.Values{"role_uuid": {undashed(reader)}}, []string{"kim@kelvin.example"}},
			{url.Values{"role_uuid": {retired}}, nil},

			{url.Values{"scope_name": {"poll"}}, []string{"Anna.Berg@alpha.example", "bob@BETA.example"}},
			{url.Values{"scope_name": {"HYDRA"}}, []string{"under_score@x.example", "underXscore@x.example"}},
			{url.Values{"scope_name": {"50%_OFF"}}, []string{"off@x.example"}},
			{url.Values{"scope_name": {"50%off"}}, nil},
			{url.Values{"scope_name": {"50_percent"}}, nil},
			{url.Values{"scope_name": {`\ SALE`}}, []string{"off@x.example"}},
			{url.Values{"scope_name": {`\`}}, []string{"off@x.example"}},
			{url.Values{"scope_name": {"été"}}, []string{"summer@x.example"}},
			{url.Values{"scope_name": {"éTé"}}, []string{"summer@x.example"}},
			{url.Values{"scope_name": {"kelvin"}}, nil},
			{url.Values{"scope_name": {"\u212Aelvin"}}, []string{"temp@x.example"}},
			{url.Values{"scope_name": {"\u212AELVIN"}}, []string{"temp@x.example"}},

			{url.Values{"scope_description": {"TO THE moon"}}, []string{
				"Anna.Berg@alpha.example", "bob@BETA.example", "per%cent@x.example", "per--cent@x.example",
			}},
			{url.Values{"scope_description": {`A\B`}}, []string{"off@x.example"}},
			{url.Values{"scope_description": {"ÜNÏ"}}, []string{"summer@x.example"}},
			{url.Values{"scope_description": {"temk"}}, nil},
			{url.Values{"scope_description": {"_"}}, nil}, // the description of Globex has it, the one of its project does not

			{url.Values{"scope_type": {"customer"}}, []string{"eve@École.example", "kim@kelvin.example"}},
			{url.Values{"scope_type": {"offering"}}, []string{"gpu@x.example"}},
			{url.Values{"scope_type": {"proposal"}}, nil},
			{url.Values{"scope_type": {"Customer"}}, nil},
			{url.Values{"scope_type": {"resource"}}, nil},
			{url.Values{"scope_type": {"%"}}, nil},

			// Filters combine with AND.
			{url.Values{"email": {"x.example"}, "role_uuid": {member}}, []string{"underXscore@x.example"}},
			{url.Values{"email": {"x.example"}, "scope_type": {"offering"}, "customer_uuid": {globex}}, nil},
			{url.Values{"scope_description": {"moon"}, "state": {"project"}, "email": {"%"}}, []string{"per%cent@x.example"}},
			{url.Values{"civil_number": {"1234"}, "role_name": {"PROJECT.MEMBER"}}, nil},
			{url.Values{
				"civil_number": {"1234"}, "customer_uuid": {acme}, "email": {"anna"},
				"email_exact": {"ANNA.BERG@ALPHA.EXAMPLE"}, "role_name": {"PROJECT.ADMIN"}, "role_uuid": {admin},
				"scope_name": {"apollo"}, "scope_description": {"MOON"}, "scope_type": {"project"},
				"state": {"pending", "expired"},
			}, []string{"Anna.Berg@alpha.example"}},

			// Empty and unknown filters are ignored.
			{url.Values{
				"email": {""}, "email_exact": {""}, "role_name": {""}, "scope_name": {""}, "civil_number": {""},
				"scope_description": {""}, "scope_type": {""},
			}, all},
			{url.Values{"email": {" "}}, all},
			{url.Values{"nonsense": {"x"}, "EMAIL": {"nobody"}, "e": {""}}, all},
			// The value of a filter is trimmed.
			{url.Values{"email": {" berg "}}, []string{"Anna.Berg@alpha.example"}},
		} {
			e.run(each.query.Encode(), func(e *env) {
				encoded := each.query.Encode()
				each.query.Set("page_size", "300")
				_, answer := e.list("staff", each.query.Encode())
				require.ElementsMatch(e.t, append([]string{}, each.expected...), e.emails("staff", each.query.Encode()), encoded)
				require.Equal(e.t, strconv.Itoa(len(each.expected)), answer.Header.Get("X-Result-Count"))
			})
		}
	})
}

func TestFiltersKeepVisibility(t *testing.T) {
	onEachEngine(t, func(e *env) {
		createForFilters(e)
		require.Empty(e.t, e.emails("rival", encodeQuery("customer_uuid", acme)))
		require.Empty(e.t, e.emails("rival", encodeQuery("email_exact", "bob@beta.example")))
		require.Empty(e.t, e.emails("stranger", encodeQuery("state", "pending")+"&state=expired"))
		require.Len(e.t, e.emails("rival", encodeQuery("email", "x.example")), 2)
	})
}

// Filters by the delivery and by the end are the fields of the same names.
func TestDeliveryAndExpiryFilters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		all := oneInEachState(e) // expired is older than the others by a lifetime; the project of project starts later
		require.NoError(e.t, e.db.Invitations().Change(e.context(), func(tx invitation.Tx) ([]invitation.Change, error) {
			failed, err := tx.Find(all["pending"])
			before := failed
			failed.ExecutionState = invitation.Erred
			return []invitation.Change{{Before: &before, After: &failed}}, err
		}))
		now := e.clock.Now()
		at := func(after time.Duration) string {
			return encodeQuery("expires_before", now.Add(after).Format(time.RFC3339Nano))
		}
		others := []string{"accepted", "canceled", "expired", "pending", "rejected", "requested"}
		for _, each := range []struct {
			query    string
			expected []string
		}{
			{"execution_state=Erred", []string{"pending"}},
			{"execution_state=Erred&state=expired", nil},
			{"execution_state=Erred&execution_state=Scheduled", append([]string{"project"}, others...)},
			{"execution_state=OK", nil},
			{at(0), nil},
			{at(time.Microsecond), []string{"expired"}},
			{at(lifetime), []string{"expired"}},
			{at(lifetime + time.Microsecond), others},
			{at(lifetime+time.Microsecond) + "&state=pending&state=project", []string{"pending"}},
			{encodeQuery("expires_before", "9999-12-31T23:59:59Z"), append([]string{"project"}, others...)},
			{encodeQuery("expires_before", "9999-12-31T23:59:59-23:59"), append([]string{"project"}, others...)},
			{encodeQuery("expires_before", "0000-01-01T00:00:00Z"), nil},
			{encodeQuery("expires_before", "0001-01-01T00:00:00Z"), nil},
			{encodeQuery("expires_before", "0001-01-08T00:00:00Z"), nil},
			{encodeQuery("expires_before", now.Add(time.Microsecond).In(time.FixedZone("", 7200)).Format(time.RFC3339Nano)), []string{"expired"}},
		} {
			expected := []string{}
			for _, state := range each.expected {
				expected = append(expected, state+"@states.example")
			}
			require.ElementsMatch(e.t, expected, e.emails("staff", each.query), each.query)
			counted := e.request("HEAD", base+"?"+each.query, "staff", nil).is(http.StatusOK, "")
			require.Equal(e.t, strconv.Itoa(len(expected)), counted.Header.Get("X-Result-Count"), each.query)
		}
		for _, query := range []string{
			"execution_state=erred", "execution_state=OK,erred", "expires_before=tomorrow",
			"expires_before=2026-11-23", "expires_before=2026-02-30T00:00:00Z",
		} {
			e.request("GET", base+"?"+query, "staff", nil).is(http.StatusBadRequest, "")
		}
	}, onlyStaff)
}

func TestStateFilter(t *testing.T) {
	onEachEngine(t, func(e *env) {
		oneInEachState(e)
		for _, each := range []struct {
			query    string
			expected []string
		}{
			{"state=pending", []string{"pending"}},
			{"state=project", []string{"project"}},
			{"state=requested", []string{"requested"}},
			{"state=rejected", []string{"rejected"}},
			{"state=accepted", []string{"accepted"}},
			{"state=canceled", []string{"canceled"}},
			{"state=expired", []string{"expired"}}, // its row still says pending
			{"state=pending&state=expired", []string{"pending", "expired"}},
			{"state=project&state=accepted&state=project", []string{"project", "accepted"}},
			{"state=canceled&state=expired&state=rejected", []string{"canceled", "expired", "rejected"}},
			{
				"state=project&state=requested&state=rejected&state=pending&state=accepted&state=canceled&state=expired",
				[]string{"project", "requested", "rejected", "pending", "accepted", "canceled", "expired"},
			},
		} {
			e.run(each.query, func(e *env) {
				rows, _ := e.list("staff", each.query)
				states := make([]string, 0, len(rows))
				for _, row := range rows {
					states = append(states, string(row.State))
				}
				require.ElementsMatch(e.t, each.expected, states)
			})
		}
	}, onlyStaff)
}

func TestInvalidParametersAreNamed(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, each := range []struct{ query, name string }{
			{"state=nonsense", "state"},
			{"state=Pending", "state"},
			{"state=pending,nonsense", "state"},
			{"state[]=nonsense", "state"},
			{"state=" + strings.Repeat("pending,", 500), "state"},
			{"email[]=x", "email[]"},
			{"nonsense[]=x", "nonsense[]"},
			{"state[x]=pending", "state[x]"},
			{"state[0][]=pending", "state[0][]"},
			{"state=pending&state=nonsense", "state"},
			{"o=nonsense", "o"},
			{"o=created,nonsense", "o"},
			{"o=--created", "o"},
			{"o=uuid", "o"},
			{"o=created%3Bdrop", "o"},
			{"customer_uuid=nonsense", "customer_uuid"},
			{"customer_uuid=%7B" + acme + "%7D", "customer_uuid"},
			{"role_uuid=1", "role_uuid"},
			{"role_uuid=urn:uuid:" + admin, "role_uuid"},
			{"page_size=0", "page_size"},
			{"page_size=-1", "page_size"},
			{"page_size=ten", "page_size"},
			{"page_size=1.5", "page_size"},
			{"page_size=1e1", "page_size"},
			{"email=%FF", "email"},
			{"email=%00", "email"},
			{"scope_name=a%00b", "scope_name"},
		} {
			e.run(each.query, func(e *env) {
				answer := e.request("GET", base+"?"+each.query, "staff", nil)
				require.Equal(e.t, []string{each.name}, answer.invalidFields(), answer.Body)
			})
		}
		require.ElementsMatch(e.t, []string{"state", "role_uuid", "page_size"},
			e.request("GET", base+"?state=x&role_uuid=x&page_size=x", "staff", nil).invalidFields())
	})
}

// An empty parameter is one that is not there.
func TestEmptyParameters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		createForFilters(e)
		all := e.emails("staff", "page_size=300")
		for _, name := range []string{
			"civil_number", "email", "email_exact", "role_name", "scope_description", "scope_name", "scope_type", "scope",
			"customer_uuid", "role_uuid", "state", "state[]", "o", "field", "page",
		} {
			e.run(name, func(e *env) {
				require.Equal(e.t, all, e.emails("staff", "page_size=300&"+name+"="))
			})
		}
		require.Len(e.t, e.emails("staff", "page_size="), min(10, len(all)))
	})
}
