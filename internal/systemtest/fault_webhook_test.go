package systemtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// onEachWebhookFault is onEachFault with a webhook. After each case it asserts that no invitation was mailed (its inviter may
// be told that it was not delivered), that no secret is in the log or the database, and that each webhook-id had one content.
func onEachWebhookFault(t *testing.T, fault string, test func(f *faultCase, p *harness.Process)) {
	t.Helper()
	onEachFault(t, fault, func(f *faultCase) {
		f.webhook = harness.NewWebhookRecorder(f.t)
		p := f.env.UseWebhook(f.webhook).Serve()
		test(f, p)
		p.Stop()
		for _, id := range f.created {
			for _, each := range f.smtp.Mails() {
				isNotice := strings.Contains(each.ID, ".undeliverable.")
				assert.True(f.t, isNotice || !strings.Contains(each.ID, id), "%s was mailed", each.ID)
			}
		}
		bodies := map[string]string{}
		for _, each := range f.webhook.Requests() {
			earlier, repeated := bodies[each.ID]
			assert.True(f.t, !repeated || earlier == each.Body, "two contents for one webhook-id")
			bodies[each.ID] = each.Body
		}
		for _, secret := range []string{harness.WebhookLoginSecret, harness.WebhookAccessToken, harness.WebhookSecret, harness.WebhookAnswer} {
			f.assertNotLeaked(p, secret)
		}
	})
}

func TestFaultWebhookDown(t *testing.T) {
	onEachWebhookFault(t, "webhook down", func(f *faultCase, p *harness.Process) {
		f.webhook.Close()
		ids := f.createQuickly(p, "down", 6)
		f.waitErred(p, ids, "can't be reached", "tried again")
		f.webhook.Open()
		f.markHealed()
		f.verify(retryLimit, 0)
	})
}

func TestFaultWebhookAsksForAnotherTry(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"503": 503, "500": 500, "429": 429} {
		t.Run(name, func(t *testing.T) {
			onEachWebhookFault(t, "webhook answers 5xx or 429 for a while", func(f *faultCase, p *harness.Process) {
				f.webhook.SetStatus(func(string) int { return status })
				ids := f.createQuickly(p, "later", 6)
				f.waitErred(p, ids, "The webhook asked to try again later ("+name+").", "tried again")
				f.webhook.SetStatus(nil)
				f.markHealed()
				f.verify(retryLimit, 0)
				tries := map[string]int{}
				for _, each := range f.webhook.Requests() {
					tries[each.ID]++
				}
				for _, id := range ids {
					require.GreaterOrEqual(f.t, tries[id+".0"], 2, "one webhook-id for all attempts at a delivery")
				}
				require.Len(f.t, tries, len(ids))
			})
		})
	}
}

// Only the operator can fix a refused login: no invitation is given up.
func TestFaultWebhookLogin(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		breaks func(*harness.WebhookRecorder)
		words  string
	}{
		"login server": {func(r *harness.WebhookRecorder) { r.SetLoginSecret("another secret") }, "The login server of the webhook refused the login (401)"},
		"endpoint": {func(r *harness.WebhookRecorder) {
			r.SetStatus(func(string) int { return http.StatusUnauthorized })
		}, "The webhook refused the login (401)"},
	} {
		t.Run(name, func(t *testing.T) {
			onEachWebhookFault(t, "webhook refuses the login", func(f *faultCase, p *harness.Process) {
				each.breaks(f.webhook)
				ids := f.createQuickly(p, "held", 8)
				f.waitErred(p, ids, each.words, "the operator has to check the webhook settings", "tried again")
				p.WaitLog(`level=ERROR msg="nothing is delivered this way until the operator fixes it"`)
				status, checks := p.Readiness()
				require.Equal(f.t, "degraded", status)
				require.Contains(f.t, checks["webhook"], each.words)
				require.NotContains(f.t, checks["mail"], "operator")
				require.Len(f.t, f.openJobs(), len(ids), "none is given up")
				f.webhook.SetLoginSecret(harness.WebhookLoginSecret)
				f.webhook.SetStatus(nil)
				f.markHealed()
				f.verify(retryLimit, 0)
				status, _ = p.Readiness()
				require.Equal(f.t, "ok", status)
			})
		})
	}
}

// An invitation that the endpoint refuses for good is not tried again until somebody sends it again, as another delivery.
func TestFaultWebhookRefuses(t *testing.T) {
	onEachWebhookFault(t, "webhook refuses one invitation for good", func(f *faultCase, p *harness.Process) {
		var mu sync.Mutex
		refusing := ""
		f.webhook.SetStatus(func(id string) int {
			mu.Lock()
			defer mu.Unlock()
			if refusing == "" {
				refusing = id
			}
			if id == refusing {
				return http.StatusUnprocessableEntity
			}
			return 0
		})
		refused := f.createQuickly(p, "refused", 1)
		f.waitErred(p, refused, "The webhook refused the invitation (422).")
		require.NotContains(f.t, p.Get(refused[0]).ErrorMessage, "tried again")
		f.createQuickly(p, "other", 4)
		f.undeliverable = refused
		f.verify(retryLimit, 0)
		require.Equal(f.t, []string{"cancelled 1"}, f.column(`SELECT state || ' ' || attempt FROM river_job
			WHERE kind = 'deliver_invitation' AND state <> 'completed'`))
		require.Len(f.t, f.webhook.Requests(), 5)

		f.webhook.SetStatus(nil)
		f.markHealed()
		p.Do("POST", harness.InvitationsPath+refused[0]+"/send/", "olivia", "").Is(200)
		f.undeliverable = nil
		f.verify(retryLimit, 0)
		require.Equal(f.t, "OK", p.Get(refused[0]).ExecutionState)
		require.Equal(f.t, 1, f.webhook.Copies()[refused[0]+".1@localhost"])
		require.Len(f.t, f.webhook.Requests(), 6)
	})
}

// Deliveries that wait for the webhook do not delay mails.
func TestFaultWebhookSlow(t *testing.T) {
	onEachWebhookFault(t, "webhook slow", func(f *faultCase, p *harness.Process) {
		arrived, release := f.webhook.Hold()
		f.createQuickly(p, "slow", 10) // more than are posted or mailed at once
		for range 4 {
			harness.Receive(f.t, arrived, "a request arrives")
		}
		role, acme := f.column("SELECT '' || uuid FROM roles WHERE name = 'CUSTOMER.OWNER'")[0],
			f.column("SELECT '' || uuid FROM scopes WHERE name = 'Acme'")[0]
		start := time.Now()
		mailed := p.Do("POST", harness.InvitationsPath, "sam", `{"email": "second@university.example", "role": "`+role+
			`", "scope": "http://any.example/api/customers/`+acme+`/"}`).Is(201).Invitation().UUID
		f.waitUntil(quickLimit, "the mail is not delayed", func() bool { return f.smtp.Copies()[mailed+".0@localhost"] == 1 })
		require.Less(f.t, time.Since(start), quickLimit)
		require.Empty(f.t, f.webhook.Requests(), "the others still wait")
		release()
		f.markHealed()
		f.verify(retryLimit, 0)
		require.Len(f.t, f.smtp.Mails(), 1)
	})
}

func TestWebhookPayload(t *testing.T) {
	onEachWebhookFault(t, "", func(f *faultCase, p *harness.Process) {
		type invitation struct {
			UUID    string `json:"uuid"`
			Expires string `json:"expires"`
		}
		var one invitation
		body := strings.TrimSuffix(harness.InvitationBody("Ina+1@university.example"), "}") + `, "extra_invitation_text": "Hi <b>Ina</b> & all\nSecond line"}`
		created := p.Do("POST", harness.InvitationsPath, "olivia", body).Is(201)
		require.NoError(f.t, json.Unmarshal([]byte(created.Body), &one))
		p.WaitDelivered(one.UUID)
		p.Do("POST", harness.InvitationsPath+one.UUID+"/send/", "olivia", "").Is(200)
		p.WaitUntil("it is posted again", func() bool { return len(f.webhook.Requests()) == 2 })
		p.WaitDelivered(one.UUID)

		verifier, err := standardwebhooks.NewWebhook(harness.WebhookSecret)
		require.NoError(f.t, err)
		for i, each := range f.webhook.Requests() {
			require.Equal(f.t, one.UUID+[]string{".0", ".1"}[i], each.ID, "one webhook-id for each delivery")
			require.NoError(f.t, verifier.Verify([]byte(each.Body), each.Header))
			var payload map[string]any
			require.NoError(f.t, json.Unmarshal([]byte(each.Body), &payload))
			require.Equal(f.t, map[string]any{
				"email":                 "Ina+1@university.example",
				"role_name":             "PROJECT.ADMIN",
				"role_description":      "",
				"scope_type":            "project",
				"scope_name":            "Apollo",
				"scope_uuid":            harness.ProjectUUID,
				"extra_invitation_text": "Hi <b>Ina</b> & all\nSecond line",
				"created_by_full_name":  "Olivia Owner",
				"created_by_username":   "olivia",
				"expires":               one.Expires,
				"redirect_scope_url":    "https://front.example/projects/" + harness.ProjectUUID + "/",
				"redirect_url":          "https://front.example/invitation/" + one.UUID + "/",
				"invitation_uuid":       one.UUID,
			}, payload)
		}
	})
}

// Settings that can't work prevent the start before anything is written to the database.
func TestWebhookSettings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		for name, each := range map[string]struct{ setting, named string }{
			"blank URL":     {"INVITED_INVITATION_WEBHOOK_URL=  ", "INVITED_INVITATION_WEBHOOK_URL"},
			"no URL":        {"INVITED_INVITATION_WEBHOOK_URL=pa55word.example/hook", "INVITED_INVITATION_WEBHOOK_"},
			"bad secret":    {"INVITED_INVITATION_WEBHOOK_SECRET=whsec_pa55word", "INVITED_INVITATION_WEBHOOK_SECRET"},
			"half a login":  {"INVITED_INVITATION_WEBHOOK_TOKEN_SECRET=", "INVITED_INVITATION_WEBHOOK_"},
			"bad token URL": {"INVITED_INVITATION_WEBHOOK_TOKEN_URL=ftp://pa55word.example", "INVITED_INVITATION_WEBHOOK_TOKEN_URL"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				env := harness.New(t, e.Empty(t)).UseWebhook(harness.NewWebhookRecorder(t)).Set(each.setting)
				env.Run("", "serve").Fails(each.named)
				query := "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
				if env.OnSQLite() {
					query = "SELECT count(*) FROM sqlite_master"
				}
				tables := -1
				require.NoError(t, env.DB().QueryRow(query).Scan(&tables))
				require.Zero(t, tables)
			})
		}
	})
}
