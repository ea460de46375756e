// Command bench measures the server as a process, over HTTP, on a database of its own, in turn with a floor: the smallest
// hand-written server that gives the same responses from the same data. It prints the ratios of the two, because absolute
// figures depend on the machine and on its other users.
//
//	go run ./internal/tools/bench [-engine E] [-workload W] [-clients N] [-runs N] [-seconds S]
//	go run ./internal/tools/bench scale [-engine E] [-rows N,…] [-requests N,…]
//	go run ./internal/tools/bench -attack A [-engine E] [-rows N] [-runs N] [-seconds S]
//
// It needs build/invited and, for PostgreSQL, INVITED_TEST_POSTGRES_URL: `make bench` provides both. It is not part of
// the server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options say what is measured, and how.
type options struct {
	engines, workloads []string
	clients            []int
	runs, rows         int
	length, warm       time.Duration
	binary, out        string
	profile            string // folder for profiles; "": measure speed instead
	sweepOnly          bool
	requestsOnly       bool
	attacks            []string // measured instead of speed; none: measure speed
}

func start(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 3 && args[0] == "floor" {
		return serveFloor(ctx, args[1], args[2])
	}
	if len(args) == 1 && args[0] == "flood" {
		return runFlood(ctx, os.Stdin, stdout)
	}
	growing := len(args) > 0 && args[0] == "scale"
	if growing {
		args = args[1:]
	}
	var (
		o                              options
		engines, chosen, clients, rows string
		requests                       string
		attacked                       string
		seconds                        float64
		names                          []string
	)
	for _, each := range slices.Concat(workloads, signedIn) {
		names = append(names, each.name)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&engines, "engine", "postgres,sqlite", "databases, comma separated")
	flags.StringVar(&chosen, "workload", strings.Join(names, ","), "what is asked for")
	flags.StringVar(&clients, "clients", "1,16,64", "numbers of clients that ask at once")
	flags.IntVar(&o.runs, "runs", 5, "runs of each server, in turn")
	flags.Float64Var(&seconds, "seconds", 1.2, "length of a run")
	flags.StringVar(&rows, "rows", "10000", "invitations in the database; scale: in one after the other, comma separated")
	flags.StringVar(&o.binary, "binary", "build/invited", "the server")
	flags.StringVar(&o.out, "out", "build/bench.json", "where the figures are written")
	flags.StringVar(&o.profile, "profile", "", "folder: write profiles of a server that was built with -tags profile, and compare nothing")
	flags.BoolVar(&o.sweepOnly, "sweep-only", false, "scale: measure nothing but the sweep")
	flags.StringVar(&requests, "requests", "1000,100000", "scale: permission requests, and as many group invitations, in databases that are measured in turns")
	flags.BoolVar(&o.requestsOnly, "requests-only", false, "scale: measure nothing but permission requests and group invitations")
	flags.StringVar(&attacked, "attack", "", "attacks, comma separated ("+attackNames()+"): measure what others notice of them, and compare nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if attacked != "" {
		o.attacks = strings.Split(attacked, ",")
	}
	o.engines, o.workloads = strings.Split(engines, ","), strings.Split(chosen, ",")
	for _, each := range o.workloads {
		if !slices.Contains(names, each) {
			return fmt.Errorf("there is no workload %q: there are %s", each, strings.Join(names, ", "))
		}
	}
	for _, each := range o.engines {
		if each != "postgres" && each != "sqlite" {
			return fmt.Errorf("there is no engine %q: there are postgres and sqlite", each)
		}
	}
	var err error
	if o.clients, err = numbers("-clients", clients); err != nil {
		return err
	}
	sizes, err := numbers("-rows", rows)
	if err != nil {
		return err
	}
	asked, err := numbers("-requests", requests)
	if err != nil {
		return err
	}
	o.rows = sizes[0]
	o.length = time.Duration(seconds * float64(time.Second))
	o.warm = min(o.length/4, time.Second)
	dir, err := os.MkdirTemp("", "invited-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{options: o, dir: dir}
	if growing {
		return b.scale(ctx, sizes, asked, stdout)
	}
	if o.profile != "" {
		return b.profiles(ctx, stdout)
	}
	if len(o.attacks) > 0 {
		return b.attacked(ctx, stdout)
	}
	return b.compare(ctx, stdout)
}

// numbers parses the comma-separated numbers of a flag.
func numbers(flag, list string) (all []int, err error) {
	for each := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(each)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s %s: these are no numbers", flag, list)
		}
		all = append(all, n)
	}
	return all, nil
}

// serveFloor runs the floor in this process.
func serveFloor(ctx context.Context, address, database string) error {
	var e engine
	var err error
	if path, ok := strings.CutPrefix(database, "sqlite://"); ok {
		e, err = openSQLiteEngine(ctx, path)
	} else {
		e, err = openPostgresEngine(ctx, database)
	}
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: &floor{tables{e}, publicURL}, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return web.Close()
	}
}
