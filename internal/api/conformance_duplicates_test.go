package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
)

// pairs is the body of a check for duplicates: e-mails and roles in turn.
func pairs(scope string, each ...string) map[string]any {
	invitations := []map[string]string{}
	for i := 0; i+1 < len(each); i += 2 {
		invitations = append(invitations, map[string]string{"email": each[i], "role": each[i+1]})
	}
	return map[string]any{"scope": scopeURL(scope), "invitations": invitations}
}

// duplicates are what a check finds, a line each: e-mail, role and the invitation, where there is one.
func (w *world) duplicates(user string, body any) []string {
	w.t.Helper()
	var found server.InvitationDuplicateCheckResponse
	w.request("POST", base+"check-duplicates/", user, body).is(http.StatusOK, "").into(&found)
	all := []string{}
	for _, each := range found.Duplicates {
		line := each.Email + " " + each.Role.String()
		if each.ExistingInvitationUUID != nil {
			line += " " + each.ExistingInvitationUUID.String()
		}
		all = append(all, line)
	}
	return all
}

// What is open stands in the way, what is not does not, whatever the row says.
func TestDuplicatesOfEachState(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for state, id := range everyState(w) {
			scope := apollo
			if state == "project" {
				scope = artemis
			}
			want := []string{}
			if state == "pending" || state == "project" || state == "requested" {
				want = append(want, strings.ToUpper(state)+"@States.example "+admin+" "+id.String())
			}
			email := strings.ToUpper(state) + "@States.example"
			require.Equal(w.t, want, w.duplicates("owner", pairs(scope, email, admin)), state)
			require.Empty(w.t, w.duplicates("owner", pairs(scope, email, manager)), "another role")
			require.Empty(w.t, w.duplicates("owner", pairs(strict, email, admin)), "another scope")
		}
	}, onlyStaff)
}

func TestDuplicatesAreNamedOnceInTheOrderGiven(t *testing.T) {
	inEachWorld(t, func(w *world) {
		z, a := w.create("owner", "Z@x.example", admin, apollo), w.create("owner", "a@x.example", admin, apollo)
		for i := range 20 {
			w.create("owner", fmt.Sprintf("other%d@x.example", i), admin, apollo)
		}
		require.Equal(w.t, []string{
			"z@X.example " + admin + " " + z.UUID.String(),
			"Twice@x.example " + admin,
			"a@x.example " + admin + " " + a.UUID.String(),
			"twice@x.example " + manager,
		}, w.duplicates("manager", pairs(apollo,
			"z@X.example", admin, "new@x.example", admin, "Twice@x.example", admin, " a@x.example\t", admin, "a@x.example", manager,
			"TWICE@x.example", admin, "twice@x.example", manager, "twice@x.example", manager, "twice@x.example", manager,
			"Z@x.example", admin, "z@x.example", strings.ReplaceAll(admin, "-", ""))))
		require.Equal(w.t, []string{}, w.duplicates("owner", pairs(apollo)))
		require.Empty(w.t, w.duplicates("owner", pairs(apollo, "a@x.example", uuid.NewString())), "there is no such role")
	})
}

func TestDuplicatesAreForWhoManages(t *testing.T) {
	inEachWorld(t, func(w *world) {
		path, body := base+"check-duplicates/", pairs(apollo, "a@x.example", admin)
		made := w.create("owner", "a@x.example", admin, apollo)
		for _, user := range []string{"rival", "stranger"} { // can't see it
			w.request("POST", path, user, body).is(http.StatusBadRequest, noScope(scopeURL(apollo)))
		}
		for _, user := range []string{"reader", "member", "support"} {
			w.request("POST", path, user, body).is(http.StatusNotFound, notFound)
		}
		for _, user := range []string{"staff", "owner", "manager"} {
			require.Equal(w.t, []string{"a@x.example " + admin + " " + made.UUID.String()}, w.duplicates(user, body))
		}
		w.request("POST", path, "staff", pairs(dropped, "a@x.example", admin)).is(http.StatusBadRequest, noScope(scopeURL(dropped)))
		body["scope"] = "nonsense"
		w.request("POST", path, "staff", body).is(http.StatusBadRequest, noScope("nonsense"))
	})
}

func TestDuplicatesHaveALimit(t *testing.T) {
	inEachWorld(t, func(w *world) {
		w.fill(1000)
		many := func(n int) map[string]any {
			var each []string
			for i := range n {
				each = append(each, fmt.Sprintf("n%03d@fill.example", n-i-1), admin)
			}
			return pairs(apollo, each...)
		}
		require.Len(w.t, w.duplicates("owner", many(1000)), 1000)
		tooMany := field("invitations", "Ensure this field has no more than 1000 elements.")
		w.request("POST", base+"check-duplicates/", "owner", many(1001)).is(http.StatusBadRequest, tooMany)
		// Nothing is said of each of many that are wrong, nor looked at.
		w.request("POST", base+"check-duplicates/", "owner", `{"scope": 5, "invitations": [`+strings.Repeat("{},", 300_000)+`{}]}`).
			is(http.StatusBadRequest, tooMany)
		wrong := w.request("POST", base+"check-duplicates/", "owner",
			`{"scope": "x", "invitations": [`+strings.Repeat("{},", 999)+`{}]}`)
		require.Equal(w.t, []string{"invitations"}, wrong.names())
		var said map[string][]string
		wrong.into(&said)
		require.Len(w.t, said["invitations"], 2000)
	})
}

func TestDuplicatesSayWhichItemsAreWrong(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for body, want := range map[string]string{
			`{}`: `{"scope": ["This field is required."], "invitations": ["This field is required."]}`,
			`{"scope": "", "invitations": null}`: `{"scope": ["This field may not be blank."],
				"invitations": ["This field may not be null."]}`,
			`{"scope": "x", "invitations": {}}`: `{"invitations": ["This value is not valid."]}`,
			`{"scope": "x", "invitations": [{"email": "a@x.example", "role": "` + admin + `"}, {"email": " ", "role": "x"}, 5, null,
				{"EMAIL": "a@x.example", "role": null}]}`: `{"invitations": ["Item 2, email: This field may not be blank.",
				"Item 2, role: Must be a valid UUID.", "Item 3: Invalid data. Expected a dictionary.", "Item 4: This field may not be null.",
				"Item 5, role: This field may not be null.", "Item 5, email: This field is required."]}`,
		} {
			w.request("POST", base+"check-duplicates/", "owner", body).is(http.StatusBadRequest, want)
		}
		good, err := json.Marshal(pairs(apollo, "a@x.example", admin))
		require.NoError(w.t, err)
		odd := strings.Replace(string(good), `{"email"`, `{"EMAIL": 5, "Role": [], "more": {"token": " "}, "email"`, 1)
		require.NotEqual(w.t, string(good), odd)
		require.Empty(w.t, w.duplicates("owner", odd))
		w.request("POST", base+"check-duplicates/", "owner", nil).is(http.StatusBadRequest, "")
	})
}
