package waldur

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Kind is a kind of record, as the report names it.
type Kind string

// The kinds, in the order in which they are imported.
const (
	Roles       Kind = "roles"
	Users       Kind = "users"
	Tokens      Kind = "tokens"
	Customers   Kind = "organizations"
	Projects    Kind = "projects"
	OtherScopes Kind = "other scopes"
	Memberships Kind = "memberships"
	Invitations Kind = "invitations"
	Groups      Kind = "group invitations"
	Requests    Kind = "permission requests"
)

var kinds = []Kind{
	Roles, Users, Tokens, Customers, Projects, OtherScopes, Memberships, Invitations, Groups, Requests,
}

// Count counts the records of one kind by what became of them. Read is the sum of the others.
type Count struct{ Read, Created, Changed, Unchanged, Left int }

// add adds another count.
func (c *Count) add(other Count) {
	c.Read += other.Read
	c.Created += other.Created
	c.Changed += other.Changed
	c.Unchanged += other.Unchanged
	c.Left += other.Left
}

// Note says that a record was not carried over as it was, and why, or what else is to be known of it.
type Note struct {
	Kind   Kind
	ID     uuid.UUID // of a token: of its user
	IsLeft bool      // the record was left; false: it was imported
	Reason string
}

// Report is the result of an import.
type Report struct {
	Counts map[Kind]Count
	// Requested is the number of invitations that wait for approval.
	Requested int

	notes map[noteKey]*noted
}

// A noteKey groups the notes of a report.
type noteKey struct {
	kind   Kind
	isLeft bool
	reason string
}

// noted are the records with the same note.
type noted struct {
	total int
	first []uuid.UUID
}

// maxShown is the number of uuids that a line of the report shows.
const maxShown = 10

func newReport() Report { return Report{Counts: map[Kind]Count{}, notes: map[noteKey]*noted{}} }

func (r *Report) note(n Note) {
	key := noteKey{n.Kind, n.IsLeft, n.Reason}
	found := r.notes[key]
	if found == nil {
		found = &noted{}
		r.notes[key] = found
	}
	if found.total++; len(found.first) < maxShown {
		found.first = append(found.first, n.ID)
	}
}

// String returns the report for people: a line for each kind of record, then one for each reason for which records were left
// or altered, with the first ten uuids.
func (r Report) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-20s %9s %9s %9s %9s %9s\n", "", "read", "created", "changed", "unchanged", "left")
	for _, kind := range kinds {
		c := r.Counts[kind]
		fmt.Fprintf(&text, "%-20s %9d %9d %9d %9d %9d\n", kind, c.Read, c.Created, c.Changed, c.Unchanged, c.Left)
	}
	r.writeNotes(&text, true, "left, and not imported:")
	r.writeNotes(&text, false, "imported, but:")
	if r.Requested > 0 {
		fmt.Fprintf(&text, "\n%d invitations wait for approval: the links in Waldur's mails to staff do not work here.\n"+
			"Staff approve them on the page /console/requests/, or by the API (approve-request).\n", r.Requested)
	}
	return text.String()
}

func (r Report) writeNotes(text *strings.Builder, isLeft bool, title string) {
	var keys []noteKey
	for key := range r.notes {
		if key.isLeft == isLeft {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return
	}
	slices.SortFunc(keys, func(a, b noteKey) int {
		if a.kind != b.kind {
			return slices.Index(kinds, a.kind) - slices.Index(kinds, b.kind)
		}
		return strings.Compare(a.reason, b.reason)
	})
	text.WriteString("\n" + title + "\n")
	for _, key := range keys {
		found := r.notes[key]
		fmt.Fprintf(text, "- %s: %d: %s\n  %s\n", key.kind, found.total, key.reason, excerpt(found.first, found.total))
	}
}

// excerpt returns the first uuids of a list, for people.
func excerpt(ids []uuid.UUID, total int) string {
	parts := make([]string, len(ids))
	for n, each := range ids {
		parts[n] = each.String()
	}
	if more := total - len(ids); more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}
