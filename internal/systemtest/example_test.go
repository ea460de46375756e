package systemtest

import (
	"context"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/gen/client"
	"invited/internal/systemtest/harness"
)

// newSDK returns the generated client with an API key.
func newSDK(p *harness.Process, key string) *client.ClientWithResponses {
	p.T.Helper()
	sdk, err := client.NewClientWithResponses("http://"+p.Address, client.WithHTTPClient(harness.HTTPClient),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Token "+key)
			return nil
		}))
	require.NoError(p.T, err)
	return sdk
}

// An operator, an inviter and an invitee go from an empty database to a membership.
func TestWholeExample(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		env.Set("INVITED_FRONTEND_URL=https://portal.example", "INVITED_SITE_NAME=Portal",
			"INVITED_MAIL_FROM=Portal <no-reply@portal.example>")
		env.Apply()
		olivia := strings.TrimSpace(env.Run("", "token", "create", "--user", "olivia", "--ttl", "1h").OK())
		ina := strings.TrimSpace(env.Run("", "token", "create", "--user", "ina").OK())
		p := env.Serve()

		text := "Welcome aboard!"
		created, err := newSDK(p, olivia).UserInvitationsCreateWithResponse(t.Context(), client.InvitationRequest{
			Email: "ina@university.example", Role: uuid.MustParse(harness.RoleUUID),
			Scope: "http://" + p.Address + "/api/projects/" + harness.ProjectUUID + "/", ExtraInvitationText: &text,
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, created.StatusCode(), string(created.Body))
		require.NotNil(t, created.JSON201)
		id := created.JSON201.UUID
		require.Equal(t, "http://"+p.Address+harness.InvitationsPath+id.String()+"/", created.JSON201.URL)
		require.Equal(t, created.JSON201.URL, created.HTTPResponse.Header.Get("Location"))
		p.WaitDelivered(id.String())

		mails := env.Mails()
		require.Len(t, mails, 1)
		for _, each := range []string{
			"https://portal.example/invitation/" + id.String() + "/", "To: <ina@university.example>",
			`From: "Portal" <no-reply@portal.example>`, "Subject: Invitation to Apollo project", text, "Olivia Owner",
			"Message-ID: <" + id.String() + ".0@portal.example>",
		} {
			require.Contains(t, strings.ReplaceAll(mails[0], "=\r\n", ""), each)
		}

		invitee := newSDK(p, ina)
		checked, err := invitee.UserInvitationsCheckWithResponse(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "ina@university.example", checked.JSON200.Email)
		seen, err := invitee.UserInvitationsDetailsRetrieveWithResponse(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "Apollo", seen.JSON200.ScopeName)
		for _, want := range []int{http.StatusOK, http.StatusNotFound} {
			accepted, err := invitee.UserInvitationsAcceptWithResponse(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, want, accepted.StatusCode(), string(accepted.Body))
		}
		require.Equal(t, []string{"ina PROJECT.ADMIN"}, env.Members("Apollo"))
		p.Stop()
		require.Equal(t, []string{"ina PROJECT.ADMIN"}, env.Members("Apollo"))
		for _, secret := range []string{olivia, ina, harness.Key("olivia"), harness.SecretKey} {
			require.NotContains(t, p.Stderr.String(), secret)
		}
	})
}

// demoCommands returns the shell commands that `serve --demo` prints.
func demoCommands(printed string) []string {
	var found []string
	for paragraph := range strings.SplitSeq(printed, "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if strings.HasPrefix(paragraph, "curl ") || strings.HasPrefix(paragraph, "cat ") {
			found = append(found, paragraph)
		}
	}
	return found
}

// The commands that `serve --demo` prints are pasted as they are.
func TestDemo(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		require.NoError(t, err, "the demonstration needs curl")
	}
	env := harness.New(t, "") // data/ is in the working directory, as for a newcomer
	env.Set("INVITED_SECRET_KEY=")
	for round := range 2 { // the second round starts with the database of the first
		p := env.Serve("--demo")
		p.WaitUntil("the demonstration is printed", func() bool { return strings.Contains(p.Stdout.String(), "Ctrl-C") })
		commands := demoCommands(p.Stdout.String())
		require.Len(t, commands, 4, p.Stdout.String())
		owner := regexp.MustCompile(`Token (inv_\w+)`).FindStringSubmatch(commands[0])
		require.NotNil(t, owner)
		p.Do("GET", "/api/user-invitations/0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11/", "", "", "Authorization", "Token "+owner[1]).Is(200)
		paste := func(i int) string {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "sh", "-c", commands[i])
			cmd.Dir = env.Dir
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			return string(out)
		}
		created := paste(0)
		require.Contains(t, created, "\nHTTP 201\n")
		id := regexp.MustCompile(`"uuid":"([^"]+)"`).FindStringSubmatch(created)
		require.NotNil(t, id, created)
		p.WaitUntil("the mail comes", func() bool { return len(env.Mails()) == round+1 })
		require.Contains(t, paste(1), "/invitation/"+id[1]+"/")
		require.Contains(t, paste(2), "\nHTTP 200\n")
		require.Contains(t, paste(2), "\nHTTP 404\n")
		require.Contains(t, paste(3), `"state":"accepted"`)
		require.ElementsMatch(t, []string{"max PROJECT.MANAGER", "ina PROJECT.ADMIN"}, env.Members("Apollo"))
		start := time.Now()
		p.Stop()
		require.Less(t, time.Since(start), 5*time.Second)
	}
}
