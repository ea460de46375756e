package dirfile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// Count counts the records of one kind by what Apply did with them.
type Count struct{ Created, Changed, Unchanged, Revoked int } // only tokens are counted as revoked

// count counts a record, and reports whether its row must be saved.
func (c *Count) count(isNew, same bool) bool {
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

// Report is the result of Apply.
type Report struct {
	Roles, Users, Tokens, Customers, Projects, OtherScopes, Memberships Count

	Fields []FieldChange // of records that exist, at most 1,000
	More   int           // number of changes that Fields has no room for

	// KeptStaff is about users that are staff or support, and whose records do not say so: at most 1,000. The record may
	// have said so before, and leaving out the key takes nothing away.
	KeptStaff []Problem
}

// String returns one line for each kind of record that the file has.
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
			fmt.Fprintf(&text, "%-13s %7d created %7d changed %7d unchanged", each.kind+":",
				each.Created, each.Changed, each.Unchanged)
			if each.kind == "tokens" {
				fmt.Fprintf(&text, " %7d revoked", each.Revoked)
			}
			text.WriteByte('\n')
		}
	}
	if text.Len() == 0 {
		return "the file has no records\n"
	}
	for _, each := range r.Fields {
		text.WriteString(each.String() + "\n")
	}
	if r.More > 0 {
		fmt.Fprintf(&text, "and %d more\n", r.More)
	}
	return text.String()
}

const (
	saveSize    = 1_000 // rows that are saved between two calls of progress
	maxAttempts = 3     // attempts at a transaction that conflicts with others
)

// Apply brings the directory in line with a file, in one transaction. Users, roles and scopes get the values of the file,
// and the memberships and tokens of the file are created. What a record leaves out stays as it is; null takes a value away.
// Rows that the file doesn't name stay as they are, except that a user whose record has the key tokens keeps no other
// tokens. A second Apply of the same file changes nothing.
//
// A record stands for the row with its uuid. A record without a uuid stands for the row with its name: a username, a
// role's name, a customer's name, or a scope's type and name within its customer. When there is no such row, Apply
// creates one with the record's uuid, or with a random one. A membership stands for the row with its user, role and
// scope, and is not active once it has expired, in the file or in the database. Members can have a role that is not
// active. A token of the file never expires.
//
// Apply calls progress from time to time with the steps done and the steps in all, two for each record. progress can be
// nil.
//
// Apply returns an *Error when the file doesn't fit the database, directory.ErrConflict when three attempts have
// conflicted with other transactions, and fault.KindUnavailable when the database is busy or can't be reached. After an
// error, nothing has been written.
func Apply(
	ctx context.Context, store directory.FileStore, file *File, progress func(done, total int),
) (Report, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	for attempt := 1; ; attempt++ {
		var report Report
		err := store.Write(ctx, func(tx directory.FileTx) (err error) {
			report, err = apply(tx, file, progress)
			return err
		})
		switch {
		case err == nil:
			return report, nil
		case !errors.Is(err, directory.ErrConflict) || attempt == maxAttempts:
			return Report{}, err
		}
	}
}

// DryRun returns what Apply would do with a file, and the errors that Apply would return. It writes nothing.
func DryRun(ctx context.Context, store directory.FileStore, file *File) (Report, error) {
	var report Report
	err := store.Read(ctx, func(tx directory.FileTx) error {
		p := planner{tx: tx, file: file, now: tx.Now(), step: func(int) {}}
		c, err := p.plan()
		report = c.report
		return err
	})
	if err != nil {
		return Report{}, err
	}
	return report, nil
}

// apply plans and saves. Planning is the first step of each record, and saving the second.
func apply(tx directory.FileTx, file *File, progress func(done, total int)) (Report, error) {
	if err := tx.LockDirectory(); err != nil {
		return Report{}, err
	}
	records, planned := file.Records(), 0
	p := planner{tx: tx, file: file, now: tx.Now(), step: func(n int) {
		planned += n
		progress(planned, 2*records)
	}}
	c, err := p.plan()
	if err != nil {
		return Report{}, err
	}
	total, saved := c.rows(), 0
	err = c.save(tx, func(n int) {
		saved += n
		progress(records+records*saved/total, 2*records)
	})
	if err != nil {
		return Report{}, err
	}
	progress(2*records, 2*records)
	return c.report, nil
}

func (c changes) rows() int {
	return len(c.roles) + len(c.users) + len(c.tokens) + len(c.revokedTokens) + len(c.customers) + len(c.otherScopes) +
		len(c.memberships) + len(c.newMemberships)
}

// save saves a row after the rows that it refers to, and a new membership after the revocation of the one it replaces.
func (c changes) save(tx directory.FileTx, saved func(rows int)) error {
	deleteTokens := func(ids []uuid.UUID) error {
		revoked, err := tx.DeleteTokens(ids)
		if err != nil {
			return err
		}
		return tx.SaveTokenEvents(false, revoked)
	}
	saveNewTokens := func(tokens []directory.APIToken) error {
		if err := tx.SaveTokens(tokens); err != nil {
			return err
		}
		isOld := func(t directory.APIToken) bool { return !t.Created.Equal(tx.Now()) }
		return tx.SaveTokenEvents(true, slices.DeleteFunc(slices.Clone(tokens), isOld))
	}
	for _, save := range []func() error{
		func() error { return saveChunks(c.roles, tx.SaveRoles, saved) },
		func() error { return saveChunks(c.users, tx.SaveUsers, saved) },
		func() error { return saveChunks(c.tokens, saveNewTokens, saved) },
		func() error { return saveChunks(c.revokedTokens, deleteTokens, saved) },
		func() error { return saveChunks(c.customers, tx.SaveScopes, saved) },
		func() error { return saveChunks(c.otherScopes, tx.SaveScopes, saved) },
		func() error { return saveChunks(c.memberships, tx.SaveMemberships, saved) },
		func() error { return saveChunks(c.newMemberships, tx.SaveMemberships, saved) },
	} {
		if err := save(); err != nil {
			return err
		}
	}
	return nil
}

func saveChunks[Row any](rows []Row, save func([]Row) error, saved func(rows int)) error {
	for chunk := range slices.Chunk(rows, saveSize) {
		if err := save(chunk); err != nil {
			return err
		}
		saved(len(chunk))
	}
	return nil
}
