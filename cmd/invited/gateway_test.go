//go:build gateway

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// The name that the shipped configurations have for the outside.
	outsideName = "invitations.example"
	frontEnd    = "https://portal.example/"
)

// The shipped set-ups, run by the programs of the distribution, each with two replicas behind it.
func TestGatewayNginx(t *testing.T) { onEachFront(t, nginxProgram) }
func TestGatewayCaddy(t *testing.T) { onEachFront(t, caddyProgram) }

func onEachFront(t *testing.T, g gateway) {
	t.Helper()
	if g.path() == "" {
		t.Fatalf("%s is not installed: apt-get install %s", g.name, g.pkg)
	}
	onEach(t, func(t *testing.T, s *site) {
		f := newFront(t, s, g)
		for _, each := range []struct {
			name string
			test func(*testing.T, *front)
		}{
			{"URLs", frontURLs},
			{"docs", frontDocs},
			{"ids", frontIDs},
			{"spoofed", frontSpoofed},
			{"rewritten", frontRewritten},
			{"own answers", frontOwnAnswers},
			{"limits", frontLimits},
			{"taken away", frontTakenAway},
			{"nobody there", frontNobodyThere}, // the last: nobody comes back
		} {
			t.Run(each.name, func(t *testing.T) { each.test(t, f.in(t)) })
		}
	})
}

// gateway is a program with a shipped configuration.
type gateway struct {
	name, pkg string
	limits    bool // it limits rates
	// start gives the command, with the shipped configuration as it fits into dir.
	start func(t testing.TB, f *front, dir string) *exec.Cmd
}

// path is where the program is, or "". Not everybody has /usr/sbin among the places to look.
func (g gateway) path() string {
	for _, each := range []string{g.name, "/usr/sbin/" + g.name} {
		if found, err := exec.LookPath(each); err == nil {
			return found
		}
	}
	return ""
}

var nginxProgram = gateway{"nginx", "nginx-light", true, func(t testing.TB, f *front, dir string) *exec.Cmd {
	t.Helper()
	f.shipped(t, dir, "nginx/invited.conf", map[string]string{
		"listen 80;":                 "listen " + f.plain + ";",
		"listen [::]:80;":            "listen 127.0.0.2:" + portOf(f.plain) + ";", // not everywhere is IPv6
		"listen 443 ":                "listen " + f.secure + " ",
		"listen [::]:443 ":           "listen 127.0.0.2:" + portOf(f.secure) + " ",
		"/var/log/nginx/invited.log": filepath.Join(dir, "access.log"),
	})
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // the folder is root's
	}
	// What the distribution has around it.
	around := fmt.Sprintf(`%s
pid %[2]s/pid;
error_log stderr;
events { worker_connections 768; }
http {
	default_type application/octet-stream;
	gzip on;
	access_log off;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	include %[2]s/invited.conf;
}`, user, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(around), 0o600))
	return exec.Command(f.g.path(), "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-g", "daemon off;")
}}

var caddyProgram = gateway{"caddy", "caddy", false, func(t testing.TB, f *front, dir string) *exec.Cmd {
	t.Helper()
	f.shipped(t, dir, "caddy/Caddyfile", map[string]string{
		"admin localhost:2019":       "admin " + freeAddress(t),
		"http_port 80":               "http_port " + portOf(f.plain) + "\n\tdefault_bind 127.0.0.1",
		"https_port 443":             "https_port " + portOf(f.secure),
		"/var/log/caddy/invited.log": filepath.Join(dir, "access.log"),
	})
	cmd := exec.Command(f.g.path(), "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return cmd
}}

// front is a gateway with two replicas on one database behind it, seen from outside.
type front struct {
	t             *testing.T
	s             *site
	g             gateway
	base          string // INVITED_PUBLIC_URL
	plain, secure string // host:port of the gateway
	roots         *x509.CertPool
	certificate   []byte
	key           []byte
	replicas      []*served
	access        string                  // the gateway's log
	clients       map[string]*http.Client // by the address that they connect from
}

func (f *front) in(t *testing.T) *front {
	t.Helper()
	inner := *f
	inner.t = t
	return &inner
}

func newFront(t *testing.T, s *site, g gateway) *front {
	t.Helper()
	f := &front{t: t, s: s, g: g, plain: freeAddress(t), secure: freeAddress(t), clients: map[string]*http.Client{}}
	f.base = "https://" + net.JoinHostPort(outsideName, portOf(f.secure)) + "/invitations/"
	f.certify()
	s.apply().set("INVITED_PUBLIC_URL="+f.base, "INVITED_FRONTEND_URL="+frontEnd, "INVITED_TRUSTED_PROXIES=127.0.0.1/32")
	f.replicas = []*served{s.serve(), s.serve()}

	dir := t.TempDir()
	f.access = filepath.Join(dir, "access.log")
	cmd := g.start(t, f, dir)
	var log tail
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to end its workers with it
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if t.Failed() {
			t.Logf("log of %s:\n%.10000s", g.name, log.String())
			content, _ := os.ReadFile(f.access)
			t.Logf("errors in its access log:\n%.5000s", bytes.Join(accessErrors.FindAll(content, -1), []byte("\n")))
		}
	})
	f.replicas[0].until(g.name+" listens", func() bool {
		select {
		case <-ended:
			require.FailNow(t, g.name+" ended", log.String())
		default:
		}
		conn, err := net.DialTimeout("tcp", f.secure, time.Second)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	return f
}

// shipped puts a shipped file into dir, with what an operator has to change changed. That each of these is there, and
// nothing else is touched, keeps the shipped file the one that is tested.
func (f *front) shipped(t testing.TB, dir, name string, changes map[string]string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "deploy", "gateway", name))
	require.NoError(t, err)
	changes = maps.Clone(changes)
	changes["127.0.0.1:8081"], changes["127.0.0.1:8082"] = f.replicas[0].address, f.replicas[1].address
	changes["/etc/ssl/certs/invitations.example.pem"] = filepath.Join(dir, "certificate.pem")
	changes["/etc/ssl/private/invitations.example.key"] = filepath.Join(dir, "key.pem")
	pairs := make([]string, 0, 2*len(changes))
	for before, after := range changes {
		require.Equal(t, 1, strings.Count(string(content), before), "%s in %s", before, name)
		pairs = append(pairs, before, after)
	}
	changed := strings.NewReplacer(pairs...).Replace(string(content))
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(changed), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "certificate.pem"), f.certificate, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), f.key, 0o600))
}

// certify makes the gateway's certificate, signed by itself.
func (f *front) certify() {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: outsideName}, DNSNames: []string{outsideName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(f.t, err)
	f.certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(f.t, err)
	f.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	f.roots = x509.NewCertPool()
	require.True(f.t, f.roots.AppendCertsFromPEM(f.certificate))
	for _, source := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		from := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
		f.clients[source] = &http.Client{
			Timeout: 60 * time.Second,
			Transport: &http.Transport{
				TLSClientConfig:     &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12},
				ForceAttemptHTTP2:   true,
				MaxIdleConnsPerHost: 32,
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					if host, port, _ := net.SplitHostPort(address); host == outsideName {
						address = "127.0.0.1:" + port
					}
					return from.DialContext(ctx, network, address)
				},
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
}

var accessErrors = regexp.MustCompile(`(?m)^.*"level":"error".*$`)

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// from sends a request from an address, to an absolute URL or to a path below the public one. Host among the headers is
// the name that is asked for.
func (f *front) from(source, method, address, user, body string, headers ...string) (answer, error) {
	if !strings.HasPrefix(address, "http") {
		address = f.base + address
	}
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		r.Header.Set("Authorization", "Token "+user+"-key")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	response, err := f.clients[source].Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return answer{f.t, response.StatusCode, response.Header, string(content)}, err
}

func (f *front) ask(method, address, user, body string, headers ...string) answer {
	f.t.Helper()
	a, err := f.from("127.0.0.1", method, address, user, body, headers...)
	require.NoError(f.t, err)
	return a
}

const below = "api/user-invitations/"

func (f *front) create(email string, headers ...string) (made, answer) {
	f.t.Helper()
	body := fmt.Sprintf(`{"email": %q, "role": %q, "scope": "%sapi/projects/%s/"}`, email, projectRole, f.base, project)
	a := f.ask("POST", below, "olivia", body, headers...).is(http.StatusCreated)
	return a.invitation(), a
}

var anyURL = regexp.MustCompile(`https?://[^\s"<>\\]+`)

// right asserts that every URL in an answer is on the outside.
func (f *front) right(a answer) {
	f.t.Helper()
	said := a.body
	for name, values := range a.header {
		said += "\n" + name + ": " + strings.Join(values, " ")
	}
	for _, each := range anyURL.FindAllString(said, -1) {
		require.True(f.t, strings.HasPrefix(each, f.base), each)
	}
	require.NotContains(f.t, said, "evil")
}

// mailed asserts that the mail to somebody came, with its link on the front end and no other.
func (f *front) mailed(email, id string) {
	f.t.Helper()
	f.replicas[0].until(email+" got a mail", func() bool {
		for _, each := range f.s.mails() {
			each = strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=").Replace(each)
			if !strings.Contains(each, "To: <"+email+">") && !strings.Contains(each, "To: "+email) {
				continue
			}
			require.Contains(f.t, each, frontEnd+"invitation/"+id+"/")
			require.NotContains(f.t, each, "evil")
			for _, link := range anyURL.FindAllString(each, -1) {
				require.True(f.t, strings.HasPrefix(link, frontEnd), link)
			}
			return true
		}
		return false
	})
}

// logged is what a replica logged of the request with an id.
func (f *front) logged(id string) string {
	f.t.Helper()
	line := regexp.MustCompile(`(?m)^.*msg=request request_id=` + regexp.QuoteMeta(id) + ` .*$`)
	var found []string
	f.replicas[0].until("request "+id+" is logged", func() bool {
		found = nil
		for _, each := range f.replicas {
			found = append(found, line.FindAllString(each.stderr.String(), -1)...)
		}
		return len(found) > 0
	})
	require.Len(f.t, found, 1)
	return found[0]
}

// idOf is the id in an answer.
func (f *front) idOf(a answer) string {
	f.t.Helper()
	require.Len(f.t, a.header.Values("X-Request-ID"), 1)
	id := a.header.Get("X-Request-ID")
	require.Regexp(f.t, `^[A-Za-z0-9._-]{1,64}$`, id)
	return id
}

var nextLink = regexp.MustCompile(`<([^>]+)>; rel="next"`)

// Every URL that the server says is on the outside, and leads there.
func frontURLs(t *testing.T, f *front) {
	var last made
	for i := range 3 {
		invitation, a := f.create(fmt.Sprintf("url%d@university.example", i))
		f.right(a)
		require.Equal(t, f.base+below+invitation.UUID+"/", invitation.URL)
		require.Equal(t, invitation.URL, a.header.Get("Location"))
		got := f.ask("GET", a.header.Get("Location"), "olivia", "").is(http.StatusOK)
		f.right(got)
		require.Equal(t, invitation.UUID, got.invitation().UUID)
		last = invitation
	}
	f.mailed("url2@university.example", last.UUID)

	seen := 0
	for page := f.base + below + "?page_size=1&state=pending"; page != ""; seen++ {
		a := f.ask("GET", page, "olivia", "").is(http.StatusOK)
		f.right(a)
		page = ""
		if found := nextLink.FindStringSubmatch(a.header.Get("Link")); found != nil {
			page = found[1]
		}
	}
	require.Equal(t, 3, seen)
	f.ask("POST", below+last.UUID+"/check/", "", "").is(http.StatusOK)
	f.right(f.ask("GET", last.URL+"details/", "sam", "").is(http.StatusOK))
}

var assets = regexp.MustCompile(`(?:src|href)="([^"]+)"`)

// The reference is whole under the prefix.
func frontDocs(t *testing.T, f *front) {
	page := f.base + "docs"
	moved := f.ask("GET", page+"/", "", "").is(http.StatusPermanentRedirect)
	at, err := url.Parse(page + "/")
	require.NoError(t, err)
	to, err := at.Parse(moved.header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, page, to.String())

	html := f.ask("GET", page, "", "").is(http.StatusOK)
	require.Contains(t, html.header.Get("Content-Type"), "text/html")
	found := assets.FindAllStringSubmatch(html.body, -1)
	require.GreaterOrEqual(t, len(found), 5)
	for _, each := range found {
		asset, err := to.Parse(each[1])
		require.NoError(t, err)
		got := f.ask("GET", asset.String(), "", "").is(http.StatusOK)
		require.NotEmpty(t, got.body, each[1])
		require.NotContains(t, got.header.Get("Content-Type"), "text/html", each[1])
	}
	var contract struct{ Servers []struct{ URL string } }
	require.NoError(t, json.Unmarshal([]byte(f.ask("GET", "openapi.json", "", "").is(http.StatusOK).body), &contract))
	require.Equal(t, strings.TrimSuffix(f.base, "/"), contract.Servers[0].URL)
	f.ask("GET", contract.Servers[0].URL+"/"+below, "olivia", "").is(http.StatusOK)
}

// One id from end to end: in the answer, the server's log and the gateway's.
func frontIDs(t *testing.T, f *front) {
	long := strings.Repeat("a", 64)
	for _, sent := range [][]string{nil, {"one-of-mine"}, {long}, {long + "a"}, {"bad id"}, {`"><b>`}, {"first-of-two", "bad id"}} {
		var headers []string
		for _, each := range sent {
			headers = append(headers, "X-Request-ID", each)
		}
		a := f.ask("GET", below, "olivia", "", headers...).is(http.StatusOK)
		id := f.idOf(a)
		f.logged(id)
		if len(sent) == 1 && (sent[0] == long || sent[0] == "one-of-mine") {
			require.Equal(t, sent[0], id)
		} else if len(sent) == 1 {
			require.NotEqual(t, sent[0], id)
		}
		f.replicas[0].until("the gateway logs "+id, func() bool {
			content, err := os.ReadFile(f.access)
			require.NoError(t, err)
			return bytes.Contains(content, []byte(`"`+id+`"`))
		})
	}
	f.ask("GET", below+"?email=private@university.example", "olivia", "").is(http.StatusOK)
	last := f.idOf(f.ask("GET", "invitation_approve/private-token/?x=1", "", ""))
	f.replicas[0].until("the gateway logs", func() bool {
		content, err := os.ReadFile(f.access)
		require.NoError(t, err)
		require.NotContains(t, string(content), "private")
		require.NotContains(t, string(content), "olivia-key")
		return strings.Contains(string(content), last)
	})
}

// What a client, or a gateway before the gateway, can say about who asked whom for what.
var lies = []string{
	"X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "127.0.0.1, 203.0.113.10", "X-Real-IP", "203.0.113.9",
	"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "X-Forwarded-Scheme", "http", "X-Forwarded-Port", "81",
	"X-Forwarded-Server", "evil.example", "X-Forwarded-Prefix", "/evil", "X-Script-Name", "/evil",
	"X-Original-URL", "/evil", "X-Rewrite-URL", "/evil", "X-Original-Host", "evil.example", "X-Host", "evil.example",
	"Forwarded", `for=203.0.113.9;host=evil.example;proto=http`, "True-Client-IP", "203.0.113.9",
}

// The address in the log is that of the client's connection, whatever it says.
func frontSpoofed(t *testing.T, f *front) {
	for _, source := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		for _, headers := range [][]string{nil, lies} {
			a, err := f.from(source, "GET", below+"?page_size=1", "olivia", "", headers...)
			require.NoError(t, err)
			f.right(a.is(http.StatusOK))
			require.Contains(t, f.logged(f.idOf(a)), " client="+source+" ")
		}
	}
	// Somebody who got around the gateway is not believed either.
	a, err := f.from("127.0.0.3", "GET", "http://"+f.replicas[0].address+invitations, "olivia", "", lies...)
	require.NoError(t, err)
	f.right(a.is(http.StatusOK))
	require.Contains(t, f.logged(f.idOf(a)), " client=127.0.0.3 ")
}

// However a request was rewritten on its way, the links that come of it are the same.
func frontRewritten(t *testing.T, f *front) {
	a := f.ask("POST", below, "olivia", draft("outside@university.example"), lies...).is(http.StatusCreated)
	f.right(a)
	f.mailed("outside@university.example", a.invitation().UUID)

	// As a gateway would send it that strips or keeps a prefix, rewrites Host and says so in all known ways.
	direct := "http://" + f.replicas[0].address
	for i, host := range []string{"evil.example", "evil.example:81", "127.0.0.1", "evil.example.:0"} {
		headers := append([]string{"Host", host}, lies...)
		email := fmt.Sprintf("direct%d@university.example", i)
		a := f.ask("POST", direct+invitations, "olivia", draft(email), headers...).is(http.StatusCreated)
		f.right(a)
		require.Equal(t, f.base+below+a.invitation().UUID+"/", a.header.Get("Location"))
		f.mailed(email, a.invitation().UUID)
		f.right(f.ask("GET", direct+invitations+"?page_size=1", "olivia", "", headers...).is(http.StatusOK))
		contract := f.ask("GET", direct+"/openapi.json", "", "", headers...).is(http.StatusOK).body
		require.Equal(t, f.ask("GET", "openapi.json", "", "").body, contract)
		f.right(f.ask("GET", direct+"/docs/", "", "", headers...).is(http.StatusPermanentRedirect))
		// A path that the server does not have is none, rather than one like it.
		for _, path := range []string{"//api//user-invitations//", "//evil.example/docs/", "//evil.example//docs", "/invitations" + invitations, "//docs/"} {
			f.right(f.ask("GET", direct+path, "olivia", "", headers...).is(http.StatusNotFound))
		}
	}

	// The gateway makes one slash of many.
	id := a.invitation().UUID
	for _, path := range []string{
		"/" + below, "/api//user-invitations//", "//api/user-invitations/" + id + "/", "api/user-invitations//" + id + "//details/",
	} {
		f.right(f.ask("GET", f.base+path, "sam", "", lies...).is(http.StatusOK))
	}
	a = f.ask("POST", f.base+"/api//user-invitations//", "olivia", draft("slashes@university.example"), lies...).is(http.StatusCreated)
	f.right(a)
	f.mailed("slashes@university.example", a.invitation().UUID)
	f.ask("GET", a.header.Get("Location"), "olivia", "").is(http.StatusOK)
	f.right(f.ask("GET", f.base+"//evil.example/docs/", "", ""))
}

// What the gateway itself says.
func frontOwnAnswers(t *testing.T, f *front) {
	for _, path := range []string{"invitations/readyz", "invitations/healthz", "", "elsewhere", "invitationsapi/"} {
		a := f.ask("GET", strings.TrimSuffix(f.base, "invitations/")+path, "", "", lies...).is(http.StatusNotFound)
		require.Contains(t, a.body, `{"detail":"Not found."}`)
		f.idOf(a)
		f.right(a)
	}
	// Plain HTTP leads to TLS, and to no host of the client's.
	a := f.ask("GET", "http://"+f.plain+"/invitations/docs", "", "", append([]string{"Host", outsideName}, lies...)...)
	require.Equal(t, http.StatusPermanentRedirect, a.status)
	to, err := url.Parse(a.header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, []string{"https", outsideName, "/invitations/docs"}, []string{to.Scheme, to.Hostname(), to.Path})
	for _, address := range []string{"http://" + f.plain + "/invitations", "https://" + net.JoinHostPort(outsideName, portOf(f.secure)) + "/invitations"} {
		a := f.ask("GET", address, "", "", "Host", "evil.example")
		require.NotContains(t, fmt.Sprint(a.header, a.body), "evil")
	}
	// Whoever of the two says it.
	for range 10 {
		a = f.ask("POST", below, "olivia", `{"email": "`+strings.Repeat("x", 1<<20)+`"}`).is(http.StatusRequestEntityTooLarge)
		require.JSONEq(t, `{"detail": "Request body is larger than 1 MiB."}`, a.body)
		f.idOf(a)
	}
}

// Nobody can ask without a token as often as they like, and nobody else suffers.
func frontLimits(t *testing.T, f *front) {
	if !f.g.limits {
		t.Skip(f.g.name + " of the distribution has no rate limits: its README.md says so")
	}
	invitation, _ := f.create("limits@university.example")
	id := invitation.UUID
	paths := []string{below + id + "/check/", "/api//user-invitations/" + id + "//check/", below + id + "/%63heck/", below + "approve/", below + "reject/"}
	const nobodys = "00000000-0000-4000-8000-000000000000"
	limited := 0
	for i := range 60 {
		a, err := f.from("127.0.0.2", "POST", f.base+paths[i%len(paths)], "", "", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
		require.NoError(t, err)
		if a.status != http.StatusTooManyRequests {
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, a.status, a.body)
			continue
		}
		limited++
		require.JSONEq(t, `{"detail": "Request was throttled."}`, a.body)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.Equal(t, "1", a.header.Get("Retry-After"))
		f.idOf(a)
		// The rest of the API is there for the same client, and the three operations are for others.
		if limited%10 == 1 {
			a, err := f.from("127.0.0.2", "GET", below+"?page_size=1", "olivia", "")
			require.NoError(t, err)
			a.is(http.StatusOK)
			a, err = f.from("127.0.0.2", "POST", nobodys+"/accept/", "ina", "")
			require.NoError(t, err)
			a.is(http.StatusNotFound)
			f.ask("POST", below+nobodys+"/check/", "", "").is(http.StatusNotFound)
		}
	}
	require.Greater(t, limited, 25, "of 60")
	t.Logf("%d of 60 were limited", limited)
}

// pressure is clients that ask and create all the time, and what went wrong for them.
type pressure struct {
	f    *front
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	asked   int
	created []string
	wrong   map[string][]string // by method
	most    map[string]time.Duration
}

const creators, readers = 3, 5

func (f *front) pressed(id string) *pressure {
	ctx, cancel := context.WithCancel(f.t.Context())
	l := &pressure{f: f, stop: cancel, wrong: map[string][]string{}, most: map[string]time.Duration{}}
	run := func(method string, pause time.Duration, once func(i int) error) {
		l.done.Go(func() {
			for i, tick := 0, time.NewTicker(pause); ctx.Err() == nil; i++ {
				start := time.Now()
				err := once(i)
				l.mu.Lock()
				l.asked++
				l.most[method] = max(l.most[method], time.Since(start))
				if err != nil {
					l.wrong[method] = append(l.wrong[method], err.Error())
				}
				l.mu.Unlock()
				<-tick.C
			}
		})
	}
	for range readers {
		run("GET", 5*time.Millisecond, func(i int) error {
			path := []string{below + id + "/", below + "?page_size=1"}[i%2]
			return l.expect(http.StatusOK, "GET", path, "")
		})
	}
	for n := range creators {
		run("POST", 20*time.Millisecond, func(i int) error {
			return l.expect(http.StatusCreated, "POST", below, draft(fmt.Sprintf("load%d.%d.%d@university.example", n, i, time.Now().UnixNano())))
		})
	}
	return l
}

func (l *pressure) expect(status int, method, path, body string) error {
	a, err := l.f.from("127.0.0.1", method, path, "olivia", body)
	if err != nil {
		return err
	}
	if a.status != status {
		return fmt.Errorf("%d %s", a.status, a.body)
	}
	if status == http.StatusCreated {
		id := a.invitation().UUID
		l.mu.Lock()
		l.created = append(l.created, id)
		l.mu.Unlock()
	}
	return nil
}

// more waits until that many more requests were answered.
func (l *pressure) more(count int) {
	l.f.t.Helper()
	so := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.asked
	}
	goal := so() + count
	l.f.replicas[1].until("the clients get on", func() bool { return so() >= goal })
}

// report takes what went wrong so far.
func (l *pressure) report(what string) map[string][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	wrong := l.wrong
	l.wrong = map[string][]string{}
	l.f.t.Logf("%s: %d requests so far, the longest GET %s and POST %s; failed: GET %d, POST %d %s", what, l.asked,
		l.most["GET"].Round(time.Millisecond), l.most["POST"].Round(time.Millisecond), len(wrong["GET"]), len(wrong["POST"]),
		slices.Compact(slices.Sorted(slices.Values(wrong["POST"]))))
	return wrong
}

// lost asserts that nothing went wrong but what no gateway can mend: a POST that was sent and not answered may have been
// done, and nobody but the client can know whether to ask again. An orderly end is no different for what the kernel had
// taken from the gateway and the replica not yet from the kernel.
func (l *pressure) lost(wrong map[string][]string) {
	l.f.t.Helper()
	require.Empty(l.f.t, wrong["GET"])
	require.LessOrEqual(l.f.t, len(wrong["POST"]), creators, "at most what was under way")
	for _, each := range wrong["POST"] {
		require.Contains(l.f.t, each, `502 {"detail":"The service can't be reached. What was asked for may have been done or not."}`)
	}
}

// A replica goes away under load, in good order and not, comes back, and is used again.
func frontTakenAway(t *testing.T, f *front) {
	invitation, _ := f.create("ina@university.example")
	l := f.pressed(invitation.UUID)
	defer func() { l.stop(); l.done.Wait() }()
	back := func() {
		f.replicas[0] = f.s.with("INVITED_LISTEN_ADDR=" + f.replicas[0].address).serve()
		f.replicas[0].until("it is used again", func() bool { return strings.Contains(f.replicas[0].stderr.String(), "msg=request ") })
		l.more(100)
	}
	l.more(200)
	require.Empty(t, l.report("undisturbed"))

	f.replicas[0].signal(syscall.SIGTERM)
	l.more(200)
	f.replicas[0].end(0)
	l.more(200)
	back()
	l.lost(l.report("in good order"))

	f.replicas[0].kill()
	l.more(400)
	back()
	l.lost(l.report("killed"))

	l.stop()
	l.done.Wait()
	for _, id := range l.created {
		a, err := f.from("127.0.0.1", "GET", below+id+"/", "olivia", "")
		require.NoError(t, err)
		a.is(http.StatusOK)
	}
}

// Where no replica is left the client is told, in the form of the contract.
func frontNobodyThere(t *testing.T, f *front) {
	for _, each := range f.replicas {
		each.kill()
	}
	a := f.ask("GET", below, "olivia", "")
	assert.Contains(t, []int{http.StatusBadGateway, http.StatusServiceUnavailable}, a.status)
	require.Contains(t, a.body, `{"detail":`)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	f.idOf(a)
	f.right(a)
}
