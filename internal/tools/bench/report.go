package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"
)

const note = `The floor is a hand-written server with the database's driver alone. It prepares its statements, looks the API key up,
and writes with the same guarantees; it has no validation, request log, request ids, deadlines or security headers, all
of which the server has on as it is shipped. Ratio: requests per second of the server by those of the floor, the median
over pairs of neighbouring runs. CPU: processor time of server and database together for a request at the floor, by the
same at the server. In create, accept and mix the server runs with INVITED_WORKERS=false, because the floor delivers
nothing: make bench-delivery measures delivery. In the others its workers run and find nothing to do. In page, jwt and
session the other server is the same one: page is the page of an invitation beside details by a token, jwt and session
are retrieve by an issuer's access token and by a session's cookie beside retrieve by a token. PostgreSQL does not wait
for the disk (fsync=off), which would cost both the same; SQLite does (synchronous=FULL).`

func newReport(o options) report {
	return report{
		When: time.Now().UTC().Truncate(time.Second), Rows: o.rows, Seconds: o.length.Seconds(), CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Settings: map[string]map[string]string{}, Note: note,
	}
}

func (r report) print(w io.Writer) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "database\tworkload\tclients\trequests/s\tfloor\tratio\t(low–high)\tp50 ms\tfloor\tp99 ms\tfloor\tratio\tCPU µs\t+ db\tfloor\t+ db\tratio\t")
	for _, each := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.0f\t%.0f\t%.2f\t(%.2f–%.2f)\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t\n",
			each.Engine, each.Workload, each.Clients, each.InvitedRPS, each.FloorRPS, each.Ratio, each.RatioLow, each.RatioHigh,
			each.InvitedP50, each.FloorP50, each.InvitedP99, each.FloorP99, each.P99Ratio,
			each.InvitedCPU, each.InvitedData, each.FloorCPU, each.FloorData, each.CPURatio)
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\n%s\n", r.Note)
}

func write(path string, what any) error {
	content, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o600)
}
