package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// blanks has what no text has at its ends.
const blanks = " \t\r\n\u00a0\u2003\u2028\u3000\u200b\u2060\ufeff"

// Every text loses white space of any kind, line ends and invisible characters at its ends, before anything is checked.
func TestTextsAreTrimmed(t *testing.T) {
	onEachEngine(t, func(e *env) {
		body := draft(blanks+"tail@x.example"+blanks, blanks+admin+blanks, apollo)
		body["scope"] = blanks + scopeURL(apollo) + blanks
		for field := range singleLineFields {
			body[field] = blanks + "4711" + blanks
		}
		body["extra_invitation_text"] = blanks + "one\ntwo" + blanks
		made := e.request("POST", base, "owner", body).is(http.StatusCreated, "").invitation()
		require.Equal(e.t, "tail@x.example", made.Email)
		for _, value := range []*string{made.FullName, made.NativeName, made.PhoneNumber, made.Organization, made.JobTitle, made.CivilNumber} {
			require.Equal(e.t, "4711", *value)
		}
		require.Equal(e.t, "one\ntwo", made.ExtraInvitationText)
		require.Equal(e.t, []string{"tail@x.example"}, e.emails("owner", encodeQuery("civil_number", blanks+"4711\n")))
		require.Equal(e.t, []string{"tail@x.example"}, e.emails("owner", encodeQuery("email_exact", "tail@x.example\u200b")+"&"+encodeQuery("state", " pending")))
		edited := e.edit("owner", made.UUID, "email", "\ufefffront@x.example\u2028").is(http.StatusOK, "").invitation()
		require.Equal(e.t, "front@x.example", edited.Email)
	})
}

// An account and an invitation agree on a civil number that was pasted with invisible characters, on either side.
func TestCivilNumbersAgree(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(`users: [{username: stranger, civil_number: "\u200b38001085718\u2060"}]`)
		made := e.create("owner", "a@x.example", admin, apollo, "civil_number", "38001085718\u200b")
		e.do("stranger", made.UUID, "accept").is(http.StatusOK, acceptedBody)
	})
}

// Fields that identify somebody refuse what nobody sees, together with all other bad fields.
func TestIdentifyingFieldsRefuseBlanks(t *testing.T) {
	onEachEngine(t, func(e *env) {
		defer e.expectNoChange()()
		const message = "This field may not contain white space or invisible characters."
		for _, inside := range []string{" ", "\u00a0", "\u200b", "\u2060", "\ufeff", "\u2028", "\u00ad", "\u034f", "\u200d", "\u3164", "\ufe0f", "\U000e0041"} {
			body := draft("new@example.org", admin, apollo)
			body["civil_number"] = "12" + inside + "34"
			e.request("POST", base, "owner", body).is(http.StatusBadRequest, fieldError("civil_number", message))
			body["email"] = "new@exam" + inside + "ple.org"
			e.request("POST", base, "owner", body).is(http.StatusBadRequest,
				`{"email": ["`+msgBadEmail+`"], "civil_number": ["`+message+`"]}`)
		}
	})
}

// Numbers where text belongs are read as Django REST framework reads them. Other values are not.
func TestNumbersAreReadAsText(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for number, text := range map[string]string{
			"3725551234": "3725551234", "-7": "-7", "1.50": "1.5", "2e3": "2000.0", "1e16": "1e+16", "0.00001": "1e-05", "0": "0",
			"123456789012345678901234567890": "123456789012345678901234567890",
		} {
			made := e.request("POST", base, "owner", bodyWith(`, "phone_number": `+number)).is(http.StatusCreated, "").invitation()
			require.Equal(e.t, text, *made.PhoneNumber)
			e.do("staff", made.UUID, "delete").is(http.StatusOK, "")
		}
		for _, value := range []string{"true", "[1]", "{}"} {
			e.request("POST", base, "owner", bodyWith(`, "phone_number": `+value)).is(http.StatusBadRequest, fieldError("phone_number", "Not a valid string."))
		}
		e.request("POST", base+"approve/", "", `{"token": 5}`).is(http.StatusBadRequest, "")
	})
}

// A bad scope and a bad role are reported together with every other bad field, in Waldur's words.
func TestReferencesAreReportedWithOtherFields(t *testing.T) {
	onEachEngine(t, func(e *env) {
		defer e.expectNoChange()()
		noScope := func(value string) string { return "Can't restore object from url: " + value }
		noRole := func(value string) string { return "Object with uuid=" + value + " does not exist." }
		const null = "This field may not be null."
		for _, each := range []struct{ scope, role, wantScope, wantRole string }{
			{`"https://x.example/"`, `"` + admin + `"`, noScope("https://x.example/"), ""},
			{`"` + scopeURL(hydra) + `"`, `"` + acme + `"`, noScope(scopeURL(hydra)), noRole(acme)},
			{`5`, `"admin"`, noScope("5"), noRole("admin")},
			{`{"a": [1]}`, `5`, noScope(`{\"a\":[1]}`), noRole("5")},
			{`true`, `[]`, noScope("true"), noRole("[]")},
			{`null`, `null`, null, null},
			{`"` + scopeURL(apollo) + `"`, `"` + acme + `"`, "", noRole(acme)},
		} {
			want := `{"email": ["` + msgBadEmail + `"]`
			alone := `{`
			for field, message := range map[string]string{"scope": each.wantScope, "role": each.wantRole} {
				if message != "" {
					want += `, "` + field + `": ["` + message + `"]`
					alone += `"` + field + `": ["` + message + `"],`
				}
			}
			body := `{"scope": ` + each.scope + `, "role": ` + each.role + `, "email": `
			e.request("POST", base, "owner", body+`"nonsense"}`).is(http.StatusBadRequest, want+"}")
			e.request("POST", base, "owner", body+`"a@x.example"}`).is(http.StatusBadRequest, alone[:len(alone)-1]+"}")
		}
		// Who sees a scope and may not manage it learns nothing of roles.
		e.request("POST", base, "member", `{"scope": "`+scopeURL(apollo)+`", "role": "`+acme+`", "email": "x"}`).
			is(http.StatusBadRequest, fieldError("email", msgBadEmail))
	})
}

// Which patterns refuse an address is said: those of the organization or of the scope.
func TestMembershipRestrictions(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(`
roles: [{name: CALL.REVIEWER, scope_type: call}]
customers:
  - name: Acme
    user_email_patterns: ['.*@acme\.example']
    scopes: [{type: call, name: Spring call, user_email_patterns: ['.*@call\.example']}]
`)
		for scope, want := range map[string]string{apollo: "organization", acme: "organization", call: "call"} {
			role := map[string]string{apollo: admin, acme: reader, call: reviewer}[scope]
			e.request("POST", base, "owner", draft("a@x.example", role, scope)).
				is(http.StatusBadRequest, fieldError("email", "Email does not match the membership restrictions of the "+want+"."))
		}
		made := e.create("owner", "a@acme.example", admin, apollo)
		e.do("stranger", made.UUID, "accept").
			is(http.StatusBadRequest, ruleError("User email, affiliation, or identity source does not match the customer restrictions."))
	})
}

// HEAD is answered wherever GET is, as GET is, without a body. Without the slash at its end, a path that exists is redirected
// for both, and other methods are told.
func TestHeadAndMissingSlash(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "a@x.example", admin, apollo)
		for _, path := range []string{
			base, at(made.UUID.String()), at(made.UUID.String(), "details"), at(made.UUID.String(), "events"), "/api/users/me/", "/api/roles/", "/api/configuration/",
		} {
			got, head := e.request("GET", path, "owner", nil), e.request("HEAD", path, "owner", nil)
			require.Equal(e.t, http.StatusOK, head.Status, path)
			require.Equal(e.t, got.Header.Get("X-Result-Count"), head.Header.Get("X-Result-Count"), path)
			require.Empty(e.t, head.Body, path)
			for _, method := range []string{"GET", "HEAD"} {
				redirect := e.request(method, path[:len(path)-1]+"?page=1&x=%3C", "", nil)
				require.Equal(e.t, http.StatusPermanentRedirect, redirect.Status, path)
				require.Equal(e.t, "https://api.example"+path+"?page=1&x=%3C", redirect.Header.Get("Location"), path)
			}
		}
		require.Equal(e.t, http.StatusUnauthorized, e.request("HEAD", at(made.UUID.String()), "", nil).Status)
		require.Equal(e.t, http.StatusNotFound, e.request("HEAD", at(acme), "owner", nil).Status)
		for method, path := range map[string]string{"POST": base, "PUT": at(made.UUID.String()), "DELETE": at(made.UUID.String())} {
			e.request(method, path[:len(path)-1], "owner", nil).
				is(http.StatusNotFound, `{"detail": "Not found. The path needs a slash at its end: `+path+`."}`)
		}
		for _, path := range []string{"/api", "/api/none", "/api/none/", "//evil.example", "/api/user-invitations/%2f%2fevil.example/x"} {
			e.request("GET", path, "owner", nil).is(http.StatusNotFound, notFound)
		}
		require.Equal(e.t, "pending", e.state(made.UUID))
	})
}

// Creators are ordered without case.
func TestOrderByCreatorIgnoresCase(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply("users: [{username: owner, full_name: beta}, {username: manager, full_name: Alpha}, {username: staff, full_name: '', is_staff: true}, {username: staff2, full_name: Éva}]")
		e.exec("UPDATE users SET username = 'Capital' WHERE username = 'staff'")
		for n, creator := range []string{"owner", "manager", "staff2", "Capital"} {
			made := e.create("staff", string(rune('a'+n))+"@x.example", admin, apollo)
			e.exec("UPDATE invitations SET created_by_uuid = '" + e.userID(creator).String() + "' WHERE uuid = '" + made.UUID.String() + "'")
		}
		require.Equal(e.t, []string{"b@x.example", "a@x.example", "d@x.example", "c@x.example"}, e.emails("support", "o=created_by"))
		require.Equal(e.t, []string{"c@x.example", "d@x.example", "a@x.example", "b@x.example"}, e.emails("support", "o=-created_by"))
	})
}
