package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// readMetrics returns what a server shows at an address, as text.
func readMetrics(t *testing.T, address string) string {
	t.Helper()
	response, err := harness.HTTPClient.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", body)
	return string(body)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := harness.FreeAddress(t)
		env := setup(t, e.Fresh(t)).Apply().Set("INVITED_METRICS_ADDR=" + address)
		p := env.Serve()
		before := readMetrics(t, address)
		require.Contains(t, before, "invited_database_up 1\n")
		require.NotContains(t, before, "user_invitations_create")

		created := p.Create("metrics@university.example")
		p.Do("GET", "/api/no-such-path-of-anybody/", "sam", "").Is(404)
		p.Do("GET", "/sign-in/", "", "").Is(200)
		p.WaitDelivered(created.UUID)
		shows := func(lines ...string) func() bool {
			return func() bool {
				all := strings.Split(readMetrics(t, address), "\n")
				return !slices.ContainsFunc(lines, func(line string) bool { return !slices.Contains(all, line) })
			}
		}
		p.WaitUntil("everything is counted", shows(
			`invited_http_request_seconds_count{operation="user_invitations_create",status="201"} 1`,
			`invited_http_request_seconds_count{operation="",status="404"} 1`,
			`invited_http_request_seconds_count{operation="GET /sign-in/",status="200"} 1`,
			`invited_job_seconds_count{kind="deliver_invitation",result="completed"} 1`,
			`invited_invitations{state="pending"} 1`,
			`invited_invitations{state="accepted"} 0`,
		))
		shown := readMetrics(t, address)
		require.Regexp(t, `(?m)^invited_pool_max\{pool="lists"\} [1-9]`, shown)
		for _, private := range []string{"metrics@", "university.example", "no-such-path", created.UUID} {
			require.NotContains(t, shown, private)
		}

		insertOldJob(t, env)
		shown = readMetrics(t, address)
		require.Regexp(t, `(?m)^invited_queue_jobs\{kind="nothing",state="available"\} 1$`, shown)
		require.Regexp(t, `(?m)^invited_queue_oldest_seconds\{kind="nothing"\} [1-9][0-9.]*e\+08$`, shown, "years in seconds")
	})
}

// insertOldJob writes a job of the kind "nothing", which nobody does.
func insertOldJob(t *testing.T, env *harness.Env) {
	t.Helper()
	_, err := env.DB().ExecContext(t.Context(), `INSERT INTO river_job (args, kind, max_attempts, queue, state, scheduled_at)
		VALUES ('{}', 'nothing', 1, 'nowhere', 'available', '2020-01-01 00:00:00')`)
	require.NoError(t, err)
}

var metricName = regexp.MustCompile(`\binvited_[a-z_]+`)

// requireMetricsExist asserts that the alerts and the dashboard ask for metrics that there are.
func requireMetricsExist(t *testing.T, shown string) {
	t.Helper()
	names := metricName.FindAllString(shown, -1)
	for _, file := range []string{"alerts.yaml", "dashboard.json"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "deploy", "prometheus", file))
		require.NoError(t, err)
		asked := metricName.FindAllString(string(content), -1)
		require.NotEmpty(t, asked)
		for _, name := range asked {
			require.Contains(t, names, name, file)
		}
	}
}

// A database that does not answer is shown, and the process's own metrics still are.
func TestMetricsWithoutDatabase(t *testing.T) {
	t.Parallel()
	address := harness.FreeAddress(t)
	env := setup(t, storetest.Engines[0].Fresh(t)).Set("INVITED_METRICS_ADDR="+address, "INVITED_WORKERS=false")
	p := env.Serve()
	_, err := env.DB().ExecContext(t.Context(), "DROP TABLE river_job")
	require.NoError(t, err)
	shown := readMetrics(t, address)
	require.Contains(t, shown, "invited_database_up 0\n")
	require.Contains(t, shown, "invited_build_info{")
	require.Contains(t, shown, "invited_pool_max{")
	p.WaitLog("river_job")
	p.Stop()
}

func TestMetricsAddressInUse(t *testing.T) {
	t.Parallel()
	address := harness.FreeAddress(t)
	env := setup(t, "").Set("INVITED_LISTEN_ADDR="+harness.FreeAddress(t), "INVITED_METRICS_ADDR="+address)
	p := env.Serve()
	env.With("INVITED_LISTEN_ADDR="+harness.FreeAddress(t)).Run("", "serve").Fails("INVITED_METRICS_ADDR", "in use")
	env.With("INVITED_METRICS_ADDR=9464").Run("", "serve").Fails("INVITED_METRICS_ADDR", "HOST:PORT")
	p.Stop()
}

// What an operator watches beside requests and jobs: statements, sweeps, limits and sign-ins.
func TestMetricsOfUse(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		address := harness.FreeAddress(t)
		env := setup(t, e.Fresh(t)).Apply().Set("INVITED_METRICS_ADDR="+address, "INVITED_SWEEP_INTERVAL=1s",
			"INVITED_LIMIT_INVITATION=1/1h", "INVITED_LIMIT_UNKNOWN_KEYS=1/1m")
		began := time.Now()
		p := env.Serve()
		created := p.Create("used@university.example")
		p.WaitDelivered(created.UUID)
		p.Do("POST", harness.InvitationsPath+created.UUID+"/send/", "olivia", "").Is(429)
		p.Do("GET", harness.InvitationsPath, "nobody", "").Is(401)
		p.Do("GET", harness.InvitationsPath, "nobody", "").Is(429)
		signIn(t, env, p)
		_, err := env.DB().ExecContext(t.Context(), "UPDATE invitations SET created = '2020-01-01T00:00:00.000000Z'")
		require.NoError(t, err)

		shows := func(pattern string) func() bool {
			return func() bool { return regexp.MustCompile("(?m)^" + pattern + "$").MatchString(readMetrics(t, address)) }
		}
		p.WaitUntil("the invitation is swept", shows(`invited_sweep_invitations_total{done="expired"} 1`))
		p.WaitUntil("a sweep is recorded", shows(`invited_sweep_last_success_timestamp_seconds 1\.[0-9]+e\+09`))
		var last float64
		_, err = fmt.Sscan(regexp.MustCompile(`(?m)^invited_sweep_last_success_timestamp_seconds (.*)$`).FindStringSubmatch(readMetrics(t, address))[1], &last)
		require.NoError(t, err)
		require.InDelta(t, float64(time.Now().Unix()), last, time.Since(began).Seconds()+2)
		writes := map[bool]string{true: "writes", false: "requests"}[env.OnSQLite()]
		for _, pattern := range []string{
			`invited_limit_refusals_total{limit="invitation"} 1`,
			`invited_limit_refusals_total{limit="unknown_keys"} 1`,
			`invited_sign_ins_total{result="refused",way="code"} 1`,
			`invited_sign_ins_total{result="signed_in",way="code"} 1`,
			`invited_sweep_invitations_total{done="reminded"} 0`,
			`invited_database_statement_seconds_count{operation="insert",pool="` + writes + `"} [1-9][0-9]*`,
			`invited_database_statement_seconds_count{operation="commit",pool="` + writes + `"} [1-9][0-9]*`,
		} {
			require.True(t, shows(pattern)(), "%s\n%s", pattern, readMetrics(t, address))
		}
		insertOldJob(t, env)
		requireMetricsExist(t, readMetrics(t, address))
		for _, private := range []string{"used@", "university.example", created.UUID} {
			require.NotContains(t, readMetrics(t, address), private)
		}
		p.Stop()
	})
}

var mailedCode = regexp.MustCompile(`(?m)^Subject: ([0-9]{6}) is your code`)

// signIn signs olivia in by the code of her mail, after one that is wrong.
func signIn(t *testing.T, env *harness.Env, p *harness.Process) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	post := func(path string, form url.Values) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.Address+path, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusSeeOther, post("/sign-in/", url.Values{"email": {"olivia@acme.example"}}))
	var code string
	p.WaitUntil("the code is mailed", func() bool {
		found := mailedCode.FindStringSubmatch(strings.Join(env.Mails(), "\n"))
		if found != nil {
			code = found[1]
		}
		return found != nil
	})
	require.Equal(t, http.StatusBadRequest, post("/sign-in/code/", url.Values{"code": {"none"}}))
	require.Equal(t, http.StatusSeeOther, post("/sign-in/code/", url.Values{"code": {code}}))
}
