package bulk

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// Service has the use cases.
type Service struct{}

var errLater = errors.New("bulk: not made yet")

// DryRun returns what would become of each row, and writes nothing.
func (s *Service) DryRun(ctx context.Context, caller directory.Actor, sub Submission) (Report, error) {
	return Report{}, errLater
}

// Do does at most DirectRows rows in one transaction, and returns what became of each.
func (s *Service) Do(ctx context.Context, caller directory.Actor, sub Submission) (Report, error) {
	return Report{}, errLater
}

// Submit stores the rows, and a job that does them.
func (s *Service) Submit(ctx context.Context, caller directory.Actor, sub Submission) (Bulk, error) {
	return Bulk{}, errLater
}

// Page is one page of a list of bulk invitations.
type Page struct {
	Bulks []Bulk
	Total int // on all pages
}

// List returns a page of the bulk invitations that the caller made, or of all of them to staff, the newest first.
func (s *Service) List(ctx context.Context, caller directory.Actor, page, size int) (Page, error) {
	return Page{}, errLater
}

// Count returns the number of bulk invitations on all pages of List.
func (s *Service) Count(ctx context.Context, caller directory.Actor) (int, error) { return 0, errLater }

// ResultPage is a bulk invitation with a page of its results.
type ResultPage struct {
	Bulk
	Results []Result
	Matches int // results on all pages
}

// Retrieve returns a bulk invitation with a page of the results that have one of the codes; all, where there is no code.
// Retrieve returns fault.KindNotFound unless the caller made the bulk invitation or is staff.
func (s *Service) Retrieve(ctx context.Context, caller directory.Actor, id uuid.UUID, codes []Code, page, size int) (ResultPage, error) {
	return ResultPage{}, errLater
}

// Results returns all results that have one of the codes, for a table; all, where there is no code. Results returns
// fault.KindNotFound as Retrieve does.
func (s *Service) Results(ctx context.Context, caller directory.Actor, id uuid.UUID, codes []Code) ([]Result, error) {
	return nil, errLater
}

// Cancel stops a bulk invitation that is queued or running, and fault.KindRejected in any other state. Cancel returns
// fault.KindNotFound as Retrieve does.
func (s *Service) Cancel(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return errLater
}
