package person

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// Service has the use cases. They are for whoever can run commands on the server: nobody else is asked for a right.
type Service struct {
	Store    Store
	Lifetime time.Duration // of invitations without an end of their own
}

// eraseBatch is the number of invitations that one transaction erases. On SQLite everybody who writes waits for it.
const eraseBatch = 50

// find returns the person whom an address names.
func (s *Service) find(ctx context.Context, email string) (p Person, err error) {
	if p.Address, err = ParseAddress(email); err == nil {
		p.Users, err = s.Store.Users(ctx, p.Address.Folded)
	}
	return p, err
}

// Export writes all that is kept of the person with an address, as one JSON object: the address, the time, and the rows of each
// table that has any, as Store.ExportTable returns them. It returns the number of rows, and fault.KindInvalid for a text that
// is no address. Rows are written as they are read.
func (s *Service) Export(ctx context.Context, email string, to io.Writer) (rows int, err error) {
	p, err := s.find(ctx, email)
	if err != nil {
		return 0, err
	}
	now, err := s.Store.Now(ctx)
	if err != nil {
		return 0, err
	}
	head, err := json.Marshal(map[string]any{"email": p.Address.Folded, "exported": now})
	if err != nil {
		return 0, err
	}
	// The object is left open for the tables.
	if _, err = fmt.Fprintf(to, "%s", head[:len(head)-1]); err != nil {
		return 0, err
	}
	for _, table := range s.Store.Tables() {
		n := 0
		err := s.Store.ExportTable(ctx, p, table, func(row Row) error {
			encoded, err := json.Marshal(row)
			if err != nil {
				return err
			}
			begin := ",\n  "
			if n == 0 {
				begin = fmt.Sprintf(",\n%q: [\n  ", table)
			}
			n++
			_, err = fmt.Fprintf(to, "%s%s", begin, encoded)
			return err
		})
		if err != nil {
			return rows, err
		}
		if n > 0 {
			if _, err := fmt.Fprint(to, "\n]"); err != nil {
				return rows, err
			}
		}
		rows += n
	}
	_, err = fmt.Fprintln(to, "\n}")
	return rows, err
}

// Kept counts the rows of one table.
type Kept struct {
	Table string
	Rows  int
}

// Count returns how many rows of each table Export would write, without tables that have none.
func (s *Service) Count(ctx context.Context, email string) (kept []Kept, err error) {
	p, err := s.find(ctx, email)
	if err != nil {
		return nil, err
	}
	for _, table := range s.Store.Tables() {
		found := Kept{Table: table}
		if err := s.Store.ExportTable(ctx, p, table, func(Row) error { found.Rows++; return nil }); err != nil {
			return nil, err
		}
		if found.Rows > 0 {
			kept = append(kept, found)
		}
	}
	return kept, nil
}

// Erased counts what was erased.
type Erased struct {
	Invitations int // to the address
	Open        int // of them: they are canceled, or expired
	Users       int // with the address
	Rows        int // other rows that were deleted, or in which the person was replaced
}

// CheckStaff returns fault.KindRejected where a user with the address is active staff or support: whoever runs the place is not
// locked out by mistake.
func (s *Service) CheckStaff(ctx context.Context, email string) error {
	p, err := s.find(ctx, email)
	if err != nil {
		return err
	}
	for _, user := range p.Users {
		if user.IsActive && user.SeesAll() {
			return fault.Rejected(fmt.Sprintf("the user %s with this address is active staff or support: take that from the user first, or say --force",
				directory.Excerpt(user.Username)))
		}
	}
	return nil
}

// Erase erases what is kept of the person with an address. What is not deleted has other words in place of the address and the
// names. Where Erase ends early, another call completes the work. Erase returns fault.KindInvalid for a text that is no address.
func (s *Service) Erase(ctx context.Context, email string) (done Erased, err error) {
	p, err := s.find(ctx, email)
	if err != nil {
		return done, err
	}
	for _, user := range p.Users {
		n, err := s.Store.EndRequests(ctx, user.UUID, joining.EraseRequest)
		done.Rows += n
		if err != nil {
			return done, err
		}
		if err := s.Store.EndUser(ctx, user.UUID); err != nil {
			return done, err
		}
	}
	// The rows of bulk invitations are among the tables: they make invitations as long as they have the address.
	for _, table := range s.Store.Tables() {
		n, err := s.Store.EraseTable(ctx, p, table)
		done.Rows += n
		if err != nil {
			return done, fmt.Errorf("%s: %w", table, err)
		}
		if err := s.eraseInvitations(ctx, p, &done); err != nil {
			return done, err
		}
	}
	for _, user := range p.Users {
		if err := s.Store.EraseUser(ctx, user); err != nil {
			return done, err
		}
		done.Users++
	}
	return done, s.record(ctx, p, done)
}

// eraseInvitations erases the invitations to the address that there are now.
func (s *Service) eraseInvitations(ctx context.Context, p Person, done *Erased) error {
	for erased := eraseBatch; erased == eraseBatch; {
		var open int
		var err error
		erased, open, err = s.Store.EraseInvitations(ctx, p, eraseBatch,
			func(i invitation.Invitation, now time.Time) []invitation.Change {
				return invitation.Erase(i, now, s.Lifetime)
			})
		if err != nil {
			return err
		}
		done.Invitations += erased
		done.Open += open
	}
	return nil
}

// record writes that something was erased, for each user and at least once.
func (s *Service) record(ctx context.Context, p Person, done Erased) error {
	if done == (Erased{}) {
		return nil
	}
	detail := fmt.Sprintf("by the operator; invitations: %d, users: %d, other rows: %d", done.Invitations, done.Users, done.Rows)
	if len(p.Users) == 0 {
		return s.Store.Record(ctx, nil, detail)
	}
	for _, user := range p.Users {
		if err := s.Store.Record(ctx, new(user.Erased()), detail); err != nil {
			return err
		}
	}
	return nil
}
