package joining

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// Job is work to be done after a commit; see package jobs.
type Job = invitation.Job

// Notice names a kind of mail about a request.
type Notice string

// The notices.
const (
	NoticeSubmitted Notice = "submitted" // to an approver
	NoticeRejected  Notice = "rejected"  // to the requester
)

// Notify is the sending of a notice.
type Notify struct {
	Notice  Notice    `json:"notice"`
	Request uuid.UUID `json:"request"`
	User    uuid.UUID `json:"user"` // the recipient
}

// Kind implements Job.
func (Notify) Kind() string { return "notify_permission_request" }

// Queue implements Job.
func (Notify) Queue() string { return invitation.QueueMail }

// Message is a mail about a request.
type Message struct {
	ID      string // of the message, the same for each attempt
	Notice  Notice
	To      string
	Request Request
	Link    string // where the approvers review
}

// noticesToApprovers returns the jobs that tell of a new request: one for each address of an approver who sees the request
// and wants notices, and where there is none, of active staff.
func noticesToApprovers(tx Tx, r Request) ([]Job, error) {
	found, err := tx.ListApprovers(r.Group)
	if err != nil {
		return nil, err
	}
	var jobs []Job
	told := map[string]bool{}
	tell := func(user directory.User) {
		if !told[user.EmailFolded] {
			told[user.EmailFolded] = true
			jobs = append(jobs, Notify{Notice: NoticeSubmitted, Request: r.UUID, User: user.UUID})
		}
	}
	for _, user := range found {
		if wantsNotice(user, r) {
			tell(user.User)
		}
	}
	if len(jobs) > 0 {
		return jobs, nil
	}
	staff, err := tx.ListStaffToNotify()
	for _, user := range staff {
		tell(user)
	}
	return jobs, err
}

// wantsNotice reports whether a user is to be told of a request that waits for approval.
func wantsNotice(user directory.Actor, r Request) bool {
	return user.IsActive && user.Email != "" && user.NotificationsEnabled &&
		IsApprover(user, r.Group) && RequestsVisibleTo(user).Includes(r)
}

// BeginNotice returns the mail of a job; nil where there is nothing to tell any more.
func (s *Service) BeginNotice(ctx context.Context, job Notify) (out *Message, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		out = nil
		r, err := tx.FindRequest(job.Request)
		if err == nil {
			var user directory.Actor
			if user, err = tx.FindActor(job.User); err == nil && isDue(job, r, user) {
				out = &Message{
					ID: r.UUID.String() + "." + string(job.Notice) + "." + user.UUID.String(), Notice: job.Notice, To: user.Email, Request: r,
					Link: s.FrontendURL + "organizations/" + r.CustomerUUID.String() + "/group-invitations/",
				}
			}
		}
		if fault.Is(err, fault.KindNotFound) {
			return nil
		}
		return err
	})
	return out, err
}

// isDue reports whether a notice is still to be sent to a user.
func isDue(job Notify, r Request, user directory.Actor) bool {
	if job.Notice == NoticeRejected {
		return r.State == Rejected && user.IsActive && user.Email != ""
	}
	return r.State == Pending && wantsNotice(user, r)
}

// FinishNotice records that a mail was handed over, or why it was not.
func (s *Service) FinishNotice(ctx context.Context, m *Message, o invitation.Outcome) error {
	return s.Store.Change(ctx, func(Tx) ([]Change, error) {
		event := EventNotified
		if o.Failed {
			event = EventNotificationFailed
		}
		told := recordRequest(event, m.Request, m.Request.State, nil)
		told.Recipient, told.ErrorMessage = m.To, o.Reason
		return []Change{{Event: told}}, nil
	})
}
