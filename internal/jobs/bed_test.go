package jobs_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/jhillyerd/enmime/v2"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/mail"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

var (
	admin = uuid.MustParse("40000000-0000-4000-8000-000000000001") // a role in projects

	apollo  = uuid.MustParse("20000000-0000-4000-8000-000000000001")
	removed = "customers: [{name: Acme, uuid: 10000000-0000-4000-8000-000000000001, projects: [" +
		"{name: Apollo, uuid: 20000000-0000-4000-8000-000000000001, is_removed: true}]}]"
)

const world = `
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [PROJECT.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: PROJECT.ADMIN, uuid: 40000000-0000-4000-8000-000000000001, description: System administrator, scope_type: project}
users:
  - {username: sam, email: sam@staff.example, is_staff: true}
  - {username: sue, email: sue@staff.example, is_staff: true}
  - {username: silent, email: silent@staff.example, is_staff: true, notifications_enabled: false}
  - {username: gone, email: gone@staff.example, is_staff: true, is_active: false}
  - {username: nowhere, is_staff: true}
  - {username: support, email: support@staff.example, is_support: true}
  - {username: olivia, email: olivia@acme.example, full_name: Olivia Owner}
  - {username: ina, email: ina@university.example}
customers:
  - name: Acme
    uuid: 10000000-0000-4000-8000-000000000001
    members: [{user: olivia, role: CUSTOMER.OWNER}]
    projects: [{name: Apollo, uuid: 20000000-0000-4000-8000-000000000001}]
`

const lifetime = 7 * 24 * time.Hour

// bed is a service on a database of its own, with a mail server, and workers once they are started.
type bed struct {
	t       *testing.T
	db      *store.Store
	clock   *storetest.Clock
	service *invitation.Service
	post    *postOffice
}

// onEach runs a test on both engines.
func onEach(t *testing.T, test func(t *testing.T, b *bed), tune ...func(*invitation.Policy)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		b := &bed{t: t, clock: storetest.NewClock(time.Now()), post: newPostOffice(t)}
		b.db = e.Open(t, b.clock.Now)
		b.apply(world)
		b.service = &invitation.Service{
			Store:       b.db.Invitations(),
			Policy:      invitation.Policy{Lifetime: lifetime, MaxAge: 24 * time.Hour},
			Signer:      token.NewSigner("the secret of the tests"),
			FrontendURL: "https://front.example/",
		}
		for _, each := range tune {
			each(&b.service.Policy)
		}
		test(t, b)
	})
}

func (b *bed) apply(file string) {
	b.t.Helper()
	parsed, err := dirfile.Decode(strings.NewReader(file))
	require.NoError(b.t, err)
	_, err = dirfile.Apply(b.t.Context(), b.db.Directory(), parsed, nil)
	require.NoError(b.t, err)
}

// workers are made but not started.
func (b *bed) workers(tune ...func(*jobs.Config)) *jobs.Workers {
	b.t.Helper()
	renderer, err := mail.NewRenderer("invited", "")
	require.NoError(b.t, err)
	c := jobs.Config{
		Queue: b.db.Queue(), Now: b.db.Now, Service: b.service, Renderer: renderer, Transport: b.post.transport(), MailHost: "mail.example",
		Sweep: time.Hour, Poll: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(b.post.log, nil)),
	}
	for _, each := range tune {
		each(&c)
	}
	made, err := jobs.New(c)
	require.NoError(b.t, err)
	return made
}

// start starts workers, and stops them with the test.
func (b *bed) start(tune ...func(*jobs.Config)) *jobs.Workers {
	b.t.Helper()
	w := b.workers(tune...)
	require.NoError(b.t, w.Start(b.t.Context()))
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(b.t, w.Stop(ctx))
	})
	return w
}

func (b *bed) user(name string) directory.User {
	b.t.Helper()
	var found []directory.User
	require.NoError(b.t, b.db.Read(b.t.Context(), func(tx *store.Tx) (err error) {
		found, err = tx.FindUsers(nil, []string{name})
		return err
	}))
	require.Len(b.t, found, 1)
	return found[0]
}

// create has olivia invite somebody into Apollo.
func (b *bed) create(email string) uuid.UUID {
	b.t.Helper()
	made, err := b.service.Create(b.t.Context(), b.user("olivia"), draft(email))
	require.NoError(b.t, err)
	return made.UUID
}

func draft(email string) invitation.Draft {
	return invitation.Draft{Role: admin, ScopeURL: "https://any.example/api/projects/" + apollo.String() + "/", Email: email}
}

func (b *bed) see(id uuid.UUID) (found invitation.Invitation) {
	b.t.Helper()
	require.NoError(b.t, b.db.Read(b.t.Context(), func(tx *store.Tx) (err error) {
		found, err = tx.Find(id)
		return err
	}))
	return found
}

// until waits for something to become true.
func (b *bed) until(what string, holds func() bool) {
	b.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			require.FailNow(b.t, "never happened: "+what, b.post.log.String())
		}
	}
}

// settled waits until a delivery has this state, and returns the invitation.
func (b *bed) settled(id uuid.UUID, state invitation.ExecutionState) (found invitation.Invitation) {
	b.t.Helper()
	b.until(fmt.Sprintf("%s is %s", id, state), func() bool {
		found = b.see(id)
		return found.ExecutionState == state
	})
	return found
}

var (
	deliveryKind = invitation.Deliver{}.Kind()
	noticeKind   = invitation.Notify{}.Kind()
)

// jobs lists the jobs of a kind.
func (b *bed) jobs(kind string) []*rivertype.JobRow { return storetest.Jobs(b.t, b.db, kind) }

// idle waits until no job of a kind waits to be done at once or is being done, and returns them all.
func (b *bed) idle(kind string) (found []*rivertype.JobRow) {
	b.t.Helper()
	b.until("the queue has nothing to do", func() bool {
		found = b.jobs(kind)
		for _, each := range found {
			if each.State == rivertype.JobStateAvailable || each.State == rivertype.JobStateRunning {
				return false
			}
		}
		return true
	})
	return found
}

// again makes a job that failed available at once.
func (b *bed) again(job *rivertype.JobRow) {
	b.t.Helper()
	require.Equal(b.t, rivertype.JobStateRetryable, job.State)
	_, err := b.client().JobRetry(b.t.Context(), job.ID)
	require.NoError(b.t, err)
}

// client is the queue as an operator's tools use it.
func (b *bed) client() *river.Client[*sql.Tx] {
	b.t.Helper()
	made, err := river.NewClient(b.db.Queue(), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b.t, err)
	return made
}

// letter is a mail as its reader gets it.
type letter struct {
	*enmime.Envelope
	to string
}

func (l letter) id() string { return l.GetHeader("Message-ID") }

// link finds a link of the front end in the text.
func (l letter) link(t *testing.T, page string) string {
	t.Helper()
	found := regexp.MustCompile(`https://front\.example/` + page + `/([^/\s]+)/`).FindStringSubmatch(l.Text)
	require.NotNil(t, found, "no %s link in\n%s", page, l.Text)
	require.Contains(t, l.HTML, found[0])
	return found[1]
}

// postOffice is a mail server.
type postOffice struct {
	held    int // a socket that has the port while nobody answers there; 0: none
	t       *testing.T
	address string
	log     *notes

	mu     sync.Mutex
	server *smtp.Server
	taken  []letter
	// Answers to a recipient and to the content of a mail; nil: yes. The latter may take its time.
	onRecipient func(to string) error
	onContent   func(letter) error
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	p := &postOffice{t: t, log: &notes{}, address: "127.0.0.1:0"}
	p.open()
	t.Cleanup(func() {
		_ = p.server.Close()
		p.release()
	})
	return p
}

// open takes up work, at the same address as before.
func (p *postOffice) open() {
	p.t.Helper()
	p.release()
	listener, err := net.Listen("tcp", p.address)
	require.NoError(p.t, err)
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &visit{office: p}, nil }))
	server.Domain = "post.example"
	server.ErrorLog = log.New(io.Discard, "", 0)
	p.mu.Lock()
	p.address, p.server = listener.Addr().String(), server
	p.mu.Unlock()
	go func() { _ = server.Serve(listener) }()
}

// close ends every conversation and answers no more. The port stays taken: another test's mail server would get it, and
// the mail that is to be refused here.
func (p *postOffice) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.server.Close()
	held, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(p.t, err)
	require.NoError(p.t, syscall.SetsockoptInt(held, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	at := netip.MustParseAddrPort(p.address)
	require.NoError(p.t, syscall.Bind(held, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}))
	p.held = held
}

// release gives the port up that close took.
func (p *postOffice) release() {
	if p.held != 0 {
		_ = syscall.Close(p.held)
		p.held = 0
	}
}

func (p *postOffice) transport() mail.Transport {
	p.t.Helper()
	made, err := mail.NewSMTP("smtp://"+p.address, "invitations@mail.example")
	require.NoError(p.t, err)
	return made
}

// answers sets how recipients and contents are answered.
func (p *postOffice) answers(recipient func(string) error, content func(letter) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onRecipient, p.onContent = recipient, content
}

// to lists the mails taken for an address, all of them where it is empty.
func (p *postOffice) to(address string) []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []letter
	for _, each := range p.taken {
		if address == "" || each.to == address {
			found = append(found, each)
		}
	}
	return found
}

// visit is one conversation.
type visit struct {
	office *postOffice
	to     string
}

func (v *visit) Mail(string, *smtp.MailOptions) error { return nil }

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.to = to
	v.office.mu.Lock()
	answer := v.office.onRecipient
	v.office.mu.Unlock()
	if answer == nil {
		return nil
	}
	return answer(to)
}

func (v *visit) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	envelope, err := enmime.ReadEnvelope(bytes.NewReader(data))
	if err != nil {
		return err
	}
	one := letter{envelope, v.to}
	v.office.mu.Lock()
	answer := v.office.onContent
	v.office.mu.Unlock()
	if answer != nil {
		if err := answer(one); err != nil {
			return err
		}
	}
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	v.office.taken = append(v.office.taken, one)
	return nil
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

// notes is where the workers log.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}
