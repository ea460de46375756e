package systemtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// The mail server lacks STARTTLS, and its URL does not name this machine. A connection to 0.0.0.0 ends on this machine
// all the same.
func TestMailServerWithoutSTARTTLS(t *testing.T) {
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		recorder := harness.NewSMTPRecorder(t)
		address := strings.Replace(strings.TrimPrefix(recorder.URL, "smtp://"), "127.0.0.1", "0.0.0.0", 1)
		const words = "The mail server offers no STARTTLS; the operator has to check its URL: " +
			"use smtps://, or smtp+insecure:// to send in the clear."

		env.Apply().Set("INVITED_SMTP_URL=smtp://" + address)
		p := env.Serve()
		id := p.Create("ina@university.example").UUID
		p.WaitUntil("the delivery fails", func() bool { return p.Get(id).ExecutionState == "Erred" })
		require.Equal(t, words+" It is tried again by itself.", p.Get(id).ErrorMessage)
		status, checks := p.Readiness()
		require.Equal(t, "degraded", status)
		require.Contains(t, checks["mail"], words)
		require.Empty(t, recorder.Mails())
		p.Stop()

		env.Set("INVITED_SMTP_URL=smtp+insecure://user:pa55word@" + address)
		p = env.Serve()
		p.WaitLog(`level=WARN msg="INVITED_SMTP_URL is smtp+insecure://: mails, their links and the password are sent in the clear"`)
		p.WaitDelivered(p.Create("other@university.example").UUID)
		require.Len(t, recorder.Mails(), 1)
		p.Do("POST", harness.InvitationsPath+id+"/send/", "olivia", "").Is(200)
		p.WaitDelivered(id)
		p.Stop()
		require.NotContains(t, p.Stderr.String(), "pa55word")
	})
}
