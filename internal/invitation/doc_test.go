package invitation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The package's documentation has the table of Transitions.
func TestDocHasTransitions(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	table := renderTransitions()
	if !strings.Contains(string(doc), "//\n"+table+"//\n") {
		t.Errorf("doc.go does not have the table of Transitions. Replace its table with this one:\n\n%s", table)
	}
}

// renderTransitions returns Transitions as lines of a Go comment: one for each action, and one for each state that is
// final.
func renderTransitions() string {
	var table strings.Builder
	line := func(from, action, to string) { fmt.Fprintf(&table, "//\t%-9s  %-7s  %s\n", from, action, to) }
	line("from", "action", "to")
	var last State
	for n, transition := range Transitions {
		from := string(transition.From)
		switch {
		case transition.From == "":
			from = "(none)"
		case n > 0 && transition.From == last:
			from = "" // as in the line above
		}
		last = transition.From
		line(from, string(transition.Action), alternatives(transition.To))
	}
	for _, state := range States {
		if !slices.ContainsFunc(Transitions, func(t Transition) bool { return t.From == state }) {
			line(string(state), "–", "final")
		}
	}
	return table.String()
}

// alternatives returns states as text: "a, b or c".
func alternatives(states []State) string {
	var text strings.Builder
	for n, state := range states {
		switch {
		case n > 0 && n == len(states)-1:
			text.WriteString(" or ")
		case n > 0:
			text.WriteString(", ")
		}
		text.WriteString(string(state))
	}
	return text.String()
}
