package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
)

// Olivia invites several people at once, and is told of each what became of them.
func TestInviteOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.invite("twice@example.org", apollo)
		b := e.browser()
		require.Equal(e, "/sign-in/?return_to=/console/new/", b.get("/console/new/").location)
		b.signIn("olivia@acme.example")
		choices := b.get("/console/new/")
		for _, name := range []string{"Apollo", "Artemis", "Strict", "Acme"} {
			require.Contains(e, choices.body, name)
		}
		scope := "project:" + apollo
		form := b.get("/console/new/?scope=" + scope)
		require.Contains(e, form.body, "System administrator")
		require.NotContains(e, form.body, "CUSTOMER.OWNER")

		sent := b.post("/console/new/", "scope", scope, "role", admin, "text", "Welcome!",
			"emails", "a@example.org\r\nb@example.org, nonsense twice@example.org")
		require.Equal(e, http.StatusOK, sent.status)
		require.Equal(e, 2, strings.Count(sent.body, ">invited</a>"))
		require.Contains(e, sent.body, "Enter a valid e-mail address.")
		require.Contains(e, sent.body, "Pending invitation already exists for this email and role.")
		require.Regexp(e, `>nonsense\ntwice@example.org</textarea>`, sent.body, "what was not sent stays in the form")
		list := b.get("/console/?text=a@example")
		require.Contains(e, list.body, "a@example.org")
		require.NotContains(e, list.body, "b@example.org")
		require.Contains(e, b.get("/console/?state=canceled").body, "No invitation here")

		for _, problem := range [][]string{
			{"role", "", "emails", "c@example.org"},
			{"role", admin, "emails", " "},
			{"role", admin, "emails", strings.Repeat("c@example.org\n", 51)},
			{"role", admin, "emails", "c@example.org", "text", strings.Repeat("x", 2001)},
		} {
			require.Equal(e, http.StatusBadRequest, b.post("/console/new/", append([]string{"scope", scope}, problem...)...).status)
		}
		require.Equal(e, http.StatusBadRequest, b.post("/console/new/", "scope", scope, "role", admin, "emails", "c\x00@example.org").status)
	})
}

func TestActOnTheConsole(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("guest@example.org", apollo)
		path := "/console/" + made.UUID.String() + "/"
		b := e.browser()
		b.signIn("sam@example.com")
		one := b.get(path)
		require.Equal(e, "guest@example.org", one.heading(e))
		for _, text := range []string{"Apollo", "System administrator", "pending", "Olivia Owner", "created", "Send again", "Take back"} {
			require.Contains(e, one.body, text)
		}
		require.Equal(e, path, b.post(path+"cancel/").location)
		require.Contains(e, b.get(path).body, "canceled")
		refused := b.post(path + "cancel/")
		require.Equal(e, http.StatusBadRequest, refused.status)
		require.Contains(e, refused.body, "Only pending or planned invitations can be canceled.")
		require.Equal(e, path, b.post(path+"send/").location)
		require.Contains(e, b.get(path).body, "pending")
	})
}

// The console shows and does what the API would show and do for the same user.
func TestConsoleOfOthers(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.invite("guest@example.org", apollo)
		path := "/console/" + made.UUID.String() + "/"
		b := e.browser()
		for _, action := range []string{"", "send/", "cancel/"} {
			if action != "" {
				require.Equal(e, "/sign-in/?return_to=/console/", b.post(path+action).location, "nobody is signed in")
			}
		}
		b.signIn("ina@university.example")
		require.NotContains(e, b.get("/console/").body, "guest@example.org")
		require.Equal(e, http.StatusNotFound, b.get(path).status)
		require.Equal(e, http.StatusNotFound, b.post(path+"cancel/").status)
		require.Equal(e, http.StatusNotFound, b.get("/console/"+uuid.NewString()+"/").status)
		require.Contains(e, b.get("/console/new/").body, "You may not invite anywhere.")
		require.Equal(e, http.StatusNotFound, b.get("/console/new/?scope=project:"+apollo).status)
		require.Equal(e, http.StatusNotFound, b.post("/console/new/", "scope", "project:"+apollo, "role", admin, "emails", "x@example.org").status)
		found, err := e.service.Retrieve(e.Context(), e.user("sam"), made.UUID)
		require.NoError(e, err)
		require.Equal(e, invitation.Pending, found.State)
	})
}
