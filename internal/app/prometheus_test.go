//go:build prometheus

package app_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

// Prometheus, configured as deploy/prometheus says, reads two replicas in use, answers each query of the dashboard, and sees no
// reason for an alert.
func TestPrometheus(t *testing.T) {
	env := setup(t, storetest.Engines[1].Fresh(t)).Apply().Set("INVITED_SWEEP_INTERVAL=1s", "INVITED_LIMIT_UNKNOWN_KEYS=1/1m")
	var replicas []*harness.Process
	var targets []string
	for range 2 {
		address := harness.FreeAddress(t)
		targets = append(targets, address)
		replicas = append(replicas, env.With("INVITED_METRICS_ADDR="+address).Serve())
	}
	insertOldJob(t, env)
	signIn(t, env, replicas[0])
	prometheus := startPrometheus(t, targets)

	waiting := dashboardQueries(t)
	harness.WaitUntil(t, time.Minute, "Prometheus answers each query of the dashboard", func() bool {
		for _, p := range replicas {
			p.WaitDelivered(p.Create("p" + strconv.FormatInt(time.Now().UnixNano(), 36) + "@university.example").UUID)
			p.Do("GET", harness.InvitationsPath, "nobody", "")
		}
		var still []string
		for _, query := range waiting {
			if !hasValue(prometheus.query(t, query)) {
				still = append(still, query)
			}
		}
		waiting = still
		return len(waiting) == 0
	}, func() string { return strings.Join(waiting, "\n") })

	type rule struct{ Name, Health, State, LastError string }
	var found struct{ Groups []struct{ Rules []rule } }
	harness.WaitUntil(t, time.Minute, "Prometheus has evaluated each alert", func() bool {
		prometheus.get(t, "rules", nil, &found)
		return len(found.Groups) == 1 &&
			!slices.ContainsFunc(found.Groups[0].Rules, func(r rule) bool { return r.Health == "unknown" })
	}, func() string { return fmt.Sprint(found) })
	require.NotEmpty(t, found.Groups[0].Rules)
	for _, r := range found.Groups[0].Rules {
		require.Equal(t, "ok", r.Health, "%s: %s", r.Name, r.LastError)
		require.Equal(t, "inactive", r.State, r.Name)
	}
}

// dashboardQueries returns the queries of the dashboard's panels, with the values that Grafana puts in place of its variables.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "deploy", "prometheus", "dashboard.json"))
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	require.NoError(t, json.Unmarshal(content, &dashboard))
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, strings.NewReplacer("$job", "invited", "$__rate_interval", "10s").Replace(target.Expr))
		}
	}
	require.NotEmpty(t, queries)
	return queries
}

// A server of Prometheus, by the address of its API.
type prometheusServer string

// startPrometheus starts Prometheus with the configuration of deploy/prometheus, but for the addresses that it reads and the
// time between two readings. It ends with the test.
func startPrometheus(t *testing.T, targets []string) prometheusServer {
	t.Helper()
	from, err := filepath.Abs(filepath.Join("..", "..", "deploy", "prometheus"))
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(from, "prometheus.yaml"))
	require.NoError(t, err)
	config := string(content)
	for original, own := range map[string]string{
		"scrape_interval: 15s":                 "scrape_interval: 1s\n  evaluation_interval: 1s",
		"[alerts.yaml]":                        "[" + filepath.Join(from, "alerts.yaml") + "]",
		`["127.0.0.1:9464", "127.0.0.1:9465"]`: `["` + strings.Join(targets, `", "`) + `"]`,
	} {
		require.Contains(t, config, original)
		config = strings.Replace(config, original, own, 1)
	}
	dir, address := t.TempDir(), harness.FreeAddress(t)
	path := filepath.Join(dir, "prometheus.yaml")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	cmd := exec.CommandContext(t.Context(), "prometheus", "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	var log harness.Output
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context has killed it
	harness.WaitUntil(t, time.Minute, "Prometheus is ready", func() bool {
		response, err := harness.HTTPClient.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, log.String)
	return prometheusServer("http://" + address + "/api/v1/")
}

// get reads what the API answers with success.
func (s prometheusServer) get(t *testing.T, path string, query url.Values, to any) {
	t.Helper()
	response, err := harness.HTTPClient.Get(string(s) + path + "?" + query.Encode())
	require.NoError(t, err)
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: to}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, "%s: %s", query.Get("query"), answer.Error)
}

// A sample is a value of a series: its time and, as text, its value.
type sample struct{ Value [2]any }

func (s prometheusServer) query(t *testing.T, query string) []sample {
	t.Helper()
	var found struct{ Result []sample }
	s.get(t, "query", url.Values{"query": {query}}, &found)
	return found.Result
}

// hasValue reports whether a sample is a number: the mean time of an operation without requests is none.
func hasValue(samples []sample) bool {
	for _, s := range samples {
		text, _ := s.Value[1].(string)
		if value, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(value) {
			return true
		}
	}
	return false
}
