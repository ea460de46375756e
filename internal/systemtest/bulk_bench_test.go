package systemtest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/storetest"
	"invited/internal/systemtest/harness"
)

const (
	bulkPath  = harness.InvitationsPath + "bulk/"
	bulkCount = 10_000          // rows of one bulk invitation
	bulkLimit = 5 * time.Minute // for all of them
	// laterUUID is a project that starts later: its invitations are not mailed before.
	laterUUID = "20000000-0000-4000-8000-000000000009"
	laterFile = "customers: [{name: Acme, projects: [{name: Later, uuid: " + laterUUID + ", start_date: 2999-01-01}]}]"
)

// bulkBody returns the body of a request that invites count people into a project.
func bulkBody(name string, count int, project string) string {
	rows := make([]string, count)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"email": "%s%d@university.example", "full_name": "Person %d of the University"}`, name, i, i)
	}
	return fmt.Sprintf(`{"defaults": {"role": %q, "scope": %q}, "rows": [%s]}`, harness.RoleUUID, project, strings.Join(rows, ", "))
}

// bulkInvitation is the part of a bulk invitation that the tests read.
type bulkInvitation struct {
	UUID, State string
	Done, Total int
	Counts      map[string]int
	Results     []struct {
		Index         int
		Email, Result string
		UUID          *string
	}
}

func decodeBulk(t testing.TB, r harness.Response) (found bulkInvitation) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.Body), &found), r.Body)
	return found
}

// BenchmarkBulk measures a bulk invitation of 10,000 rows: its dry run, how long it takes to be accepted and to be done, and
// the response times of others meanwhile, who retrieve an invitation and, in one of five requests, make one. It does so without
// mails, into a project that has not started, and with mails to a mail server on the same machine. It compares the time with
// that of a client that creates one after the other.
func BenchmarkBulk(b *testing.B) {
	for _, engine := range storetest.Engines {
		b.Run(engine.Name, func(b *testing.B) {
			b.StopTimer()
			env := harness.New(b, engine.Fresh(b))
			recorder := harness.NewSMTPRecorder(b)
			env.Apply().Set("INVITED_SMTP_URL=" + recorder.URL)
			env.Run(laterFile, "directory", "apply", "-f", "-").OK()
			p := env.Serve()
			reportMemory := func(unit string) {
				content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
				if err != nil {
					return // this machine has no /proc
				}
				kilobytes, err := strconv.Atoi(string(highestResident.FindSubmatch(content)[1]))
				require.NoError(b, err)
				b.ReportMetric(float64(kilobytes)/1000, unit)
			}
			others := 0
			measure := func(more func(count int) bool) (p50, p99 float64) {
				b.Helper()
				id := p.Do("POST", harness.InvitationsPath, "sam", harness.InvitationBodyFor("first"+strconv.Itoa(others)+"@university.example", laterUUID)).Is(201).Invitation().UUID
				var took []time.Duration
				for more(len(took)) {
					start := time.Now()
					if len(took)%5 == 4 {
						others++
						p.Do("POST", harness.InvitationsPath, "sam", harness.InvitationBodyFor(fmt.Sprintf("other%d@university.example", others), laterUUID)).Is(201)
					} else {
						p.Get(id)
					}
					took = append(took, time.Since(start))
					time.Sleep(5 * time.Millisecond) //nolint:forbidigo // part of the load: a caller who pauses
				}
				slices.Sort(took)
				return float64(took[len(took)/2].Microseconds()) / 1000, float64(took[len(took)*99/100].Microseconds()) / 1000
			}
			p50, p99 := measure(func(count int) bool { return count < 1000 })
			b.ReportMetric(p50, "quiet-p50-ms")
			b.ReportMetric(p99, "quiet-p99-ms")

			start := time.Now()
			const single = 500
			for i := range single {
				p.Do("POST", harness.InvitationsPath, "olivia", harness.InvitationBodyFor(fmt.Sprintf("single%d@university.example", i), laterUUID)).Is(201)
			}
			loop := time.Since(start).Seconds() * bulkCount / single
			b.ReportMetric(loop, "loop-s")
			reportMemory("before-MB")

			start = time.Now()
			report := decodeBulk(b, p.Do("POST", bulkPath+"?dry_run=true", "olivia", bulkBody("later", bulkCount, laterUUID)).Is(200))
			b.ReportMetric(time.Since(start).Seconds(), "dry-run-s")
			require.Equal(b, bulkCount, report.Counts["created"])

			b.StartTimer()
			for _, test := range []struct{ name, project string }{{"later", laterUUID}, {"mailed", harness.ProjectUUID}} {
				start = time.Now()
				made := decodeBulk(b, p.Do("POST", bulkPath, "olivia", bulkBody(test.name, bulkCount, test.project)).Is(202))
				b.ReportMetric(time.Since(start).Seconds(), test.name+"-accepted-s")
				looked := time.Now()
				p50, p99 = measure(func(int) bool {
					if time.Since(looked) < 100*time.Millisecond {
						return true
					}
					looked = time.Now()
					require.Less(b, looked.Sub(start), bulkLimit)
					return decodeBulk(b, p.Do("GET", bulkPath+made.UUID+"/?page_size=1", "olivia", "").Is(200)).State != "done"
				})
				took := time.Since(start).Seconds()
				b.ReportMetric(took, test.name+"-done-s")
				b.ReportMetric(loop/took, test.name+"-times-as-fast")
				b.ReportMetric(p50, test.name+"-p50-ms")
				b.ReportMetric(p99, test.name+"-p99-ms")
				require.Equal(b, bulkCount, decodeBulk(b, p.Do("GET", bulkPath+made.UUID+"/?page_size=1", "olivia", "").Is(200)).Counts["created"])
			}
			b.StopTimer()
			reportMemory("MB")
			p.Kill() // the mails are not waited for
		})
	}
}
