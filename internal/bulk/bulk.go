package bulk

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Submission is a request to invite many people.
type Submission struct {
	Rows        []Row
	OnDuplicate OnDuplicate
}

// Result is the outcome of one row.
type Result struct {
	Index  int // of the row, from 0
	Row    Row
	Code   Code
	UUID   *uuid.UUID   // the invitation that was made or sent, or the open one in the way; nil: none
	Errors fault.Fields // by field, with the words of invitation.Service.Create; nil: none
}

// Report has the results of all rows, in their order.
type Report struct {
	Results []Result
	Counts  Counts
}

// Counts has the number of rows of each code.
type Counts map[Code]int

// State is the state of a bulk invitation.
type State string

// The states, as the API names them.
const (
	Queued  State = "queued"   // no row is done yet
	Running State = "running"  // rows are being done
	Done    State = "done"     // every row has a result
	Stopped State = "canceled" // stopped; the rows that were not done by then have the code Canceled
)

// Bulk is a stored bulk invitation.
type Bulk struct {
	UUID          uuid.UUID
	State         State // follows from Finished, IsCanceled and Counts
	OnDuplicate   OnDuplicate
	CreatedByUUID *uuid.UUID
	CreatedBy     *directory.User // nil: the creator's user was deleted
	Created       time.Time
	Finished      *time.Time
	Total         int    // rows
	Size          int    // of the JSON of the rows, in bytes
	Counts        Counts // of the rows that are done
	IsCanceled    bool
	RequestID     string // of the request that made it
}

// Done is the number of rows that are done.
func (b Bulk) Done() int { return b.Counts.matching(nil) }

// state returns the state that follows from the other fields.
func (b Bulk) state() State {
	switch {
	case b.IsCanceled:
		return Stopped
	case b.Finished != nil:
		return Done
	case b.Done() > 0:
		return Running
	default:
		return Queued
	}
}

// WithState returns the bulk invitation with the state that follows from its other fields.
func (b Bulk) WithState() Bulk {
	b.State = b.state()
	return b
}

// matching returns the number of rows that have one of the codes; all that are done, where there is no code.
func (c Counts) matching(codes []Code) (n int) {
	for code, count := range c {
		if len(codes) == 0 || slices.Contains(codes, code) {
			n += count
		}
	}
	return n
}

// plus returns the counts with those of some results.
func (c Counts) plus(results []Result) Counts {
	sum := Counts{}
	maps.Copy(sum, c)
	for _, r := range results {
		sum[r.Code]++
	}
	return sum
}
