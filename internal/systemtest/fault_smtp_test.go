package systemtest

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// quickLimit limits a response of the API while a mail server or a webhook does not work: far less than any timeout of
// those, and more than a busy machine needs.
const quickLimit = 5 * time.Second

// retryLimit is longer than the pauses between the first three attempts at a delivery.
const retryLimit = 60 * time.Second

// createQuickly invites count people and asserts that each request is answered with 201 within quickLimit: the fault must not
// affect the API.
func (f *faultCase) createQuickly(p *harness.Process, name string, count int) []string {
	f.t.Helper()
	var uuids []string
	for i := range count {
		start := time.Now()
		id := f.tryCreate(p, fmt.Sprintf("%s%d@university.example", name, i))
		require.NotEmpty(f.t, id, "no 201 for %s%d", name, i)
		require.Less(f.t, time.Since(start), quickLimit)
		uuids = append(uuids, id)
	}
	return uuids
}

// waitErred waits until invitations are Erred, and asserts the words of their error messages.
func (f *faultCase) waitErred(p *harness.Process, ids []string, words ...string) {
	f.t.Helper()
	for _, id := range ids {
		f.waitUntil(retryLimit, id+" is Erred", func() bool {
			return len(f.column("SELECT execution_state FROM invitations WHERE execution_state = 'Erred' AND uuid = $1", id)) > 0
		})
		found := p.Get(id)
		require.Equal(f.t, "Erred", found.ExecutionState)
		for _, each := range words {
			require.Contains(f.t, found.ErrorMessage, each)
		}
	}
}

func TestFaultMailServerDown(t *testing.T) {
	onEachFault(t, "mail server down", func(f *faultCase) {
		p := f.env.Serve()
		f.smtp.Close()
		ids := f.createQuickly(p, "down", 8)
		f.waitErred(p, ids, "can't be reached", "tried again")
		status, _ := p.Readiness()
		require.Equal(f.t, "ok", status, "the operator has nothing to do where a mail server restarts")
		f.smtp.Open()
		f.markHealed()
		f.verify(retryLimit, 0)
		p.Stop()
	})
}

// Each mail takes long, and the mail server never answers one of them.
func TestFaultMailServerSlow(t *testing.T) {
	onEachFault(t, "mail server slow, and silent to one", func(f *faultCase) {
		var hung sync.Once
		f.smtp.SetReply(func(stage, _ string) (reply string) {
			if stage == "CONTENT" {
				hung.Do(func() { reply = harness.Hang })
				if reply == "" {
					harness.Sleep(f.t, 2*time.Second)
				}
			}
			return reply
		})
		p := f.env.Serve()
		start := time.Now()
		ids := f.createQuickly(p, "slow", 10)
		f.waitUntil(25*time.Second, "all but one are delivered", func() bool { return len(f.smtp.Mails()) == len(ids)-1 })
		require.Less(f.t, time.Since(start), 30*time.Second, "before the timeout of the one")
		var waiting []string
		for _, id := range ids {
			if f.smtp.Copies()[id+".0@localhost"] == 0 {
				waiting = append(waiting, id)
			}
		}
		require.Len(f.t, waiting, 1)
		require.Equal(f.t, "Processing", p.Get(waiting[0]).ExecutionState)
		f.waitErred(p, waiting, "did not answer in time", "tried again")
		f.smtp.SetReply(nil)
		f.markHealed()
		f.verify(retryLimit, 0)
		p.Stop()
	})
}

func TestFaultMailServerAsksForAnotherTry(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct{ stage, reply string }{
		"greeting":  {"CONNECT", "421 4.3.2 too busy"},
		"recipient": {"RCPT", "451 4.7.1 greylisted"},
		"data":      {"DATA", "450 4.2.1 later"},
		"content":   {"CONTENT", "452 4.3.1 disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			onEachFault(t, "mail server answers 4xx for a while", func(f *faultCase) {
				f.smtp.SetReply(func(stage, _ string) string {
					if stage == each.stage {
						return each.reply
					}
					return ""
				})
				p := f.env.Serve()
				ids := f.createQuickly(p, "later", 6)
				f.waitErred(p, ids, each.reply[:3], "tried again")
				require.Len(f.t, f.openJobs(), len(ids))
				f.smtp.SetReply(nil)
				f.markHealed()
				f.verify(retryLimit, 0)
				p.Stop()
			})
		})
	}
}

// An address that is refused for good is not tried again until somebody sends the invitation again, and other mails are sent.
func TestFaultMailboxRefused(t *testing.T) {
	onEachFault(t, "mail server refuses one address for good", func(f *faultCase) {
		var mu sync.Mutex
		tried := map[string]int{}
		f.smtp.SetReply(func(stage, about string) string {
			if stage != "RCPT" || !strings.HasPrefix(about, "gone") {
				return ""
			}
			mu.Lock()
			defer mu.Unlock()
			tried[about]++
			return "550 5.1.1 <" + about + "> no such user at mx7.inner.example"
		})
		p := f.env.Serve()
		gone := f.createQuickly(p, "gone", 3)
		f.createQuickly(p, "there", 4)
		f.waitErred(p, gone, "refused the address (550 5.1.1: there is no such mailbox)", "send the invitation again")
		for _, id := range gone {
			require.NotContains(f.t, p.Get(id).ErrorMessage, "tried again")
			require.NotContains(f.t, p.Get(id).ErrorMessage, "mx7")
		}
		f.undeliverable = gone
		f.verify(retryLimit, 0)
		require.ElementsMatch(f.t, []string{"cancelled 1", "cancelled 1", "cancelled 1"}, f.column(`SELECT state || ' ' || attempt
			FROM river_job WHERE kind = 'deliver_invitation' AND state <> 'completed'`))
		f.waitUntil(retryLimit, "the inviter is told of each", func() bool { return len(f.smtp.Mails()) >= 4+len(gone) })
		require.Len(f.t, f.smtp.Mails(), 4+len(gone))
		mu.Lock()
		require.Equal(f.t, map[string]int{
			"gone0@university.example": 1, "gone1@university.example": 1, "gone2@university.example": 1,
		}, tried)
		mu.Unlock()

		f.smtp.SetReply(nil)
		f.markHealed()
		for _, id := range gone {
			p.Do("POST", harness.InvitationsPath+id+"/send/", "olivia", "").Is(200)
		}
		f.undeliverable = nil
		f.verify(retryLimit, 0)
		for _, id := range gone {
			require.Equal(f.t, "OK", p.Get(id).ExecutionState)
			require.Equal(f.t, 1, f.smtp.Copies()[id+".1@localhost"])
			require.Zero(f.t, f.smtp.Copies()[id+".0@localhost"])
		}
		p.Stop()
	})
}

const smtpPassword = "pa55word-of-the-mail-server"

// The mail server refuses this server rather than a recipient, which only the operator can fix. No invitation is given up, the
// operator gets an error, and the mail server gets few attempts.
func TestFaultMailServerRefusesServer(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct{ stage, reply, words string }{
		"login":           {"AUTH", "535 5.7.8 bad credentials", "refused the login (535)"},
		"sender":          {"MAIL", "553 5.1.8 sender domain does not exist", "refused the sender (553)"},
		"sender unknown":  {"MAIL", "530 5.7.0 authentication required", "refused the sender (530)"},
		"sender, at RCPT": {"RCPT", "550 5.1.8 sender address rejected", "refused the sender (550)"},
		"sender, at end":  {"CONTENT", "550 5.7.26 not signed", "refused the sender (550)"},
	} {
		t.Run(name, func(t *testing.T) {
			onEachFault(t, "mail server refuses the login or the sender", func(f *faultCase) {
				var mu sync.Mutex
				refusals := 0
				f.smtp.SetReply(func(stage, _ string) string {
					if stage != each.stage {
						return ""
					}
					mu.Lock()
					defer mu.Unlock()
					refusals++
					return each.reply
				})
				f.env.Set("INVITED_SMTP_URL=" + strings.Replace(f.smtp.URL, "://", "://mailer:"+smtpPassword+"@", 1))
				p := f.env.Serve()
				start := time.Now()
				ids := f.createQuickly(p, "held", 20)
				f.waitErred(p, ids, each.words, "the operator has to check the mail settings", "tried again")
				// A refusal of every mail stops all deliveries. A refusal that may depend on the content or on the recipient's
				// server stops none.
				blocked := each.stage == "AUTH" || each.stage == "MAIL"
				p.WaitLog("level=ERROR msg=\"" + map[bool]string{
					true: "nothing is delivered this way until the operator fixes it", false: "not delivered until the operator fixes it",
				}[blocked])
				p.WaitLog(each.reply[:3])
				status, checks := p.Readiness()
				require.Equal(f.t, "degraded", status)
				require.Contains(f.t, checks["mail"], each.words)

				retried := map[bool]int{true: 1, false: len(ids)}[blocked]
				f.waitUntil(retryLimit, "jobs are tried again", func() bool {
					return len(f.column("SELECT '' || id FROM river_job WHERE attempt >= 2 AND state = 'retryable'")) >= retried
				})
				mu.Lock()
				if blocked { // eight mails at once are refused first, and then eight after each pause of 10 s
					require.LessOrEqual(f.t, refusals, 8*(1+int(time.Since(start)/(10*time.Second))), "the mail server gets few attempts")
				}
				mu.Unlock()
				require.Len(f.t, f.openJobs(), len(ids), "none is given up")
				require.Empty(f.t, f.smtp.Mails())
				status, _ = p.Readiness()
				require.Equal(f.t, "degraded", status)

				f.smtp.SetReply(nil)
				f.markHealed()
				f.verify(2*retryLimit, 0) // the third pause is 40 s and more
				status, checks = p.Readiness()
				require.Equal(f.t, "ok", status)
				require.NotContains(f.t, checks["mail"], "operator")
				p.Stop()
				f.assertNotLeaked(p, smtpPassword)
			})
		})
	}
}

// assertNotLeaked asserts that a secret is neither in the log nor in an error message in the database.
func (f *faultCase) assertNotLeaked(p *harness.Process, secret string) {
	f.t.Helper()
	jobErrors := "SELECT coalesce(CAST(errors AS TEXT), '') FROM river_job"
	if f.env.OnSQLite() {
		jobErrors = "SELECT coalesce(json(errors), '') FROM river_job"
	}
	texts := strings.Join(append(f.column("SELECT error_message FROM invitations"), f.column(jobErrors)...), "\n") + p.Stderr.String()
	require.NotContains(f.t, texts, secret)
	require.NotContains(f.t, texts, base64.StdEncoding.EncodeToString([]byte("\x00mailer\x00"+secret)))
}

// A connection that breaks before the mail server has the whole mail has delivered nothing.
func TestFaultCutBeforeEndOfMail(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct{ stage, reply string }{
		"recipient":        {"RCPT", harness.Cut},
		"data":             {"DATA", harness.Cut},
		"content":          {"DATA", harness.CutContent},
		"before an answer": {"CONTENT", harness.Cut}, // the mail server does not record the mail
	} {
		t.Run(name, func(t *testing.T) {
			onEachFault(t, "connection cut before the end of the mail", func(f *faultCase) {
				cutCount := f.replyOnce(each.stage, each.reply)
				p := f.env.Serve()
				ids := f.createQuickly(p, "cut", 8)
				f.waitUntil(retryLimit, "each connection was cut once", func() bool { return cutCount() == len(ids) })
				f.markHealed()
				f.verify(retryLimit, 0)
				p.Stop()
			})
		})
	}
}

// replyOnce makes the recorder give a reply once for each mail or recipient at a stage. count returns how often it was given.
func (f *faultCase) replyOnce(replyStage, reply string) (count func() int) {
	var mu sync.Mutex
	done := map[string]bool{}
	f.smtp.SetReply(func(stage, about string) string {
		mu.Lock()
		defer mu.Unlock()
		if stage != replyStage || done[about] {
			return ""
		}
		done[about] = true
		return reply
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(done)
	}
}

// boundary finds the MIME boundary, which is random in each rendering of a mail.
var boundary = regexp.MustCompile(`boundary="?([^"\s;]+)`)

// A connection that breaks after the end of the mail leaves open whether the mail server has the mail. The mail is sent once
// more, with the same content, so that recipients of both copies can recognize them.
func TestFaultCutAfterEndOfMail(t *testing.T) {
	onEachFault(t, "connection cut after the end of the mail", func(f *faultCase) {
		cutCount := f.replyOnce("CONTENT", harness.RecordCut)
		p := f.env.Serve()
		ids := f.createQuickly(p, "again", 8)
		f.waitUntil(retryLimit, "each connection was cut once", func() bool { return cutCount() == len(ids) })
		f.waitErred(p, ids, "broke off", "tried again")
		f.markHealed()
		f.verify(retryLimit, len(ids))
		p.Stop()
		first := map[string]string{}
		for _, each := range f.smtp.Mails() {
			content := each.Text
			if found := boundary.FindStringSubmatch(content); found != nil {
				content = strings.ReplaceAll(content, found[1], "boundary")
			}
			require.Contains(f.t, content, "\nDate: ")
			if first[each.ID] == "" {
				first[each.ID] = content
				continue
			}
			assert.Equal(f.t, first[each.ID], content, "the same mail")
		}
		require.Len(f.t, first, len(ids))
		require.Len(f.t, f.smtp.Mails(), 2*len(ids), "each mail twice")
	})
}
