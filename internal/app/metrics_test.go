package app_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

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

		_, err := env.DB().ExecContext(t.Context(), `INSERT INTO river_job (args, kind, max_attempts, queue, state, scheduled_at)
			VALUES ('{}', 'nothing', 1, 'nowhere', 'available', '2020-01-01 00:00:00')`)
		require.NoError(t, err)
		shown = readMetrics(t, address)
		require.Regexp(t, `(?m)^invited_queue_jobs\{kind="nothing",state="available"\} 1$`, shown)
		require.Regexp(t, `(?m)^invited_queue_oldest_seconds\{kind="nothing"\} [1-9][0-9.]*e\+08$`, shown, "years in seconds")
		requireMetricsExist(t, shown)
	})
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
