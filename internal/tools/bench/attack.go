package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// attack is a load that one client puts on the server to the harm of others.
type attack struct {
	name string
	// run measures the attack on a database of an engine, prints the figures and returns what the JSON file has of them.
	run func(b *bench, ctx context.Context, engine string, stdout io.Writer) (figures any, err error)
}

var attacks = []attack{
	{"list", (*bench).attackLists},
	{"body", (*bench).attackBodies},
}

// attackNames returns the names of all attacks.
func attackNames() string {
	names := make([]string, len(attacks))
	for i, each := range attacks {
		names[i] = each.name
	}
	return strings.Join(names, ",")
}

// attacked runs the attacks that were asked for on each database.
func (b *bench) attacked(ctx context.Context, stdout io.Writer) error {
	out := struct {
		report
		Results map[string]any `json:"results"` // by attack and engine
	}{newReport(b.options), map[string]any{}}
	out.Note = "See docs/performance.md, Under attack."
	for _, name := range b.attacks {
		i := slices.IndexFunc(attacks, func(a attack) bool { return a.name == name })
		if i < 0 {
			return fmt.Errorf("there is no attack %q: there are %s", name, attackNames())
		}
		for _, engine := range b.engines {
			fmt.Fprintf(stdout, "attack %s, %s\n", name, engine)
			figures, err := attacks[i].run(b, ctx, engine, stdout)
			if err != nil {
				return fmt.Errorf("attack %s, %s: %w", name, engine, err)
			}
			out.Results[name+" "+engine] = figures
		}
	}
	return write(b.out, out)
}
