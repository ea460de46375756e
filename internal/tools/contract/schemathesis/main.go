// Command schemathesis fuzzes the server with requests generated from the contract, on each database, as several personas:
//
//	go run ./internal/tools/contract/schemathesis -postgres URL [-full]
//
// In the short form, each database has one persona who may do nearly everything and one who may do little. In the full form, each
// has all four, each persona sends many more requests, and some of them follow from the answers to others.
// It provides a directory, invitations, approval tokens, group invitations and permission requests that exist, so that requests
// get past "not found". It fails where an operation never succeeded for a persona that may use it, where a response does not
// match the contract, and where the server's log has an error. run.sh installs Schemathesis into a virtual environment.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"invited/internal/tools/sdk/live"
)

// The contract's examples have this role, customer and project, so that the examples succeed too.
const (
	role      = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e04"
	otherRole = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e05"
	thirdRole = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e03"
	customer  = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a01"
	project   = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a02"
)

// projects is the number of projects. A persona accepts a role in a project only once.
const projects = 16

// staff is a user who prepares what the requests find.
const staff = "sam"

// asker returns the user who asks for what a persona decides about. Each persona has another: what one persona approves, its
// asker holds, and can't ask for again.
func (p persona) asker() string { return "rosa-" + p.name }

// A persona is a user who sends the requests.
type persona struct {
	name string
	user string   // username whose token is sent; "": no token
	may  []string // operations that must succeed; the other operations are tried as well
}

var (
	reader = []string{
		"customers_list", "customers_count", "projects_list", "projects_count", "roles_retrieve",
		"user_permissions_list", "user_permissions_count", "users_me_retrieve",
		"user_permission_requests_list", "user_permission_requests_count",
	}
	public = []string{
		"user_invitations_check", "user_invitations_approve", "user_invitations_reject", "roles_list", "roles_count",
		"configuration_retrieve", "identity_providers_list", "user_group_invitations_list", "user_group_invitations_count",
		"user_group_invitations_retrieve",
	}
	invitee = slices.Concat(public, reader, []string{
		"user_invitations_bulk_action", // says of each uuid that it is not found
		"user_invitations_list", "user_invitations_count", "user_invitations_mine_list", "user_invitations_mine_count",
		"user_invitations_details_retrieve", "user_invitations_accept",
		"user_group_invitations_projects_list", "user_group_invitations_submit_request", "user_group_invitations_request",
		"user_permission_requests_retrieve", "user_permission_requests_cancel_request",
	})
	manager = slices.Concat(invitee, []string{
		"customers_retrieve", "projects_retrieve", "customers_list_users_list", "customers_list_users_count",
		"projects_list_users_list", "projects_list_users_count", "user_invitations_create", "user_invitations_retrieve", "user_invitations_events_list",
		"user_invitations_check_duplicates", "user_invitations_update", "user_invitations_partial_update", "user_invitations_cancel",
		"user_invitations_send", "user_invitations_destroy", "user_invitations_link_retrieve",
		"user_group_invitations_create", "user_group_invitations_update", "user_group_invitations_partial_update",
		"user_group_invitations_destroy", "user_group_invitations_cancel", "user_group_invitations_events_list",
		"user_permission_requests_approve", "user_permission_requests_reject", "events_list",
		"user_invitations_bulk_list", "user_invitations_bulk_count", "user_invitations_bulk_create",
	})
	all = slices.Concat(manager, []string{"user_invitations_delete", "user_permission_requests_destroy"})
	// rest are the operations that need an address, a time or a state that no invitation of a run has, or a bulk invitation of
	// more than 100 rows. They are tried, and never succeed.
	rest = []string{
		"user_invitations_decline", "user_invitations_undo_decline", "user_invitations_ask_again",
		"user_invitations_approve_request", "user_invitations_reject_request",
		"user_invitations_bulk_retrieve", "user_invitations_bulk_csv_retrieve", "user_invitations_bulk_cancel",
	}

	// The short form takes turns: the first and the third are tried on one database, the others on the other.
	personas = []persona{
		{"staff", staff, all},
		{"owner", "olivia", manager},
		// A user who knows an invitation's uuid can see its details and accept it, or ask by the link of a group invitation;
		// everything else is 404 for a stranger.
		{"stranger", "stan", invitee},
		{"anonymous", "", public},
	}
)

// fatalWarnings are the warnings of a run that tests nothing. validation_mismatch, missing_auth and missing_test_data are none of
// them: they count 4xx responses, and the second of two equal invitations is rejected, no persona's token makes another token,
// and no run has an issuer. The check Worked finds an operation that never succeeds.
var fatalWarnings = []string{"base_url_mismatch", "dictionary_mismatch", "rate_limited"}

//go:embed schemathesis.toml
var settings []byte

func main() {
	var r runner
	postgres := flag.String("postgres", "", "`URL` of a PostgreSQL server where databases may be created")
	flag.StringVar(&r.invited, "invited", "build/invited", "the server's `program`")
	flag.StringVar(&r.dir, "dir", "build/contract/schemathesis", "the `folder` where Schemathesis is installed, and where reports are written")
	flag.BoolVar(&r.full, "full", false, "send many more requests, and other requests each time")
	only := flag.String("persona", "", "only this `persona`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := r.run(ctx, *postgres, *only); err != nil {
		fmt.Fprintln(os.Stderr, "schemathesis:", err)
		os.Exit(1)
	}
}

type runner struct {
	invited, dir string
	full         bool
}

func (r *runner) run(ctx context.Context, postgres, only string) (err error) {
	for _, path := range []*string{&r.invited, &r.dir} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	databases, err := live.Databases(ctx, postgres)
	if err != nil {
		return err
	}
	// Schemathesis is one thread: the databases are fuzzed beside each other.
	failures := make([]error, len(databases))
	var running sync.WaitGroup
	for i, db := range databases {
		tries := func(p int) bool {
			if only != "" {
				return personas[p].name == only
			}
			return r.full || p%len(databases) == i
		}
		running.Go(func() { failures[i] = errors.Join(r.fuzzDatabase(ctx, db, tries), db.Drop()) })
	}
	running.Wait()
	return errors.Join(failures...)
}

// fuzzDatabase fuzzes a server on one database as each persona whose index tries reports true for, also after a persona failed.
func (r *runner) fuzzDatabase(ctx context.Context, db live.Database, tries func(persona int) bool) (err error) {
	process, err := live.Prepare(ctx, r.invited, db, directory())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Remove()) }()
	s := &server{process, db.Name}
	// Where only staff may invite, an owner's invitation waits for approval, and staff receive tokens by mail.
	approvals, rejections, err := s.tokens(ctx)
	if err != nil {
		return err
	}
	// One address sends more unknown tokens than the limit allows, and each has to get its 401.
	if err := s.Run(ctx, "INVITED_LIMIT_UNKNOWN_KEYS=0"); err != nil {
		return err
	}
	for i, p := range personas {
		if !tries(i) {
			continue
		}
		// Each persona gets a share, because a token works only once.
		share := len(approvals) / len(personas)
		from, to := i*share, (i+1)*share
		if failure := r.fuzzAs(ctx, s, p, approvals[from:to], rejections[from:to]); failure != nil {
			err = errors.Join(err, fmt.Errorf("%s on %s: %w", p.name, db.Name, failure))
		}
	}
	return errors.Join(err, s.End(), checkLog(s.name, s.Log()))
}

// fuzzAs fuzzes the server as one persona, and prints the counts.
func (r *runner) fuzzAs(ctx context.Context, s *server, p persona, approvals, rejections []string) error {
	dir := filepath.Join(r.dir, strings.ToLower(s.name)+"-"+p.name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	invitations, err := s.invite(ctx, p.name)
	if err != nil {
		return err
	}
	// Requests to accept use invitations of their own, which no other request edits or deletes.
	offers, err := s.invite(ctx, p.name+"-offer")
	if err != nil {
		return err
	}
	joining, err := s.prepareJoining(ctx, p)
	if err != nil {
		return err
	}
	var scopes []string
	for i := range projects {
		scopes = append(scopes, s.scope(i))
	}
	contract, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return err
	}
	if contract, err = withTokens(contract, approvals[0], rejections[0]); err != nil {
		return err
	}
	files := map[string][]byte{
		"openapi.yaml": contract, "schemathesis.toml": append(bytes.Clone(settings), p.settings()...),
		"invitations.dict": dictionary(invitations), "offers.dict": dictionary(offers), "scopes.dict": dictionary(scopes),
		"roles.dict":     dictionary([]string{role, otherRole, thirdRole}),
		"customers.dict": dictionary([]string{customer}), "projects.dict": dictionary(projectIDs()),
		"approvals.dict": dictionary(approvals), "rejections.dict": dictionary(rejections),
	}
	for name, ids := range joining {
		files[name+".dict"] = dictionary(ids)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}

	args := []string{
		"run", "openapi.yaml", "--url", s.URL, "--report", "json,ndjson", "--report-json-path", "report.json",
		"--report-ndjson-path", "report.ndjson",
	}
	if r.full {
		args = append(args, "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "300")
	} else {
		// The same requests each time: a change fails because of the change, and not by chance. The stateful phase is left out: it
		// sends 1 in 40 of all requests, and in some runs takes all the memory of a machine.
		args = append(args, "--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1", "--no-shrink")
	}
	hooks, err := filepath.Abs("internal/tools/contract/schemathesis")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(r.dir, "tools/bin/schemathesis"), args...)
	cmd.Dir = dir
	// The requests go to this machine, also where a proxy is configured.
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS=hooks", "PYTHONPATH="+hooks, "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "NO_COLOR=1", "NO_PROXY=*", "no_proxy=*")
	output, err := cmd.CombinedOutput()
	if err := os.WriteFile(filepath.Join(dir, "output.txt"), output, 0o600); err != nil {
		return err
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return err
	}
	t, readErr := readReports(dir)
	if readErr != nil {
		return fmt.Errorf("%w\n%s", errors.Join(err, readErr), output)
	}
	fmt.Fprintf(os.Stdout, "%-10s  %-9s  %6d cases  %7d checks  %3d failures  %4.0f s\n", s.name, p.name, t.cases, t.checks, t.failures, t.seconds)
	if err == nil && !t.complete {
		err = errors.New("not all phases of Schemathesis were complete")
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return nil
}

var exampleToken = regexp.MustCompile(`example: \{token: v1\.[A-Za-z0-9_.-]+\}`)

// withTokens returns the contract with tokens that work in the examples of requests to approve and to reject, which are sent
// first. Few of the generated requests have a token that works and no other fault.
func withTokens(contract []byte, approval, rejection string) ([]byte, error) {
	found := exampleToken.FindAllIndex(contract, -1)
	if len(found) != 2 {
		return nil, fmt.Errorf("openapi.yaml has %d examples of approval tokens, not one for approve and one for reject", len(found))
	}
	approve, reject := found[0], found[1] // in the order of the contract
	example := func(token string) []byte { return []byte("example: {token: " + token + "}") }
	return slices.Concat(
		contract[:approve[0]], example(approval), contract[approve[1]:reject[0]], example(rejection), contract[reject[1]:],
	), nil
}

// settings returns the part of schemathesis.toml that differs between personas.
func (p persona) settings() []byte {
	var b bytes.Buffer
	if p.user != "" {
		fmt.Fprintf(&b, "\n[auth.openapi.tokenAuth]\napi_key = \"Token %s\"\n", live.Token(p.user))
	}
	fmt.Fprintf(&b, "\n[warnings]\nfail-on = [%s]\n", quoteList(fatalWarnings))
	fmt.Fprintf(&b, "\n[checks.Worked]\noperations = [%s]\n", quoteList(p.may))
	// An operation that the persona may not use never succeeds: a warning about it would be wrong.
	for _, operation := range slices.Concat(all, rest) {
		if !slices.Contains(p.may, operation) {
			fmt.Fprintf(&b, "\n[[operations]]\ninclude-operation-id = %q\nwarnings = false\n", operation)
		}
	}
	return b.Bytes()
}

func quoteList(values []string) string {
	return `"` + strings.Join(values, `", "`) + `"`
}

func dictionary(values []string) []byte {
	return []byte(`"` + strings.Join(values, "\"\n\"") + "\"\n")
}

// A tally has the counts of a run.
type tally struct {
	cases, checks, failures int
	seconds                 float64
	complete                bool
}

// readReports reads report.json, which has the result of the run, and report.ndjson, which has every check.
func readReports(dir string) (t tally, err error) {
	var report struct {
		Complete bool    `json:"complete"`
		Seconds  float64 `json:"running_time"`
		Cases    struct {
			Generated int `json:"generated"`
			Unique    int `json:"unique_failures"`
			Errored   int `json:"errored"`
		} `json:"test_cases"`
	}
	content, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(content, &report); err != nil {
		return t, err
	}
	t = tally{cases: report.Cases.Generated, failures: report.Cases.Unique + report.Cases.Errored, seconds: report.Seconds, complete: report.Complete}
	file, err := os.Open(filepath.Join(dir, "report.ndjson"))
	if err != nil {
		return t, err
	}
	defer func() { _ = file.Close() }()
	for decoder := json.NewDecoder(bufio.NewReader(file)); ; {
		var event struct {
			ScenarioFinished struct {
				Recorder struct {
					Checks map[string][]json.RawMessage `json:"checks"`
				} `json:"recorder"`
			}
		}
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) {
			return t, nil
		} else if err != nil {
			return t, err
		}
		for _, checks := range event.ScenarioFinished.Recorder.Checks {
			t.checks += len(checks)
		}
	}
}

// projectID returns the uuid of a project. The first is the project of the contract's examples.
func projectID(i int) string {
	if i == 0 {
		return project
	}
	return fmt.Sprintf("20000000-0000-4000-8000-%012d", i)
}

func projectIDs() []string {
	var all []string
	for i := range projects {
		all = append(all, projectID(i))
	}
	return all
}

func directory() string {
	var b strings.Builder
	b.WriteString(`
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: PROJECT.ADMIN, uuid: ` + role + `, scope_type: project}
  - {name: PROJECT.MEMBER, uuid: ` + otherRole + `, scope_type: project}
  - {name: PROJECT.MANAGER, uuid: ` + thirdRole + `, scope_type: project}
users:
  - {username: sam, email: sam@staff.example, is_staff: true, tokens: [` + live.Token("sam") + `]}
  - {username: olivia, email: olivia@acme.example, tokens: [` + live.Token("olivia") + `]}
  - {username: stan, email: stan@elsewhere.example, tokens: [` + live.Token("stan") + `]}
`)
	for _, p := range personas {
		user := p.asker()
		fmt.Fprintf(&b, "  - {username: %s, email: %s@elsewhere.example, tokens: [%s]}\n", user, user, live.Token(user))
	}
	b.WriteString(`customers:
  - name: Acme
    uuid: ` + customer + `
    members: [{user: olivia, role: CUSTOMER.OWNER}]
    projects:
`)
	for i := range projects {
		fmt.Fprintf(&b, "      - {name: Apollo %d, uuid: %s}\n", i+1, projectID(i))
	}
	return b.String()
}

// A server has the records of directory in its database.
type server struct {
	*live.Server
	name string // of the database engine
}

// checkLog returns an error where a server's log has an error or a panic.
func checkLog(name, log string) error {
	var found []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "goroutine ") {
			found = append(found, line)
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("%d errors in the server's log on %s, the first: %s", len(found), name, found[0])
	}
	return nil
}

func (s *server) scope(i int) string { return s.URL + "/api/projects/" + projectID(i) + "/" }

// post sends a request as a user, and returns the uuid in the response, or "" where there is none.
func (s *server) post(ctx context.Context, user, path string, body any) (string, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/api/"+path, bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Token "+live.Token(user))
	request.Header.Set("Content-Type", "application/json")
	response, err := direct.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode/100 != 2 {
		return "", fmt.Errorf("%s: %s: %s", path, response.Status, answer)
	}
	var created struct{ UUID string }
	err = json.Unmarshal(answer, &created)
	return created.UUID, err
}

// direct is a client that ignores configured proxies.
var direct = &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}

// invite creates invitations for a persona: one to each project, and some canceled ones.
func (s *server) invite(ctx context.Context, name string) (uuids []string, err error) {
	for i := range projects + projects/4 {
		uuid, err := s.post(ctx, staff, "user-invitations/", map[string]string{
			"role": role, "scope": s.scope(i % projects), "email": fmt.Sprintf("%s-%d@university.example", name, i),
		})
		if err != nil {
			return nil, err
		}
		if i >= projects {
			if _, err := s.post(ctx, staff, "user-invitations/"+uuid+"/cancel/", nil); err != nil {
				return nil, err
			}
		}
		uuids = append(uuids, uuid)
	}
	return uuids, nil
}

// prepareJoining creates group invitations and permission requests for a persona, and returns their uuids by the name of the
// dictionary that has them. Each operation that ends what it finds has rows of its own.
func (s *server) prepareJoining(ctx context.Context, p persona) (map[string][]string, error) {
	found := map[string][]string{}
	group := func(name string, body map[string]any) (string, error) {
		body["role"] = otherRole
		uuid, err := s.post(ctx, staff, "user-group-invitations/", body)
		found[name] = append(found[name], uuid)
		return uuid, err
	}
	inProject := func(i int) map[string]any {
		return map[string]any{"scope": s.scope(i), "allow_multiple_requests": true}
	}
	inCustomer := func(public bool) map[string]any {
		return map[string]any{
			"scope": s.URL + "/api/customers/" + customer + "/", "auto_create_project": true, "allow_multiple_requests": true,
			"allow_custom_project_details": true, "is_public": public,
		}
	}
	for i := range projects {
		for _, name := range []string{"groups", "ended-groups", "joins"} { // joins stay active
			uuid, err := group(name, inProject(i))
			if err == nil && name == "ended-groups" {
				_, err = s.post(ctx, staff, "user-group-invitations/"+uuid+"/cancel/", nil)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	for i := range 4 {
		if _, err := group("customer-groups", inCustomer(i%2 == 0)); err != nil {
			return nil, err
		}
	}
	own := p.user
	if own == "" {
		own = p.asker()
	}
	for name, user := range map[string]string{"requests": own, "own-requests": own, "approvable": p.asker(), "rejectable": p.asker()} {
		for i := range projects {
			uuid, err := s.post(ctx, user, "user-group-invitations/"+found["joins"][i]+"/submit_request/", map[string]any{})
			if err != nil {
				return nil, err
			}
			found[name] = append(found[name], uuid)
		}
	}
	found["joins"] = append(found["joins"], found["customer-groups"]...)
	return found, nil
}

var (
	approveLink = regexp.MustCompile(`/invitation_approve/([^/\s]+)/`)
	rejectLink  = regexp.MustCompile(`/invitation_reject/([^/\s]+)/`)
)

// tokens returns tokens that approve and tokens that reject, from the mails to staff. No two are for one invitation.
func (s *server) tokens(ctx context.Context) (approvals, rejections []string, err error) {
	if err := s.Run(ctx, "INVITED_ONLY_STAFF_CAN_INVITE_USERS=true"); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.End()) }()
	for i := range 4 * projects {
		_, err := s.post(ctx, "olivia", "user-invitations/", map[string]string{
			"role": role, "scope": s.scope(i % projects), "email": fmt.Sprintf("asked-%d@university.example", i),
		})
		if err != nil {
			return nil, nil, err
		}
	}
	err = waitUntil(ctx, func() bool {
		approvals, rejections, err = mailedTokens(s.Mails)
		return err != nil || len(approvals)+len(rejections) >= 4*projects
	})
	if err != nil {
		return nil, nil, fmt.Errorf("waiting for mails to staff: %w", err)
	}
	return approvals, rejections, nil
}

// mailedTokens returns the tokens in the mails of a folder. A mail is about one request or several, and a request can be in
// several mails.
func mailedTokens(folder string) (approvals, rejections []string, err error) {
	seen := map[uuid.UUID]bool{}
	mails, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	if err != nil {
		return nil, nil, err
	}
	for _, path := range mails {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		// Quoted-printable encoding breaks lines with "=", and leaves the characters of a token unchanged.
		mail := strings.NewReplacer("=\r\n", "", "=\n", "").Replace(string(content))
		mail, _, _ = strings.Cut(mail, "text/html") // the HTML has the same links as the text
		approve, reject := approveLink.FindAllStringSubmatch(mail, -1), rejectLink.FindAllStringSubmatch(mail, -1)
		if len(approve) != len(reject) {
			return nil, nil, fmt.Errorf("the mail %s has %d links to approve and %d to reject", path, len(approve), len(reject))
		}
		for i := range approve {
			invitation, err := invitationOf(approve[i][1])
			if err != nil {
				return nil, nil, fmt.Errorf("the mail %s: %w", path, err)
			}
			if seen[invitation] {
				continue
			}
			seen[invitation] = true
			if (len(approvals)+len(rejections))%2 == 0 {
				approvals = append(approvals, approve[i][1])
			} else {
				rejections = append(rejections, reject[i][1])
			}
		}
	}
	return approvals, rejections, nil
}

// invitationOf returns the invitation that an approval token is for, without a look at the token's signature. See
// token.Signer.Sign.
func invitationOf(approval string) (uuid.UUID, error) {
	parts := strings.Split(approval, ".")
	if len(parts) != 3 {
		return uuid.Nil, fmt.Errorf("%q has %d parts, and an approval token 3", approval, len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil && len(payload) < 33 {
		err = fmt.Errorf("the payload of %q has %d bytes", approval, len(payload))
	}
	if err != nil {
		return uuid.Nil, err
	}
	return uuid.UUID(payload[17:33]), nil // after the purpose and the user
}

// waitUntil waits up to 30 seconds until a condition holds.
func waitUntil(ctx context.Context, condition func() bool) error {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
