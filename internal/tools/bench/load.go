package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"invited/internal/storetest/postgres"
)

// request is a request and its expected status. key is the credential: an API key, a cookie (see cookieName), or a JWT.
type request struct {
	method, path, key, body string
	status                  int
}

// client is a persistent connection. It uses fasthttp, because the client of net/http takes as much CPU as a server.
type client struct {
	host *fasthttp.HostClient
	req  fasthttp.Request
	resp fasthttp.Response
}

func newClient(host *fasthttp.HostClient) *client { return &client{host: host} }

func newHost(address string, clients int) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		Addr: address, MaxConns: clients, NoDefaultUserAgentHeader: true,
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, MaxIdleConnDuration: time.Minute,
		MaxIdemponentCallAttempts: 1,
	}
}

// do sends a request and checks the response's status. The response is in c.resp until the next request.
func (c *client) do(r request) error {
	if err := c.send(r); err != nil {
		return err
	}
	if got := c.resp.StatusCode(); got != r.status {
		return fmt.Errorf("%s %s: %d %s", r.method, r.path, got, bytes.TrimSpace(c.resp.Body()))
	}
	return nil
}

// send sends a request. The response, of any status, is in c.resp until the next request.
func (c *client) send(r request) error {
	c.req.Reset()
	c.req.Header.SetMethod(r.method)
	c.req.Header.SetHost("127.0.0.1")
	c.req.SetRequestURI("http://127.0.0.1" + r.path)
	switch {
	case strings.HasPrefix(r.key, cookieName):
		c.req.Header.Set("Cookie", r.key)
	case strings.HasPrefix(r.key, keyPrefix):
		c.req.Header.Set("Authorization", "Token "+r.key)
	case r.key != "":
		c.req.Header.Set("Authorization", "Bearer "+r.key)
	}
	if r.body != "" {
		c.req.Header.SetContentType("application/json")
		c.req.SetBodyString(r.body)
	}
	if err := c.host.Do(&c.req, &c.resp); err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	return nil
}

// run is the result of one measurement of one server.
type run struct {
	requests int
	warm     int // requests of the warm-up, which are not counted in requests
	rps      float64
	p50, p99 time.Duration
	server   time.Duration // CPU for each request
	database time.Duration // CPU of the database's processes for each request
}

// stretch makes clients send requests without a pause between them, for a time after a warm-up, or until no request is
// left.
func stretch(
	ctx context.Context, s *server, d *database, clients int, warm, length time.Duration, source func(client int) func() (request, bool),
) (run, error) {
	var (
		all      sync.WaitGroup
		measured atomic.Bool
		stopped  atomic.Bool
		warming  atomic.Int64
		dry      = make(chan struct{}, clients)
		took     = make([][]time.Duration, clients)
		errs     = make([]error, clients)
		host     = newHost(s.address, clients)
	)
	for i := range clients {
		took[i] = make([]time.Duration, 0, 1<<14)
		next, c := source(i), newClient(host)
		all.Go(func() {
			for !stopped.Load() {
				asked, more := next()
				if !more {
					dry <- struct{}{}
					return
				}
				counts, began := measured.Load(), time.Now()
				if errs[i] = c.do(asked); errs[i] != nil {
					dry <- struct{}{}
					return
				}
				if counts {
					took[i] = append(took[i], time.Since(began))
				} else {
					warming.Add(1)
				}
			}
		})
	}
	wait(ctx, warm, dry)
	server, database := postgres.CPU(s.cmd.Process.Pid), postgres.CPU(d.pid)
	began := time.Now()
	measured.Store(true)
	wait(ctx, length, dry)
	measured.Store(false)
	elapsed := time.Since(began)
	server, database = postgres.CPU(s.cmd.Process.Pid)-server, postgres.CPU(d.pid)-database
	stopped.Store(true)
	all.Wait()
	host.CloseIdleConnections()
	for _, err := range errs {
		if err != nil {
			return run{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return run{}, err
	}
	every := slices.Concat(took...)
	if len(every) == 0 {
		return run{}, fmt.Errorf("%s answered nothing in %s", s.name, length)
	}
	slices.Sort(every)
	n := time.Duration(len(every))
	return run{
		requests: len(every), warm: int(warming.Load()), rps: float64(len(every)) / elapsed.Seconds(),
		p50: every[len(every)/2], p99: every[len(every)*99/100],
		server: server / n, database: database / n,
	}, nil
}

func wait(ctx context.Context, length time.Duration, dry <-chan struct{}) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-dry:
	case <-ctx.Done():
	}
}

// dice returns the same random numbers for the same client of the same run, whichever server is measured.
func dice(run, client int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(run), uint64(client))) //nolint:gosec // the choice of requests is not secret
}
