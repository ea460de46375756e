//go:build production

package systemtest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/systemtest/harness"
)

// surroundings makes what docs/production.md presumes: names, an authority with its certificates, and a mail relay.
const surroundings = `
echo 127.0.0.1 localhost invitations.example db.example relay.example >>/etc/hosts
mkdir -m 0700 /root/certificates
cd /root/certificates
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=Authority of the test' \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -keyout authority.key -out authority.pem
for name in invitations.example db.example relay.example; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr
  printf 'subjectAltName=DNS:%s' $name >$name.ext
  openssl x509 -req -in $name.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem
done
useradd --create-home sam
apt-get install -yq postfix
postconf -e myhostname=relay.example mydestination=university.example 'mynetworks=127.0.0.0/8' inet_interfaces=loopback-only \
  inet_protocols=ipv4 smtpd_tls_security_level=encrypt smtpd_tls_cert_file=/root/certificates/relay.example.pem \
  smtpd_tls_key_file=/root/certificates/relay.example.key smtpd_tls_received_header=yes smtpd_tls_loglevel=1 alias_maps= \
  maillog_file=/var/log/postfix.log
systemctl restart postfix
`

// Every command of docs/production.md works, in its order, on a bare Debian, and the server that comes of it does what the
// page says.
func TestProduction(t *testing.T) {
	script := commandsOf(t, "../../docs/production.md")
	m := boot(t, source(t))
	m.run(surroundings)
	began := time.Now()
	output := m.run(script)
	t.Logf("the page took %s:\n%s", time.Since(began).Round(time.Second), output)

	t.Run("mail arrives", func(t *testing.T) {
		m := m.in(t)
		mailbox := ""
		harness.WaitUntil(t, time.Minute, "the mail is in the mailbox", func() bool {
			mailbox = m.mailbox()
			return strings.Contains(mailbox, "https://invitations.example/invitations/invitation/")
		}, func() string { return m.ask("cat /var/log/postfix.log; journalctl --no-pager --unit invited") })
		require.Contains(t, mailbox, "Received: from invitations.example")
		require.Contains(t, mailbox, "using TLSv1.3")
		require.Regexp(t, `(?m)^From: .?Example University.? <invitations@example.org>$`, mailbox)
		require.Contains(t, m.ask("curl -sS http://127.0.0.1:8081/readyz"), `"mail":"ok"`)
	})

	t.Run("link of the mail", func(t *testing.T) {
		m := m.in(t)
		link := regexp.MustCompile(`https://invitations\.example/invitations/invitation/[0-9a-f-]+/`).FindString(m.mailbox())
		require.NotEmpty(t, link)
		page := m.ask("curl -sS --fail --location --cookie-jar /dev/null --cacert /etc/invited/authority.pem " + link)
		require.Contains(t, page, "Example University")
	})

	t.Run("rights in the database", func(t *testing.T) {
		m := m.in(t)
		require.Equal(t, "f|f|f|f|f", m.sql("postgres", `SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls
			FROM pg_roles WHERE rolname = 'invited'`))
		require.Equal(t, "0", m.sql("postgres", "SELECT count(*) FROM pg_auth_members WHERE member = 'invited'::regrole"))
		require.Equal(t, "invited", m.sql("postgres", `SELECT string_agg(datname, ',') FROM pg_database
			WHERE NOT datistemplate AND datname <> 'postgres' AND has_database_privilege('invited', datname, 'CREATE')`))
		require.Equal(t, "t", m.sql("invited", `SELECT bool_and(ssl) AND count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
			WHERE usename = 'invited'`))
		// Without TLS the password is of no use.
		require.Contains(t, m.ask(`. /etc/invited/invited.env
			psql "${INVITED_DATABASE_URL%%\?*}?sslmode=disable" -c 'SELECT 1' 2>&1 || true`), "pg_hba.conf rejects connection")
		require.Equal(t, "1", m.ask(`. /etc/invited/invited.env
			psql "${INVITED_DATABASE_URL%%\?*}?sslmode=require" -tAc 'SELECT 1'`))
	})

	t.Run("process", func(t *testing.T) {
		m := m.in(t)
		pid := m.ask("systemctl show --property MainPID --value invited")
		require.Equal(t, "invited", m.ask("stat --format %U /proc/"+pid))
		status := m.ask("cat /proc/" + pid + "/status")
		require.Regexp(t, `(?m)^CapBnd:\s+0+$`, status)
		require.Regexp(t, `(?m)^NoNewPrivs:\s+1$`, status)
		require.Regexp(t, `(?m)^Seccomp:\s+2$`, status)
		require.Equal(t, "600 root", m.ask("stat --format '%a %U' /etc/invited/invited.env"))
		for _, listener := range strings.Split(m.ask("ss -ltnpH | grep '\"invited\"' | awk '{print $4}'"), "\n") {
			require.Regexp(t, `^127\.0\.0\.1:(8081|9464)$`, listener)
		}
	})

	t.Run("log", func(t *testing.T) {
		log := m.in(t).ask("journalctl --no-pager --output cat --unit invited")
		require.Contains(t, log, "level=INFO")
		require.NotContains(t, log, "level=ERROR")
		require.NotContains(t, log, "level=WARN")
	})

	t.Run("indexes made up for", func(t *testing.T) {
		m := m.in(t)
		const indexes = "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%' ORDER BY 1"
		before := m.sql("invited", indexes)
		require.Len(t, strings.Split(before, "\n"), 2)
		m.sql("invited", "DROP EXTENSION pg_trgm CASCADE")
		require.Empty(t, m.sql("invited", indexes))
		m.run(script[strings.LastIndex(script, "printf"):]) // the last block of the page
		require.Equal(t, before, m.sql("invited", indexes))
	})
}

// in returns the machine for a subtest.
func (m machine) in(t *testing.T) machine {
	t.Helper()
	m.t = t
	return m
}

// mailbox returns the mails that the relay has for Sam, without soft line breaks.
func (m machine) mailbox() string {
	m.t.Helper()
	return strings.ReplaceAll(m.ask("cat /var/mail/sam 2>&1 || true"), "=\n", "")
}

// sql returns the result of a statement in a database of the machine, a line for each row.
func (m machine) sql(database, statement string) string {
	m.t.Helper()
	return m.ask("runuser -u postgres -- psql --no-psqlrc --quiet -tA " + database + " <<'END'\n" + statement + "\nEND\n")
}

// commandsOf returns the shell commands of a page as one script, which prints the line of the page before each block.
func commandsOf(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var script strings.Builder
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case !inside && line == "```sh":
			inside = true
			fmt.Fprintf(&script, "printf '\\n== line %d\\n'\n", i+2)
		case inside && line == "```":
			inside = false
		case inside:
			script.WriteString(line + "\n")
		default:
			require.NotContains(t, line, "```", "line %d: a block that is not run", i+1)
		}
	}
	require.False(t, inside, "the last block has no end")
	return script.String()
}
