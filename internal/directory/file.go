package directory

import (
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// File is a directory file that was read. Every record in it is well formed and stands in it once; whether it fits
// what the database holds is found out by Apply. It keeps no API token, only digests.
//
// The file is YAML: a mapping with the lists roles, users and customers. Keys that are not given take their
// default, for a record that the database has too: the file says all of a record. Keys that nobody knows are
// refused, and so is a key that stands twice.
//
//	roles       uuid  name  description ""  scope_type  permissions []  is_active true
//	users       uuid  username  email ""  full_name ""  civil_number ""  image ""  is_staff false
//	            is_support false  is_active true  notifications_enabled true  tokens []
//	customers   uuid  name  description ""  user_email_patterns []  is_removed false
//	            members []  projects []  scopes []
//	  projects  uuid  name  description ""  user_email_patterns []  is_removed false  members []
//	            start_date (a day; none: started)
//	  scopes    uuid  name  description ""  user_email_patterns []  is_removed false  members []
//	            type (offering, call or proposal)
//	  members   user (a username)  role (a role's name)  is_active true
//	            expiration_time (RFC 3339; none: never)
//
// Text is kept trimmed. Anchors and aliases are read, merge keys ("<<") are not.
type File struct {
	roles   []roleRecord
	users   []userRecord
	scopes  []scopeRecord // a customer before its own
	members []memberRecord
}

// Records is how many records the file has, tokens not counted.
func (f *File) Records() int { return len(f.roles) + len(f.users) + len(f.scopes) + len(f.members) }

// In all records, a uuid of zeros is one that the file does not give.
type (
	roleRecord struct {
		Role
		*where
	}
	userRecord struct {
		User
		*where
		tokens []string // digests
	}
	scopeRecord struct {
		Scope
		*where
		customer int // place in File.scopes; none for a customer
	}
	memberRecord struct {
		*where
		user, role string
		scope      int // place in File.scopes
		expires    *time.Time
		isActive   bool
	}
)

// where is a record's place in the file.
type where struct {
	in    *where // nil: the file itself
	list  string
	index int
	line  int
}

// path names a key of the record, or the record itself where the key is empty.
func (w *where) path(key string) string {
	if w == nil {
		return key
	}
	record := w.in.path(item(w.list, w.index))
	if key == "" {
		return record
	}
	return record + "." + key
}

func item(list string, index int) string { return list + "[" + strconv.Itoa(index) + "]" }

// Problem is one thing that is wrong with a directory file.
type Problem struct {
	Path    string // customers[0].projects[1].members[0].role; empty: the file as a whole
	Line    int    // from 1; 0: not known
	Message string
}

// String gives the problem in one line.
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

// FileError says what is wrong with a directory file, so that nothing of it was written.
type FileError struct {
	Problems []Problem // at least one, at most ten, in no more than about the order of the file
}

// Error gives one line for each problem.
func (e *FileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, each := range e.Problems {
		lines[i] = each.String()
	}
	return strings.Join(lines, "\n")
}

// maxProblems is how many problems are reported at once. A file made by a program that has one wrong has them all
// wrong.
const maxProblems = 10

type problems []Problem

func (p *problems) add(w *where, key string, line int, format string, arguments ...any) {
	if !p.enough() {
		*p = append(*p, Problem{Path: w.path(key), Line: line, Message: fmt.Sprintf(format, arguments...)})
	}
}

func (p *problems) enough() bool { return len(*p) >= maxProblems }

func (p *problems) err() error {
	if len(*p) == 0 {
		return nil
	}
	return &FileError{Problems: *p}
}

// maxFile is the size of the largest file that is read: some two million users.
const maxFile = 256 << 20

// wholeSize is the size from which the tree of a file that can't be cut is worth a collection of garbage.
const wholeSize = 4 << 20

// Parse reads a directory file. It returns a *FileError where the file is not YAML or a record in it is bad, and
// the reader's own error where reading fails.
func Parse(r io.Reader) (*File, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, &FileError{Problems: []Problem{{Message: fmt.Sprintf("is larger than %d MiB", maxFile>>20)}}}
	}
	return parse(data, pieceSize)
}

// parse reads a file in pieces of about a size where it can be cut; the size is a parameter for tests.
func parse(data []byte, size int) (*File, error) {
	if pieces, ok := cut(data, size); ok {
		d := newDecoder()
		if d.pieces(pieces) {
			return d.file, d.err()
		}
	}
	if len(data) > wholeSize {
		// The collector waits for garbage as large as what is alive, and the tree is alive: it is told to wait for
		// less, and to look again once the tree is garbage itself. This is for the whole process, and not for long.
		defer debug.FreeOSMemory()
		defer debug.SetGCPercent(debug.SetGCPercent(20))
	}
	d := newDecoder()
	d.whole(data)
	return d.file, d.err()
}
