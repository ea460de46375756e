package dirfile

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// File is a decoded directory file. Its records are well formed, and none occurs twice. Apply finds out whether they fit
// the database. Of API tokens, a File has only the digests.
type File struct {
	roles   []roleRecord
	users   []userRecord
	scopes  []scopeRecord // a customer comes before its other scopes
	members []memberRecord

	shortTokens problems
	warnings    problems
}

// Users returns the uuids of the users in the file that have one, by username.
func (f *File) Users() map[string]uuid.UUID {
	found := map[string]uuid.UUID{}
	for _, each := range f.users {
		if each.UUID != uuid.Nil {
			found[each.Username] = each.UUID
		}
	}
	return found
}

// Warnings returns what is most likely a mistake in the file, and is applied all the same: permissions that nothing knows. At
// most ten are returned.
func (f *File) Warnings() []Problem { return f.warnings }

// CheckTokens returns an *Error with the API tokens that are shorter than 20 characters, and nil when there are none. Apply
// creates short tokens too: whoever calls Apply decides.
func (f *File) CheckTokens() error { return f.shortTokens.err() }

// Records returns the number of roles, users, scopes and memberships in the file.
func (f *File) Records() int { return len(f.roles) + len(f.users) + len(f.scopes) + len(f.members) }

// A record without a uuid in the file has uuid.Nil.
type (
	roleRecord struct {
		directory.Role
		*location
		given keySet
	}
	userRecord struct {
		directory.User
		*location
		given     keySet
		hasTokens bool     // the record has the key tokens
		tokens    []string // digests
	}
	scopeRecord struct {
		directory.Scope
		*location
		given    keySet
		customer int // index in File.scopes; noCustomer for a customer
	}
	memberRecord struct {
		*location
		given      keySet
		user, role string // names
		scope      int    // index in File.scopes
		expires    *time.Time
		isActive   bool
	}
)

// noCustomer is the customer of a scopeRecord that is a customer itself.
const noCustomer = -1

// location is the place of a record in the file.
type location struct {
	parent *location // record whose list has this record; nil: the file itself
	list   string
	index  int
	line   int // from 1
}

// path returns the path of one of the record's keys, or of the record itself when key is empty. A nil location is the
// file itself.
func (l *location) path(key string) string {
	if l == nil {
		return key
	}
	record := l.parent.path(itemPath(l.list, l.index))
	if key == "" {
		return record
	}
	return record + "." + key
}

func itemPath(list string, index int) string { return list + "[" + strconv.Itoa(index) + "]" }

// Problem is one mistake in a directory file.
type Problem struct {
	Path    string // such as customers[0].projects[1].members[0].role; empty: the file as a whole
	Line    int    // from 1; 0: not known
	Message string
}

// String returns the problem on one line.
func (p Problem) String() string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Line > 0 {
		text += " (line " + strconv.Itoa(p.Line) + ")"
	}
	return text
}

// Error is the error of Decode and Apply for a file with mistakes. Nothing of the file was written.
type Error struct {
	Problems []Problem // from one to ten, roughly in the order of the file
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, each := range e.Problems {
		lines[i] = each.String()
	}
	return strings.Join(lines, "\n")
}

// maxProblems is the number of problems that are reported. A file that a program wrote tends to have the same mistake in
// each record.
const maxProblems = 10

// problems collects the first maxProblems mistakes.
type problems []Problem

func (p *problems) add(at *location, key string, line int, format string, arguments ...any) {
	if !p.full() {
		*p = append(*p, Problem{Path: at.path(key), Line: line, Message: fmt.Sprintf(format, arguments...)})
	}
}

func (p *problems) full() bool { return len(*p) >= maxProblems }

func (p *problems) err() error {
	if len(*p) == 0 {
		return nil
	}
	return &Error{Problems: *p}
}
