package invitation

import (
	"context"

	"invited/internal/directory"
)

// noStaff is the error message of a request that nobody was told of.
const noStaff = "Nobody was asked to approve: no staff user can be mailed. Tell the people who run this site."

// isUnasked reports whether an invitation is a request and there is nobody to tell of it. staff are the users to tell.
func isUnasked(i Invitation, staff []directory.User) bool {
	return i.StoredState == Requested && len(staff) == 0
}

// markUnasked makes an invitation that isUnasked say so.
func markUnasked(i *Invitation, staff []directory.User) {
	if isUnasked(*i, staff) {
		i.ExecutionState, i.ErrorMessage = Erred, noStaff
	}
}

// warnUnasked logs that there is nobody to tell of something that waits for staff. No error says so: the people who run the
// server have to act, and not who made the request. The log has no UUID: it may be the invitation's link.
func (s *Service) warnUnasked(ctx context.Context, what string) {
	if s.Logger != nil {
		s.Logger.WarnContext(ctx, "something waits for staff, and no staff user can be mailed: give an active staff user"+
			" an e-mail address and notifications_enabled", "what", what, "request_id", RequestID(ctx))
	}
}
