package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// profiled is the URL of the profiles of a server that was built with the tag profile.
const profiled = "http://127.0.0.1:16060/debug/pprof/"

// profiles writes a profile of the server for each workload, and prints the allocations and the number of statements of a
// request.
func (b *bench) profiles(ctx context.Context, stdout io.Writer) error {
	for _, engine := range b.engines {
		if err := b.profilesOn(ctx, engine, stdout); err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
	}
	return nil
}

func (b *bench) profilesOn(ctx context.Context, engine string, stdout io.Writer) (err error) {
	d, data, err := b.filled(ctx, engine, sizeOf(b.rows))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	s, err := b.invited(ctx, d, "INVITED_WORKERS=false")
	if err != nil {
		return err
	}
	defer s.stop()
	for _, w := range workloads {
		if !slices.Contains(b.workloads, w.name) {
			continue
		}
		if err := b.profileOf(ctx, d, data, w, s, stdout); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

func (b *bench) profileOf(ctx context.Context, d *database, data size, w workload, s *server, stdout io.Writer) error {
	before, err := allocated(ctx)
	if err != nil {
		return err
	}
	name := filepath.Join(b.profile, d.engine+"-"+w.name+".cpu.pprof")
	written := make(chan error, 1)
	b.begin = func() {
		go func() {
			written <- keep(ctx, fmt.Sprintf("%sprofile?seconds=%d", profiled, max(1, int(b.length.Seconds()))), name)
		}()
	}
	r, err := b.once(ctx, d, data, w, 0, b.clients[0], s)
	if err != nil {
		return err
	}
	if err := <-written; err != nil {
		return err
	}
	after, err := allocated(ctx)
	if err != nil {
		return err
	}
	n := uint64(r.requests + r.warm) //nolint:gosec // never negative
	fmt.Fprintf(stdout, "%s %s: %d allocations and %d bytes for a request, %s of CPU; %s\n",
		d.engine, w.name, (after.objects-before.objects)/n, (after.bytes-before.bytes)/n, r.server, name)
	return nil
}

type allocations struct{ objects, bytes uint64 }

var statistic = regexp.MustCompile(`(?m)^# (TotalAlloc|Mallocs) = (\d+)$`)

func allocated(ctx context.Context) (a allocations, err error) {
	content, err := fetch(ctx, profiled+"heap?debug=1")
	if err != nil {
		return a, err
	}
	for _, each := range statistic.FindAllSubmatch(content, -1) {
		n, _ := strconv.ParseUint(string(each[2]), 10, 64) // the pattern matches only digits
		if string(each[1]) == "Mallocs" {
			a.objects = n
		} else {
			a.bytes = n
		}
	}
	return a, nil
}

func keep(ctx context.Context, address, path string) error {
	content, err := fetch(ctx, address)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func fetch(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Timeout: 5 * time.Minute}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("is it built with -tags profile? %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}
