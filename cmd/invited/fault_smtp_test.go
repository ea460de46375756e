package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// quick is how long an answer of the API may take while a mail server or a webhook is in trouble: far less than any wait
// for one, and more than a busy machine needs.
const quick = 5 * time.Second

// patience is more than the pauses between the first three attempts at a delivery.
const patience = 60 * time.Second

// createQuickly is create where the fault is none of the API's: everybody gets a 201, and nobody waits.
func (x *trial) createQuickly(p *served, name string, count int) []string {
	x.t.Helper()
	var made []string
	for i := range count {
		begun := time.Now()
		id := x.tryCreate(p, fmt.Sprintf("%s%d@university.example", name, i))
		require.NotEmpty(x.t, id, "no 201 for %s%d", name, i)
		require.Less(x.t, time.Since(begun), quick)
		made = append(made, id)
	}
	return made
}

// erred waits until invitations say that they could not be delivered, and why.
func (x *trial) erred(p *served, ids []string, words ...string) {
	x.t.Helper()
	for _, id := range ids {
		x.until(patience, id+" says what is wrong", func() bool {
			return len(x.rows("SELECT execution_state FROM invitations WHERE execution_state = 'Erred' AND uuid = $1", id)) > 0
		})
		found := p.see(id)
		require.Equal(x.t, "Erred", found.ExecutionState)
		for _, each := range words {
			require.Contains(x.t, found.ErrorMessage, each)
		}
	}
}

// ready is what the server says of itself.
func (p *served) ready() (status string, checks map[string]string) {
	p.t.Helper()
	var said struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	got := p.ask("GET", "/readyz", "", "").is(200)
	require.NoError(p.t, json.Unmarshal([]byte(got.body), &said), got.body)
	return said.Status, said.Checks
}

func TestFaultMailServerDown(t *testing.T) {
	onEachTrial(t, "mail server down", func(x *trial) {
		p := x.s.serve()
		x.sink.close()
		ids := x.createQuickly(p, "down", 8)
		x.erred(p, ids, "can't be reached", "tried again")
		status, _ := p.ready()
		require.Equal(x.t, "ok", status, "a mail server that restarts is nothing that the operator has to mend here")
		x.sink.open()
		x.healed()
		x.judge(patience, 0)
		p.stop()
	})
}

// Each mail takes long, and one conversation never comes to its end.
func TestFaultMailServerSlow(t *testing.T) {
	onEachTrial(t, "mail server slow, and silent to one", func(x *trial) {
		var hung sync.Once
		x.sink.answers(func(stage, _ string) (reply string) {
			if stage == "CONTENT" {
				hung.Do(func() { reply = hang })
				if reply == "" {
					<-time.After(2 * time.Second)
				}
			}
			return reply
		})
		p := x.s.serve()
		begun := time.Now()
		ids := x.createQuickly(p, "slow", 10)
		x.until(25*time.Second, "all but one are delivered", func() bool { return len(x.sink.got()) == len(ids)-1 })
		require.Less(x.t, time.Since(begun), 30*time.Second, "before the one gave up")
		var waiting []string
		for _, id := range ids {
			if x.sink.copies()[id+".0@localhost"] == 0 {
				waiting = append(waiting, id)
			}
		}
		require.Len(x.t, waiting, 1)
		require.Equal(x.t, "Processing", p.see(waiting[0]).ExecutionState)
		x.erred(p, waiting, "did not answer in time", "tried again")
		x.sink.answers(nil)
		x.healed()
		x.judge(patience, 0)
		p.stop()
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
			onEachTrial(t, "mail server answers 4xx for a while", func(x *trial) {
				x.sink.answers(func(stage, _ string) string {
					if stage == each.stage {
						return each.reply
					}
					return ""
				})
				p := x.s.serve()
				ids := x.createQuickly(p, "later", 6)
				x.erred(p, ids, each.reply[:3], "tried again")
				require.Len(x.t, x.open(), len(ids))
				x.sink.answers(nil)
				x.healed()
				x.judge(patience, 0)
				p.stop()
			})
		})
	}
}

// What is refused for good is left alone until somebody sends it anew, and stands in nobody's way.
func TestFaultMailboxRefused(t *testing.T) {
	onEachTrial(t, "mail server refuses one address for good", func(x *trial) {
		var mu sync.Mutex
		tried := map[string]int{}
		x.sink.answers(func(stage, about string) string {
			if stage != "RCPT" || !strings.HasPrefix(about, "gone") {
				return ""
			}
			mu.Lock()
			defer mu.Unlock()
			tried[about]++
			return "550 5.1.1 <" + about + "> no such user at mx7.inner.example"
		})
		p := x.s.serve()
		gone := x.createQuickly(p, "gone", 3)
		x.createQuickly(p, "there", 4)
		x.erred(p, gone, "refused the address (550 5.1.1: there is no such mailbox)", "send the invitation again")
		for _, id := range gone {
			require.NotContains(x.t, p.see(id).ErrorMessage, "tried again")
			require.NotContains(x.t, p.see(id).ErrorMessage, "mx7")
		}
		x.refusedForGood = gone
		x.judge(patience, 0)
		require.ElementsMatch(x.t, []string{"cancelled 1", "cancelled 1", "cancelled 1"}, x.rows(`SELECT state || ' ' || attempt
			FROM river_job WHERE kind = 'deliver_invitation' AND state <> 'completed'`))
		require.Len(x.t, x.sink.got(), 4)
		mu.Lock()
		require.Equal(x.t, map[string]int{
			"gone0@university.example": 1, "gone1@university.example": 1, "gone2@university.example": 1,
		}, tried)
		mu.Unlock()

		x.sink.answers(nil)
		x.healed()
		for _, id := range gone {
			p.ask("POST", invitations+id+"/send/", "olivia", "").is(200)
		}
		x.refusedForGood = nil
		x.judge(patience, 0)
		for _, id := range gone {
			require.Equal(x.t, "OK", p.see(id).ExecutionState)
			require.Equal(x.t, 1, x.sink.copies()[id+".1@localhost"])
			require.Zero(x.t, x.sink.copies()[id+".0@localhost"])
		}
		p.stop()
	})
}

const password = "pa55word-of-the-mail-server"

// What the mail server holds against this server is the operator's to mend. Nobody's invitation is given up for it, the
// operator is told, and the mail server is not pestered.
func TestFaultOperatorsTrouble(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct{ stage, reply, words string }{
		"login":             {"AUTH", "535 5.7.8 bad credentials", "refused the login (535)"},
		"sender":            {"MAIL", "553 5.1.8 sender domain does not exist", "refused the sender (553)"},
		"sender unknown":    {"MAIL", "530 5.7.0 authentication required", "refused the sender (530)"},
		"sender, put off":   {"RCPT", "550 5.1.8 sender address rejected", "refused the sender (550)"},
		"sender, at length": {"CONTENT", "550 5.7.26 not signed", "refused the sender (550)"},
	} {
		t.Run(name, func(t *testing.T) {
			onEachTrial(t, "mail server refuses the login or the sender", func(x *trial) {
				var mu sync.Mutex
				refusals := 0
				x.sink.answers(func(stage, _ string) string {
					if stage != each.stage {
						return ""
					}
					mu.Lock()
					defer mu.Unlock()
					refusals++
					return each.reply
				})
				x.s.set("INVITED_SMTP_URL=" + strings.Replace(x.sink.url, "://", "://mailer:"+password+"@", 1))
				p := x.s.serve()
				begun := time.Now()
				ids := x.createQuickly(p, "held", 20)
				x.erred(p, ids, each.words, "the operator has to check the mail settings", "tried again")
				// What befalls every mail holds them all back; what only the content or a recipient's server brings up, none.
				blocked := each.stage == "AUTH" || each.stage == "MAIL"
				p.logs("level=ERROR msg=\"" + map[bool]string{
					true: "nothing is delivered this way until the operator mends it", false: "not delivered until the operator mends it",
				}[blocked])
				p.logs(each.reply[:3])
				status, checks := p.ready()
				require.Equal(x.t, "degraded", status)
				require.Contains(x.t, checks["mail"], each.words)

				wanted := map[bool]int{true: 1, false: len(ids)}[blocked]
				x.until(patience, "it was tried again", func() bool {
					return len(x.rows("SELECT '' || id FROM river_job WHERE attempt >= 2 AND state = 'retryable'")) >= wanted
				})
				mu.Lock()
				if blocked { // eight at once may find out, and then eight more after each hold of 10 s
					require.LessOrEqual(x.t, refusals, 8*(1+int(time.Since(begun)/(10*time.Second))), "the mail server is left alone")
				}
				mu.Unlock()
				require.Len(x.t, x.open(), len(ids), "none is given up")
				require.Empty(x.t, x.sink.got())
				status, _ = p.ready()
				require.Equal(x.t, "degraded", status)

				x.sink.answers(nil)
				x.healed()
				x.judge(2*patience, 0) // the third pause is 40 s and more
				status, checks = p.ready()
				require.Equal(x.t, "ok", status)
				require.NotContains(x.t, checks["mail"], "operator")
				p.stop()
				x.keeps(p, password)
			})
		})
	}
}

// keeps asserts that a secret is neither in the log nor in any text of the database.
func (x *trial) keeps(p *served, secret string) {
	x.t.Helper()
	errors := "SELECT coalesce(CAST(errors AS TEXT), '') FROM river_job"
	if x.s.onSQLite() {
		errors = "SELECT coalesce(json(errors), '') FROM river_job"
	}
	said := strings.Join(append(x.rows("SELECT error_message FROM invitations"), x.rows(errors)...), "\n") + p.stderr.String()
	require.NotContains(x.t, said, secret)
	require.NotContains(x.t, said, base64.StdEncoding.EncodeToString([]byte("\x00mailer\x00"+secret)))
}

// A conversation that breaks off before the mail server has all of it has delivered nothing.
func TestFaultCutBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct{ stage, reply string }{
		"recipient":        {"RCPT", cut},
		"data":             {"DATA", cut},
		"within":           {"DATA", half},
		"before an answer": {"CONTENT", cut}, // the mail server did not keep it
	} {
		t.Run(name, func(t *testing.T) {
			onEachTrial(t, "connection cut before the end of the mail", func(x *trial) {
				cuts := x.once(each.stage, each.reply)
				p := x.s.serve()
				ids := x.createQuickly(p, "cut", 8)
				x.until(patience, "all were cut off once", func() bool { return cuts() == len(ids) })
				x.healed()
				x.judge(patience, 0)
				p.stop()
			})
		})
	}
}

// once has the sink give an answer once to each mail or recipient, and tells how often it has.
func (x *trial) once(at, reply string) (count func() int) {
	var mu sync.Mutex
	done := map[string]bool{}
	x.sink.answers(func(stage, about string) string {
		mu.Lock()
		defer mu.Unlock()
		if stage != at || done[about] {
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

// boundary is chosen anew for each writing of a mail, and says nothing.
var boundary = regexp.MustCompile(`boundary="?([^"\s;]+)`)

// A conversation that breaks off after the end of the mail leaves open whether the mail server has it. It comes once
// more then, and is the same, so that whoever gets both can tell.
func TestFaultCutAfterTheEnd(t *testing.T) {
	onEachTrial(t, "connection cut after the end of the mail", func(x *trial) {
		cuts := x.once("CONTENT", taken)
		p := x.s.serve()
		ids := x.createQuickly(p, "again", 8)
		x.until(patience, "all were cut off once", func() bool { return cuts() == len(ids) })
		x.erred(p, ids, "broke off", "tried again")
		x.healed()
		x.judge(patience, len(ids))
		p.stop()
		first := map[string]string{}
		for _, each := range x.sink.got() {
			text := each.text
			if found := boundary.FindStringSubmatch(text); found != nil {
				text = strings.ReplaceAll(text, found[1], "boundary")
			}
			require.Contains(x.t, text, "\nDate: ")
			if first[each.id] == "" {
				first[each.id] = text
				continue
			}
			assert.Equal(x.t, first[each.id], text, "the same mail")
		}
		require.Len(x.t, first, len(ids))
		require.Len(x.t, x.sink.got(), 2*len(ids), "each once more and no more")
	})
}
