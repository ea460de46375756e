package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
)

const (
	hookSecret   = "whsec_c2VjcmV0LW9mLXRoZS13ZWJob29rLTAx"
	clientSecret = "pa55word-of-the-webhook-client"
	accessToken  = "the-access-token"
)

// receiver is a webhook's endpoint with its login server. Its answers can be chosen, be put off, or stay out.
type receiver struct {
	t       testing.TB
	address string

	mu     sync.Mutex
	server *http.Server
	answer func(id string) int
	secret string // that a login needs
	posts  []posted
}

// posted is what came to the endpoint with a good login, and what it was answered.
type posted struct {
	id     string // webhook-id
	body   string
	header http.Header
	status int
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{t: t, address: "127.0.0.1:0", secret: clientSecret}
	r.open()
	t.Cleanup(r.close)
	return r
}

// open takes requests, at the same address as before.
func (r *receiver) open() {
	r.t.Helper()
	listener, err := net.Listen("tcp", r.address)
	require.NoError(r.t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", r.login)
	mux.HandleFunc("POST /hook", r.take)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	r.mu.Lock()
	r.server, r.address = server, listener.Addr().String()
	r.mu.Unlock()
	go func() { _ = server.Serve(listener) }()
}

// close takes no requests any more, and ends the connections that there are.
func (r *receiver) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.server.Close()
}

// answers has f choose the status of each answer; 0 is the friendly one. f can take its time; nil: all is friendly.
func (r *receiver) answers(f func(id string) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// wants sets the client secret that a login needs.
func (r *receiver) wants(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

func (r *receiver) login(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	wanted := r.secret
	r.mu.Unlock()
	client, secret, basic := request.BasicAuth()
	if !basic {
		client, secret = request.PostFormValue("client_id"), request.PostFormValue("client_secret")
	}
	w.Header().Set("Content-Type", "application/json")
	if client != "the-client" || secret != wanted || request.PostFormValue("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error": "invalid_client", "error_description": "not `+secret+`"}`)
		return
	}
	_, _ = io.WriteString(w, `{"access_token": "`+accessToken+`", "token_type": "Bearer", "expires_in": 3600}`)
}

// chatter is in the body of every answer, and nobody else's business.
const chatter = "chatter of the receiver"

func (r *receiver) take(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil || request.Header.Get("Authorization") != "Bearer "+accessToken {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.mu.Lock()
	choose := r.answer
	r.mu.Unlock()
	one := posted{id: request.Header.Get("Webhook-Id"), body: string(body), header: request.Header}
	if choose != nil {
		one.status = choose(one.id)
	}
	if one.status == 0 {
		one.status = http.StatusAccepted
	}
	r.mu.Lock()
	r.posts = append(r.posts, one)
	r.mu.Unlock()
	w.WriteHeader(one.status)
	_, _ = io.WriteString(w, chatter)
}

// got lists what came.
func (r *receiver) got() []posted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]posted{}, r.posts...)
}

// copies counts what was taken, by the letter's name as the mail server would have it.
func (r *receiver) copies() map[string]int {
	found := map[string]int{}
	for _, each := range r.got() {
		if each.status < 300 {
			found[each.id+"@localhost"]++
		}
	}
	return found
}

// hooked has a site deliver invitations into projects by webhook.
func (s *site) hooked(r *receiver) *site {
	return s.set("INVITED_INVITATION_USE_WEBHOOKS=true",
		"INVITED_INVITATION_WEBHOOK_URL=http://"+r.address+"/hook",
		"INVITED_INVITATION_WEBHOOK_TOKEN_URL=http://"+r.address+"/token",
		"INVITED_INVITATION_WEBHOOK_TOKEN_CLIENT_ID=the-client",
		"INVITED_INVITATION_WEBHOOK_TOKEN_SECRET="+clientSecret,
		"INVITED_INVITATION_WEBHOOK_SECRET="+hookSecret,
		"INVITED_FRONTEND_URL=https://front.example/")
}

// onEachHookTrial is onEachTrial with a webhook. Whatever the fault, it ends with nothing by mail, no secret told, and
// one webhook-id for each delivery.
func onEachHookTrial(t *testing.T, fault string, test func(x *trial, p *served)) {
	t.Helper()
	onEachTrial(t, fault, func(x *trial) {
		x.hook = newReceiver(x.t)
		p := x.s.hooked(x.hook).serve()
		test(x, p)
		p.stop()
		for _, id := range x.created {
			for _, each := range x.sink.got() {
				assert.NotContains(x.t, each.id, id, "it went by mail")
			}
		}
		bodies := map[string]string{}
		for _, each := range x.hook.got() {
			before, again := bodies[each.id]
			assert.True(x.t, !again || before == each.body, "two contents for one webhook-id")
			bodies[each.id] = each.body
		}
		for _, secret := range []string{clientSecret, accessToken, hookSecret, chatter} {
			x.keeps(p, secret)
		}
	})
}

func TestFaultWebhookDown(t *testing.T) {
	onEachHookTrial(t, "webhook down", func(x *trial, p *served) {
		x.hook.close()
		ids := x.createQuickly(p, "down", 6)
		x.erred(p, ids, "can't be reached", "tried again")
		x.hook.open()
		x.healed()
		x.judge(patience, 0)
	})
}

func TestFaultWebhookAsksForAnotherTry(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"503": 503, "500": 500, "429": 429} {
		t.Run(name, func(t *testing.T) {
			onEachHookTrial(t, "webhook answers 5xx or 429 for a while", func(x *trial, p *served) {
				x.hook.answers(func(string) int { return status })
				ids := x.createQuickly(p, "later", 6)
				x.erred(p, ids, "The webhook asked to try again later ("+name+").", "tried again")
				x.hook.answers(nil)
				x.healed()
				x.judge(patience, 0)
				tries := map[string]int{}
				for _, each := range x.hook.got() {
					tries[each.id]++
				}
				for _, id := range ids {
					require.GreaterOrEqual(x.t, tries[id+".0"], 2, "one webhook-id for all attempts at a delivery")
				}
				require.Len(x.t, tries, len(ids))
			})
		})
	}
}

// A refused login is the operator's to mend: nothing is given up for it.
func TestFaultWebhookLogin(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		breaks func(*receiver)
		words  string
	}{
		"login server": {func(r *receiver) { r.wants("another secret") }, "The login server of the webhook refused the login (401)"},
		"endpoint": {func(r *receiver) {
			r.answers(func(string) int { return http.StatusUnauthorized })
		}, "The webhook refused the login (401)"},
	} {
		t.Run(name, func(t *testing.T) {
			onEachHookTrial(t, "webhook refuses the login", func(x *trial, p *served) {
				each.breaks(x.hook)
				ids := x.createQuickly(p, "held", 8)
				x.erred(p, ids, each.words, "the operator has to check the webhook settings", "tried again")
				p.logs(`level=ERROR msg="nothing is delivered this way until the operator mends it"`)
				status, checks := p.ready()
				require.Equal(x.t, "degraded", status)
				require.Contains(x.t, checks["webhook"], each.words)
				require.NotContains(x.t, checks["mail"], "operator")
				require.Len(x.t, x.open(), len(ids), "none is given up")
				x.hook.wants(clientSecret)
				x.hook.answers(nil)
				x.healed()
				x.judge(patience, 0)
				status, _ = p.ready()
				require.Equal(x.t, "ok", status)
			})
		})
	}
}

// What the endpoint refuses for good is left alone until somebody sends it anew, as another delivery.
func TestFaultWebhookRefuses(t *testing.T) {
	onEachHookTrial(t, "webhook refuses one invitation for good", func(x *trial, p *served) {
		var mu sync.Mutex
		refusing := ""
		x.hook.answers(func(id string) int {
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
		refused := x.createQuickly(p, "refused", 1)
		x.erred(p, refused, "The webhook refused the invitation (422).")
		require.NotContains(x.t, p.see(refused[0]).ErrorMessage, "tried again")
		x.createQuickly(p, "other", 4)
		x.refusedForGood = refused
		x.judge(patience, 0)
		require.Equal(x.t, []string{"cancelled 1"}, x.rows(`SELECT state || ' ' || attempt FROM river_job
			WHERE kind = 'deliver_invitation' AND state <> 'completed'`))
		require.Len(x.t, x.hook.got(), 5)

		x.hook.answers(nil)
		x.healed()
		p.ask("POST", invitations+refused[0]+"/send/", "olivia", "").is(200)
		x.refusedForGood = nil
		x.judge(patience, 0)
		require.Equal(x.t, "OK", p.see(refused[0]).ExecutionState)
		require.Equal(x.t, 1, x.hook.copies()[refused[0]+".1@localhost"])
		require.Len(x.t, x.hook.got(), 6)
	})
}

// Who waits for the webhook doesn't hold up who waits for the mail server.
func TestFaultWebhookSlow(t *testing.T) {
	onEachHookTrial(t, "webhook slow", func(x *trial, p *served) {
		arrived, goOn := make(chan string, 100), make(chan struct{})
		x.hook.answers(func(id string) int {
			arrived <- id
			<-goOn
			return 0
		})
		release := sync.OnceFunc(func() { close(goOn) })
		x.t.Cleanup(release)
		x.createQuickly(p, "slow", 10) // more than are posted, or mailed, at once
		for range 4 {
			<-arrived
		}
		role, acme := x.rows("SELECT '' || uuid FROM roles WHERE name = 'CUSTOMER.OWNER'")[0],
			x.rows("SELECT '' || uuid FROM scopes WHERE name = 'Acme'")[0]
		begun := time.Now()
		into := p.ask("POST", invitations, "sam", `{"email": "second@university.example", "role": "`+role+
			`", "scope": "http://any.example/api/customers/`+acme+`/"}`).is(201).invitation().UUID
		x.until(quick, "the mail is not held up", func() bool { return x.sink.copies()[into+".0@localhost"] == 1 })
		require.Less(x.t, time.Since(begun), quick)
		require.Empty(x.t, x.hook.got(), "the others still wait")
		release()
		x.healed()
		x.judge(patience, 0)
		require.Len(x.t, x.sink.got(), 1)
	})
}

func TestWebhookPayload(t *testing.T) {
	onEachHookTrial(t, "", func(x *trial, p *served) {
		type shown struct {
			UUID    string `json:"uuid"`
			Expires string `json:"expires"`
		}
		var one shown
		said := strings.TrimSuffix(draft("Ina+1@university.example"), "}") + `, "extra_invitation_text": "Hi <b>Ina</b> & all\nSecond line"}`
		made := p.ask("POST", invitations, "olivia", said).is(201)
		require.NoError(x.t, json.Unmarshal([]byte(made.body), &one))
		p.delivered(one.UUID)
		p.ask("POST", invitations+one.UUID+"/send/", "olivia", "").is(200)
		p.until("it is posted again", func() bool { return len(x.hook.got()) == 2 })
		p.delivered(one.UUID)

		verifier, err := standardwebhooks.NewWebhook(hookSecret)
		require.NoError(x.t, err)
		for i, each := range x.hook.got() {
			require.Equal(x.t, one.UUID+[]string{".0", ".1"}[i], each.id, "another for each delivery")
			require.NoError(x.t, verifier.Verify([]byte(each.body), each.header))
			var payload map[string]any
			require.NoError(x.t, json.Unmarshal([]byte(each.body), &payload))
			require.Equal(x.t, map[string]any{
				"email":                 "Ina+1@university.example",
				"role_name":             "PROJECT.ADMIN",
				"role_description":      "",
				"scope_type":            "project",
				"scope_name":            "Apollo",
				"scope_uuid":            project,
				"extra_invitation_text": "Hi <b>Ina</b> & all\nSecond line",
				"created_by_full_name":  "Olivia Owner",
				"created_by_username":   "olivia",
				"expires":               one.Expires,
				"redirect_scope_url":    "https://front.example/projects/" + project + "/",
				"redirect_url":          "https://front.example/invitation/" + one.UUID + "/",
				"invitation_uuid":       one.UUID,
			}, payload)
		}
	})
}

// Settings that can't work stop the start, before anything is written to the database.
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
				s := newSite(t, e.Empty(t)).hooked(newReceiver(t)).set(each.setting)
				s.run("", "serve").fails(each.named)
				tables := "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
				if s.onSQLite() {
					tables = "SELECT count(*) FROM sqlite_master"
				}
				found := -1
				require.NoError(t, s.raw().QueryRow(tables).Scan(&found))
				require.Zero(t, found)
			})
		}
	})
}
