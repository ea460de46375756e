package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/directory"
)

// expectNoChange returns a function that asserts that nothing was stored and no job was added since.
func (e *env) expectNoChange() func() {
	e.t.Helper()
	look := func() []any {
		_, all := e.list("staff", "page_size=300")
		return []any{all.Body, e.countInvitations(), e.countJobs(deliverKind), e.countJobs(notifyKind), e.memberships(), e.countRows("invitation_events")}
	}
	before := look()
	return func() {
		e.t.Helper()
		require.Equal(e.t, before, look())
	}
}

// requireRejected sends a body to create and asserts the status and, for a 400, that the body names the field.
func (e *env) requireRejected(name string, body any, status int, field string) {
	e.t.Helper()
	answer := e.request("POST", base, "owner", body)
	require.Equal(e.t, status, answer.Status, "%s: %s", name, answer.Body)
	if status == http.StatusBadRequest {
		var errs map[string][]string
		answer.decode(&errs)
		require.Contains(e.t, errs, field, "%s: %s", name, answer.Body)
	}
}

// bodyWith returns a valid JSON body of create, with more at the end of the object.
func bodyWith(more string) string {
	return fmt.Sprintf(`{"role": %q, "scope": %q, "email": "new@example.org"%s}`, admin, scopeURL(apollo), more)
}

// singleLineFields has the largest length of each field that takes a single line.
var singleLineFields = map[string]int{
	"full_name": 100, "native_name": 100, "phone_number": 255, "organization": 100, "job_title": 120, "civil_number": 50,
}

func TestCreateRejectsInvalidJSON(t *testing.T) {
	onEachEngine(t, func(e *env) {
		defer e.expectNoChange()()
		deep := strings.Repeat("[", 15_000) // the decoder stops at 10,000
		for name, body := range map[string]string{
			"text":                       `hello`,
			"half an object":             `{"role": "`,
			"singleLineFields quotes":    `{'role': 1}`,
			"comment":                    `{/* */}`,
			"comma at the end":           bodyWith(","),
			"two values":                 bodyWith("") + bodyWith(""),
			"something after it":         bodyWith("") + "x",
			"NUL after it":               bodyWith("") + "\x00",
			"BOM":                        "\ufeff" + bodyWith(""),
			"UTF-16":                     "{\x00\"\x00r\x00",
			"invalid UTF-8 in a value":   bodyWith(`, "full_name": "a` + "\xff" + `b"`),
			"invalid UTF-8 in a name":    bodyWith(`, "a` + "\xc3\x28" + `b": 1`),
			"overlong UTF-8":             bodyWith(`, "full_name": "` + "\xc0\xaf" + `"`),
			"surrogate in UTF-8":         bodyWith(`, "full_name": "` + "\xed\xa0\x80" + `"`),
			"high surrogate":             bodyWith(`, "full_name": "\ud800"`),
			"low surrogate":              bodyWith(`, "full_name": "\udc00x"`),
			"surrogates in wrong order":  bodyWith(`, "full_name": "\udc00\ud800"`),
			"raw newline":                bodyWith(`, "full_name": "a` + "\n" + `b"`),
			"raw NUL":                    bodyWith(`, "full_name": "a` + "\x00" + `b"`),
			"NaN":                        bodyWith(`, "full_name": NaN`),
			"same name twice":            bodyWith(`, "email": "other@example.org"`),
			"unknown name twice":         bodyWith(`, "x": 1, "x": 2`),
			"name twice, escaped once":   bodyWith(`, "\u0065mail": "other@example.org"`),
			"name twice, further inside": bodyWith(`, "x": {"y": 1, "y": 2}`),
			"deep arrays":                deep,
			"deep, complete":             deep + strings.Repeat("]", 15_000),
			"deep objects":               strings.Repeat(`{"a":`, 12_000),
			"deep, in a field":           bodyWith(`, "full_name": ` + deep + strings.Repeat("]", 15_000)),
			"deep, in an unknown field":  bodyWith(`, "x": ` + deep + strings.Repeat("]", 15_000)),
			"compressed":                 "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
		} {
			e.requireRejected(name, body, http.StatusBadRequest, "non_field_errors")
			answer := e.request("POST", base+"approve/", "", body)
			if len(body) > 16<<10 {
				require.Equal(e.t, http.StatusRequestEntityTooLarge, answer.Status, name)
				continue
			}
			require.Equal(e.t, http.StatusBadRequest, answer.Status, name)
		}
		for name, body := range map[string]string{
			"an array": `[]`, "arrays": `[[{}]]`, "a string": `"` + admin + `"`, "a number": `5`, "true": `true`,
			"null": `null`, "a million zeroReader": strings.Repeat("0", 1000), "a large number": `1e400`,
		} {
			e.requireRejected(name, body, http.StatusBadRequest, "non_field_errors")
			require.Equal(e.t, http.StatusBadRequest, e.request("POST", base+"reject/", "", body).Status, name)
		}
		for name, body := range map[string]any{"nothing": nil, "empty": "", "space": " \r\n\t ", "an empty object": "{}"} {
			answer := e.request("POST", base, "owner", body)
			answer.is(http.StatusBadRequest, `{"email": ["This field is required."], "role": ["This field is required."],
				"scope": ["This field is required."]}`)
			answer = e.request("POST", base+"approve/", "", body)
			require.JSONEq(e.t, `{"token": ["This field is required."]}`, answer.Body, name)
		}
	})
}

func TestValuesOfWrongType(t *testing.T) {
	onEachEngine(t, func(e *env) {
		defer e.expectNoChange()()
		fields := []string{"email", "role", "scope", "extra_invitation_text"}
		for each := range singleLineFields {
			fields = append(fields, each)
		}
		for _, field := range fields {
			for _, value := range []any{5, 1.5, true, false, []any{}, []any{"a@example.org"}, map[string]any{"a": 1}, nil} {
				_, isSingleLine := singleLineFields[field]
				if (isSingleLine || field == "extra_invitation_text") && (value == 5 || value == 1.5) {
					continue // a number is read as text
				}
				body := draft("new@example.org", admin, apollo)
				body[field] = value
				e.requireRejected(fmt.Sprintf("%s: %v", field, value), body, http.StatusBadRequest, field)
			}
		}
		for _, body := range []string{
			`{"token": 5}`, `{"token": null}`, `{"token": ""}`, `{"token": ["x"]}`, `{"token": {}}`, `{"token": true}`,
			`{"Token": "x"}`, `{"token": "` + strings.Repeat("x", 4097) + `"}`,
		} {
			var errs map[string][]string
			answer := e.request("POST", base+"approve/", "", body)
			require.Equal(e.t, http.StatusBadRequest, answer.Status)
			answer.decode(&errs)
			require.Contains(e.t, errs, "token", body)
		}
		for _, text := range []string{"x", ".", "v1..", " ", "\u0000", "v1.\n.\n", strings.Repeat(".", 4096), "\u202e"} {
			e.request("POST", base+"reject/", "", map[string]string{"token": text}).
				is(http.StatusBadRequest, `["Invalid signature."]`)
		}
	})
}

// The names of fields are case-sensitive, and read-only fields are ignored: what was validated is what is stored.
func TestCreateIgnoresUnknownAndReadOnlyNames(t *testing.T) {
	onEachEngine(t, func(e *env) {
		done := e.expectNoChange()
		e.requireRejected("role in another case", `{"Role": "x"}`, http.StatusBadRequest, "role")
		e.requireRejected("all in another case", strings.ToUpper(bodyWith("")), http.StatusBadRequest, "email")
		done()
		var made server.Invitation
		e.request("POST", base, "owner", bodyWith(`, "Email": "evil@example.org", "EMAIL": 5, "eMail": null, "ROLE": [],
			"Full_Name": "\u0000", "full_Name": "x\r\ny", "Civil_Number": "666", "ﬀull_name": "x",
			"uuid": "00000000-0000-4000-8000-000000000000", "url": "https://evil.example/", "state": "accepted",
			"execution_state": 5, "created": "1999", "created_by": "x", "created_by_username": "staff",
			"customer": {}, "customer_uuid": "`+globex+`", "scope_uuid": "`+hydra+`", "error_message": "boo",
			"role_name": "CUSTOMER.OWNER", "approved_by": 1, "delivery": 7, "StoredState": "accepted", "x": {"y": [1e999]}`)).
			is(http.StatusCreated, "").decode(&made)
		require.Equal(e.t, e.retrieve(made.UUID), made)
		require.Equal(e.t, "new@example.org", made.Email)
		require.NotEqual(e.t, "00000000-0000-4000-8000-000000000000", made.UUID.String())
		require.Equal(e.t, []any{"", "", "", "owner", acme, apollo, "PROJECT.ADMIN"}, []any{
			*made.FullName, *made.CivilNumber, made.ErrorMessage, made.CreatedByUsername, made.CustomerUUID.String(),
			made.ScopeUUID.String(), made.RoleName,
		})
		require.Equal(e.t, []string{"pending", "Scheduled"}, []string{string(made.State), string(made.ExecutionState)})
		require.Equal(e.t, "2026-11-23T09:30:00.000000Z", made.Created)
		require.Equal(e.t, 0, e.stored(made.UUID).Delivery)
	})
}

// A single-line field takes no line break, so that its text can't add a header or a recipient to a mail.
func TestTextFields(t *testing.T) {
	onEachEngine(t, func(e *env) {
		done := e.expectNoChange()
		control := []string{"a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\x00b", "a\x1bb", "a\x7fb", "a\u0085b"}
		for field, most := range singleLineFields {
			for _, text := range control {
				e.requireRejected(fmt.Sprintf("%s %q", field, text), draft("new@example.org", admin, apollo, field, text), 400, field)
			}
			e.requireRejected(field+" too long", draft("new@example.org", admin, apollo, field, strings.Repeat("ä", most+1)), 400, field)
		}
		for _, text := range control[:7] {
			e.requireRejected(fmt.Sprintf("email %q", text), draft("a"+text+"@example.org", admin, apollo), 400, "email")
			e.requireRejected(fmt.Sprintf("email %q", text), draft("a@exam"+text+"ple.org", admin, apollo), 400, "email")
			e.requireRejected(fmt.Sprintf("email %q", text), draft("a@example.org"+text+"b", admin, apollo), 400, "email")
			body := draft("new@example.org", admin, apollo)
			body["scope"] = scopeURL(apollo) + text
			e.requireRejected(fmt.Sprintf("scope %q", text), body, 400, "scope")
		}
		for _, text := range []string{"a\x00b", "a\x1bb", "a\vb", "a\u0085b", strings.Repeat("ä", 2001)} {
			e.requireRejected("personal text", draft("new@example.org", admin, apollo, "extra_invitation_text", text), 400, "extra_invitation_text")
		}
		done()

		// Any other text is stored as it was sent, trimmed.
		for i, text := range []string{"<script>alert(1)</script>", `"'&{{.Link}}%s$1\`, "\u202eevil", "٣ 🤔 e\u0301", "x"} {
			body := draft(fmt.Sprintf("texts%d@example.org", i), admin, apollo)
			for field, most := range singleLineFields {
				body[field] = "  " + text + " "
				if field == "civil_number" { // it identifies a person, and has no white space or invisible characters inside
					body[field] = "  " + strings.NewReplacer(" ", "", "\u202e", "").Replace(text) + " "
				}
				if text == "x" {
					body[field] = strings.Repeat("ä", most)
				}
			}
			body["extra_invitation_text"] = "\r\n" + text + "\n\n\tBcc: x@example.org\r\n"
			body["email"] = fmt.Sprint("\t", body["email"], "  ")
			var made server.Invitation
			e.request("POST", base, "owner", body).is(201, "").decode(&made)
			require.Equal(e.t, e.retrieve(made.UUID), made)
			require.Equal(e.t, fmt.Sprintf("texts%d@example.org", i), made.Email)
			require.Equal(e.t, text+"\n\n\tBcc: x@example.org", made.ExtraInvitationText)
			for field, got := range map[string]*string{
				"full_name": made.FullName, "native_name": made.NativeName, "phone_number": made.PhoneNumber,
				"organization": made.Organization, "job_title": made.JobTitle, "civil_number": made.CivilNumber,
			} {
				require.Equal(e.t, strings.TrimSpace(fmt.Sprint(body[field])), *got, field)
			}
		}
	})
}

func TestInvalidAddresses(t *testing.T) {
	onEachEngine(t, func(e *env) {
		defer e.expectNoChange()()
		for _, email := range []string{
			"", " ", "a", "@", "a@", "@example.org", "a@b", "a@b.", "a@.b", "a@example..org", "a@-example.org", "a.@example.org",
			".a@example.org", "a..b@example.org", "a b@example.org", `"a b"@example.org`, `"a@evil.example x"@example.org`,
			"a@[127.0.0.1]", "a@[IPv6:::1]", "a@b@example.org", "a@example.org,b@example.org", "a@example.org;b@example.org",
			"Ann <a@example.org>", "<a@example.org>", "a@example.org (Ann)", "mailto:a@example.org", "a@exa mple.org",
			"a@example.org>", "a\\@example.org", "a%00@example.org\u0000", "аnn@example.org", // has a Cyrillic а
			"ann\u200b@example.org", "a@exam_ple.org", "a@example.org\u202e", "a@http://example.org",
			strings.Repeat("a", 65) + "@example.org", "a@" + strings.Repeat("a", 64) + ".org",
			"a@" + strings.Repeat("abcdefg.", 31) + "example", // 255 characters
			"a@" + strings.Repeat("[", 10_000),
		} {
			e.requireRejected(fmt.Sprintf("%q", email), draft(email, admin, apollo), 400, "email")
		}
	})
}

// An address that only looks like another one is a different address: it shows no invitation to the other one, and is no
// duplicate of it.
func TestLookalikeAddressesAreDifferent(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply("users: [{username: kate, email: kate@kind.example, tokens: [kate-key]}]")
		for _, email := range []string{
			"kate@kıind.example", "kate@kind.exаmple", "kate@\u212aind.example", "kate@ｋind.example", "kate@ki\u00adnd.example", "kate+1@kind.example", "k.ate@kind.example",
		} {
			if answer := e.request("POST", base, "owner", draft(email, admin, apollo)); answer.Status != 201 {
				require.Equal(e.t, 400, answer.Status, "%s: %s", email, answer.Body)
			}
		}
		seen, _ := e.list("kate", "")
		require.Empty(e.t, seen)
		made := e.create("owner", "Kate@KIND.example", admin, apollo)
		seen, _ = e.list("kate", "")
		require.Equal(e.t, []server.Invitation{made}, seen)
		e.request("POST", base, "owner", draft("kATE@kind.EXAMPLE", admin, apollo)).is(400, duplicateError)
	})
}

func TestInvalidScopesAndRoles(t *testing.T) {
	onEachEngine(t, func(e *env) {
		defer e.expectNoChange()()
		try := func(user, role, scope, field string) {
			body := draft("new@example.org", role, apollo)
			body["scope"] = scope
			answer := e.request("POST", base, user, body)
			require.Equal(e.t, 400, answer.Status, "%s: %s", scope, answer.Body)
			var errs map[string][]string
			answer.decode(&errs)
			require.Contains(e.t, errs, field, scope)
			if field == "scope" && len(scope) <= 2000 {
				require.Equal(e.t, []string{"Can't restore object from url: " + directory.Trim(scope)}, errs[field])
			}
		}
		// Scopes that don't exist and scopes that the caller can't see have the same error.
		for _, id := range []string{hydra, globex, dropped, gone, "20000000-0000-4000-8000-00000000000f"} {
			try("owner", admin, "https://anywhere.example/api/projects/"+id+"/", "scope")
		}
		for _, id := range []string{dropped, gone} {
			try("staff", admin, scopeURL(id), "scope")
		}
		for _, scope := range []string{
			"x", "/", ".", "https://x.example/", "javascript:alert(1)", "javascript:/api/projects/" + apollo + "/",
			"data:text/html,/api/projects/" + apollo + "/", "ftp://x.example/api/projects/" + apollo + "/",
			"https://x.example/api/projects/" + apollo, "https://x.example/api/projects/" + apollo + "//",
			"https://x.example/api/projects/" + apollo + "/x/", "https://x.example/?/api/projects/" + apollo + "/",
			"https://x.example/#/api/projects/" + apollo + "/", "https://x.example/api/Projects/" + apollo + "/",
			"https://x.example/api/users/" + apollo + "/", "https://x.example/api/customers/" + apollo + "/",
			"https://x.example/api/projects/{" + apollo + "}/", "https://x.example/api/projects/urn:uuid:" + apollo + "/",
			"https://x.example/api/projects/" + apollo[:35] + "/", "https://x.example/api/projects/" + apollo + "%00/",
			"https://x.example/api/projects/..%2f" + apollo + "/", "https://x.example/api%2fprojects%2f" + apollo + "%2f",
			"https://[::1/api/projects/" + apollo + "/", "https://x.example/api/projects/%zz/", "%", "://",
			"https://x.example/api/projects/' OR 1=1 --/", apollo, "\ufffe" + scopeURL(apollo),
		} {
			try("staff", admin, scope, "scope")
		}
		try("staff", admin, scopeURL(apollo)+strings.Repeat("x", 2000), "scope")
		// Roles of another scope type, an inactive role, and roles that don't exist.
		try("staff", owner, scopeURL(apollo), "non_field_errors")
		try("staff", admin, scopeURL(acme), "non_field_errors")
		try("staff", seller, scopeURL(call), "non_field_errors")
		try("staff", retired, scopeURL(apollo), "non_field_errors")
		for _, role := range []string{apollo, "x", "", "{" + admin + "}", "urn:uuid:" + admin, "PROJECT.ADMIN"} {
			try("staff", role, scopeURL(apollo), "role")
		}
	})
}

// A body that is larger than the operation's limit is a 413, with and without a Content-Length. The response comes before
// all of it is read.
func TestLargeBodies(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("staff", "large@example.org", admin, artemis).UUID.String()
		defer e.expectNoChange()()
		for _, test := range []struct {
			method, path, user string
			limit              int
			says               string
		}{
			{"POST", base, "owner", 64 << 10, "64 KiB"},
			{"PUT", at(made), "owner", 64 << 10, "64 KiB"},
			{"PATCH", at(made), "owner", 64 << 10, "64 KiB"},
			{"POST", base + "check-duplicates/", "owner", 1 << 20, "1 MiB"},
			{"POST", bulkAction, "owner", 64 << 10, "64 KiB"},
			{"POST", base + "approve/", "", 16 << 10, "16 KiB"},
			{"POST", base + "reject/", "", 16 << 10, "16 KiB"},
			{"POST", at(made, "accept"), "invitee", 16 << 10, "16 KiB"},
			{"POST", at(made, "check"), "", 16 << 10, "16 KiB"},
			{"DELETE", at(uuid.NewString()), "staff", 16 << 10, "16 KiB"},
		} {
			tooLarge := detailBody("Request body is larger than " + test.says + ".")
			for _, size := range []int{test.limit + 1, 10 << 20} {
				body := `{"token": "` + strings.Repeat("x", size-13) + `"}`
				e.request(test.method, test.path, test.user, body).is(413, tooLarge)
				r := e.newRequest(test.method, test.path, test.user, body)
				r.ContentLength = -1
				e.send(r).is(413, tooLarge)
			}
			for _, length := range []int64{int64(test.limit), -1} {
				r := e.newRequest(test.method, test.path, test.user, `{"token": "`+strings.Repeat("x", test.limit-13)+`"}`)
				r.ContentLength = length
				require.Contains(e.t, []int{200, 400, 404}, e.send(r).Status, test.path)
			}
		}
		e.requireRejected("just not too large", bodyWith(`, "full_name": "`+strings.Repeat("x", 64<<10-300)+`"`), 400, "full_name")
		e.requireRejected("many names", "{"+strings.Repeat(`"a":1,`, 10_000)+`"b":2}`, 400, "non_field_errors")
		e.requireRejected("a body that ends early", "", 400, "email")
		answer := e.sendRaw("POST " + base + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
			"Authorization: Token owner-key\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		require.Equal(e.t, 400, answer.StatusCode)
	})
}

// Clients that send their bodies slowly hold nothing that others wait for.
func TestSlowBodies(t *testing.T) {
	onEachEngine(t, func(e *env) {
		slow := func(path, headers string, length int) {
			address, err := url.Parse(e.server.URL)
			require.NoError(e.t, err)
			conn, err := net.Dial("tcp", address.Host)
			require.NoError(e.t, err)
			e.t.Cleanup(func() { _ = conn.Close() })
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
				path, headers, length, strings.Repeat(" ", length-1))
			require.NoError(e.t, err)
		}
		for range 40 {
			slow(base+"approve/", "", 16<<10)
			slow(base+"check-duplicates/", "Authorization: Token owner-key\r\n", 64<<10)
		}
		began := time.Now()
		e.decide("approve", "x").is(400, ruleError(msgSignature))
		e.request("POST", base+"check-duplicates/", "owner", map[string]any{
			"scope": scopeURL(apollo), "invitations": []any{map[string]any{"email": "a@example.org", "role": admin}},
		}).is(200, `{"duplicates": [], "existing_roles": []}`)
		e.create("owner", "beside@example.org", admin, apollo)
		require.Less(e.t, time.Since(began), 4*time.Second, "less than a request waits for memory")
	})
}

// A response to invalid input is about what the contract describes, however much else there is.
func TestManyInvalidValues(t *testing.T) {
	onEachEngine(t, func(e *env) {
		items := strings.Repeat(`{"email":"","role":5,"x":[{}],"y":{"z":{}}},`, 999)
		answer := e.request("POST", base+"check-duplicates/", "owner", `{"scope":[5],"invitations":[`+items+`{}],"more":[`+items+`{}]}`)
		require.Equal(e.t, []string{"invitations"}, answer.invalidFields(), "the scope is looked up when the rest is right")
		require.Less(e.t, len(answer.Body), 150_000)
		answer = e.request("POST", base+"check-duplicates/", "owner", `{"scope":"x","invitations":[`+strings.Repeat(`{},`, 300_000)+`{}]}`)
		require.Less(e.t, len(answer.Body), 500)
	})
}

// Known parameters are validated, and a text filter is text, never a pattern.
func TestInvalidQueries(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply("customers: [{name: Acme, uuid: " + acme + ", projects: [{name: 'a\\b', uuid: " + uuid.NewString() + "}]}]")
		e.create("owner", "a%b_c@example.org", admin, apollo)
		e.create("owner", "axbxc@example.org", admin, apollo)
		e.create("rival", "d@example.org", reader, globex)
		defer e.expectNoChange()()
		get := func(query string) response { return e.request("GET", base+"?"+query, "staff", nil) }
		is := func(status int, field string, queries ...string) {
			for _, query := range queries {
				answer := get(query)
				require.Equal(e.t, status, answer.Status, "%.200s: %s", query, answer.Body)
				switch status {
				case 400:
					var errs map[string][]string
					answer.decode(&errs)
					require.Contains(e.t, errs, field, "%.200s", query)
				case 404:
					answer.is(404, `{"detail": "Invalid page."}`)
				}
			}
		}
		is(404, "", "page=0", "page=-1", "page=x", "page=1.5", "page=1e3", "page=0x10", "page=%00", "page=2",
			"page=9223372036854775807", "page=9223372036854775808", "page=1"+strings.Repeat("0", 30),
			"page=9223372036854775807&page_size=300", "page=4611686018427387905&page_size=2")
		is(400, "page_size", "page_size=0", "page_size=-1", "page_size=x", "page_size=1.5", "page_size=1e3",
			"page_size=%00", "page_size=0x10", "page_size=-1"+strings.Repeat("0", 30))
		is(200, "", "page_size=+", "page_size=301", "page_size=9999999999", "page_size=1"+strings.Repeat("0", 30), "page_size=2147483648",
			"page_size=9223372036854775808")
		is(400, "o", "o=x", "o=--created", "o=CREATED", "o=created%20desc", "o=-", "o=uuid", "o=civil_number",
			"o=created%3BDROP%20TABLE%20invitations", "o=(select%201)", "o=created&o=1", "o=%27", "o=created%00", "o=created--",
			"o="+strings.Repeat("created,", 500), "o=created"+strings.Repeat("&o=created", 400), "o=created,x&o=email")
		is(400, "state", "state=x", "state=PENDING", "state=pending,nope", "state=pending&state=%27",
			"state=pending"+strings.Repeat("&state=pending", 280))
		for _, name := range []string{"customer_uuid", "role_uuid"} {
			is(400, name, name+"=x", name+"=%00", name+"={"+acme+"}", name+"=urn:uuid:"+acme, name+"=%27")
		}
		for _, name := range []string{
			"civil_number", "email", "email_exact", "role_name", "scope_description", "scope_name", "scope_type",
		} {
			is(400, name, name+"=%00", name+"=a%00b", name+"=%ff", name+"=a%c3%28", name+"=%ed%a0%80",
				name+"="+strings.Repeat("x", 2001))
			start := time.Now()
			for _, text := range []string{
				strings.Repeat("%25", 1350), strings.Repeat("_", 2000), strings.Repeat("%5C", 1350), strings.Repeat("%25_", 1000),
				"%27", "%22", "%3B--", "x%27%20OR%20%271%27=%271", "$1", "?", "@x", "%5C", "%5C%25", "%F0%9F%A4%94", "a%0ab",
			} {
				if name == "scope_name" && text == "%5C" {
					continue
				}
				found, _ := e.list("staff", name+"="+text)
				require.Empty(e.t, found, "%s=%.50s", name, text)
			}
			require.Less(e.t, time.Since(start), 10*time.Second)
			found, _ := e.list("staff", name+"=")
			require.Len(e.t, found, 3, "an empty filter is ignored")
		}
		for query, want := range map[string]int{
			"email=%25": 1, "email=_": 1, "email=A%25B_": 1, "email=b_c%40": 1, "email=a%25c": 0, "email=a_b": 0,
			"scope_description=100%25": 1, "scope_description=others_": 1, "scope_description=1%25s": 0,
			"unknown=%00": 3, "%ff=%ff": 3, "EMAIL=x": 3, "&&&": 3,
		} {
			found, _ := e.list("staff", query)
			require.Len(e.t, found, want, query)
		}
		is(400, "non_field_errors", "%", "email=%zz", "a;b", "email=%2")
		is(400, "unknown", "unknown=%ff", "unknown=a&unknown=%c3%28")
		// A path parameter that is no uuid is a 404.
		for _, id := range []string{
			"x", "%00", "%ff", "%c3%28", "..", "%2e%2e", "%2f", "{" + acme + "}", "urn:uuid:" + acme, acme + "%0a", acme[:35],
			"'%20OR%201=1", strings.Repeat("a", 8000), "00000000-0000-0000-0000-000000000000", "*", "%5C", "approve%00", "%F0%9F%A4%94",
		} {
			e.request("GET", base+id+"/", "staff", nil).is(404, notFound)
			e.request("POST", base+id+"/delete/", "staff", nil).is(404, notFound)
		}
	})
}

// A parameter with a single value can't be repeated: readers differ in which value they take.
func TestRepeatedParameters(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, name := range []string{
			"civil_number", "customer_uuid", "email", "email_exact", "page_size", "role_name", "role_uuid",
			"scope_description", "scope_name", "scope_type",
		} {
			value := map[string]string{"customer_uuid": acme, "role_uuid": admin, "page_size": "5000"}[name]
			answer := e.request("GET", base+"?"+name+"="+value+"&"+name+"="+value, "staff", nil)
			require.Equal(e.t, 400, answer.Status, answer.Body)
			var errs map[string][]string
			answer.decode(&errs)
			require.Contains(e.t, errs, name)
		}
		require.Contains(e.t, []int{400, 404}, e.request("GET", base+"?page=1&page=2", "staff", nil).Status)
	})
}

// The content type is JSON in UTF-8. A browser sends the content types of forms across sites without a preflight, so
// they are rejected.
func TestContentTypes(t *testing.T) {
	onEachEngine(t, func(e *env) {
		done := e.expectNoChange()
		send := func(path, body string, types ...string) response {
			r := e.newRequest("POST", path, "owner", body)
			r.Header["Content-Type"] = types
			return e.send(r)
		}
		form := "email=new%40example.org&role=" + admin + "&scope=" + url.QueryEscape(scopeURL(apollo))
		for _, each := range []string{
			"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", "text/json",
			"application/json; charset=latin1", "application/json; charset=iso-8859-1", "application/json; charset=utf-16",
			"application/problem+json", "application/json-patch+json", "application/xml", "application/*", "*/*", "json", "/", ";",
			"application/json, text/plain", "application/json; charset", "text/plain; application/json", "\xff",
			"application/json; charset=utf-8; charset=latin1", strings.Repeat("x", 10_000), "",
		} {
			for _, body := range []string{bodyWith(""), form} {
				require.Equal(e.t, 415, send(base, body, each).Status, "%.100q", each)
			}
			require.Equal(e.t, 415, send(base+"approve/", `{"token": "x"}`, each).Status, "%.100q", each)
		}
		send(base, bodyWith("")).is(415, `{"detail": "Unsupported media type \"\" in request."}`)
		require.Equal(e.t, 415, send(base, bodyWith(""), "text/plain", "application/json").Status)
		done()
		for i, each := range []string{
			"application/json", "Application/JSON", "application/json;charset=utf-8", `application/json ; charset="UTF-8"`,
			"application/json; x=y",
		} {
			body := strings.ReplaceAll(bodyWith(""), "new@", fmt.Sprintf("new%d@", i))
			require.Equal(e.t, 201, send(base, body, each).Status, each)
		}
		// An operation that takes no body ignores the body.
		made := e.create("owner", "other@example.org", admin, apollo)
		require.Equal(e.t, 200, send(at(made.UUID.String(), "cancel"), "\x00\xff", "text/plain").Status)
	})
}

// sendRaw sends bytes as they are and returns the response without its body.
func (e *env) sendRaw(request string) *http.Response {
	e.t.Helper()
	address, err := url.Parse(e.server.URL)
	require.NoError(e.t, err)
	conn, err := net.Dial("tcp", address.Host)
	require.NoError(e.t, err)
	e.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(e.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, request)
	require.NoError(e.t, err)
	method, _, _ := strings.Cut(request, " ")
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(e.t, err)
	return answer
}
