package delivery

// Failure is the error of every mail and webhook that could not be made or sent.
type Failure struct {
	// Reason says in one sentence what went wrong. It names no host and no credentials and may be shown to any user
	// who sees the invitation.
	Reason string

	// Final is true where trying again can't help: the address or the content was refused for good.
	Final bool

	// Operator is true where this will not be delivered until the operator mends something: a refused login or
	// sender, a certificate, a template. It is never true together with Final: no invitation is given up for it.
	Operator bool

	// Blocked is true of an Operator failure that would befall whatever else were sent now the same way: a login that
	// is refused, not a sender that one recipient's server will not have. No address and no text can bring it about.
	Blocked bool

	// Err is the cause, for the log only: it may name hosts and files, never a password, a token or an address. It is
	// nil where Reason says it all.
	Err error
}

// Error joins the reason and its cause; it is meant for logs. Users get Reason.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + " (" + f.Err.Error() + ")"
}

// Unwrap returns the cause, which may be nil.
func (f *Failure) Unwrap() error { return f.Err }
