package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// cost is the cost of a read for one caller in a database of a size.
type cost struct {
	Engine   string  `json:"engine"`
	Rows     int     `json:"invitations"`
	Workload string  `json:"workload"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	CPU      float64 `json:"cpu_us"` // CPU of server and database
	Relative float64 `json:"relative"`
	OfCPU    float64 `json:"cpu_relative"` // relative to the first size
}

// volume has the other costs of a size.
type volume struct {
	Engine       string  `json:"engine"`
	Rows         int     `json:"invitations"`
	Customers    int     `json:"customers"`
	SeedSeconds  float64 `json:"seed_seconds"`
	ReadyMS      float64 `json:"ready_ms"`    // time from the start of the process, on a migrated database
	ResidentMB   float64 `json:"resident_mb"` // maximum under the mix with 64 clients
	MixRPS       float64 `json:"mix_rps"`
	Swept        int     `json:"swept"`         // expired invitations that the sweep recorded, of 100,000
	SweepSeconds float64 `json:"sweep_seconds"` // duration of the sweep
	QuietP50     float64 `json:"p50_ms_without_sweep"`
	QuietP99     float64 `json:"p99_ms_without_sweep"`
	SweepP50     float64 `json:"p50_ms_with_sweep"`
	SweepP99     float64 `json:"p99_ms_with_sweep"`
}

type scaleReport struct {
	report
	Results []cost      `json:"results"`
	Sizes   []volume    `json:"sizes"`
	Asked   []askedCost `json:"permission_requests"`
}

const scaleNote = `One client asks, so that p50 is what a request costs and not how long it waits; relative is to the smallest size. In every
size an owner sees 50 invitations, and all others are other customers'. "email" asks for a part that few addresses have, "common"
for one that every 16th has, which has to be counted and so grows with what is found. "deep" is page 10,000 of ten, or the last
where there are fewer. "text" looks for the same part as "email" in names and scopes too. The sweep finds 100,000 invitations that ran out all at once, and writes each to be expired, with an event
and a notice to its creator, which is mailed afterwards into the mail folder; four clients retrieve without a pause. It is
watched from the start of the process until all are written, for 65 seconds at most.`

// expiring is the number of expired invitations that a sweep finds.
const expiring = 100_000

func (w *writing) deep(r *rand.Rand) (request, bool) {
	return w.staff(r, fmt.Sprintf("page=%d", min(10_000, w.data.invitations/10)))
}

var scaled = []workload{
	{name: "retrieve", next: (*writing).retrieve},
	{name: "list", next: (*writing).list},
	{name: "staff", next: func(w *writing, r *rand.Rand) (request, bool) { return w.staff(r, "") }},
	{name: "state", next: func(w *writing, r *rand.Rand) (request, bool) { return w.staff(r, "state=pending") }},
	{name: "email", next: (*writing).email},
	{name: "common", next: func(w *writing, r *rand.Rand) (request, bool) { return w.staff(r, "email=wan") }},
	{name: "deep", next: (*writing).deep},
	{name: "cursor", next: func(w *writing, r *rand.Rand) (request, bool) { return w.staff(r, "cursor=start") }},
	{name: "text", next: func(w *writing, r *rand.Rand) (request, bool) {
		return w.staff(r, "q="+url.QueryEscape(emailOf(r.IntN(w.data.invitations))))
	}},
}

// scale measures the cost of reads in databases of several sizes: of invitations, and of permission requests.
func (b *bench) scale(ctx context.Context, sizes, requests []int, stdout io.Writer) error {
	out := scaleReport{report: newReport(b.options)}
	out.Note = scaleNote
	for _, engine := range b.engines {
		for _, rows := range sizes {
			if b.requestsOnly {
				break
			}
			fmt.Fprintf(stdout, "%s, %d invitations\n", engine, rows)
			if err := b.ofSize(ctx, engine, rows, &out); err != nil {
				return fmt.Errorf("%s with %d invitations: %w", engine, rows, err)
			}
		}
	}
	if !b.sweepOnly {
		if err := b.scaleAsked(ctx, requests, &out, stdout); err != nil {
			return err
		}
	}
	first := map[string]cost{}
	for i, each := range out.Results {
		key := each.Engine + each.Workload
		if _, ok := first[key]; !ok {
			first[key] = each
		}
		out.Results[i].Relative = each.P50 / first[key].P50
		if first[key].CPU > 0 {
			out.Results[i].OfCPU = each.CPU / first[key].CPU
		}
	}
	out.print(stdout)
	return write(b.out, out)
}

func (b *bench) ofSize(ctx context.Context, engine string, rows int, out *scaleReport) (err error) {
	began := time.Now()
	d, data, err := b.filled(ctx, engine, sizeOf(rows))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	v := volume{Engine: engine, Rows: data.invitations, Customers: data.customers, SeedSeconds: time.Since(began).Seconds()}
	if out.Settings[engine], err = d.settings(ctx); err != nil {
		return err
	}
	if !b.sweepOnly {
		if err := b.reads(ctx, d, data, &v, out); err != nil {
			return err
		}
	}
	if err := b.sweep(ctx, d, data, &v); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	out.Sizes = append(out.Sizes, v)
	return nil
}

// reads measures the reads, with a server that delivers and sweeps nothing.
func (b *bench) reads(ctx context.Context, d *database, data size, v *volume, out *scaleReport) error {
	began := time.Now()
	s, err := b.invited(ctx, d, "INVITED_WORKERS=false")
	if err != nil {
		return err
	}
	defer s.stop()
	if err := newClient(newHost(s.address, 1)).do(request{method: http.MethodGet, path: "/readyz", status: http.StatusOK}); err != nil {
		return err
	}
	v.ReadyMS = float64(time.Since(began).Microseconds()) / 1000
	for _, w := range scaled {
		var p50, p99, used []float64
		for i := range b.runs {
			r, err := b.once(ctx, d, data, w, i, 1, s)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			p50 = append(p50, float64(r.p50.Microseconds())/1000)
			p99 = append(p99, float64(r.p99.Microseconds())/1000)
			used = append(used, float64((r.server+r.database).Nanoseconds())/1000)
		}
		out.Results = append(out.Results, cost{
			Engine: d.engine, Rows: data.invitations, Workload: w.name, P50: median(p50), P99: median(p99), CPU: median(used),
		})
	}
	mix := workloads[len(workloads)-1]
	r, err := b.once(ctx, d, data, mix, 0, 64, s)
	if err != nil {
		return fmt.Errorf("mix: %w", err)
	}
	v.MixRPS, v.ResidentMB = r.rps, float64(resident(s.cmd.Process.Pid))/(1<<20)
	return nil
}

// sweep makes 100,000 invitations expire, and measures reads while the server sweeps.
func (b *bench) sweep(ctx context.Context, d *database, data size, v *volume) error {
	if err := d.offers(ctx, expiring, lifetime+time.Hour); err != nil {
		return err
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	const clients = 4
	retrieve := func(until *atomic.Bool) func(int) func() (request, bool) {
		return func(client int) func() (request, bool) {
			state, r := &writing{data: data}, dice(0, client)
			return func() (request, bool) {
				if until.Load() {
					return request{}, false
				}
				return state.retrieve(r)
			}
		}
	}
	quiet, err := b.invited(ctx, d, "INVITED_WORKERS=false")
	if err != nil {
		return err
	}
	var done atomic.Bool
	r, err := stretch(ctx, quiet, d, clients, b.warm, 2*b.length, retrieve(&done))
	quiet.stop()
	if err != nil {
		return err
	}
	v.QuietP50, v.QuietP99 = float64(r.p50.Microseconds())/1000, float64(r.p99.Microseconds())/1000

	began := time.Now()
	sweeping, err := b.invited(ctx, d)
	if err != nil {
		return err
	}
	defer sweeping.stop()
	failed := make(chan error, 1)
	go func() {
		due := "FROM invitations WHERE state = 'pending' AND created < '" + time.Now().Add(-lifetime).UTC().Format(timestamp) + "'"
		// Counting twice a second would load the database during the measurement.
		left, err := d.until(ctx, "SELECT count(*) FROM (SELECT 1 "+due+" ORDER BY created DESC LIMIT 1) AS last")
		if err == nil && left > 0 {
			left, err = d.count(ctx, "SELECT count(*) "+due)
		}
		v.SweepSeconds, v.Swept = time.Since(began).Seconds(), expiring-left
		done.Store(true)
		failed <- err
	}()
	r, err = stretch(ctx, sweeping, d, clients, 0, 2*sweepLimit, retrieve(&done))
	if err := errors.Join(err, <-failed); err != nil {
		return err
	}
	v.SweepP50, v.SweepP99 = float64(r.p50.Microseconds())/1000, float64(r.p99.Microseconds())/1000
	return nil
}

// sweepLimit is the time limit of a sweep.
const sweepLimit = 65 * time.Second

// until waits until a count is 0, at most sweepLimit, and returns the last count.
func (d *database) until(ctx context.Context, query string) (int, error) {
	limit := time.After(sweepLimit)
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for {
		left, err := d.count(ctx, query)
		if err != nil || left == 0 {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-limit:
			return left, nil
		case <-again.C:
		}
	}
}

var highest = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// resident returns the maximum resident memory of a process in bytes; 0 where the machine has no /proc.
func resident(pid int) int64 {
	content, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	found := highest.FindSubmatch(content)
	if found == nil {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(found[1]), 10, 64) // the pattern matches only digits
	return kilobytes << 10
}

func (r scaleReport) print(w io.Writer) {
	r.printSizes(w)
	printAsked(w, r.Asked)
}

func (r scaleReport) printSizes(w io.Writer) {
	if len(r.Sizes) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "database\tworkload\tinvitations\tp50 ms\trelative\tp99 ms\tCPU µs\trelative\t")
	for _, each := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t%.2f\t\n",
			each.Engine, each.Workload, each.Rows, each.P50, each.Relative, each.P99, each.CPU, each.OfCPU)
	}
	_ = t.Flush()
	fmt.Fprintln(w)
	fmt.Fprintln(t, "database\tinvitations\tcustomers\tseeded s\tready ms\tmix/s\tresident MB\tswept\tin s\tp50 ms\tin sweep\tp99 ms\tin sweep\t")
	for _, each := range r.Sizes {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f\t%.0f\t%.0f\t%.0f\t%d\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
			each.Engine, each.Rows, each.Customers, each.SeedSeconds, each.ReadyMS, each.MixRPS, each.ResidentMB, each.Swept, each.SweepSeconds,
			each.QuietP50, each.SweepP50, each.QuietP99, each.SweepP99)
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\n%s\n", r.Note)
}
