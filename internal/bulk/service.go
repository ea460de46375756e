package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

const (
	// maxUnfinished is the number of bulk invitations of one user that may be unfinished at once. The worker takes turns
	// among all of them: the fewer one user has, the sooner comes another's turn.
	maxUnfinished = 3
	// unfinishedWait is when somebody who has as many may ask again.
	unfinishedWait = 30 * time.Second
	// maxStoredRows is the number of rows of one user that are kept. Their results take up to 300 MB.
	maxStoredRows = 300_000
	// maxStoredSize is the size of the JSON of these rows, in bytes.
	maxStoredSize = 100_000_000
	// tablePage is the number of results of which Table reads the contents at once.
	tablePage = 500
)

// Service has the use cases. A refusal is a *fault.Error: beside those that a method names, fault.KindUnauthenticated where the
// caller was deleted or made inactive since they were authenticated, and fault.KindUnavailable where the database is out of reach
// or busy. Any other error is internal. Every field must be set.
type Service struct {
	Store       Store
	Invitations *invitation.Service // its rules decide about each row
}

// mayInvite returns fault.KindForbidden where somebody may invite nowhere.
func mayInvite(actor directory.Actor) error {
	if actor.Manages().IsEmpty() {
		return fault.Forbidden()
	}
	return nil
}

// DryRun returns what the outcome of each row would be, and writes nothing. DryRun returns fault.KindForbidden where the caller
// may invite nowhere.
func (s *Service) DryRun(ctx context.Context, caller directory.Actor, sub Submission) (Report, error) {
	if err := mayInvite(caller); err != nil {
		return Report{}, err
	}
	batch := s.batch(sub.OnDuplicate, &invitation.Admissions{})
	var report Report
	made := map[uuid.UUID]bool{} // they exist in this dry run alone
	for from := 0; from < len(sub.Rows); {
		rows := sub.Rows[from:min(from+dryRunSlice, len(sub.Rows))]
		var done []Result
		err := s.Store.ReadList(ctx, caller.UUID, func(tx Tx) (err error) {
			done, _, err = decide(tx, batch, caller, rows, from)
			return err
		})
		if err == nil && len(done) < len(rows) {
			err = batch.Admissions.Answer(ctx, answerTime)
		}
		if err != nil {
			return Report{}, err
		}
		for i, r := range done {
			if r.Code == Created {
				made[*r.UUID] = true
			}
			if r.UUID != nil && made[*r.UUID] {
				done[i].UUID = nil
			}
		}
		report.Results = append(report.Results, done...)
		from += len(done)
	}
	report.Counts = Counts{}.plus(report.Results)
	return report, nil
}

// lockInviter makes the batches of one user wait for each other where the number of their invitations is limited: batches at the
// same time would not count each other's rows.
func (s *Service) lockInviter(tx Tx, id uuid.UUID) error {
	if s.Invitations.Policy.LimitInviter.Count == 0 {
		return nil
	}
	_, err := tx.LockUser(id)
	if fault.Is(err, fault.KindNotFound) { // the decision says so
		err = nil
	}
	return err
}

// errUnanswered means that it is not known yet whether e-mail patterns admit all addresses.
var errUnanswered = errors.New("bulk: addresses have to be compared with e-mail patterns")

// Do does at most DirectRows rows in one transaction, and returns the outcome of each. Do returns fault.KindForbidden where the
// caller may invite nowhere.
func (s *Service) Do(ctx context.Context, caller directory.Actor, sub Submission) (Report, error) {
	if len(sub.Rows) > DirectRows {
		return Report{}, fmt.Errorf("bulk: %d rows are too many for one transaction", len(sub.Rows))
	}
	if err := mayInvite(caller); err != nil {
		return Report{}, err
	}
	admissions := &invitation.Admissions{}
	for {
		var results []Result
		var batch *invitation.Batch
		err := s.Store.Change(ctx, func(tx Tx) (Change, error) {
			var changes []invitation.Change
			var err error
			if err = s.lockInviter(tx, caller.UUID); err != nil {
				return Change{}, err
			}
			batch = s.batch(sub.OnDuplicate, admissions)
			results, changes, err = decide(tx, batch, caller, sub.Rows, 0)
			if err == nil && len(results) < len(sub.Rows) {
				err = errUnanswered // all or nothing, and no transaction is open while addresses are compared
			}
			return Change{Invitations: changes}, err
		})
		if errors.Is(err, errUnanswered) {
			if err = admissions.Answer(ctx, answerTime); err == nil {
				continue
			}
		}
		if err != nil {
			return Report{}, err
		}
		batch.Warn(ctx)
		return Report{Results: results, Counts: Counts{}.plus(results)}, nil
	}
}

// Submit stores the rows, and a job that does them. Submit returns fault.KindRejected where too much of the caller is stored
// already, fault.KindThrottled where too much of the caller waits, and fault.KindForbidden where the caller may invite nowhere.
func (s *Service) Submit(ctx context.Context, caller directory.Actor, sub Submission) (Bulk, error) {
	if len(sub.Rows) > MaxRows {
		return Bulk{}, fmt.Errorf("bulk: %d rows are too many", len(sub.Rows))
	}
	rows, size, err := stored(sub.Rows)
	if err != nil {
		return Bulk{}, err
	}
	var made Bulk
	err = s.Store.Change(ctx, func(tx Tx) (Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return Change{}, err
		}
		if err := mayInvite(actor); err != nil {
			return Change{}, err
		}
		if _, err := tx.LockUser(actor.UUID); err != nil {
			return Change{}, err
		}
		kept, err := tx.StoredBy(actor.UUID)
		switch {
		case err != nil:
			return Change{}, err
		case kept.Unfinished >= maxUnfinished:
			refusal := s.Invitations.Limits.Throttled("bulk_invitations", unfinishedWait)
			refusal.Message = fmt.Sprintf("%d bulk invitations of yours are not done yet: wait until one is done, or cancel one.", kept.Unfinished)
			return Change{}, refusal
		case kept.Rows+len(rows) > maxStoredRows:
			return Change{}, fault.Rejected(fmt.Sprintf(
				"%d rows of your bulk invitations of the last 30 days are kept, and %d can be: send fewer rows, or wait.",
				kept.Rows, maxStoredRows))
		case kept.Size+size > maxStoredSize:
			return Change{}, fault.Rejected(fmt.Sprintf(
				"%d MB of rows of your bulk invitations of the last 30 days are kept, these are %d MB, and %d MB can be kept: "+
					"send fewer rows or shorter texts, or wait.", kept.Size/1_000_000, size/1_000_000, maxStoredSize/1_000_000))
		}
		made = Bulk{
			UUID: uuid.New(), OnDuplicate: sub.OnDuplicate, CreatedByUUID: &actor.UUID, CreatedBy: &actor.User, Created: tx.Now(),
			Total: len(rows), Size: size, Counts: Counts{}, RequestID: invitation.RequestID(ctx),
		}.WithState()
		return Change{New: &made, Rows: rows, Jobs: []invitation.Job{Job{Bulk: made.UUID}}}, nil
	})
	return made, err
}

// stored returns rows as they are stored, and the size of their JSON in bytes.
func stored(rows []Row) (out []Row, size int, err error) {
	out = make([]Row, len(rows))
	for i, row := range rows {
		out[i] = row.cut()
		text, err := json.Marshal(out[i])
		if err != nil {
			return nil, 0, err
		}
		size += len(text)
	}
	return out, size, nil
}

// Page is one page of a list of bulk invitations.
type Page struct {
	Bulks []Bulk
	Total int // on all pages
}

// List returns a page of the bulk invitations that the caller made, or of all of them to staff, the newest first. List returns
// fault.KindNotFound for a page past the end.
func (s *Service) List(ctx context.Context, caller directory.Actor, page, size int) (Page, error) {
	var out Page
	err := s.Store.ReadList(ctx, caller.UUID, func(tx Tx) (err error) {
		out.Bulks, out.Total, err = directory.Paginate(page, size, func(w directory.Window) ([]Bulk, int, error) {
			return tx.ListBulks(creatorFor(caller), w)
		})
		return err
	})
	return out, err
}

// creatorFor returns whose bulk invitations a caller sees; nil: everybody's.
func creatorFor(caller directory.Actor) *uuid.UUID {
	if caller.IsStaff {
		return nil
	}
	return &caller.UUID
}

// Count returns the number of bulk invitations on all pages of List.
func (s *Service) Count(ctx context.Context, caller directory.Actor) (total int, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		_, total, err = tx.ListBulks(creatorFor(caller), directory.Window{Limit: 1})
		return err
	})
	return total, err
}

// ResultPage is a bulk invitation with a page of its results.
type ResultPage struct {
	Bulk
	Results []Result
	Matches int // results on all pages
}

// Retrieve returns a bulk invitation with a page of the results that have one of the codes; all, where there is no code.
// Retrieve returns fault.KindNotFound unless the caller made the bulk invitation or is staff, and for a page past the end.
func (s *Service) Retrieve(ctx context.Context, caller directory.Actor, id uuid.UUID, codes []Code, page, size int) (ResultPage, error) {
	var out ResultPage
	err := s.Store.ReadList(ctx, caller.UUID, func(tx Tx) (err error) {
		if out.Bulk, err = find(caller, id, tx.FindBulk); err != nil {
			return err
		}
		out.Matches = out.Counts.matching(codes)
		out.Results, _, err = directory.Paginate(page, size, func(w directory.Window) ([]Result, int, error) {
			found, err := tx.ListResults(id, codes, w)
			return found, out.Matches, err
		})
		return err
	})
	return out, err
}

// find returns a bulk invitation that the caller made, or any to staff; fault.KindNotFound otherwise.
func find(caller directory.Actor, id uuid.UUID, read func(uuid.UUID) (Bulk, error)) (Bulk, error) {
	found, err := read(id)
	if err == nil && !caller.IsStaff && (found.CreatedByUUID == nil || *found.CreatedByUUID != caller.UUID) {
		err = fault.NotFound()
	}
	if err != nil {
		return Bulk{}, err
	}
	return found, nil
}

// Results returns all results that have one of the codes, for a table; all, where there is no code. Results returns
// fault.KindNotFound as Retrieve does.
func (s *Service) Results(ctx context.Context, caller directory.Actor, id uuid.UUID, codes []Code) (results []Result, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		if _, err := find(caller, id, tx.FindBulk); err != nil {
			return err
		}
		results, err = tx.ListResults(id, codes, directory.Window{Limit: MaxRows})
		return err
	})
	return results, err
}

// Table returns a function that writes the results that have one of the codes, as WriteCSV does; all, where there is no
// code. The function reads the results in pages while it writes them, so that a slow reader holds little memory. Table
// returns fault.KindNotFound as Retrieve does.
func (s *Service) Table(
	ctx context.Context, caller directory.Actor, id uuid.UUID, codes []Code,
) (write func(io.Writer) error, err error) {
	used, total := usedFields{}, 0
	for page, err := range s.pages(ctx, caller, id, codes, MaxRows) {
		if err != nil {
			return nil, err
		}
		used.add(page)
		total += len(page)
	}
	return func(to io.Writer) error { return writeTable(to, used, s.pages(ctx, caller, id, codes, total)) }, nil
}

// pages yields the first results that have one of the codes, at most total, or an error at the end.
func (s *Service) pages(ctx context.Context, caller directory.Actor, id uuid.UUID, codes []Code, total int) iter.Seq2[[]Result, error] {
	return func(yield func([]Result, error) bool) {
		for from := 0; from < total; from += tablePage {
			var page []Result
			err := s.Store.ReadList(ctx, caller.UUID, func(tx Tx) (err error) {
				if _, err = find(caller, id, tx.FindBulk); err == nil {
					page, err = tx.ListResults(id, codes, directory.Window{Offset: from, Limit: min(tablePage, total-from)})
				}
				return err
			})
			if !yield(page, err) || err != nil || len(page) < tablePage {
				return
			}
		}
	}
}

// Cancel stops a bulk invitation that is queued or running, and returns fault.KindRejected in any other state. Cancel returns
// fault.KindNotFound as Retrieve does.
func (s *Service) Cancel(ctx context.Context, caller directory.Actor, id uuid.UUID) error {
	return s.Store.Change(ctx, func(tx Tx) (Change, error) {
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return Change{}, err
		}
		found, err := find(actor, id, tx.LockBulk)
		if err != nil {
			return Change{}, err
		}
		if found.Finished != nil {
			return Change{}, fault.Rejected("Only a queued or running bulk invitation can be canceled.")
		}
		stopped := found
		stopped.Counts = found.Counts.plus(nil)
		stopped.Counts[Canceled] += found.Total - found.Done()
		stopped.IsCanceled, stopped.Finished = true, new(tx.Now())
		return Change{After: &stopped, CancelRest: true}, nil
	})
}
