package web_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/directory/dirfile"
	"invited/internal/identity"
	"invited/internal/invitation"
	"invited/internal/jobs"
	"invited/internal/joining"
	"invited/internal/mail"
	"invited/internal/signin"
	"invited/internal/signin/signintest"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
	"invited/internal/web"
)

const directoryFile = `
roles:
  - {name: CUSTOMER.OWNER, scope_type: customer, permissions: [CUSTOMER.CREATE_PERMISSION, INVITATION.LIST]}
  - {name: PROJECT.ADMIN, uuid: 3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e04, description: System administrator, scope_type: project}
users:
  - {username: sam, email: sam@example.com, is_staff: true}
  - {username: olivia, email: olivia@acme.example, full_name: Olivia Owner}
  - {username: ina, email: Ina@University.example, full_name: Ina Invitee}
  - {username: gone, email: gone@acme.example, is_active: false}
  - {username: twin1, email: twin@acme.example}
  - {username: twin2, email: twin@acme.example}
  - {username: new@university.example, email: other@university.example}
customers:
  - name: Acme
    members: [{user: olivia, role: CUSTOMER.OWNER}]
    projects:
      - {name: Apollo, uuid: 7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a02}
      - {name: Artemis, uuid: 7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a03, start_date: 2026-12-24}
      - {name: Strict, uuid: 7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a04, user_email_patterns: ['.*@acme\.example']}
`

const (
	admin   = "3c5e2f80-0b9d-4a7e-9c21-6f4d8a1b7e04"
	apollo  = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a02"
	artemis = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a03"
	strict  = "7d1f4b62-5a3c-4e08-8f97-2b6c9d0e1a04"
)

// env is the pages on a database of their own, with a clock that stands at 2026-11-23 09:30 UTC.
type env struct {
	*testing.T
	db        *store.Store
	clock     *storetest.Clock
	signer    *token.Signer
	service   *invitation.Service
	joining   *joining.Service
	identity  *identity.Service
	bulk      *bulk.Service
	server    *httptest.Server
	providers *signin.Providers
	proxy     *signin.Proxy // nil: none is trusted
	// withoutMail: nobody can sign in by a code in a mail.
	withoutMail bool
	issuers     map[string]*signintest.Issuer // by ID
	log         *strings.Builder
}

// onEachEngine runs a test on both engines, each time on pages of its own. issuers are those that people may sign in with.
func onEachEngine(t *testing.T, test func(e *env), issuers ...func(*env) signin.Issuer) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		e := &env{T: t, issuers: map[string]*signintest.Issuer{}, clock: storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)), log: &strings.Builder{}}
		e.db = engine.Open(t, e.clock.Now)
		e.apply(directoryFile)
		e.signer = token.NewSigner("the secret of the tests")
		e.service = &invitation.Service{
			Store: e.db.Invitations(), Signer: e.signer, FrontendURL: "https://front.example/",
			Policy: invitation.Policy{Lifetime: 7 * 24 * time.Hour, MaxAge: 24 * time.Hour},
		}
		e.bulk = &bulk.Service{Store: e.db.Bulk(), Invitations: e.service}
		e.joining = &joining.Service{Store: e.db.Joining(), FrontendURL: e.service.FrontendURL}
		e.identity = &identity.Service{
			Store: e.db.Identities(), Signer: e.signer, Create: identity.CreateInvited, Lifetime: e.service.Policy.Lifetime,
		}
		e.server = httptest.NewUnstartedServer(nil)
		configured := make([]signin.Issuer, 0, len(issuers))
		for _, each := range issuers {
			configured = append(configured, each(e))
		}
		address := "http://" + e.server.Listener.Addr().String() + "/"
		e.providers = signin.New(signin.Config{
			Issuers: configured, PublicURL: address, Logger: slog.New(slog.NewTextHandler(e.log, nil)), Now: e.clock.Now,
		})
		e.server.Config.Handler = e.pages(address)
		e.server.Start()
		t.Cleanup(e.server.Close)
		test(e)
	})
}

// pages returns the pages of a server that browsers reach at a URL.
func (e *env) pages(publicURL string) http.Handler {
	e.Helper()
	logger, public := slog.New(slog.NewTextHandler(e.log, nil)), mustParse(e, publicURL)
	clientIP := func(r *http.Request) string {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		return host
	}
	callers, err := signin.NewChain(signin.ChainConfig{
		Tokens: e.db, TokenUses: directory.NewTokenUses(e.db.FileStore()), Identity: e.identity, Providers: e.providers, Proxy: e.proxy,
		Origin: public.Scheme + "://" + public.Host, ClientIP: clientIP, Logger: logger, Now: e.clock.Now,
	})
	require.NoError(e, err)
	renderer, err := mail.NewRenderer("Example Cloud", "")
	require.NoError(e, err)
	handler, err := web.New(web.Config{
		Preview: func(m *invitation.Message) (subject, text string, err error) {
			rendered, err := jobs.Render(renderer, jobs.MailSettings{Host: "example.org"}, m, e.clock.Now())
			return rendered.Subject, rendered.Text, err
		},
		SignsInByMail: !e.withoutMail, Callers: callers, Providers: e.providers, Invitations: e.service, Joining: e.joining, Bulk: e.bulk, Identity: e.identity, Directory: &directory.Reader{Store: e.db.ReadStore()},
		PublicURL: public, SiteName: "Example Cloud", Logger: logger, ClientIP: clientIP,
		Next: http.NotFoundHandler(),
		Demo: &web.Demo{
			People: []web.Person{{Username: "ina", Name: "Ina Invitee"}}, JoinLink: uuid.MustParse(apollo),
			Mails: func() ([]web.Mail, error) {
				return []web.Mail{{To: "x@example.org", Subject: "<b>", Text: "See\nhttp://127.0.0.1/x/\n"}}, nil
			},
		},
	})
	require.NoError(e, err)
	return handler
}

// approval returns a token that is mailed to staff.
func (e *env) approval(purpose token.Purpose, v invitation.View) string {
	e.Helper()
	return e.signer.Sign(token.Approval{Purpose: purpose, User: e.user("sam").UUID, Invitation: v.UUID, Issued: e.clock.Now()})
}

func (e *env) apply(file string) {
	e.Helper()
	parsed, err := dirfile.Decode(strings.NewReader(file))
	require.NoError(e, err)
	_, err = dirfile.Apply(e.Context(), e.db.FileStore(), parsed, nil)
	require.NoError(e, err)
}

// user returns a user with their grants.
func (e *env) user(name string) (found directory.Actor) {
	e.Helper()
	var users []directory.User
	require.NoError(e, e.db.FileStore().Read(e.Context(), func(tx directory.FileTx) (err error) {
		users, err = tx.FindUsers(nil, []string{name})
		return err
	}))
	require.Len(e, users, 1, name)
	require.NoError(e, e.db.Invitations().Read(e.Context(), func(tx invitation.Tx) (err error) {
		found, err = tx.FindActor(users[0].UUID)
		return err
	}))
	return found
}

// invite creates an invitation by Olivia.
func (e *env) invite(email, scope string, change ...func(*invitation.Draft)) invitation.View {
	e.Helper()
	draft := invitation.Draft{Role: uuid.MustParse(admin), ScopeURL: "https://x.example/api/projects/" + scope + "/", Email: email}
	for _, each := range change {
		each(&draft)
	}
	made, err := e.service.Create(e.Context(), e.user("olivia"), draft)
	require.NoError(e, err)
	return made
}

// codes returns the mails of all codes that were asked for, the oldest first; nil for a request without a mail.
func (e *env) codes() []*identity.CodeMessage {
	e.Helper()
	var all []*identity.CodeMessage
	rows := storetest.Jobs(e.T, e.db, identity.SendCode{}.Kind())
	slices.SortFunc(rows, func(a, b *rivertype.JobRow) int { return cmp.Compare(a.ID, b.ID) })
	for _, row := range rows {
		var job identity.SendCode
		require.NoError(e, json.Unmarshal(row.EncodedArgs, &job))
		m, err := e.identity.CodeMessage(e.Context(), job)
		require.NoError(e, err)
		all = append(all, m)
	}
	return all
}

// lastCode returns the code of the newest request.
func (e *env) lastCode() string {
	e.Helper()
	all := e.codes()
	require.NotEmpty(e, all)
	require.NotNil(e, all[len(all)-1], "no mail goes out")
	return all[len(all)-1].Code
}

// A browser keeps cookies and follows no redirect by itself.
type browser struct {
	*env
	client *http.Client
	header http.Header
	host   string // the Host header; empty: the server's
}

func (e *env) browser() *browser {
	e.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(e, err)
	return &browser{env: e, client: &http.Client{
		Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
}

// A page is a response.
type page struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (b *browser) send(method, path string, form url.Values) page {
	b.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(context.Background(), method, b.server.URL+path, body)
	require.NoError(b, err)
	r.Header, r.Host = b.header.Clone(), b.host
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := b.client.Do(r)
	require.NoError(b, err)
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	require.NoError(b, err)
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") && method != http.MethodHead && answer.StatusCode != http.StatusSeeOther {
		require.Empty(b, htmlProblems(string(content)), "%s %s", method, path)
	}
	return page{answer.StatusCode, strings.TrimPrefix(answer.Header.Get("Location"), b.server.URL), answer.Header, string(content)}
}

func (b *browser) get(path string) page { b.Helper(); return b.send(http.MethodGet, path, nil) }

func (b *browser) post(path string, fields ...string) page {
	b.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.send(http.MethodPost, path, form)
}

// signIn signs in with an address that gets a code.
func (b *browser) signIn(email string) {
	b.Helper()
	require.Equal(b, http.StatusSeeOther, b.post("/sign-in/", "email", email).status)
	require.Equal(b, http.StatusSeeOther, b.post("/sign-in/code/", "code", b.lastCode()).status)
}

// isSignedIn reports whether the first page greets a user.
func (b *browser) isSignedIn() bool {
	b.Helper()
	return strings.Contains(b.get("/").body, "Sign out")
}

// heading returns the text of the page's h1.
func (p page) heading(t testing.TB) string {
	t.Helper()
	tree, err := html.Parse(strings.NewReader(p.body))
	require.NoError(t, err)
	var text strings.Builder
	for n := range tree.Descendants() {
		if n.Type == html.TextNode && within(n, "h1") {
			text.WriteString(n.Data)
		}
	}
	return text.String()
}

func within(n *html.Node, element string) bool {
	for parent := n.Parent; parent != nil; parent = parent.Parent {
		if parent.Data == element {
			return true
		}
	}
	return false
}
