package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// wrongOf returns the messages of what `invited doctor` says is wrong, and its whole output.
func wrongOf(t *testing.T, env *harness.Env, args ...string) (wrong []string, output string) {
	t.Helper()
	got := env.Run("", append([]string{"doctor", "--json"}, args...)...)
	var result struct {
		Findings []struct{ Check, Level, Message, Advice string }
	}
	require.NoError(t, json.Unmarshal([]byte(got.Stdout), &result), got.Stdout+got.Stderr)
	for _, each := range result.Findings {
		require.Contains(t, []string{"ok", "note", "wrong"}, each.Level)
		if each.Level == "wrong" {
			wrong = append(wrong, each.Message)
		}
	}
	if len(wrong) == 0 {
		require.Zero(t, got.Code, got.Stderr)
	} else {
		require.Equal(t, 1, got.Code)
		require.Regexp(t, `^invited: wrong: \d+ of \d+ findings\n$`, got.Stderr)
	}
	for _, secret := range []string{harness.SecretKey, harness.Password, harness.WebhookSecret, "/events"} {
		require.NotContains(t, got.Stdout+got.Stderr, secret)
	}
	return wrong, got.Stdout
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		recorder, hook := harness.NewSMTPRecorder(t), harness.NewWebhookRecorder(t)
		resolver := harness.DNSZone{
			TXT: map[string][]string{
				"good.example": {"v=spf1 mx -all"}, "_dmarc.good.example": {"v=DMARC1; p=reject"}, "s1._domainkey.good.example": {"v=DKIM1; p=MIIB"},
			},
			MX: map[string][]string{"good.example": {"mx.good.example."}},
		}.Serve(t)
		flags := []string{"--dns", resolver, "--dkim-selector", "s1"}
		env := setup(t, e.Fresh(t)).Apply().UseEventsWebhook(hook).Set("INVITED_PROFILE=secure", "INVITED_LISTEN_ADDR="+harness.FreeAddress(t),
			"INVITED_MAIL_FROM=Good <invitations@good.example>",
			"INVITED_SMTP_URL="+strings.Replace(recorder.URL, "smtp://", "smtp://alice:"+harness.Password+"@", 1))
		p := env.Serve()
		wrong, output := wrongOf(t, env, flags...)
		require.Empty(t, wrong)
		for _, words := range []string{
			"leaves nothing open", "INVITED_SECRET_KEY is set", "The schema is current", "none overdue", "is ready", "/healthz answers",
			"accepted the login", "has an SPF record", "has a DKIM key", "DMARC of good.example: reject", "go to mx.good.example",
			"INVITED_EVENTS_WEBHOOK_URL",
		} {
			require.Contains(t, output, words)
		}
		require.Empty(t, recorder.Mails())
		require.Empty(t, hook.Requests())

		table := env.Run("", append([]string{"doctor", "--send-to", "operator@good.example"}, flags...)...).OK()
		require.Regexp(t, `(?m)^ok +database +`, table)
		require.Regexp(t, `(?m)^note +mail +The test letter to operator@good.example was handed over`, table)
		require.Len(t, recorder.Mails(), 1)
		require.Equal(t, "operator@good.example", recorder.Mails()[0].To)
		require.Contains(t, recorder.Mails()[0].Text, "Nobody is invited by it")

		env.Run("", "jobs", "hold").OK()
		wrong, _ = wrongOf(t, env, flags...)
		require.Contains(t, strings.Join(wrong, "\n"), "Deliveries are held since")
		env.Run("", "jobs", "release").OK()
		p.Stop()
		recorder.SetReply(func(stage, _ string) string {
			if stage == "AUTH" {
				return "535 5.7.8 no"
			}
			return ""
		})
		wrong, output = wrongOf(t, env.With("INVITED_MAIL_FROM=a@bad.example"), flags...)
		require.Len(t, wrong, 3, wrong)
		require.Contains(t, wrong[0], "/healthz does not answer")
		require.Contains(t, wrong[1], "refused the login")
		require.Contains(t, wrong[2], "no TXT record of bad.example")
		require.Contains(t, output, "No server answers")
	})
}

func TestDoctorOnBrokenSettings(t *testing.T) {
	t.Parallel()
	env := setup(t, "sqlite://data/invited.db")
	wrong, output := wrongOf(t, env.With("INVITED_WORKERS=perhaps", "INVITED_LOG_FORMAT=xml"))
	require.Len(t, wrong, 2)
	require.Contains(t, output, "INVITED_WORKERS")
	require.Contains(t, output, "INVITED_LOG_FORMAT")
	_, output = wrongOf(t, env.With("INVITED_BOGUS=1"))
	require.Contains(t, output, "INVITED_BOGUS is no variable")
	require.Contains(t, output, "The first start makes the database")
	wrong, _ = wrongOf(t, env, "--send-to", "operator@good.example")
	require.Equal(t, []string{"The test letter was not sent: there is no mail server."}, wrong)
	wrong, _ = wrongOf(t, env.With("INVITED_SECRET_KEY="+strings.Repeat("abc", 20)))
	require.Contains(t, strings.Join(wrong, "\n"), "3 different characters")
	wrong, _ = wrongOf(t, env.With("INVITED_DATABASE_URL=postgres://invited:"+harness.Password+"@127.0.0.1:1/nosuch"))
	require.Contains(t, strings.Join(wrong, "\n"), "connection refused")
	entries, err := os.ReadDir(env.Dir)
	require.NoError(t, err)
	require.Empty(t, entries, "no file is made")

	env.Apply()
	path := filepath.Join(env.Dir, "data", "invited.db")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := len(content) / 4; i < len(content)/2; i++ {
		content[i] ^= 0x55
	}
	require.NoError(t, os.WriteFile(path, content, 0o600))
	wrong, _ = wrongOf(t, env)
	require.Contains(t, strings.Join(wrong, "\n"), "SQLite file is damaged")
	require.Equal(t, 2, env.Run("", "doctor", "--dns", "nowhere").Code)
}
