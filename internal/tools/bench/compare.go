package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// result is one line of the table: the medians of all runs.
type result struct {
	Engine      string  `json:"engine"`
	Workload    string  `json:"workload"`
	Clients     int     `json:"clients"`
	InvitedRPS  float64 `json:"invited_rps"`
	FloorRPS    float64 `json:"floor_rps"`
	Ratio       float64 `json:"ratio"` // median of the ratios of consecutive runs
	RatioLow    float64 `json:"ratio_low"`
	RatioHigh   float64 `json:"ratio_high"`
	P99Ratio    float64 `json:"p99_ratio"`
	InvitedP50  float64 `json:"invited_p50_ms"`
	FloorP50    float64 `json:"floor_p50_ms"`
	InvitedP99  float64 `json:"invited_p99_ms"`
	FloorP99    float64 `json:"floor_p99_ms"`
	InvitedCPU  float64 `json:"invited_cpu_us"` // of the process, for each request
	FloorCPU    float64 `json:"floor_cpu_us"`
	InvitedData float64 `json:"invited_database_cpu_us"` // of the database's processes, for each request
	FloorData   float64 `json:"floor_database_cpu_us"`
	CPURatio    float64 `json:"cpu_ratio"` // CPU of floor and its database for a request, divided by that of the server and its database
	Runs        int     `json:"runs"`
}

// report is the content of the JSON file.
type report struct {
	When     time.Time                    `json:"when"`
	Rows     int                          `json:"invitations"`
	Seconds  float64                      `json:"seconds"`
	CPUs     int                          `json:"cpus"`
	Go       string                       `json:"go"`
	Settings map[string]map[string]string `json:"settings"`
	Note     string                       `json:"note"`
	Results  []result                     `json:"results"`
}

// compare measures the server and the floor on each database.
func (b *bench) compare(ctx context.Context, stdout io.Writer) error {
	out := newReport(b.options)
	for _, each := range b.engines {
		if err := b.onEngine(ctx, each, &out, stdout); err != nil {
			return fmt.Errorf("%s: %w", each, err)
		}
	}
	out.print(stdout)
	return write(b.out, out)
}

func (b *bench) onEngine(ctx context.Context, engine string, out *report, stdout io.Writer) (err error) {
	d, data, err := b.filled(ctx, engine, sizeOf(b.rows))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if out.Settings[engine], err = d.settings(ctx); err != nil {
		return err
	}
	// Reads and writes use different servers: during writes the server delivers no mails, because the floor delivers none.
	for _, writes := range []bool{false, true} {
		chosen := slices.DeleteFunc(slices.Clone(workloads), func(w workload) bool {
			return w.writes != writes || !slices.Contains(b.workloads, w.name)
		})
		if len(chosen) == 0 {
			continue
		}
		if err := b.withServers(ctx, d, writes, func(invited, floor *server) error {
			if err := same(ctx, d, data, writes, invited, floor); err != nil {
				return err
			}
			for _, each := range chosen {
				for _, clients := range b.clients {
					r, err := b.cell(ctx, d, data, each, clients, invited, floor)
					if err != nil {
						return fmt.Errorf("%s with %d clients: %w", each.name, clients, err)
					}
					out.Results = append(out.Results, r)
					fmt.Fprintf(stdout, "%s %s, %d clients: %.0f of %.0f requests/s, %.2f of the floor (CPU %.2f)\n",
						engine, each.name, clients, r.InvitedRPS, r.FloorRPS, r.Ratio, r.CPURatio)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	chosen := slices.DeleteFunc(slices.Clone(signedIn), func(w workload) bool { return !slices.Contains(b.workloads, w.name) })
	if len(chosen) == 0 {
		return nil
	}
	return b.compareSignedIn(ctx, d, data, chosen, out, stdout)
}

// filled returns a database with data.
func (b *bench) filled(ctx context.Context, engine string, data size) (*database, size, error) {
	d, err := newDatabase(ctx, engine, b.dir)
	if err != nil {
		return nil, data, err
	}
	if err := b.migrate(ctx, d); err != nil {
		return nil, data, errors.Join(err, d.close())
	}
	if err := d.open(ctx); err != nil {
		return nil, data, errors.Join(err, d.close())
	}
	if err := d.seed(ctx, data); err != nil {
		return nil, data, errors.Join(err, d.close())
	}
	return d, data, nil
}

func (b *bench) withServers(ctx context.Context, d *database, writes bool, f func(invited, floor *server) error) error {
	invited, err := b.invited(ctx, d, fmt.Sprintf("INVITED_WORKERS=%t", !writes))
	if err != nil {
		return err
	}
	defer invited.stop()
	floor, err := b.floor(ctx, d)
	if err != nil {
		return err
	}
	defer floor.stop()
	return f(invited, floor)
}

// cell measures server and floor in turn, runs times each; or, where the workload is against something, two kinds of request
// to the server.
func (b *bench) cell(
	ctx context.Context, d *database, data size, w workload, clients int, invited, floor *server,
) (result, error) {
	other := w
	if w.against != nil {
		other.next = w.against
	}
	var ours, theirs []run
	for i := range b.runs {
		our, err := b.once(ctx, d, data, w, i, clients, invited)
		if err != nil {
			return result{}, err
		}
		their, err := b.once(ctx, d, data, other, i, clients, floor)
		if err != nil {
			return result{}, err
		}
		ours, theirs = append(ours, our), append(theirs, their)
	}
	ratios, p99s, cpus := make([]float64, b.runs), make([]float64, b.runs), make([]float64, b.runs)
	for i := range b.runs {
		ratios[i] = ours[i].rps / theirs[i].rps
		p99s[i] = ours[i].p99.Seconds() / theirs[i].p99.Seconds()
		if all := ours[i].server + ours[i].database; all > 0 {
			cpus[i] = (theirs[i].server + theirs[i].database).Seconds() / all.Seconds()
		}
	}
	middle := func(of []run, f func(run) float64) float64 {
		values := make([]float64, len(of))
		for i, each := range of {
			values[i] = f(each)
		}
		return median(values)
	}
	rps := func(r run) float64 { return r.rps }
	in := func(unit time.Duration, f func(run) time.Duration) func(run) float64 {
		return func(r run) float64 { return float64(f(r)) / float64(unit) }
	}
	p50 := in(time.Millisecond, func(r run) time.Duration { return r.p50 })
	p99 := in(time.Millisecond, func(r run) time.Duration { return r.p99 })
	process := in(time.Microsecond, func(r run) time.Duration { return r.server })
	base := in(time.Microsecond, func(r run) time.Duration { return r.database })
	return result{
		Engine: d.engine, Workload: w.name, Clients: clients, Runs: b.runs,
		InvitedRPS: middle(ours, rps), FloorRPS: middle(theirs, rps),
		Ratio: median(ratios), RatioLow: slices.Min(ratios), RatioHigh: slices.Max(ratios), P99Ratio: median(p99s),
		InvitedP50: middle(ours, p50), FloorP50: middle(theirs, p50), InvitedP99: middle(ours, p99), FloorP99: middle(theirs, p99),
		InvitedCPU: middle(ours, process), FloorCPU: middle(theirs, process),
		InvitedData: middle(ours, base), FloorData: middle(theirs, base), CPURatio: median(cpus),
	}, nil
}

// once does one run of one server, and restores the database afterwards.
func (b *bench) once(
	ctx context.Context, d *database, data size, w workload, i, clients int, s *server,
) (made run, err error) {
	state := &writing{data: data, run: fmt.Sprintf("%s.%d.%d", s.name, clients, i), jwts: b.jwts}
	if w.writes {
		state.offers = int64(float64(w.offers) * (b.length + b.warm).Seconds())
		if state.offers > 0 {
			if err := d.offers(ctx, int(state.offers), time.Hour); err != nil {
				return run{}, err
			}
		}
		defer func() { err = errors.Join(err, d.reset(ctx)) }()
	}
	if b.begin != nil {
		b.begin()
	}
	return stretch(ctx, s, d, clients, b.warm, b.length, func(client int) func() (request, bool) {
		r := dice(i, client)
		return func() (request, bool) { return w.next(state, r) }
	})
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// same returns an error where the two servers respond differently: then their speeds cannot be compared.
func same(ctx context.Context, d *database, data size, writes bool, invited, floor *server) error {
	state := &writing{data: data}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the choice of requests is not secret
	ours, theirs := newClient(newHost(invited.address, 1)), newClient(newHost(floor.address, 1))
	for _, each := range workloads {
		if each.writes {
			continue
		}
		for range 20 {
			asked, _ := each.next(state, r)
			for _, page := range pagesOf(asked) {
				if err := errors.Join(ours.do(page), theirs.do(page)); err != nil {
					return err
				}
				for what, both := range map[string][2]string{
					"body":           {string(ours.resp.Body()), string(theirs.resp.Body())},
					"X-Result-Count": {string(ours.resp.Header.Peek("X-Result-Count")), string(theirs.resp.Header.Peek("X-Result-Count"))},
					"Link":           {string(ours.resp.Header.Peek("Link")), string(theirs.resp.Header.Peek("Link"))},
				} {
					if both[0] != both[1] {
						return fmt.Errorf("%s %s: the %s of the server and of the floor differ:\n%s\n%s",
							page.method, page.path, what, both[0], both[1])
					}
				}
			}
		}
	}
	if writes {
		return sameWrites(ctx, d, ours, theirs)
	}
	return nil
}
