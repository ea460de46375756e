//go:build failover

package systemtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"invited/internal/storetest/postgres"
	"invited/internal/systemtest/harness"
)

// Every node is in a network namespace of its own, with a cable to a bridge on the test's side, as a machine at a switch. The
// test's own namespace is a new one too, and reaches nothing else: see failover-test.sh.
const (
	bridge        = "switch"
	bridgeAddress = "10.99.0.1"
	etcdAddress   = bridgeAddress + ":2379"
	proxyAddress  = bridgeAddress + ":5000"
	clusterNodes  = 3
)

// clusterOptions are the settings of a cluster that tests compare.
type clusterOptions struct {
	synchronous bool // Patroni's synchronous_mode
	ttl         int  // of Patroni's leader key, in seconds
	// etcd3 makes Patroni use version 3 of etcd's API. Patroni 3.0.2 overwrites the leader key by it, whoever has the key, when
	// a writer wakes up; version 2 compares the key first.
	etcd3 bool
}

// cluster is three PostgreSQL nodes under Patroni, and one etcd, which no test disturbs.
type cluster struct {
	clusterOptions
	t     testing.TB
	dir   string
	bin   string // folder of PostgreSQL's programs
	nodes []*clusterNode
}

// clusterNode is a machine that runs Patroni and PostgreSQL.
type clusterNode struct {
	c             *cluster
	name, address string
	namespace     string // path of the network namespace
	config        string // path of Patroni's configuration
	log           *harness.Output
}

// newCluster starts a cluster, and returns when it is whole.
func newCluster(t testing.TB, o clusterOptions) *cluster {
	t.Helper()
	bin, err := postgres.Ensure(t.Context(), t.Logf)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "invited-cluster-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	c := &cluster{clusterOptions: o, t: t, dir: dir, bin: bin}
	own(c.t, dir)
	c.run("ip", "link", "set", "lo", "up")
	c.run("ip", "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { c.run("ip", "link", "delete", bridge) })
	c.run("ip", "address", "add", bridgeAddress+"/24", "dev", bridge)
	c.run("ip", "link", "set", bridge, "up")
	c.startBeside("etcd", "etcd", "--data-dir", filepath.Join(dir, "etcd"), "--log-level", "error", "--enable-v2",
		"--listen-client-urls", "http://"+etcdAddress, "--advertise-client-urls", "http://"+etcdAddress,
		"--listen-peer-urls", "http://"+bridgeAddress+":2380")
	for i := range clusterNodes {
		c.nodes = append(c.nodes, c.newNode(i))
	}
	c.nodes[0].start()
	c.waitUntil(time.Minute, "the first node is the writer", func() bool { return c.nodes[0].is("primary") })
	for _, n := range c.nodes[1:] {
		n.start()
	}
	c.waitWhole()
	return c
}

func (c *cluster) newNode(i int) *clusterNode {
	name := fmt.Sprintf("node%d", i+1)
	n := &clusterNode{
		c: c, name: name, address: fmt.Sprintf("10.99.0.%d", 11+i), log: &harness.Output{},
		config: filepath.Join(c.dir, name+".yml"),
	}
	n.namespace = newNamespace(c.t)
	c.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", n.namespace)
	c.t.Cleanup(func() { c.run("ip", "link", "delete", name) })
	c.run("ip", "link", "set", name, "master", bridge, "up")
	c.run(n.in("ip", "link", "set", "lo", "up")...)
	c.run(n.in("ip", "address", "add", n.address+"/24", "dev", "eth0")...)
	c.run(n.in("ip", "link", "set", "eth0", "up")...)
	require.NoError(c.t, os.WriteFile(n.config, []byte(fmt.Sprintf(patroniConfig, name, n.address, etcdAddress,
		c.ttl, c.synchronous, c.dir, c.bin, map[bool]string{true: "etcd3", false: "etcd"}[c.etcd3])), 0o600))
	own(c.t, n.config)
	sockets := filepath.Join(c.dir, name+".socket")
	require.NoError(c.t, os.Mkdir(sockets, 0o700))
	own(c.t, sockets)
	c.t.Cleanup(func() {
		n.signal(syscall.SIGCONT)
		n.kill()
		if c.t.Failed() {
			text := n.log.String()
			c.t.Logf("end of the log of %s:\n%s", name, text[max(0, len(text)-10_000):])
		}
	})
	return n
}

// patroniConfig is that of docs/operation.md with shorter times, and without a watchdog, which a test machine lacks. loop_wait +
// 2 * retry_timeout must not be more than ttl.
const patroniConfig = `scope: invited
name: %[1]s
restapi: {listen: "%[2]s:8008", connect_address: "%[2]s:8008"}
%[8]s: {host: "%[3]s"}
bootstrap:
  dcs:
    ttl: %[4]d
    loop_wait: 2
    retry_timeout: 4
    synchronous_mode: %[5]t
    postgresql:
      use_pg_rewind: true
      parameters: {max_connections: 200}
  initdb: [{encoding: UTF8}, {locale: C}, {lc-ctype: C.UTF-8}, data-checksums]
  pg_hba: [host all all 10.99.0.0/24 scram-sha-256, host replication all 10.99.0.0/24 scram-sha-256]
postgresql:
  listen: "%[2]s:5432"
  connect_address: "%[2]s:5432"
  data_dir: "%[6]s/%[1]s"
  pgpass: "%[6]s/%[1]s.pgpass"
  bin_dir: "%[7]s"
  parameters: {unix_socket_directories: "%[6]s/%[1]s.socket"}
  authentication:
    superuser: {username: postgres, password: secret}
    replication: {username: replicator, password: secret}
watchdog: {mode: "off"}
`

// newNamespace returns the path of a new network namespace, which is there until the test ends.
func newNamespace(t testing.TB) string {
	t.Helper()
	const path = "/proc/thread-self/ns/net"
	runtime.LockOSThread() // a namespace is that of a thread
	before, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, unix.Unshare(unix.CLONE_NEWNET))
	file, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, unix.Setns(int(before.Fd()), unix.CLONE_NEWNET))
	runtime.UnlockOSThread()
	require.NoError(t, before.Close())
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd())
}

// own makes the user that PostgreSQL runs as the owner of a file, where this process is root's.
func own(t testing.TB, path string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	account, err := user.Lookup("postgres")
	require.NoError(t, err)
	uid, err := strconv.Atoi(account.Uid)
	require.NoError(t, err)
	require.NoError(t, os.Chown(path, uid, -1))
}

// plain returns a command that runs without root, which PostgreSQL refuses, and ends with this process.
func plain(args ...string) []string {
	as := []string{"setpriv", "--pdeathsig", "TERM"}
	if os.Getuid() == 0 {
		as = append(as, "--reuid=postgres", "--regid=postgres", "--clear-groups")
	}
	return append(as, args...)
}

// in returns a command that runs in the node's network.
func (n *clusterNode) in(args ...string) []string {
	return append([]string{"nsenter", "--net=" + n.namespace}, args...)
}

// run runs a command to its end, and returns its output.
func (c *cluster) run(args ...string) string {
	c.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(c.t, err, "%s\n%s", args, out)
	return string(out)
}

// startBeside starts a program on the test's side of the network that ends with the test, and returns its log.
func (c *cluster) startBeside(name string, args ...string) *harness.Output {
	c.t.Helper()
	log := &harness.Output{}
	cmd := c.start(log, plain(args...)...)
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails only where it has ended
		<-ended
		if c.t.Failed() {
			text := log.String()
			c.t.Logf("end of the log of %s:\n%s", name, text[max(0, len(text)-5000):])
		}
	})
	return log
}

func (c *cluster) start(log io.Writer, args ...string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c.dir, log, log, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(c.t, cmd.Start())
	return cmd
}

// start starts Patroni, which starts PostgreSQL.
func (n *clusterNode) start() {
	n.c.t.Helper()
	cmd := n.c.start(n.log, n.in(plain("patroni", n.config)...)...)
	go func() { _ = cmd.Wait() }()
}

// pids returns the ids of all processes on the node.
func (n *clusterNode) pids() (pids []int) {
	ofNode, err := os.Readlink(n.namespace)
	require.NoError(n.c.t, err)
	found, err := filepath.Glob("/proc/[0-9]*/ns/net")
	require.NoError(n.c.t, err)
	for _, path := range found {
		if namespace, err := os.Readlink(path); err == nil && namespace == ofNode { // else it has just ended
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			require.NoError(n.c.t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// signal sends a signal to all processes on the node.
func (n *clusterNode) signal(s syscall.Signal) {
	for _, pid := range n.pids() {
		_ = syscall.Kill(pid, s) // fails only where it has ended
	}
}

// stand stops all processes on the node with SIGSTOP, those too that start meanwhile.
func (n *clusterNode) stand() {
	for range 3 {
		n.signal(syscall.SIGSTOP)
	}
}

// kill ends all processes on the node at once.
func (n *clusterNode) kill() {
	n.stand() // none of them sees another one end
	harness.WaitUntil(n.c.t, 10*time.Second, n.name+" has ended", func() bool {
		n.signal(syscall.SIGKILL)
		return len(n.pids()) == 0
	}, nil)
}

// plug plugs the node's cable in or out. Without it packets are lost in silence, as those of a machine without power.
func (n *clusterNode) plug(in bool) {
	n.c.run("ip", "link", "set", n.name, map[bool]string{true: "up", false: "down"}[in])
}

var patroniClient = &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// is asks the node's Patroni whether the node has a role: primary, replica, sync, as HAProxy asks.
func (n *clusterNode) is(role string) bool {
	response, err := patroniClient.Get("http://" + n.address + ":8008/" + role)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// writer returns the node that is the writer.
func (c *cluster) writer() *clusterNode {
	c.t.Helper()
	var writer *clusterNode
	c.waitUntil(time.Minute, "there is a writer", func() bool {
		for _, n := range c.nodes {
			if n.is("primary") {
				writer = n
			}
		}
		return writer != nil
	})
	return writer
}

// waitWhole waits until all nodes run, one of them the writer, and with synchronous replication another one in step with it.
func (c *cluster) waitWhole() {
	c.t.Helper()
	c.waitUntil(2*time.Minute, "the cluster is whole", func() bool {
		writers, replicas, inStep := 0, 0, 0
		for _, n := range c.nodes {
			switch {
			case n.is("primary"):
				writers++
			case n.is("replica?lag=16MB"):
				replicas++
				if n.is("sync") {
					inStep++
				}
			}
		}
		// An old writer that came back by etcd3 takes its time to choose a standby.
		isInStep := inStep == 1 || !c.synchronous || c.etcd3
		return writers == 1 && replicas == clusterNodes-1 && isInStep && c.streaming() == clusterNodes-1
	})
}

// streaming returns how many standbys the writer sends its log to.
func (c *cluster) streaming() (count int) {
	out, err := c.writer().psql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
	if err == nil {
		count, err = strconv.Atoi(out)
	}
	if err != nil {
		return 0
	}
	return count
}

// url returns the URL of a database on the node, for the superuser.
func (n *clusterNode) url(database string) string {
	return "postgres://postgres:secret@" + n.address + "/" + database
}

// psql runs a statement on the node, and returns what it prints. An answer that takes longer than a second is an error: the
// statement may go on.
func (n *clusterNode) psql(statement string) (string, error) {
	args := n.in(filepath.Join(n.c.bin, "psql"), "-XAtq", "-c", statement,
		n.url("postgres"))
	cmd := exec.Command(args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := time.AfterFunc(time.Second, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()
	err := cmd.Wait()
	return strings.TrimSpace(out.String()), err
}

// createDatabase creates the program's database and the table of probes, and returns the program's URL with all nodes in it.
func (c *cluster) createDatabase() string {
	c.t.Helper()
	for _, statement := range []string{
		"CREATE ROLE invited LOGIN PASSWORD 'secret'", "CREATE DATABASE invited OWNER invited", "CREATE TABLE probes (id text)",
	} {
		c.run(filepath.Join(c.bin, "psql"), "-Xqc", statement, c.writer().url("postgres"))
	}
	var hosts []string
	for _, n := range c.nodes {
		hosts = append(hosts, n.address+":5432")
	}
	return "postgres://invited:secret@" + strings.Join(hosts, ",") + "/invited?target_session_attrs=read-write"
}

// switchOver makes another node the writer, as an administrator does.
func (c *cluster) switchOver() {
	c.t.Helper()
	c.run(plain("patronictl", "-c", c.nodes[0].config, "switchover", "invited", "--master", c.writer().name, "--force")...)
}

// startProxy starts HAProxy, which connects clients to the node that Patroni calls the writer.
func (c *cluster) startProxy() {
	c.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, haproxyConfig, proxyAddress)
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "  server %s %s:5432 check port 8008\n", n.name, n.address)
	}
	config := filepath.Join(c.dir, "haproxy.cfg")
	require.NoError(c.t, os.WriteFile(config, []byte(b.String()), 0o600))
	own(c.t, config)
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy" // Debian's folder, which is not on every PATH
	}
	log := c.startBeside("HAProxy", program, "-f", config, "-db")
	c.waitUntil(30*time.Second, "HAProxy has seen which nodes are no writers", func() bool {
		return strings.Count(log.String(), " is DOWN") >= clusterNodes-1
	})
}

const haproxyConfig = `defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout check 2s
listen writer
  bind %s
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
`

func (c *cluster) waitUntil(limit time.Duration, what string, holds func() bool) {
	c.t.Helper()
	harness.WaitUntil(c.t, limit, what, holds, c.state)
}

// state describes the cluster, for the message of a failed test.
func (c *cluster) state() string {
	for _, n := range c.nodes {
		response, err := patroniClient.Get("http://" + n.address + ":8008/cluster")
		if err != nil {
			continue
		}
		content, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		var pretty bytes.Buffer
		if json.Indent(&pretty, content, "", " ") == nil {
			return pretty.String()
		}
	}
	return "no node of the cluster responds"
}
