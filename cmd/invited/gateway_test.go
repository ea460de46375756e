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
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

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
	s.apply().set("INVITED_PUBLIC_URL="+f.base, "INVITED_FRONTEND_URL="+frontEnd, "INVITED_TRUSTED_PROXIES=127.0.0.1/32",
		"INVITED_SHUTDOWN_DELAY=5s")
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
			said := log.String()
			t.Logf("end of the log of %s:\n%s", g.name, said[max(0, len(said)-20_000):])
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

// mailed asserts that so many mails to somebody came, each with this link on the front end and none that leads elsewhere.
func (f *front) mailed(count int, email, link string) {
	f.t.Helper()
	f.replicas[0].until(fmt.Sprintf("%s got %d mails", email, count), func() bool {
		found := 0
		for _, each := range f.s.mails() {
			each = strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=").Replace(each)
			if !strings.Contains(each, "To: <"+email+">") && !strings.Contains(each, "To: "+email) {
				continue
			}
			found++
			require.Contains(f.t, each, frontEnd+link)
			require.NotContains(f.t, each, "evil")
			for _, link := range anyURL.FindAllString(each, -1) {
				require.True(f.t, strings.HasPrefix(link, frontEnd), link)
			}
		}
		return found == count
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
