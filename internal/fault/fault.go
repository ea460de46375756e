package fault

import (
	"errors"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Kind is the way in which a request is refused. The zero value is no kind.
type Kind int

const (
	// KindInvalid: fields of the request are not valid. Such a fault has Fields, and no Message.
	KindInvalid Kind = iota + 1

	// KindRejected: the request is well formed, but a rule forbids the action for everybody in the present state.
	KindRejected

	// KindUnauthenticated: the request does not prove who its caller is.
	KindUnauthenticated

	// KindForbidden: the caller may see the object, but not do this to it.
	KindForbidden

	// KindNotFound: the object does not exist, or the caller may not see it. The client cannot distinguish the two, so
	// that nobody can find out which objects exist.
	KindNotFound

	// KindUnavailable: the database is unreachable or busy. Nothing was changed, and the client may try again.
	KindUnavailable

	// KindConflict: the object is not in the state that the action needs, most likely because somebody else was faster.
	KindConflict

	// KindContradiction: the request is valid by itself, but contradicts what the client said before. To send it again is of
	// no use.
	KindContradiction

	// KindThrottled: the client asked too often. Nothing was changed, and the client may try again after Wait.
	KindThrottled
)

// NonField is the field name for messages about the request as a whole, in faults of KindInvalid.
const NonField = "non_field_errors"

// Error is a fault: the refusal of one request. Message and Fields are written for the client; Cause is for the log
// only.
type Error struct {
	Kind    Kind
	Message string              // one sentence; empty for KindInvalid
	Fields  map[string][]string // messages by the name of the JSON field or parameter; nil except for KindInvalid
	Wait    time.Duration       // whole seconds after which to try again; 0 except for KindThrottled
	Cause   error               // the error behind the fault; may be nil
}

// Error returns the fault and its cause on one line, fields in alphabetical order. The line is for logs and tests;
// clients get Message or Fields.
func (e *Error) Error() string {
	line := e.Message
	if e.Kind == KindInvalid {
		parts := make([]string, 0, len(e.Fields))
		for field, messages := range e.Fields {
			parts = append(parts, field+": "+strings.Join(messages, " "))
		}
		sort.Strings(parts)
		line = strings.Join(parts, "; ")
	}
	if e.Cause != nil {
		line += ": " + e.Cause.Error()
	}
	return line
}

// Unwrap returns the cause, which may be nil.
func (e *Error) Unwrap() error { return e.Cause }

// Field returns a fault of KindInvalid with one message about one field. To report several, use [Fields].
func Field(field, message string) *Error {
	return &Error{Kind: KindInvalid, Fields: map[string][]string{field: {message}}}
}

// Rejected returns a fault of KindRejected with the rule's message.
func Rejected(message string) *Error { return &Error{Kind: KindRejected, Message: message} }

// Unauthorized returns a fault of KindUnauthenticated. The name is that of status 401.
func Unauthorized(message string) *Error { return &Error{Kind: KindUnauthenticated, Message: message} }

// Forbidden returns a fault of KindForbidden. Where the caller may not even see the object, use [NotFound].
func Forbidden() *Error {
	return &Error{Kind: KindForbidden, Message: "You do not have permission to perform this action."}
}

// Conflict returns a fault of KindConflict with the reason.
func Conflict(message string) *Error { return &Error{Kind: KindConflict, Message: message} }

// Contradiction returns a fault of KindContradiction.
func Contradiction(message string) *Error { return &Error{Kind: KindContradiction, Message: message} }

// NotFound returns a fault of KindNotFound for an object.
func NotFound() *Error { return &Error{Kind: KindNotFound, Message: "Not found."} }

// PageNotFound returns a fault of KindNotFound for a page that a list does not have.
func PageNotFound() *Error { return &Error{Kind: KindNotFound, Message: "Invalid page."} }

// Unavailable returns a fault of KindUnavailable. The cause, which may be nil, is logged and never sent.
func Unavailable(cause error) *Error {
	return &Error{Kind: KindUnavailable, Message: "Service temporarily unavailable.", Cause: cause}
}

// Throttled returns a fault of KindThrottled for a client that may try again after wait, which is rounded up to whole
// seconds and is one second at least. The message is that of Django REST framework.
func Throttled(wait time.Duration) *Error {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	unit := " seconds."
	if seconds == 1 {
		unit = " second."
	}
	return &Error{
		Kind:    KindThrottled,
		Message: "Request was throttled. Expected available in " + strconv.FormatInt(seconds, 10) + unit,
		Wait:    time.Duration(seconds) * time.Second,
	}
}

// Limits is told the name of the limit of each request that Limits.Throttled refuses. A nil Limits is told of none.
type Limits func(limit string)

// Throttled is the function Throttled for a limit with a name.
func (l Limits) Throttled(limit string, wait time.Duration) *Error {
	if l != nil {
		l(limit)
	}
	return Throttled(wait)
}

// ListTimeout returns a fault of KindUnavailable for a list that took too long. The cause is logged and never sent.
func ListTimeout(cause error) *Error {
	return &Error{
		Kind: KindUnavailable, Cause: cause,
		Message: "The list took too long: ask for fewer rows with filters, or leave out the order.",
	}
}

// Is reports whether err is a fault of this kind, or wraps one. Only the outermost fault counts.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// Fields collects messages about the fields of one request, by field name, so that the client learns of all of them at
// once. Make one with Fields{}: Add needs a map that is not nil.
type Fields map[string][]string

// Add appends a message about a field.
func (f Fields) Add(field, message string) { f[field] = append(f[field], message) }

// Err returns a fault of KindInvalid with the collected messages, or nil if there are none. It shares the map with f.
func (f Fields) Err() error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Kind: KindInvalid, Fields: f}
}
