package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// attackers is the number of clients of one caller that list without a pause.
	attackers = 25
	// expensive is the query of their lists: every address contains the text, and no index has the order.
	expensive = "email=university&o=created_by&page_size=300"
	// gentle is how often others send each kind of request, a second.
	gentle = 20
)

// others has what others notice, and how many lists the attackers got.
type others struct {
	P50      map[string]float64 `json:"p50_ms"` // by kind of request
	P99      map[string]float64 `json:"p99_ms"`
	Failed   int                `json:"failed"` // requests without the expected status
	Sent     int                `json:"sent"`
	Mails    float64            `json:"mails_per_second"`
	Lists    int                `json:"lists"`         // of the attackers
	Refused  int                `json:"refused_lists"` // of the attackers
	Slowest  float64            `json:"slowest_ms"`
	failures []error
}

// attackLists measures what others notice while one caller, who sees all invitations, asks for expensive lists: first
// alone and then under the attack, runs times. Others retrieve, list and create invitations of their own, which are mailed.
func (b *bench) attackLists(ctx context.Context, engine string, stdout io.Writer) (figures any, err error) {
	d, data, err := b.filled(ctx, engine, sizeOf(b.rows))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	s, err := b.invited(ctx, d)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	var alone, under []others
	for i := range b.runs {
		for _, clients := range []int{0, attackers} {
			state := &writing{data: data, run: fmt.Sprintf("%s.%d.%d", s.name, clients, i)}
			noticed, err := b.beside(ctx, d, s, state, clients, i)
			if err := errors.Join(err, d.reset(ctx)); err != nil {
				return nil, err
			}
			for _, failure := range noticed.failures[:min(3, len(noticed.failures))] {
				fmt.Fprintln(stdout, "  ", failure)
			}
			if clients == 0 {
				alone = append(alone, noticed)
			} else {
				under = append(under, noticed)
			}
		}
	}
	printOthers(stdout, alone, under)
	return map[string][]others{"alone": alone, "under attack": under}, nil
}

// beside sends the others' requests for a while, and the attackers' beside them.
func (b *bench) beside(ctx context.Context, d *database, s *server, state *writing, clients, number int) (others, error) {
	var (
		stopped        atomic.Bool
		lists, refused atomic.Int64
		attacking      sync.WaitGroup
		host           = newHost(s.address, attackers)
	)
	for range clients {
		attacking.Go(func() {
			for c := newClient(host); !stopped.Load(); {
				if c.do(request{method: http.MethodGet, path: api + "?" + expensive, key: keyOf("staff", 0), status: http.StatusOK}) == nil {
					lists.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	wait(ctx, b.warm, nil)
	const delivered = "SELECT count(*) FROM invitation_events WHERE event_type = 'delivered'"
	before, err := d.count(ctx, delivered)
	if err != nil {
		return others{}, err
	}
	began := time.Now()
	noticed := others{P50: map[string]float64{}, P99: map[string]float64{}}
	var sending sync.WaitGroup
	var one sync.Mutex
	for kind, next := range map[string]func(*writing, *rand.Rand) (request, bool){
		"retrieve": (*writing).retrieve, "list": (*writing).list, "create": (*writing).create,
	} {
		sending.Go(func() {
			r := dice(number, len(kind))
			took, failures := paced(ctx, s.address, b.length, func() (request, bool) { return next(state, r) })
			one.Lock()
			defer one.Unlock()
			noticed.Sent += len(took)
			noticed.failures = append(noticed.failures, failures...)
			noticed.P50[kind], noticed.P99[kind] = percentile(took, 50), percentile(took, 99)
			noticed.Slowest = max(noticed.Slowest, percentile(took, 100))
		})
	}
	wait(ctx, b.length, nil)
	after, err := d.count(ctx, delivered)
	noticed.Mails = float64(after-before) / time.Since(began).Seconds()
	noticed.Lists, noticed.Refused = int(lists.Load()), int(refused.Load())
	sending.Wait()
	stopped.Store(true)
	attacking.Wait()
	host.CloseIdleConnections()
	noticed.Failed = len(noticed.failures)
	return noticed, errors.Join(err, ctx.Err())
}

// paced sends requests at the rate of gentle, whether or not the ones before have a response, and returns how long each
// took, in order of length.
func paced(
	ctx context.Context, address string, length time.Duration, next func() (request, bool),
) (took []time.Duration, failures []error) {
	var (
		sent sync.WaitGroup
		one  sync.Mutex
		host = newHost(address, fasthttp.DefaultMaxConnsPerHost)
		tick = time.NewTicker(time.Second / gentle)
		end  = time.After(length)
	)
	defer tick.Stop()
	defer host.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			sent.Wait()
			return took, failures
		case <-end:
			sent.Wait()
			slices.Sort(took)
			return took, failures
		case due := <-tick.C:
			asked, _ := next()
			sent.Go(func() {
				err := newClient(host).do(asked)
				one.Lock()
				defer one.Unlock()
				took = append(took, time.Since(due))
				if err != nil {
					failures = append(failures, err)
				}
			})
		}
	}
}

// percentile returns a percentile of sorted times in milliseconds.
func percentile(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)*percent/100, len(sorted)-1)].Microseconds()) / 1000
}

func printOthers(w io.Writer, alone, under []others) {
	middle := func(of []others, f func(others) float64) float64 {
		values := make([]float64, len(of))
		for i, each := range of {
			values[i] = f(each)
		}
		return median(values)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "others' requests\tp50 ms\tunder attack\tp99 ms\tunder attack\tratio\t")
	for _, kind := range []string{"retrieve", "list", "create"} {
		p50 := func(o others) float64 { return o.P50[kind] }
		p99 := func(o others) float64 { return o.P99[kind] }
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t\n", kind, middle(alone, p50), middle(under, p50),
			middle(alone, p99), middle(under, p99), middle(under, p99)/middle(alone, p99))
	}
	_ = t.Flush()
	for i, each := range []struct {
		when string
		runs []others
	}{{"alone", alone}, {"under attack", under}} {
		fmt.Fprintf(w, "%s: %.1f mails/s, slowest %.0f ms, %.0f of %.0f requests failed", each.when,
			middle(each.runs, func(o others) float64 { return o.Mails }), middle(each.runs, func(o others) float64 { return o.Slowest }),
			middle(each.runs, func(o others) float64 { return float64(o.Failed) }), middle(each.runs, func(o others) float64 { return float64(o.Sent) }))
		if i == 1 {
			fmt.Fprintf(w, "; the attackers got %.0f lists, and %.0f refusals",
				middle(each.runs, func(o others) float64 { return float64(o.Lists) }),
				middle(each.runs, func(o others) float64 { return float64(o.Refused) }))
		}
		fmt.Fprintln(w)
	}
}
