//go:build gateway

package systemtest

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

	"invited/internal/systemtest/harness"
)

const (
	publicHost = "invitations.example" // the host in the shipped configurations
	frontEnd   = "https://portal.example/"
)

// The gateways of the Linux distribution run with the shipped configurations, each with two replicas behind it.
func TestGatewayNginx(t *testing.T) { onEachFront(t, nginxProgram) }
func TestGatewayCaddy(t *testing.T) { onEachFront(t, caddyProgram) }

// onEachFront runs all gateway tests on both engines.
func onEachFront(t *testing.T, g gateway) {
	t.Helper()
	if g.path() == "" {
		t.Fatalf("%s is not installed: apt-get install %s", g.name, g.pkg)
	}
	harness.OnEachEngine(t, func(t *testing.T, env *harness.Env) {
		f := newFront(t, env, g)
		for _, each := range []struct {
			name string
			test func(*testing.T, *front)
		}{
			{"URLs", testURLs},
			{"docs", testDocs},
			{"ids", testRequestIDs},
			{"forged client address", testForgedClientAddress},
			{"forged URL", testForgedURL},
			{"gateway responses", testGatewayResponses},
			{"rate limits", testRateLimits},
			{"read limits", testReadLimits},
			{"long queries", testLongQueries},
			{"pages", testPages},
			{"long callbacks", testLongCallbacks},
			{"page rate limits", testPageRateLimits},
			{"replica gone", testReplicaGone},
			{"no replica", testNoReplica}, // last: the replicas stay away
		} {
			t.Run(each.name, func(t *testing.T) { each.test(t, f.in(t)) })
		}
	})
}

// gateway is a program with a shipped configuration.
type gateway struct {
	name, pkg string
	limits    bool // the shipped configuration limits rates
	// start returns the command, and writes the shipped configuration, adjusted, into dir.
	start func(t testing.TB, f *front, dir string) *exec.Cmd
}

// path returns the path of the program, or "". /usr/sbin is not on every PATH.
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
		"listen [::]:80;":            "listen 127.0.0.2:" + portOf(f.plain) + ";", // IPv6 is not available everywhere
		"listen 443 ":                "listen " + f.secure + " ",
		"listen [::]:443 ":           "listen 127.0.0.2:" + portOf(f.secure) + " ",
		"/var/log/nginx/invited.log": filepath.Join(dir, "access.log"),
	})
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // only root can read the folder
	}
	// The main configuration, as the distribution has it.
	mainConfig := fmt.Sprintf(`%s
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
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(mainConfig), 0o600))
	return exec.Command(f.g.path(), "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-g", "daemon off;")
}}

var caddyProgram = gateway{"caddy", "caddy", false, func(t testing.TB, f *front, dir string) *exec.Cmd {
	t.Helper()
	f.shipped(t, dir, "caddy/Caddyfile", map[string]string{
		"admin localhost:2019":       "admin " + harness.FreeAddress(t),
		"http_port 80":               "http_port " + portOf(f.plain) + "\n\tdefault_bind 127.0.0.1",
		"https_port 443":             "https_port " + portOf(f.secure),
		"/var/log/caddy/invited.log": filepath.Join(dir, "access.log"),
	})
	cmd := exec.Command(f.g.path(), "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return cmd
}}

// front is a gateway before two replicas on one database, as clients use it.
type front struct {
	t             *testing.T
	env           *harness.Env
	g             gateway
	base          string // INVITED_PUBLIC_URL
	plain, secure string // host:port of the gateway
	roots         *x509.CertPool
	certificate   []byte
	key           []byte
	replicas      []*harness.Process
	accessLog     string                  // path of the gateway's access log
	clients       map[string]*http.Client // by the address from which they connect
}

// in returns a copy of the front for a subtest.
func (f *front) in(t *testing.T) *front {
	t.Helper()
	inner := *f
	inner.t = t
	return &inner
}

func newFront(t *testing.T, env *harness.Env, g gateway) *front {
	t.Helper()
	f := prepareFront(t, env, g)
	env.Apply().Set("INVITED_PUBLIC_URL="+f.base, "INVITED_FRONTEND_URL="+frontEnd, "INVITED_TRUSTED_PROXIES=127.0.0.1/32",
		"INVITED_SHUTDOWN_DELAY=5s")
	f.replicas = []*harness.Process{env.Serve(), env.Serve()}
	f.start()
	return f
}

// prepareFront returns a front that has addresses and a certificate, and no replicas.
func prepareFront(t *testing.T, env *harness.Env, g gateway) *front {
	t.Helper()
	f := &front{t: t, env: env, g: g, plain: harness.FreeAddress(t), secure: harness.FreeAddress(t), clients: map[string]*http.Client{}}
	f.base = "https://" + net.JoinHostPort(publicHost, portOf(f.secure)) + "/invitations/"
	f.certify()
	return f
}

// start starts the gateway before the replicas, and returns when it listens.
func (f *front) start() {
	t, g := f.t, f.g
	t.Helper()
	dir := t.TempDir()
	f.accessLog = filepath.Join(dir, "access.log")
	cmd := g.start(t, f, dir)
	var log harness.Output
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &log, &log, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to signal its worker processes too
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
			text := log.String()
			t.Logf("end of the log of %s:\n%s", g.name, text[max(0, len(text)-20_000):])
			content, _ := os.ReadFile(f.accessLog)
			t.Logf("errors in its access log:\n%.5000s", bytes.Join(accessErrors.FindAll(content, -1), []byte("\n")))
		}
	})
	f.replicas[0].WaitUntil(g.name+" listens", func() bool {
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
}

// shipped writes a shipped file into dir with the changes that an operator has to make. Each text to change must be in the file
// exactly once and nothing else is changed, so that the tested file is the shipped one.
func (f *front) shipped(t testing.TB, dir, name string, changes map[string]string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "deploy", "gateway", name))
	require.NoError(t, err)
	changes = maps.Clone(changes)
	changes["127.0.0.1:8081"], changes["127.0.0.1:8082"] = f.replicas[0].Address, f.replicas[1].Address
	changes["/etc/ssl/certs/invitations.example.pem"] = filepath.Join(dir, "certificate.pem")
	changes["/etc/ssl/private/invitations.example.key"] = filepath.Join(dir, "key.pem")
	pairs := make([]string, 0, 2*len(changes))
	for shipped, adjusted := range changes {
		require.Equal(t, 1, strings.Count(string(content), shipped), "%s in %s", shipped, name)
		pairs = append(pairs, shipped, adjusted)
	}
	adjusted := strings.NewReplacer(pairs...).Replace(string(content))
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(adjusted), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "certificate.pem"), f.certificate, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), f.key, 0o600))
}

// certify creates the gateway's self-signed certificate, and the clients that trust it.
func (f *front) certify() {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: publicHost}, DNSNames: []string{publicHost},
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
		dialer := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
		f.clients[source] = &http.Client{
			Timeout: 60 * time.Second,
			Transport: &http.Transport{
				TLSClientConfig:     &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12},
				ForceAttemptHTTP2:   true,
				MaxIdleConnsPerHost: 32,
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					if host, port, _ := net.SplitHostPort(address); host == publicHost {
						address = "127.0.0.1:" + port
					}
					return dialer.DialContext(ctx, network, address)
				},
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
}

var accessErrors = regexp.MustCompile(`(?m)^.*"level":"error".*$`)

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// from sends a request from an address of the client, to an absolute URL or to a path below the public URL.
func (f *front) from(source, method, address, user, body string, headers ...string) (harness.Response, error) {
	if !strings.HasPrefix(address, "http") {
		address = f.base + address
	}
	r, err := harness.NewRequest(f.t.Context(), method, address, user, body, headers...)
	if err != nil {
		return harness.Response{}, err
	}
	return harness.Send(f.t, f.clients[source], r)
}

// do sends a request from 127.0.0.1, as from does, and asserts that a response comes.
func (f *front) do(method, address, user, body string, headers ...string) harness.Response {
	f.t.Helper()
	a, err := f.from("127.0.0.1", method, address, user, body, headers...)
	require.NoError(f.t, err)
	return a
}

// invitationsPath is the path of the collection of invitations below the public URL.
const invitationsPath = "api/user-invitations/"

// create invites email into Apollo as olivia through the gateway.
func (f *front) create(email string, headers ...string) (harness.Invitation, harness.Response) {
	f.t.Helper()
	body := fmt.Sprintf(`{"email": %q, "role": %q, "scope": "%sapi/projects/%s/"}`, email, harness.RoleUUID, f.base, harness.ProjectUUID)
	a := f.do("POST", invitationsPath, "olivia", body, headers...).Is(http.StatusCreated)
	return a.Invitation(), a
}

var anyURL = regexp.MustCompile(`https?://[^\s"<>\\]+`)

// checkURLs asserts that every URL in a response has the public base.
func (f *front) checkURLs(a harness.Response) {
	f.t.Helper()
	text := a.Body
	for name, values := range a.Header {
		text += "\n" + name + ": " + strings.Join(values, " ")
	}
	for _, each := range anyURL.FindAllString(text, -1) {
		require.True(f.t, strings.HasPrefix(each, f.base), each)
	}
	require.NotContains(f.t, text, "evil")
}

// waitMails waits for count mails to email. It asserts that each has the link on the front end and no URL elsewhere.
func (f *front) waitMails(count int, email, link string) {
	f.t.Helper()
	f.replicas[0].WaitUntil(fmt.Sprintf("%s got %d mails", email, count), func() bool {
		found := 0
		for _, each := range f.env.Mails() {
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

// waitAccessLine waits for the line that a replica logs about the request with an id, and returns the line.
func (f *front) waitAccessLine(id string) string {
	f.t.Helper()
	line := regexp.MustCompile(`(?m)^.*msg=request request_id=` + regexp.QuoteMeta(id) + ` .*$`)
	var found []string
	f.replicas[0].WaitUntil("request "+id+" is logged", func() bool {
		found = nil
		for _, each := range f.replicas {
			found = append(found, line.FindAllString(each.Stderr.String(), -1)...)
		}
		return len(found) > 0
	})
	require.Len(f.t, found, 1)
	return found[0]
}

// requestID returns the request id of a response.
func (f *front) requestID(a harness.Response) string {
	f.t.Helper()
	require.Len(f.t, a.Header.Values("X-Request-ID"), 1)
	id := a.Header.Get("X-Request-ID")
	require.Regexp(f.t, `^[A-Za-z0-9._-]{1,64}$`, id)
	return id
}
