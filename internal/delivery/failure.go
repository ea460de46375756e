package delivery

import "time"

// Failure is the error of every mail and webhook request that could not be made or sent.
type Failure struct {
	// Reason says in one sentence what went wrong. It names no host and no credentials: any user who sees the invitation
	// may read it.
	Reason string

	// Final reports that another attempt can't help: the address or the content was refused for good.
	Final bool

	// Operator reports that nothing helps until the operator fixes something: a refused login or sender, a certificate, a
	// template. A failure is never both Final and Operator: no invitation is given up because of a wrong setting.
	Operator bool

	// Blocked reports an Operator failure that every other message would meet now as well: a refused login, but not a
	// sender that one recipient's server refuses. No address and no text can cause it.
	Blocked bool

	// Throttled reports that the server wants fewer messages in a time, or takes no more for now: other messages would meet
	// the same.
	Throttled bool

	// Recipient reports a Throttled failure that the recipient's server may have caused: messages to other domains may not
	// meet the same.
	Recipient bool

	// RetryAfter is the least time until the next attempt that the server asks for; 0: it asks for none.
	RetryAfter time.Duration

	// Err is the cause, for the log only. It may name hosts and files, but no password, token or address. It is nil when
	// Reason says everything.
	Err error
}

// Error joins Reason and Err, for logs. Users get Reason alone.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + " (" + f.Err.Error() + ")"
}

// Unwrap returns Err, which may be nil.
func (f *Failure) Unwrap() error { return f.Err }
