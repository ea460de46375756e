package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// An address with an internationalized domain is one address in both forms: for duplicates, filters, patterns, the invitee's
// own list, and to accept. What was typed is shown.
func TestInternationalizedDomainIsOneAddress(t *testing.T) {
	const letters, ascii = "Uma@müller.example", "uma@xn--mller-kva.example"
	for typed, account := range map[string]string{letters: ascii, ascii: letters} {
		t.Run(typed, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				e.apply(`
users: [{username: uma, email: ` + account + `, tokens: [uma-key]}]
customers:
  - name: Acme
    projects: [{name: Strict, uuid: ` + strict + `, user_email_patterns: ['.*@müller\.example']}]
`)
				made := e.create("staff", typed, admin, strict)
				require.Equal(e.t, typed, made.Email)
				e.request("POST", base, "staff", draft(account, admin, strict)).is(http.StatusBadRequest, fieldError("email", msgDuplicate))
				for _, query := range []string{
					"email=m%C3%BCller", "email=M%C3%9CLLER.ex", "email=xn--mller-kva", "email=@xn--mller-kva.example",
					"email_exact=" + account, "email_exact=uma@M%C3%BCller.example",
				} {
					require.Equal(e.t, []string{typed}, e.emails("staff", query), query)
				}
				require.Empty(e.t, e.emails("staff", "email=XN--mlle"), "part of a label in ASCII form")
				require.Equal(e.t, []string{typed}, e.emails("uma", ""))
				var found struct{ Duplicates []struct{ Email string } }
				e.request("POST", base+"check-duplicates/", "staff", map[string]any{
					"scope": scopeURL(strict), "invitations": []any{map[string]any{"email": account, "role": admin}},
				}).is(http.StatusOK, "").decode(&found)
				require.Len(e.t, found.Duplicates, 1)
				e.do("uma", made.UUID, "accept").is(http.StatusOK, acceptedBody)
				for _, text := range []string{"m%C3%BCller", "M%C3%9CLLER.ex", "xn--mller-kva", "@xn--mller-kva.example", "UMA"} {
					found := e.column("staff", projectsPath+strict+"/list_users/?search_string="+text, "user_username")
					require.Equal(e.t, []string{"uma"}, found, text)
				}
			}, validateEmail)
		})
	}
}
