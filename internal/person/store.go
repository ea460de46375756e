package person

import (
	"context"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// Person is who Export and Erase are about.
type Person struct {
	Address Address
	Users   []directory.User // with the address, service users included
}

// UserUUIDs returns the UUIDs of the person's users.
func (p Person) UserUUIDs() []uuid.UUID {
	ids := make([]uuid.UUID, len(p.Users))
	for i, user := range p.Users {
		ids[i] = user.UUID
	}
	return ids
}

// User returns the person's user with a UUID.
func (p Person) User(id string) (directory.User, bool) {
	for _, user := range p.Users {
		if user.UUID.String() == id {
			return user, true
		}
	}
	return directory.User{}, false
}

// Row is a row of a table as it is exported: values by column.
type Row map[string]any

// Store is the database as the use cases need it. Each method returns fault.KindUnavailable where the database is out of reach or
// busy.
type Store interface {
	// Users returns the users with an address (folded), service users included.
	Users(ctx context.Context, email string) ([]directory.User, error)
	// Now returns the database's time.
	Now(ctx context.Context) (time.Time, error)

	// Tables returns the names of the tables that can have rows about a person, in the order in which they are exported.
	Tables() []string
	// ExportTable calls f with each row of a table that is about a person, that one of the person's users made, or that has the
	// address in a text: of the first kind without secrets, of the second without what is about others, and of the third with
	// the key and the text alone. The uuid of an invitation to somebody else, which can be its link, is in none. It keeps a
	// bounded number of rows in memory.
	ExportTable(ctx context.Context, p Person, table string, f func(Row) error) error

	// EraseInvitations writes what decide returns for invitations to the address, at most limit, and empties what else these
	// invitations keep of their invitees. It returns the number of invitations, and how many of them were open.
	EraseInvitations(ctx context.Context, p Person, limit int,
		decide func(i invitation.Invitation, now time.Time) []invitation.Change) (erased, open int, err error)
	// EndRequests writes what decide returns for the pending requests of a user to take up group invitations, and returns their
	// number.
	EndRequests(ctx context.Context, user uuid.UUID, decide func(joining.Request) (joining.Change, bool)) (int, error)
	// EndUser makes a user inactive, revokes the user's memberships, and deletes the user's sessions, API tokens, identities and
	// kept answers.
	EndUser(ctx context.Context, user uuid.UUID) error
	// EraseTable deletes the rows of a table that are about a person, or takes the person out of them, as the kind of the table
	// is, and replaces the address in texts. It returns the number of rows that it changed. The rows of users with the address
	// stay as they are.
	EraseTable(ctx context.Context, p Person, table string) (int, error)
	// EraseUser writes the last of a user, who has the address until then.
	EraseUser(ctx context.Context, user directory.User) error
	// Record writes an event of sign-ins about what was erased. user is nil where the person had none.
	Record(ctx context.Context, user *directory.User, detail string) error
}
