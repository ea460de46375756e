package main

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
	"go.yaml.in/yaml/v3"

	"invited/gen/client"
)

// sdk is the generated client as a user.
func (p *served) sdk(key string) *client.ClientWithResponses {
	p.t.Helper()
	made, err := client.NewClientWithResponses("http://"+p.address, client.WithHTTPClient(browser),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Token "+key)
			return nil
		}))
	require.NoError(p.t, err)
	return made
}

// From an empty database to a membership, as an operator, an inviter and an invitee go through it.
func TestWholeExample(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		s.set("INVITED_FRONTEND_URL=https://portal.example", "INVITED_SITE_NAME=Portal",
			"INVITED_MAIL_FROM=Portal <no-reply@portal.example>")
		s.apply()
		olivia := strings.TrimSpace(s.run("", "token", "create", "--user", "olivia", "--ttl", "1h").ok())
		ina := strings.TrimSpace(s.run("", "token", "create", "--user", "ina").ok())
		p := s.serve()

		text := "Welcome aboard!"
		created, err := p.sdk(olivia).UserInvitationsCreateWithResponse(t.Context(), client.InvitationRequest{
			Email: "ina@university.example", Role: uuid.MustParse(projectRole),
			Scope: "http://" + p.address + "/api/projects/" + project + "/", ExtraInvitationText: &text,
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, created.StatusCode(), string(created.Body))
		require.NotNil(t, created.JSON201)
		id := created.JSON201.UUID
		require.Equal(t, "http://"+p.address+invitations+id.String()+"/", created.JSON201.URL)
		require.Equal(t, created.JSON201.URL, created.HTTPResponse.Header.Get("Location"))
		p.delivered(id.String())

		mails := s.mails()
		require.Len(t, mails, 1)
		for _, each := range []string{
			"https://portal.example/invitation/" + id.String() + "/", "To: <ina@university.example>",
			`From: "Portal" <no-reply@portal.example>`, "Subject: Invitation to Apollo project", text, "Olivia Owner",
			"Message-ID: <" + id.String() + ".0@portal.example>",
		} {
			require.Contains(t, strings.ReplaceAll(mails[0], "=\r\n", ""), each)
		}

		invitee := p.sdk(ina)
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
		require.Equal(t, []string{"ina PROJECT.ADMIN"}, s.members("Apollo"))
		p.stop()
		require.Equal(t, []string{"ina PROJECT.ADMIN"}, s.members("Apollo"))
		for _, secret := range []string{olivia, ina, "olivia-key", secretKey} {
			require.NotContains(t, p.stderr.String(), secret)
		}
	})
}

// members lists who holds what in a project, as the export of the directory has it.
func (s *site) members(name string) []string {
	s.t.Helper()
	var content struct {
		Customers []struct {
			Projects []struct {
				Name    string
				Members []struct{ User, Role string }
			}
		}
	}
	require.NoError(s.t, yaml.Unmarshal([]byte(s.run("", "directory", "export").ok()), &content))
	found := []string{}
	for _, customer := range content.Customers {
		for _, each := range customer.Projects {
			for _, m := range each.Members {
				if each.Name == name {
					found = append(found, m.User+" "+m.Role)
				}
			}
		}
	}
	return found
}

// demoCommands are what a demonstration prints for a second terminal.
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

// What the demonstration prints is pasted as it stands.
func TestDemo(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		require.NoError(t, err, "the demonstration is for people who have curl")
	}
	s := newSite(t, "") // data/ in its folder, as for a newcomer
	s.set("INVITED_SECRET_KEY=")
	for round := range 2 { // the second time on what the first has left
		p := s.serve("--demo")
		p.until("the demonstration is printed", func() bool { return strings.Contains(p.stdout.String(), "Ctrl-C") })
		commands := demoCommands(p.stdout.String())
		require.Len(t, commands, 4, p.stdout.String())
		paste := func(i int) string {
			t.Helper()
			cmd := exec.Command("sh", "-c", commands[i])
			cmd.Dir = s.dir
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			return string(out)
		}
		created := paste(0)
		require.Contains(t, created, "\nHTTP 201\n")
		id := regexp.MustCompile(`"uuid":"([^"]+)"`).FindStringSubmatch(created)
		require.NotNil(t, id, created)
		p.until("the mail is there", func() bool { return len(s.mails()) == round+1 })
		require.Contains(t, paste(1), "/invitation/"+id[1]+"/")
		require.Contains(t, paste(2), "\nHTTP 200\n")
		require.Contains(t, paste(2), "\nHTTP 404\n")
		require.Contains(t, paste(3), `"state":"accepted"`)
		require.ElementsMatch(t, []string{"max PROJECT.MANAGER", "ina PROJECT.ADMIN"}, s.members("Apollo"))
		begun := time.Now()
		p.stop()
		require.Less(t, time.Since(begun), 5*time.Second)
	}
}
