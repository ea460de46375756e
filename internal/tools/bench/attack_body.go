package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A bodyAttack is a request that many clients send without a pause, and that costs the server more than the clients.
type bodyAttack struct {
	name string
	asks request // its status is ignored
}

// manyNames returns a JSON object of a size in bytes, with a token and as many short names as fit.
func manyNames(size int) string {
	var body strings.Builder
	body.WriteString(`{"token":"x"`)
	for i := 0; ; i++ {
		member := fmt.Sprintf(`,"%x":1`, i)
		if body.Len()+len(member)+1 > size {
			return body.String() + "}"
		}
		body.WriteString(member)
	}
}

// badItems returns a check for duplicates of a size in bytes: a thousand items, as many as the contract allows, each with
// many names and nothing that is valid.
func badItems(size int) string {
	const items = 1000
	item := manyNames(size/items - 30)
	return `{"scope":"x","invitations":[` + strings.Repeat(item+",", items-1) + item + `]}`
}

func bodyAttacks() []bodyAttack {
	const approve, duplicates = "/api/user-invitations/approve/", "/api/user-invitations/check-duplicates/"
	return []bodyAttack{
		{"no attack", request{}},
		{"approve with 1 MiB, anonymous", request{"POST", approve, "", manyNames(1 << 20), 0}},
		{"approve with 16 KiB, anonymous", request{"POST", approve, "", manyNames(16 << 10), 0}},
		{"check-duplicates with 1 MiB of names", request{"POST", duplicates, keyOf("owner", 0), manyNames(1 << 20), 0}},
		{"check-duplicates with 1,000 bad items", request{"POST", duplicates, keyOf("owner", 0), badItems(1 << 20), 0}},
	}
}

// bodyFigures has what a bodyAttack did, and what others noticed of it.
type bodyFigures struct {
	Attack     string        `json:"attack"`
	Clients    int           `json:"clients"`
	Seconds    float64       `json:"seconds"`
	Sent       map[int]int64 `json:"responses"` // by status; 0: the connection broke
	ResidentMB float64       `json:"resident_mb"`
	IdleMB     float64       `json:"idle_mb"`
	Health     noticed       `json:"healthz"`
	List       noticed       `json:"list"`    // by an owner
	Approve    noticed       `json:"approve"` // with a short token
}

// noticed is how a well-behaved client fared that sent one request after the other, a few milliseconds apart.
type noticed struct {
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"` // another status than without the attack, or no response
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
}

// attackBodies makes clients, the largest number of -clients, send each bodyAttack to a server of its own for -seconds.
func (b *bench) attackBodies(ctx context.Context, engine string, stdout io.Writer) (_ any, err error) {
	d, _, err := b.filled(ctx, engine, sizeOf(b.rows))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	var all []bodyFigures
	for _, each := range bodyAttacks() {
		figures, err := b.attackBody(ctx, d, each)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.name, err)
		}
		all = append(all, figures)
		fmt.Fprintf(stdout, "%s, %d clients: %.0f MB resident (%.0f idle), responses %v\n"+
			"  healthz %+v\n  list    %+v\n  approve %+v\n",
			each.name, figures.Clients, figures.ResidentMB, figures.IdleMB, figures.Sent, figures.Health, figures.List, figures.Approve)
	}
	return all, nil
}

func (b *bench) attackBody(ctx context.Context, d *database, a bodyAttack) (bodyFigures, error) {
	f := bodyFigures{Attack: a.name, Seconds: b.length.Seconds(), Sent: map[int]int64{}}
	if a.asks.method != "" {
		f.Clients = slices.Max(b.clients)
	}
	s, err := b.invited(ctx, d, "INVITED_WORKERS=false")
	if err != nil {
		return f, err
	}
	defer s.stop()
	f.IdleMB = float64(resident(s.cmd.Process.Pid)) / 1e6
	ctx, cancel := context.WithTimeout(ctx, b.length)
	defer cancel()
	var others sync.WaitGroup
	for _, other := range []struct {
		into *noticed
		asks request
	}{
		{&f.Health, request{"GET", "/healthz", "", "", 200}},
		{&f.List, request{"GET", "/api/user-invitations/", keyOf("owner", 1), "", 200}},
		{&f.Approve, request{"POST", "/api/user-invitations/approve/", "", `{"token":"v1.x.y"}`, 400}},
	} {
		others.Go(func() { *other.into = notice(ctx, s.address, other.asks) })
	}
	if f.Clients > 0 {
		f.Sent, err = startFlood(ctx, flood{s.address, a.asks.method, a.asks.path, a.asks.key, a.asks.body, f.Clients, f.Seconds})
	}
	others.Wait()
	if err != nil {
		return f, err
	}
	f.ResidentMB = float64(resident(s.cmd.Process.Pid)) / 1e6
	select {
	case <-s.ended:
		return f, s.failed("ended during the attack")
	default:
		return f, nil
	}
}

// notice sends a request every few milliseconds until ctx ends.
func notice(ctx context.Context, address string, asks request) (n noticed) {
	c := newClient(newHost(address, 1))
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	var took []time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		if err := c.do(asks); err != nil {
			n.Failed++
		}
		took = append(took, time.Since(began))
		<-pause.C
	}
	slices.Sort(took)
	n.Requests, n.P50, n.P99 = len(took), percentile(took, 50), percentile(took, 99)
	return n
}

// A flood describes the requests of the attackers. A process of its own sends them, so that they do not slow down the requests
// that measure the attack.
type flood struct {
	Address, Method, Path, Key, Body string
	Clients                          int
	Seconds                          float64
}

// startFlood runs a flood in another process, with the least priority: the attackers would not share the server's machine.
func startFlood(ctx context.Context, f flood) (sent map[int]int64, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "nice", "-n", "19", self, "flood")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(encoded), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("flooding: %w", err)
	}
	return sent, json.Unmarshal(out, &sent)
}

// runFlood sends the flood that in has, and writes the number of responses by status.
func runFlood(ctx context.Context, in io.Reader, out io.Writer) error {
	var f flood
	if err := json.NewDecoder(in).Decode(&f); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.Seconds*float64(time.Second)))
	defer cancel()
	var all sync.WaitGroup
	var counts [600]atomic.Int64
	host := newHost(f.Address, f.Clients)
	for range f.Clients {
		all.Go(func() {
			for ctx.Err() == nil {
				counts[statusOf(host, request{f.Method, f.Path, f.Key, f.Body, 0})].Add(1)
			}
		})
	}
	all.Wait()
	sent := map[int]int64{}
	for status := range counts {
		if n := counts[status].Load(); n > 0 {
			sent[status] = n
		}
	}
	return json.NewEncoder(out).Encode(sent)
}

// statusOf sends a request and returns the status of the response; 0 where none came.
func statusOf(host *fasthttp.HostClient, asks request) int {
	c := newClient(host)
	if err := c.send(asks); err != nil {
		return 0
	}
	return c.resp.StatusCode()
}
