package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Count is what became of the records of one kind.
type Count struct{ Created, Changed, Unchanged int }

// Report is what became of the records of a file.
type Report struct {
	Roles, Users, Tokens, Customers, Projects, OtherScopes, Memberships Count
}

// String gives one line for each kind of which the file has any.
func (r Report) String() string {
	var text strings.Builder
	for _, each := range []struct {
		kind string
		Count
	}{
		{"roles", r.Roles},
		{"users", r.Users},
		{"tokens", r.Tokens},
		{"customers", r.Customers},
		{"projects", r.Projects},
		{"other scopes", r.OtherScopes},
		{"memberships", r.Memberships},
	} {
		if each.Count != (Count{}) {
			fmt.Fprintf(&text, "%-13s %7d created %7d changed %7d unchanged\n", each.kind+":",
				each.Created, each.Changed, each.Unchanged)
		}
	}
	if text.Len() == 0 {
		return "the file has no records\n"
	}
	return text.String()
}

const (
	lookedUp = 5_000 // records looked up at once
	saved    = 1_000 // rows saved at once
	attempts = 3     // at a transaction that somebody else's gets in the way of
)

// Apply brings the directory in line with a file, in one transaction: users, roles and scopes get what the file
// says, memberships and tokens that it lists are there, and what it does not name is left alone. To apply a file
// again changes nothing.
//
// A record means the row with its uuid where it gives one, else that with its name: a username, a role's name, a
// customer's name, a scope's type and name within its customer. Where there is none it is created, with the uuid
// that it gives. A membership is that of a user with a role in a scope: one whose own time is over, in the file or
// in the database, counts as not active. The file may give a role that is not active. A listed token works for its
// user without end.
//
// Progress is told of, from time to time, in steps; each record takes two. It may be nil.
//
// Apply returns a *FileError where the file does not fit the database, ErrConflict where another transaction got in
// the way three times over, and fault.KindUnavailable where the database can't be reached or is busy. Nothing is
// written then.
func Apply(ctx context.Context, store Store, file *File, progress func(done, total int)) (Report, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	for attempt := 1; ; attempt++ {
		var report Report
		err := store.Write(ctx, func(tx Tx) error {
			if err := tx.LockDirectory(); err != nil {
				return err
			}
			a := application{tx: tx, file: file, now: tx.Now(), progress: progress, total: 2 * file.Records()}
			if err := a.plan(); err != nil {
				return err
			}
			report = a.report
			return a.save()
		})
		switch {
		case err == nil:
			return report, nil
		case !errors.Is(err, ErrConflict) || attempt == attempts:
			return Report{}, err
		}
	}
}

// An application is one attempt to apply a file: everything is looked up and compared first, then what differs is
// written. So all problems are found before anything is written, and no look-up runs over rows written just now, of
// which the database's planner knows nothing.
type application struct {
	problems

	tx          Tx
	file        *File
	now         time.Time
	progress    func(done, total int)
	done, total int
	report      Report

	// What the names in the file mean once it is applied.
	roles  map[string]Role
	users  map[string]target
	scopes []target // as in file.scopes

	// What is to be written.
	saveRoles          []Role
	saveUsers          []User
	saveTokens         []APIToken
	saveCustomers      []Scope
	saveScopes         []Scope
	saveMemberships    []Membership
	saveNewMemberships []Membership
}

// target is the row that a record means; its uuid is uuid.Nil where there is a problem with it.
type target struct {
	id    uuid.UUID
	isNew bool
}

func (a *application) plan() error {
	for _, each := range []func() error{a.planRoles, a.planUsers, a.planTokens, a.planScopes, a.planMemberships} {
		if err := each(); err != nil {
			return err
		}
	}
	return a.err()
}

// step tells of records that are done with one of their two steps.
func (a *application) step(records int) {
	a.done += records
	a.progress(a.done, a.total)
}

// save writes what was planned: first what others refer to, and memberships that end before those that take their
// place.
func (a *application) save() error {
	written, planned := 0, a.done
	all := len(a.saveRoles) + len(a.saveUsers) + len(a.saveTokens) + len(a.saveCustomers) + len(a.saveScopes) +
		len(a.saveMemberships) + len(a.saveNewMemberships)
	wrote := func(rows int) {
		written += rows
		a.progress(planned+(a.total-planned)*written/all, a.total)
	}
	for _, each := range []func() error{
		func() error { return save(a.saveRoles, a.tx.SaveRoles, wrote) },
		func() error { return save(a.saveUsers, a.tx.SaveUsers, wrote) },
		func() error { return save(a.saveTokens, a.tx.SaveTokens, wrote) },
		func() error { return save(a.saveCustomers, a.tx.SaveScopes, wrote) },
		func() error { return save(a.saveScopes, a.tx.SaveScopes, wrote) },
		func() error { return save(a.saveMemberships, a.tx.SaveMemberships, wrote) },
		func() error { return save(a.saveNewMemberships, a.tx.SaveMemberships, wrote) },
	} {
		if err := each(); err != nil {
			return err
		}
	}
	a.progress(a.total, a.total)
	return nil
}

func save[T any](rows []T, write func([]T) error, wrote func(int)) error {
	for part := range slices.Chunk(rows, saved) {
		if err := write(part); err != nil {
			return err
		}
		wrote(len(part))
	}
	return nil
}

// note counts a record, and tells whether its row is to be written.
func (c *Count) note(isNew, same bool) bool {
	switch {
	case isNew:
		c.Created++
	case same:
		c.Unchanged++
		return false
	default:
		c.Changed++
	}
	return true
}
