package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

// A result is what happened with one tool. A phase or step that is neither passed nor failed was not run.
type result struct {
	tool    tool
	version string
	missing string            // the sentence about the program that is not installed
	failed  map[string]string // why, by phase or step
	passed  map[string]bool   // by phase or step
}

var stepLine = regexp.MustCompile(`(?m)^step (\w+) (?:(ok)|failed: *(.*))$`)

// readSteps reads the output of a program. A step that the program does not report, or reports twice and once as failed, has
// failed.
func (r *result) readSteps(output string) {
	for _, line := range stepLine.FindAllStringSubmatch(output, -1) {
		if line[2] == "ok" {
			r.passed[line[1]] = true
		} else {
			r.failed[line[1]] = line[3]
		}
	}
	for _, step := range steps {
		if _, failed := r.failed[step]; failed {
			delete(r.passed, step)
		} else if !r.passed[step] {
			r.failed[step] = "not reported\n" + lastLines(output)
		}
	}
}

// cell returns the table's word for a phase or step.
func (r *result) cell(name string) string {
	_, failed := r.failed[name]
	_, known := r.tool.known[name]
	switch {
	case r.passed[name]:
		return "ok"
	case failed && known:
		return "known"
	case failed:
		return "FAILED"
	default:
		return "-"
	}
}

// printTable prints the results with the known failures and the missing programs under them. It returns what is not as
// tools.go states.
func printTable(out io.Writer, results []result) []string {
	columns := slices.Concat(phases, steps)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\ntool\tversion\t%s\n", strings.Join(columns, "\t"))
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s", r.tool.name, r.version)
		for _, name := range columns {
			fmt.Fprint(w, "\t"+r.cell(name))
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // out is a terminal

	var problems []string
	fmt.Fprintln(out)
	for _, r := range results {
		if r.missing != "" {
			fmt.Fprintf(out, "%s: left out: %s\n", r.tool.name, r.missing)
		}
		for _, name := range columns {
			reason, known := r.tool.known[name]
			why, failed := r.failed[name]
			switch {
			case failed && known:
				fmt.Fprintf(out, "%s: %s: known: %s\n", r.tool.name, name, reason)
			case failed:
				problems = append(problems, fmt.Sprintf("%s: %s: %s", r.tool.name, name, why))
			case known && r.passed[name]:
				problems = append(problems, fmt.Sprintf("%s: %s works, and is stated as a known failure: %s", r.tool.name, name, reason))
			}
		}
	}
	return problems
}
