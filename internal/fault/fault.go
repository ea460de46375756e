package fault

import (
	"errors"
	"sort"
	"strings"
)

// Kind says in which way a request is refused.
type Kind int

const (
	// KindInvalid: fields of the request do not validate (400, field → messages).
	KindInvalid Kind = iota + 1
	// KindRejected: a rule refuses the action (400, a bare list of messages).
	KindRejected
	// KindUnauthenticated: the caller did not prove who they are (401).
	KindUnauthenticated
	// KindForbidden: the caller can see the thing but not do this to it (403).
	KindForbidden
	// KindNotFound: the thing is not there, or not for the caller; which of the two is never told (404).
	KindNotFound
	// KindUnavailable: the database cannot be reached or is busy; nothing was changed (503).
	KindUnavailable
)

// NonField is the key of messages about a request as a whole.
const NonField = "non_field_errors"

// Error is a refusal. Its texts are written for the client.
type Error struct {
	Kind    Kind
	Message string              // for every kind but Invalid
	Fields  map[string][]string // for Invalid: field → messages
	Cause   error               // for the log only; nil where there is nothing more to say
}

// Error gives the refusal in one line, the cause included: it is for logs and tests, not for clients.
func (e *Error) Error() string {
	text := e.Message
	if e.Kind == KindInvalid {
		parts := make([]string, 0, len(e.Fields))
		for field, messages := range e.Fields {
			parts = append(parts, field+": "+strings.Join(messages, " "))
		}
		sort.Strings(parts)
		text = strings.Join(parts, "; ")
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Field refuses a request for one message about one field.
func Field(field, message string) *Error {
	return &Error{Kind: KindInvalid, Fields: map[string][]string{field: {message}}}
}

// Refuse refuses an action by a rule.
func Rejected(message string) *Error { return &Error{Kind: KindRejected, Message: message} }

// Unauthorized refuses a request whose caller is not known.
func Unauthorized(message string) *Error { return &Error{Kind: KindUnauthenticated, Message: message} }

// Deny refuses an action that the caller may not do.
func Forbidden() *Error {
	return &Error{Kind: KindForbidden, Message: "You do not have permission to perform this action."}
}

// Missing says that the thing is not there, or not for the caller.
func NotFound() *Error { return &Error{Kind: KindNotFound, Message: "Not found."} }

// MissingPage says that a list has no such page.
func PageNotFound() *Error { return &Error{Kind: KindNotFound, Message: "Invalid page."} }

// Down says that the database cannot be reached or is busy, for the reason given to the log.
func Unavailable(cause error) *Error {
	return &Error{Kind: KindUnavailable, Message: "Service temporarily unavailable.", Cause: cause}
}

// Is tells whether err is a refusal of this kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// Fields collects messages about the fields of one request, so that all of them are reported together.
type Fields map[string][]string

// Add notes a message about a field.
func (f Fields) Add(field, message string) { f[field] = append(f[field], message) }

// Err returns the refusal for what was collected, or nil where nothing was.
func (f Fields) Err() error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Kind: KindInvalid, Fields: f}
}
