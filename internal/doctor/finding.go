package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK    Level = "ok"
	Note  Level = "note"  // worth knowing; the server does its work
	Wrong Level = "wrong" // the server does not do a part of its work, or will not before long
)

// A Finding is the result of a check.
type Finding struct {
	Check   string `json:"check"` // the name of the check
	Level   Level  `json:"level"`
	Message string `json:"message"`          // what was found: one sentence, without a secret
	Advice  string `json:"advice,omitempty"` // what to do; "" where there is nothing
}

func ok(format string, args ...any) Finding {
	return Finding{Level: OK, Message: fmt.Sprintf(format, args...)}
}

func note(advice, format string, args ...any) Finding {
	return Finding{Level: Note, Advice: advice, Message: fmt.Sprintf(format, args...)}
}

func wrong(advice, format string, args ...any) Finding {
	return Finding{Level: Wrong, Advice: advice, Message: fmt.Sprintf(format, args...)}
}

// Check is one part of an examination.
type Check struct {
	Name  string
	Limit time.Duration // how long it may take; 0: ten seconds
	Run   func(context.Context) []Finding
}

const defaultLimit = 10 * time.Second

// Run runs all checks at once, and returns their findings in the order of the checks. A check that does not end within its limit
// is a finding.
func Run(ctx context.Context, checks []Check) (all []Finding) {
	found := make([][]Finding, len(checks))
	var waiting sync.WaitGroup
	for i, each := range checks {
		waiting.Go(func() { found[i] = each.run(ctx) })
	}
	waiting.Wait()
	for i, each := range checks {
		for _, f := range found[i] {
			f.Check = each.Name
			all = append(all, f)
		}
	}
	return all
}

func (c Check) run(ctx context.Context) []Finding {
	limit := c.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ended := make(chan []Finding, 1)
	go func() { ended <- c.Run(ctx) }()
	select {
	case found := <-ended:
		return found
	case <-time.After(limit + time.Second): // the check does not look at its context
		return []Finding{wrong("Look whether the part that is checked hangs.", "The check did not end within %s.", limit)}
	}
}
