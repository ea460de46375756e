package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

func TestCreateReturnsInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		answer := e.request("POST", base, "owner", draft("Anna@Alpha.example", admin, apollo,
			"full_name", "Anna Berg", "native_name", "Åsa", "phone_number", "+372 555", "organization", "Alpha",
			"job_title", "Head", "civil_number", "1234", "extra_invitation_text", "Hi!\nCome."))
		id := answer.invitation().UUID.String()
		answer.is(http.StatusCreated, `{
			"uuid": "`+id+`", "url": "https://api.example/api/user-invitations/`+id+`/",
			"scope_uuid": "`+apollo+`", "scope_name": "Apollo", "scope_description": "To the moon",
			"scope_type": "project", "customer_uuid": "`+acme+`", "customer_name": "Acme",
			"role": "`+admin+`", "role_name": "PROJECT.ADMIN", "role_description": "System administrator",
			"created_by_full_name": "Olivia Owner", "created_by_username": "owner",
			"created_by_image": "https://example.com/olivia.png",
			"created": "2026-11-23T09:30:00.000000Z", "expires": "2026-11-30T09:30:00.000000Z",
			"email": "Anna@Alpha.example", "full_name": "Anna Berg", "native_name": "Åsa",
			"phone_number": "+372 555", "organization": "Alpha", "job_title": "Head", "civil_number": "1234",
			"extra_invitation_text": "Hi!\nCome.",
			"state": "pending", "execution_state": "Scheduled", "error_message": "",
			"declined_at": null, "decline_reason": "", "membership_expires": null}`)
		require.Equal(e.t, "https://api.example/api/user-invitations/"+id+"/", answer.Header.Get("Location"))
		e.request("GET", at(id), "owner", nil).is(http.StatusOK, answer.Body)
		e.request("GET", at(strings.ReplaceAll(id, "-", "")), "owner", nil).is(http.StatusOK, answer.Body)
		e.request("GET", at(strings.ToUpper(id)), "owner", nil).is(http.StatusOK, answer.Body)
		e.request("GET", base, "owner", nil).is(http.StatusOK, "["+answer.Body+"]")
	})
}

func TestCreateInEveryScopeType(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, each := range []struct{ scope, role, kind, customer string }{
			{acme, owner, "customer", acme},
			{apollo, admin, "project", acme},
			{nodes, seller, "offering", acme},
			{call, reviewer, "call", acme},
			{paper, author, "proposal", acme},
			{hydra, admin, "project", globex},
		} {
			made := e.create("staff", "anna@alpha.example", each.role, each.scope)
			require.Equal(e.t, each.kind, string(made.ScopeType))
			require.Equal(e.t, each.scope, made.ScopeUUID.String())
			require.Equal(e.t, each.customer, made.CustomerUUID.String())
		}
	})
}

func TestScopeURLForms(t *testing.T) {
	onEachEngine(t, func(e *env) {
		short := strings.ReplaceAll(apollo, "-", "")
		for i, address := range []string{
			"https://anywhere.example/api/projects/" + apollo + "/",
			"http://127.0.0.1:8080/api/projects/" + apollo + "/",
			"https://anywhere.example/deep/down/api/projects/" + apollo + "/",
			"https://anywhere.example/api/projects/" + short + "/",
			"https://anywhere.example/api/projects/" + strings.ToUpper(apollo) + "/",
			"  https://anywhere.example/api/projects/" + apollo + "/ ",
		} {
			body := draft(fmt.Sprintf("n%d@x.example", i), admin, apollo)
			body["scope"], body["role"] = address, strings.ReplaceAll(admin, "-", "")
			made := e.request("POST", base, "owner", body).is(http.StatusCreated, "").invitation()
			require.Equal(e.t, apollo, made.ScopeUUID.String())
			require.Equal(e.t, admin, made.Role.String())
		}
		for _, address := range []string{
			"nonsense", apollo,
			"https://anywhere.example/api/projects/" + apollo,
			"https://anywhere.example/api/projects/" + apollo + "/members/",
			"https://anywhere.example/api/projects/nonsense/",
			"https://anywhere.example/api/projects//",
			"https://anywhere.example/api/project/" + apollo + "/",
			"https://anywhere.example/projects/" + apollo + "/",
			"https://anywhere.example/xapi/projects/" + apollo + "/",
			"https://anywhere.example/?x=/api/projects/" + apollo + "/",
			"https://anywhere.example/api/customers/" + apollo + "/", // another type
			"https://anywhere.example/api/projects/" + acme + "/",    // another type
			"https://anywhere.example/api/projects/{" + apollo + "}/",
			"https://anywhere.example/api/projects/20000000-0000-4000-8000-0000000000ff/",
		} {
			body := draft("anna@alpha.example", admin, apollo)
			body["scope"] = address
			e.request("POST", base, "staff", body).is(http.StatusBadRequest, scopeError(address))
		}
	})
}

func TestCreateTrimsValues(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "  Anna@Alpha.example ", admin, apollo,
			"full_name", " Anna Berg ", "native_name", "  ", "phone_number", "\u00a0+372\u00a0", "organization", " A",
			"job_title", "B ", "civil_number", " 1234 ", "extra_invitation_text", "\n\n Hi \n there \n")
		seen := e.retrieve(made.UUID)
		require.Equal(e.t, made, seen)
		require.Equal(e.t, []string{"Anna@Alpha.example", "Anna Berg", "", "+372", "A", "B", "1234", "Hi \n there"},
			[]string{
				string(seen.Email), *seen.FullName, *seen.NativeName, *seen.PhoneNumber, *seen.Organization,
				*seen.JobTitle, *seen.CivilNumber, seen.ExtraInvitationText,
			})
		require.Len(e.t, e.emails("staff", "civil_number=+1234"), 1)
		require.Len(e.t, e.emails("staff", "email_exact=anna@alpha.example"), 1)
	})
}

func TestFieldLengths(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for name, limit := range map[string]int{
			"full_name": 100, "native_name": 100, "organization": 100, "job_title": 120, "civil_number": 50,
			"phone_number": 255, "extra_invitation_text": 2000,
		} {
			e.run(name, func(e *env) {
				for i, letter := range []string{"x", "é", "😀"} { // characters, not bytes
					email := fmt.Sprintf("%s%d@x.example", name, i)
					e.create("owner", email, admin, apollo, name, strings.Repeat(letter, limit))
					body := draft("z"+email, admin, apollo, name, strings.Repeat(letter, limit+1))
					e.request("POST", base, "owner", body).is(http.StatusBadRequest,
						fieldError(name, fmt.Sprintf("Ensure this field has no more than %d characters.", limit)))
				}
			})
		}
		// An address has 254 characters, at most 64 of them before the @.
		longest := strings.Repeat("x", 64) + "@" + strings.Repeat("y", 63) + "." + strings.Repeat("z", 63) + "."
		e.create("owner", longest+strings.Repeat("a", 61), admin, apollo)
		require.Equal(e.t, []string{"email"},
			e.request("POST", base, "owner", draft(longest+strings.Repeat("a", 62), admin, apollo)).invalidFields())
	})
}

func TestInvalidFieldsAreReportedTogether(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.request("POST", base, "owner", map[string]any{}).is(http.StatusBadRequest, toJSON(map[string][]string{
			"email": {msgRequired}, "role": {msgRequired}, "scope": {msgRequired},
		}))
		e.request("POST", base, "owner", nil).is(http.StatusBadRequest, toJSON(map[string][]string{
			"email": {msgRequired}, "role": {msgRequired}, "scope": {msgRequired},
		}))
		body := draft("nonsense", "nonsense", apollo,
			"full_name", strings.Repeat("x", 101), "job_title", "a\x00b", "extra_invitation_text", "a\x07b")
		body["civil_number"] = true
		body["phone_number"] = nil
		e.request("POST", base, "owner", body).is(http.StatusBadRequest, toJSON(map[string][]string{
			"email": {msgBadEmail}, "role": {"Object with uuid=nonsense does not exist."},
			"full_name":             {"Ensure this field has no more than 100 characters."},
			"job_title":             {"Control characters are not allowed."},
			"extra_invitation_text": {"Control characters are not allowed."},
			"civil_number":          {"Not a valid string."},
			"phone_number":          {"This field may not be null."},
		}))
	})
}

func TestInvalidEmails(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, email := range []string{
			"x", "x@", "@x.example", "x@y", "a b@x.example", "a@b@x.example", "a@x..example", ".a@x.example",
			"a.@x.example", "a@-x.example", "a@x.example.", "Anna <a@x.example>", "a@x.example,b@x.example",
			"a@x.example\nBcc: b@x.example", "a@[127.0.0.1]", `"a b"@x.example`, "é@x.example", "a@x_y.example",
			strings.Repeat("x", 65) + "@x.example",
		} {
			e.request("POST", base, "owner", draft(email, admin, apollo)).is(http.StatusBadRequest, fieldError("email", msgBadEmail))
		}
		for _, blank := range []string{"", " ", "\t "} {
			require.Equal(e.t, []string{"email"}, e.request("POST", base, "owner", draft(blank, admin, apollo)).invalidFields())
		}
	})
}

func TestCreateIgnoresReadOnlyFields(t *testing.T) {
	onEachEngine(t, func(e *env) {
		plain := e.create("owner", "a@x.example", admin, apollo)
		body := draft("b@x.example", admin, apollo)
		for name, value := range map[string]any{
			"uuid": plain.UUID, "url": 1, "state": "accepted", "created": "2020-01-01T00:00:00Z", "expires": nil,
			"execution_state": "OK", "error_message": []string{"x"}, "created_by_username": "staff",
			"created_by_full_name": "x", "created_by_image": "x", "scope_uuid": hydra, "scope_name": "x",
			"scope_type": "x", "customer_uuid": globex, "customer_name": "x", "role_name": "x",
			"role_description": "x", "delivery": 7, "email_folded": "c@x.example", "unknown": map[string]any{"a": 1},
		} {
			body[name] = value
		}
		made := e.request("POST", base, "owner", body).is(http.StatusCreated, "").invitation()
		require.NotEqual(e.t, plain.UUID, made.UUID)
		made.UUID, made.URL, made.Email = plain.UUID, plain.URL, plain.Email
		require.Equal(e.t, plain, made)
	})
}

func TestFieldNamesAreCaseSensitive(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, each := range []string{
			`{%s, "Email": "evil@x.example"}`, `{"EMAIL": "evil@x.example", %s}`, `{%s, "eMail": "no address"}`,
			`{%s, "Email": 7}`, `{%s, "Full_Name": "Evil"}`, `{%s, "FULL_NAME": ["x"]}`, `{%s, "ROLE": "` + retired + `"}`,
			`{%s, "Scope": "https://anywhere.example/api/projects/` + hydra + `/"}`, `{%s, "fullname": "x", "FullName": "x"}`,
		} {
			e.run(each, func(e *env) {
				good := strings.Trim(toJSON(draft("good@x.example", admin, apollo)), "{}\n")
				made := e.request("POST", base, "owner", fmt.Sprintf(each, good)).is(http.StatusCreated, "").invitation()
				e.do("staff", made.UUID, "cancel").is(http.StatusOK, "")
				require.Equal(e.t, []string{"good@x.example", "", admin, apollo},
					[]string{string(made.Email), *made.FullName, made.Role.String(), made.ScopeUUID.String()})
			})
		}
		body := draft("", admin, apollo, "Email", "good@x.example")
		delete(body, "email")
		e.request("POST", base, "owner", body).is(http.StatusBadRequest, fieldError("email", msgRequired))
	})
}

func TestAllowedFields(t *testing.T) {
	onEachEngine(t, func(e *env) {
		body := draft("a@x.example", admin, apollo, "full_name", "A", "native_name", "B", "phone_number", "C",
			"organization", "D", "job_title", "E", "civil_number", "F", "extra_invitation_text", "G")
		answer := e.request("POST", base, "owner", body).is(http.StatusCreated, "")
		for _, path := range []string{"", at(answer.invitation().UUID.String())} {
			if path != "" {
				answer = e.request("GET", path, "owner", nil)
			}
			var seen map[string]any
			answer.decode(&seen)
			require.Equal(e.t, []any{"A", "E", "G"}, []any{seen["full_name"], seen["job_title"], seen["extra_invitation_text"]})
			for _, name := range []string{"native_name", "phone_number", "organization", "civil_number"} {
				require.NotContains(e.t, seen, name)
			}
		}
		// A civil number that was ignored restricts nobody.
		e.do("stranger", answer.invitation().UUID, "check").is(http.StatusOK, `{"email": "a@x.example"}`)
		e.do("stranger", answer.invitation().UUID, "accept").is(http.StatusOK, "")
	}, func(p *invitation.Policy) { p.AllowedFields = []string{"full_name", "job_title"} })
}

func TestCreateState(t *testing.T) {
	onEachEngine(t, func(e *env) {
		started := e.create("owner", "a@x.example", admin, apollo)
		require.Equal(e.t, "pending", string(started.State))
		require.Equal(e.t, []invitation.Deliver{{Invitation: started.UUID, Delivery: e.deliveryJobs(started.UUID)[0].Delivery}},
			e.deliveryJobs(started.UUID))

		planned := e.create("owner", "a@x.example", admin, artemis)
		require.Equal(e.t, "project", string(planned.State))
		require.Equal(e.t, "2026-12-31T00:00:00.000000Z", planned.Expires)
		require.Empty(e.t, e.deliveryJobs(planned.UUID))

		// The project has started.
		e.setClock(e.parseTime("2026-12-24T00:00:00.000000Z"))
		require.Equal(e.t, "pending", string(e.create("owner", "b@x.example", admin, artemis).State))
		require.Equal(e.t, 2, e.countJobs("deliver_invitation"))
		require.Zero(e.t, e.countJobs("notify_user"))
	})
}

func TestCreateJustBeforeProjectStart(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.setClock(e.parseTime("2026-12-23T23:59:59.999999Z"))
		require.Equal(e.t, "project", string(e.create("owner", "b@x.example", admin, artemis).State))
	})
}

func TestCreateAsksStaffForApproval(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(`users:
  - {username: mute, is_staff: true}
  - {username: third, email: third@example.com, is_staff: true}
`)
		for _, scope := range []string{apollo, artemis} {
			e.run(scopeSegments[scope]+scope, func(e *env) {
				asked := e.create("owner", "a@x.example", admin, scope)
				require.Equal(e.t, "requested", string(asked.State))
				require.Empty(e.t, e.deliveryJobs(asked.UUID))
				require.ElementsMatch(e.t, []invitation.Notify{
					{Notice: invitation.NoticeRequested, Invitation: asked.UUID, User: e.userID("staff"), Gathered: true},
					{Notice: invitation.NoticeRequested, Invitation: asked.UUID, User: e.userID("third"), Gathered: true},
				}, e.noticeJobs(asked.UUID))
			})
		}
		made := e.create("staff", "b@x.example", admin, apollo)
		require.Equal(e.t, "pending", string(made.State))
		require.Len(e.t, e.deliveryJobs(made.UUID), 1)
		require.Empty(e.t, e.noticeJobs(made.UUID))
		require.Equal(e.t, "project", string(e.create("staff", "b@x.example", admin, artemis).State))
	}, onlyStaff)
}

func TestRejectedCreateAddsNoJob(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.create("owner", "a@x.example", admin, apollo)
		e.request("POST", base, "owner", draft("A@x.example", admin, apollo)).is(http.StatusBadRequest, fieldError("email", msgDuplicate))
		e.request("POST", base, "manager", draft("b@x.example", owner, acme)).is(http.StatusNotFound, notFound)
		e.request("POST", base, "owner", draft("b@y.example", admin, strict)).is(http.StatusBadRequest, fieldError("email", msgPatterns))
		require.Equal(e.t, 1, e.countJobs("deliver_invitation"))
		require.Len(e.t, e.emails("staff", ""), 1)
	})
}
