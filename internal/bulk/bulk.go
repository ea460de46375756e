package bulk

import (
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

// Result is what became of one row.
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
	State         State
	OnDuplicate   OnDuplicate
	CreatedByUUID *uuid.UUID
	CreatedBy     *directory.User // nil: the creator's user was deleted
	Created       time.Time
	Finished      *time.Time
	Total         int    // rows
	Counts        Counts // of the rows that are done
}
