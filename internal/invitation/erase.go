package invitation

import (
	"time"

	"invited/internal/directory"
)

// msgErased is why nobody could accept an invitation whose invitee was erased.
const msgErased Refusal = "The invitee was erased. Invite again, by an address."

// msgErasedFailure stands for the reason of a failed delivery to somebody who was erased meanwhile: the reason may name them.
const msgErasedFailure = "Not delivered: the invitee was erased."

// Erase returns the changes by which an invitation forgets the address and the reasons of its invitee. Where the invitation is
// open, it is canceled: nobody could accept it any more. Nobody is mailed, because the mail could not say whose invitation it
// is about. The names of the invitee are not part of a Change: the store empties them with it. Erase returns nothing for an
// invitation that was erased before. lifetime is that of the policy.
func Erase(i Invitation, now time.Time, lifetime time.Duration) []Change {
	if directory.IsErasedEmail(i.EmailFolded) {
		return nil
	}
	erased := i
	erased.Email = directory.ErasedEmail(i.UUID)
	erased.EmailFolded, erased.ErrorMessage = erased.Email, ""
	erased.DeclinedAt, erased.DeclineReason = nil, "" // nobody takes the decline back
	ended := EventType("")
	switch state := i.StateAt(now, lifetime); {
	case state == i.StoredState && !state.isOpen():
	case state == Expired:
		erased.StoredState, ended = Expired, EventExpired
	default:
		erased.StoredState, ended = Canceled, EventCanceled
	}
	if ended == "" {
		return []Change{change(i, erased, byServer(EventErased))}
	}
	return []Change{
		change(i, erased, byServer(ended)),
		{Event: byServer(EventErased).record(erased, erased.StoredState, erased.StoredState)},
	}
}

// hide removes from what is recorded of a message who it went to, where its invitee was erased while it was sent.
func (c cause) hide(found Invitation) cause {
	if directory.IsErasedEmail(found.EmailFolded) {
		c.recipient = found.Email
	}
	return c
}

// hide is likewise about why a message was not handed over.
func (o Outcome) hide(found Invitation) Outcome {
	if o.Failed && directory.IsErasedEmail(found.EmailFolded) {
		o.Reason = msgErasedFailure
	}
	return o
}
