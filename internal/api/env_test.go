package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/api"
	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/idempotency"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/lifecycle"
	"invited/internal/signin"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// The directory of the test environment. directoryFile has the names. The API key of a user is the username and "-key".
const (
	lifetime = 7 * 24 * time.Hour
	maxAge   = 3 * 24 * time.Hour

	acme    = "10000000-0000-4000-8000-000000000001" // a customer
	globex  = "10000000-0000-4000-8000-000000000002" // another
	gone    = "10000000-0000-4000-8000-000000000003" // a removed one
	apollo  = "20000000-0000-4000-8000-000000000001" // a project of acme
	artemis = "20000000-0000-4000-8000-000000000002" // one that starts on 2026-12-24
	hydra   = "20000000-0000-4000-8000-000000000003" // a project of globex
	dropped = "20000000-0000-4000-8000-000000000004" // a removed project of acme
	strict  = "20000000-0000-4000-8000-000000000005" // a project of acme with e-mail patterns
	nodes   = "30000000-0000-4000-8000-000000000001" // an offering of acme
	call    = "30000000-0000-4000-8000-000000000002" // a call of acme
	paper   = "30000000-0000-4000-8000-000000000003" // a proposal of acme

	owner    = "40000000-0000-4000-8000-000000000001" // CUSTOMER.OWNER
	reader   = "40000000-0000-4000-8000-000000000002" // CUSTOMER.READER: only INVITATION.LIST
	manager  = "40000000-0000-4000-8000-000000000003" // PROJECT.MANAGER
	admin    = "40000000-0000-4000-8000-000000000004" // PROJECT.ADMIN: no permissions
	member   = "40000000-0000-4000-8000-000000000005" // PROJECT.MEMBER: no permissions
	retired  = "40000000-0000-4000-8000-000000000006" // PROJECT.RETIRED: not active
	seller   = "40000000-0000-4000-8000-000000000007" // OFFERING.MANAGER
	reviewer = "40000000-0000-4000-8000-000000000008" // CALL.REVIEWER
	author   = "40000000-0000-4000-8000-000000000009" // PROPOSAL.AUTHOR
)

const directoryFile = `
roles:
  - {name: CUSTOMER.OWNER, uuid: ` + owner + `, description: Organization owner, scope_type: customer,
     permissions: [CUSTOMER.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: CUSTOMER.READER, uuid: ` + reader + `, scope_type: customer, permissions: [INVITATION.LIST]}
  - {name: PROJECT.MANAGER, uuid: ` + manager + `, description: Project manager, scope_type: project,
     permissions: [PROJECT.CREATE_PERMISSION]}
  - {name: PROJECT.ADMIN, uuid: ` + admin + `, description: System administrator, scope_type: project}
  - {name: PROJECT.MEMBER, uuid: ` + member + `, scope_type: project}
  - {name: PROJECT.RETIRED, uuid: ` + retired + `, scope_type: project, is_active: false}
  - {name: OFFERING.MANAGER, uuid: ` + seller + `, scope_type: offering, permissions: [OFFERING.CREATE_PERMISSION]}
  - {name: CALL.REVIEWER, uuid: ` + reviewer + `, scope_type: call, permissions: [CALL.CREATE_PERMISSION]}
  - {name: PROPOSAL.AUTHOR, uuid: ` + author + `, scope_type: proposal, permissions: [PROPOSAL.MANAGE]}
users:
  - {username: staff, email: staff@example.com, full_name: Sam Staff, is_staff: true, tokens: [staff-key]}
  - {username: staff2, email: staff2@example.com, is_staff: true, notifications_enabled: false, tokens: [staff2-key]}
  - {username: support, email: support@example.com, is_support: true, tokens: [support-key]}
  - {username: owner, email: owner@acme.example, full_name: Olivia Owner, image: 'https://example.com/olivia.png', tokens: [owner-key]}
  - {username: reader, email: reader@acme.example, tokens: [reader-key]}
  - {username: manager, email: manager@acme.example, full_name: Max Manager, tokens: [manager-key]}
  - {username: member, email: member@acme.example, tokens: [member-key]}
  - {username: sibling, email: sibling@acme.example, tokens: [sibling-key]}
  - {username: rival, email: rival@globex.example, tokens: [rival-key]}
  - {username: invitee, email: Invitee@University.example, civil_number: '1234', tokens: [invitee-key]}
  - {username: stranger, email: stranger@example.org, tokens: [stranger-key]}
  - {username: inactive, email: inactive@example.com, is_staff: true, is_active: false, tokens: [inactive-key]}
customers:
  - name: Acme
    uuid: ` + acme + `
    description: Makers of things
    members: [{user: owner, role: CUSTOMER.OWNER}, {user: reader, role: CUSTOMER.READER}]
    projects:
      - name: Apollo
        uuid: ` + apollo + `
        description: To the moon
        members: [{user: manager, role: PROJECT.MANAGER}, {user: member, role: PROJECT.MEMBER}]
      - name: Artemis
        uuid: ` + artemis + `
        description: Back to the moon
        start_date: 2026-12-24
        members: [{user: sibling, role: PROJECT.MANAGER}]
      - {name: Dropped, uuid: ` + dropped + `, is_removed: true}
      - {name: Strict, uuid: ` + strict + `, user_email_patterns: ['.*@(acme|university)\.example']}
    scopes:
      - {type: offering, name: GPU nodes, uuid: ` + nodes + `}
      - {type: call, name: Spring call, uuid: ` + call + `}
      - {type: proposal, name: A paper, uuid: ` + paper + `}
  - name: Globex
    uuid: ` + globex + `
    description: 100% others_
    members: [{user: rival, role: CUSTOMER.OWNER}]
    projects:
      - {name: Hydra, uuid: ` + hydra + `}
  - {name: Gone, uuid: ` + gone + `, is_removed: true}
`

// scopeSegments has the path segment of each scope's URL.
var scopeSegments = map[string]string{
	acme: "customers", globex: "customers", gone: "customers",
	apollo: "projects", artemis: "projects", hydra: "projects", dropped: "projects", strict: "projects",
	nodes: "marketplace-provider-offerings", call: "proposal-protected-calls", paper: "proposal-proposals",
}

// scopeURL returns the URL of a scope of directoryFile.
func scopeURL(id string) string {
	return "https://anywhere.example/api/" + scopeSegments[id] + "/" + id + "/"
}

// env is the API on a database of its own, with a clock that stands at 2026-11-23 09:30 UTC.
type env struct {
	t       testing.TB
	engine  storetest.Engine
	db      *store.Store
	clock   *storetest.Clock
	service *invitation.Service
	joining *joining.Service
	keys    *idempotency.Service
	server  *httptest.Server
	log     *logBuffer
}

// envConfig changes what newEnv makes. The zero value is the default environment.
type envConfig struct {
	directory string                                    // a directory file; empty: directoryFile
	open      func(clock func() time.Time) *store.Store // opens the database; nil: the engine does
	policies  []func(*invitation.Policy)                // change the default policy
	logger    *slog.Logger                              // nil: the API logs to env.log
}

// newEnv returns an environment on an engine. The test's cleanup closes it.
func newEnv(t testing.TB, engine storetest.Engine, config envConfig) *env {
	t.Helper()
	e := &env{
		t: t, engine: engine, log: &logBuffer{},
		clock: storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)),
	}
	if config.open != nil {
		e.db = config.open(e.clock.Now)
	} else {
		e.db = engine.Open(t.(*testing.T), e.clock.Now)
	}
	if config.directory == "" {
		config.directory = directoryFile
	}
	e.apply(config.directory)
	e.service = &invitation.Service{
		Store: e.db.Invitations(),
		Policy: invitation.Policy{
			Lifetime: lifetime, MinLifetime: 5 * time.Minute, MaxLifetime: 365 * 24 * time.Hour, MaxAge: maxAge,
			AllowedFields: []string{"full_name", "native_name", "phone_number", "organization", "job_title", "civil_number"},
		},
		Signer:      signer,
		FrontendURL: "https://front.example/",
	}
	e.joining = &joining.Service{Store: e.db.Joining()}
	e.keys = &idempotency.Service{Store: e.db.Idempotency(), Signer: signer}
	for _, policy := range config.policies {
		policy(&e.service.Policy)
	}
	e.server = httptest.NewServer(e.handler(func(c *api.Config) {
		if config.logger != nil {
			c.Logger = config.logger
		}
	}))
	e.server.Client().Timeout = requestTimeout
	e.server.Client().CheckRedirect = showRedirects
	t.Cleanup(e.server.Close)
	return e
}

// showRedirects keeps a client from following the redirects of signing in, which are responses of the contract, and those to
// the public URL.
func showRedirects(to *http.Request, via []*http.Request) error {
	if strings.HasPrefix(via[0].URL.Path, "/api-auth/") || to.URL.Host == "api.example" {
		return http.ErrUseLastResponse
	}
	return nil
}

// handler returns another API on the same database, with some of its configuration changed.
func (e *env) handler(change func(*api.Config)) http.Handler {
	e.t.Helper()
	config := api.Config{
		Service: e.service, Joining: e.joining, Bulk: &bulk.Service{Store: e.db.Bulk(), Invitations: e.service},
		Directory: &directory.Reader{Store: e.db.ReadStore()}, PublicURL: "https://api.example/",
		Callers:     e.callers(nil),
		Idempotency: e.keys,
		Lifecycle:   &lifecycle.Service{Store: e.db.Lifecycle()},
		Logger:      slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ready:       func(context.Context) map[string]error { return nil },
		SiteName:    "Example Cloud",
	}
	change(&config)
	handler, err := api.New(config)
	require.NoError(e.t, err)
	return handler
}

// callers returns how requests are authenticated, with some of the configuration changed.
func (e *env) callers(change func(*signin.ChainConfig)) *signin.Chain {
	e.t.Helper()
	config := signin.ChainConfig{
		Tokens: e.db, TokenUses: directory.NewTokenUses(e.db.FileStore()), Identity: e.identity(identity.CreateNone),
		Origin: "https://api.example", ClientIP: api.ClientIP(nil), Logger: slog.New(slog.NewTextHandler(e.log, nil)), Now: e.clock.Now,
	}
	if change != nil {
		change(&config)
	}
	chain, err := signin.NewChain(config)
	require.NoError(e.t, err)
	return chain
}

// identity returns the use cases of signing in.
func (e *env) identity(create identity.CreateUsers) *identity.Service {
	return &identity.Service{Store: e.db.Identities(), Signer: signer, Create: create, Lifetime: lifetime}
}

// onEachEngine runs a test on both engines, each time in an environment of its own. The policies change the default
// policy.
func onEachEngine(t *testing.T, test func(e *env), policies ...func(*invitation.Policy)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) { test(newEnv(t, engine, envConfig{policies: policies})) })
}

// context returns a context that ends after requestTimeout, so that a test does not wait for the database for ever.
func (e *env) context() context.Context {
	ctx, cancel := context.WithTimeout(e.t.Context(), requestTimeout)
	e.t.Cleanup(cancel)
	return ctx
}

// run runs a subtest in the same environment.
func (e *env) run(name string, test func(e *env)) {
	e.t.Helper()
	e.t.(*testing.T).Run(name, func(t *testing.T) {
		inSubtest := *e
		inSubtest.t = t
		test(&inSubtest)
	})
}

// apply applies a directory file.
func (e *env) apply(file string) {
	e.t.Helper()
	parsed, err := dirfile.Decode(strings.NewReader(file))
	require.NoError(e.t, err)
	_, err = dirfile.Apply(e.context(), e.db.FileStore(), parsed, nil)
	require.NoError(e.t, err)
}

// applyReplaced makes the directory that of directoryFile with some of its texts replaced. oldAndNew has each text and its
// replacement.
func (e *env) applyReplaced(oldAndNew ...string) {
	e.t.Helper()
	for i := 0; i < len(oldAndNew); i += 2 {
		require.Contains(e.t, directoryFile, oldAndNew[i])
	}
	// What the file leaves out stays as it is, and these are what tests change.
	e.exec("UPDATE scopes SET user_email_patterns = '[]', is_removed = FALSE, start_date = NULL")
	e.exec("UPDATE roles SET is_active = TRUE")
	e.exec("UPDATE users SET is_active = TRUE, notifications_enabled = TRUE")
	e.apply(strings.NewReplacer(oldAndNew...).Replace(directoryFile))
}

// Texts of directoryFile to replace, and their replacements.
const (
	apolloUUID        = "uuid: " + apollo + "\n"
	apolloRemoved     = apolloUUID + "        is_removed: true\n"
	apolloPatterns    = apolloUUID + "        user_email_patterns: ['.*@acme\\.example']\n"
	apolloStartsLater = apolloUUID + "        start_date: 2026-12-24\n"

	adminRole         = "description: System administrator, scope_type: project"
	adminRoleInactive = adminRole + ", is_active: false"
)

// exec executes a statement in the database directly.
func (e *env) exec(statement string) {
	e.t.Helper()
	require.NoError(e.t, e.db.QueueDriver().GetExecutor().Exec(e.context(), statement))
}

// value returns the one text that a query returns.
func (e *env) value(query string) string {
	e.t.Helper()
	var found string
	require.NoError(e.t, e.db.QueueDriver().GetExecutor().QueryRow(e.context(), query).Scan(&found))
	return found
}

// countRows returns the number of rows of a table, as text.
func (e *env) countRows(table string) string {
	e.t.Helper()
	return e.value("SELECT CAST(count(*) AS text) FROM " + table)
}

// userID returns the uuid of a user.
func (e *env) userID(username string) uuid.UUID {
	e.t.Helper()
	return uuid.MustParse(e.value("SELECT uuid FROM users WHERE username = '" + username + "'"))
}

// deleteOwner deletes the user called owner from the database.
func (e *env) deleteOwner() {
	e.t.Helper()
	e.exec("DELETE FROM users WHERE username = 'owner'")
}

// setClock moves the clock to a time.
func (e *env) setClock(to time.Time) {
	e.t.Helper()
	e.clock.Advance(to.Sub(e.clock.Now()))
}

// timeLayout is the form of the API's timestamps.
const timeLayout = "2006-01-02T15:04:05.000000Z"

func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// parseTime parses a timestamp of the API.
func (e *env) parseTime(value string) time.Time {
	e.t.Helper()
	parsed, err := time.Parse(timeLayout, value)
	require.NoError(e.t, err)
	return parsed
}

// countJobs returns the number of jobs of a kind in the queue.
func (e *env) countJobs(kind string) int {
	e.t.Helper()
	return len(e.queued(kind))
}

// queued returns the arguments of the jobs of a kind in the queue, as JSON.
func (e *env) queued(kind string) [][]byte {
	e.t.Helper()
	var all [][]byte
	for _, job := range storetest.Jobs(e.t.(*testing.T), e.db, kind) {
		all = append(all, job.EncodedArgs)
	}
	return all
}

// deliveryJobs returns the delivery jobs of an invitation in the queue.
func (e *env) deliveryJobs(id uuid.UUID) []invitation.Deliver {
	e.t.Helper()
	var all []invitation.Deliver
	for _, args := range e.queued(deliverKind) {
		var job invitation.Deliver
		require.NoError(e.t, json.Unmarshal(args, &job))
		if job.Invitation == id {
			all = append(all, job)
		}
	}
	return all
}

// noticeJobs returns the notice jobs of an invitation in the queue.
func (e *env) noticeJobs(id uuid.UUID) []invitation.Notify {
	e.t.Helper()
	return e.notify(func(job invitation.Notify) bool { return job.Invitation == id })
}

// noticeJobsOf returns the jobs of a kind of notice in the queue, in order.
func (e *env) noticeJobsOf(kind invitation.Notice) []invitation.Notify {
	e.t.Helper()
	return e.notify(func(job invitation.Notify) bool { return job.Notice == kind })
}

func (e *env) notify(matches func(invitation.Notify) bool) []invitation.Notify {
	e.t.Helper()
	var all []invitation.Notify
	for _, args := range e.queued(notifyKind) {
		var job invitation.Notify
		require.NoError(e.t, json.Unmarshal(args, &job))
		if matches(job) {
			all = append(all, job)
		}
	}
	return all
}

// signer signs approval tokens with the key of the test environments.
var signer = token.NewSigner("the secret of the tests")

// sign returns an approval token that is issued now.
func (e *env) sign(purpose token.Purpose, user, id uuid.UUID) string {
	return signer.Sign(token.Approval{Purpose: purpose, User: user, Invitation: id, Issued: e.clock.Now()})
}

// Policies.

// onlyStaff lets only staff invite, and has staff approve the invitations of others.
func onlyStaff(p *invitation.Policy)       { p.OnlyStaffCanInvite = true }
func oneManager(p *invitation.Policy)      { p.OneProjectManager = true }
func validateEmail(p *invitation.Policy)   { p.ValidateEmail = true }
func strictCheck(p *invitation.Policy)     { p.StrictCheck = true }
func disableMultiple(p *invitation.Policy) { p.DisableMultipleRoles = true }

// oneInEachState creates one invitation in each state, by state, and advances the clock by a lifetime. It needs the
// policy onlyStaff. The e-mail of each invitation is its state at states.example. The invitation in state project is to
// artemis, all others are to apollo. The row of the expired one still says pending.
func oneInEachState(e *env) map[string]uuid.UUID {
	e.t.Helper()
	all := map[string]uuid.UUID{}
	add := func(user, state, scope string) {
		all[state] = e.create(user, state+"@states.example", admin, scope).UUID
	}
	add("staff", "expired", apollo)
	e.clock.Advance(lifetime)
	for _, state := range []string{"pending", "canceled", "accepted"} {
		add("staff", state, apollo)
	}
	add("staff", "project", artemis)
	add("owner", "requested", apollo)
	add("owner", "rejected", apollo)
	e.do("staff", all["canceled"], "cancel").is(http.StatusOK, "")
	e.do("stranger", all["accepted"], "accept").is(http.StatusOK, "")
	e.decide("reject", e.sign(token.Reject, e.userID("staff"), all["rejected"])).is(http.StatusOK, "")
	for state, id := range all {
		require.Equal(e.t, state, e.state(id))
	}
	return all
}

func TestOneInEachState(t *testing.T) {
	onEachEngine(t, func(e *env) { require.Len(e.t, oneInEachState(e), 7) }, onlyStaff)
}

// insertPending inserts n pending invitations to apollo. All have the same creation time.
func (e *env) insertPending(n int) {
	e.t.Helper()
	require.NoError(e.t, e.db.Invitations().Change(e.context(), func(tx invitation.Tx) ([]invitation.Change, error) {
		changes := make([]invitation.Change, n)
		for i := range changes {
			email := fmt.Sprintf("n%03d@fill.example", i)
			changes[i].After = &invitation.Invitation{
				UUID: uuid.New(), StoredState: invitation.Pending, Created: tx.Now(), ExecutionState: invitation.OK,
				RoleUUID: uuid.MustParse(admin), ScopeUUID: uuid.MustParse(apollo), CustomerUUID: uuid.MustParse(acme),
				Email: email, EmailFolded: email,
			}
		}
		return changes, nil
	}))
}

// logBuffer collects the log of an API. It is safe for concurrent use.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
