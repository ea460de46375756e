package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// An event is one line of "go test -json": see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// A progress turns the events of a run into lines for a terminal or a log. It is for use by one goroutine.
type progress struct {
	out     io.Writer
	verbose bool

	begun    time.Time
	lastLine time.Time
	packages map[string]*packageRun // those that are running
	counts   map[string]int         // tests, subtests among them, by how they ended
}

// A packageRun is a package whose tests are running.
type packageRun struct {
	begun  time.Time
	output []string            // outside of any test
	tests  map[string][]string // output of the tests that have not ended
}

func newProgress(out io.Writer, verbose bool, now time.Time) *progress {
	return &progress{
		out: out, verbose: verbose, begun: now, lastLine: now, packages: map[string]*packageRun{}, counts: map[string]int{},
	}
}

// line takes one line of the output of go test.
func (p *progress) line(line []byte, now time.Time) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil { // go test prints some errors of its own as plain text
		p.print(now, string(line)+"\n")
		return
	}
	if e.Package == "" { // what a compiler printed
		p.print(now, e.Output)
		return
	}
	run := p.packages[e.Package]
	if run == nil {
		run = &packageRun{begun: now, tests: map[string][]string{}}
		p.packages[e.Package] = run
	}
	switch {
	case e.Action == "output" && p.verbose:
		p.print(now, e.Output)
	case e.Action == "output" && strings.HasPrefix(e.Output, "=== "): // RUN, PAUSE, CONT, NAME: go test prints them with -v
	case e.Action == "output" && e.Test == "":
		run.output = append(run.output, e.Output)
	case e.Action == "output":
		run.tests[e.Test] = append(run.tests[e.Test], e.Output)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		if e.Test != "" {
			p.testEnded(run, e, now)
		} else {
			p.packageEnded(run, e, now)
		}
	}
}

func (p *progress) testEnded(run *packageRun, e event, now time.Time) {
	p.counts[e.Action]++
	if e.Action == "fail" {
		p.print(now, run.tests[e.Test]...)
	}
	delete(run.tests, e.Test)
}

func (p *progress) packageEnded(run *packageRun, e event, now time.Time) {
	delete(p.packages, e.Package)
	if p.verbose {
		return
	}
	if e.Action != "fail" {
		for _, each := range run.output { // a package without tests has no such line
			if strings.HasPrefix(each, "ok ") {
				p.print(now, each)
			}
		}
		return
	}
	// A panic and the time limit end a package in the middle of its tests.
	for _, name := range slices.Sorted(maps.Keys(run.tests)) {
		p.print(now, run.tests[name]...)
	}
	p.print(now, run.output...)
}

// heartbeat prints what is running, unless something was printed lately.
func (p *progress) heartbeat(now time.Time) {
	if now.Sub(p.lastLine) < quietTime {
		return
	}
	seconds := func(since time.Time) string { return fmt.Sprintf("%.0f s", now.Sub(since).Seconds()) }
	if len(p.packages) == 0 {
		p.print(now, "still building, "+seconds(p.begun)+"\n")
		return
	}
	var running []string
	for _, name := range slices.Sorted(maps.Keys(p.packages)) {
		running = append(running, strings.TrimPrefix(name, "invited/")+", "+seconds(p.packages[name].begun))
	}
	p.print(now, "still running: "+strings.Join(running, "; ")+"\n")
}

// summary prints the last line.
func (p *progress) summary(now time.Time) {
	fmt.Fprintf(p.out, "%d passed, %d failed, %d skipped in %.0f s\n",
		p.counts["pass"], p.counts["fail"], p.counts["skip"], now.Sub(p.begun).Seconds())
}

func (p *progress) print(now time.Time, lines ...string) {
	for _, each := range lines {
		_, _ = io.WriteString(p.out, each) // to a terminal: nobody is left to tell
		p.lastLine = now
	}
}
