package joining

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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

// Announce finds who is to be told of a new request, and enqueues a Notify for each of them. A submission enqueues this one
// job, and so takes the same time however many members an organization has.
type Announce struct {
	Request uuid.UUID `json:"request"`
}

// Kind implements Job.
func (Announce) Kind() string { return "announce_permission_request" }

// Queue implements Job.
func (Announce) Queue() string { return invitation.QueueMail }

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

// RequestNotice implements invitation.GatheredJob.
func (n Notify) RequestNotice() (invitation.RequestNotice, bool) {
	return invitation.RequestNotice{User: n.User, Request: n.Request}, n.Notice == NoticeSubmitted
}

// Message is a mail about requests.
type Message struct {
	ID       string // of the message, the same for each attempt at a NoticeRejected
	Notice   Notice
	To       string
	Requests []Request // one, or of a NoticeSubmitted more where they were gathered
	More     int       // requests that follow in later mails
	base     string    // see Link
}

// Link returns where approvers review the requests into the customer of a request.
func (m Message) Link(r Request) string {
	return m.base + "organizations/" + r.CustomerUUID.String() + "/group-invitations/"
}

// Announce does the job.
func (s *Service) Announce(ctx context.Context, job Announce) error {
	return s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		r, err := tx.FindRequest(job.Request)
		if fault.Is(err, fault.KindNotFound) || (err == nil && r.State != Pending) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		jobs, err := noticesToApprovers(tx, r)
		return []Change{{Jobs: jobs}}, err
	})
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

// BeginNotice returns the mail of a job; nil where there is nothing to tell any more. Where the recipient has had a mail about
// requests a moment ago, or as many as the policy allows, BeginNotice returns after what time to call it again.
func (s *Service) BeginNotice(ctx context.Context, job Notify) (out *Message, wait time.Duration, err error) {
	notice, isGathered := job.RequestNotice()
	if !isGathered {
		out, err = s.beginRejected(ctx, job)
		return out, 0, err
	}
	err = s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		out = nil
		found, err := invitation.Gather(tx, notice, s.Policy.RequestMailInterval, func() (_ bool, wait time.Duration, err error) {
			out, wait, err = s.composeSubmitted(tx, notice)
			return out != nil, wait, err
		})
		wait = found.Wait
		return []Change{{Mail: found.Mail, DoneNotices: found.Done}}, err
	})
	if errors.Is(err, invitation.ErrConflict) {
		return nil, invitation.RetryGathering(s.Policy.RequestMailInterval), nil
	}
	if err != nil {
		return nil, 0, err
	}
	return out, wait, nil
}

// intervalBeyondLimit is the least time between two mails about requests to an approver who has had as many as the policy
// allows: one requester, who can make many requests, must not silence an approver for the whole of the limit's period.
const intervalBeyondLimit = time.Hour

// composeSubmitted returns the mail about all requests that wait for an approver; nil where that of the notice is not among
// them, or where the approver has had as many mails as the policy allows, with the time until the next one.
func (s *Service) composeSubmitted(tx Tx, n invitation.RequestNotice) (*Message, time.Duration, error) {
	user, err := tx.FindActor(n.User)
	if fault.Is(err, fault.KindNotFound) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	found, total, err := tx.ListRequestsToTell(n, invitation.MaxRequests)
	if err != nil {
		return nil, 0, err
	}
	found = slices.DeleteFunc(found, func(r Request) bool { return !wantsNotice(user, r) })
	if len(found) == 0 || found[0].UUID != n.Request {
		return nil, 0, nil // the others have jobs of their own
	}
	if limit := s.Policy.LimitRecipient; limit.Count > 0 {
		mailed, err := tx.MailedTime(user.Email, tx.Now().Add(-limit.Per), limit.Count)
		if err != nil {
			return nil, 0, err
		}
		if !mailed.IsZero() {
			newest, err := tx.MailedTime(user.Email, tx.Now().Add(-limit.Per), 1)
			wait := min(mailed.Add(limit.Per).Sub(tx.Now()), newest.Add(intervalBeyondLimit).Sub(tx.Now()), intervalBeyondLimit)
			if err != nil || wait > 0 {
				return nil, wait, err
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Request) int { return a.Created.Compare(b.Created) })
	return &Message{
		// Another attempt may be about other requests, and is another mail.
		ID:     fmt.Sprintf("%s.%s.%d.%s", n.Request, NoticeSubmitted, tx.Now().UnixMicro(), user.UUID),
		Notice: NoticeSubmitted, To: user.Email, Requests: found, More: max(0, total-invitation.MaxRequests), base: s.FrontendURL,
	}, 0, nil
}

// beginRejected is BeginNotice for a NoticeRejected.
func (s *Service) beginRejected(ctx context.Context, job Notify) (out *Message, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		out = nil
		r, err := tx.FindRequest(job.Request)
		if err != nil {
			return err
		}
		user, err := tx.FindActor(job.User)
		if err == nil && r.State == Rejected && user.IsActive && user.Email != "" {
			out = &Message{
				ID:     fmt.Sprintf("%s.%s.%s", r.UUID, job.Notice, user.UUID),
				Notice: job.Notice, To: user.Email, Requests: []Request{r}, base: s.FrontendURL,
			}
		}
		return err
	})
	if fault.Is(err, fault.KindNotFound) {
		return nil, nil //nolint:nilnil // nobody is told
	}
	return out, err
}

// FinishNotice records that a mail was handed over, or why it was not. The failure of a mail about several requests that is
// tried again is an event of the job's own request only: the others have jobs too.
func (s *Service) FinishNotice(ctx context.Context, job Notify, m *Message, o invitation.Outcome) error {
	event := EventNotified
	if o.Failed {
		event = EventNotificationFailed
	}
	isLast := !o.Failed || o.Final
	return s.Store.Change(ctx, func(Tx) (changes []Change, err error) {
		for _, r := range m.Requests {
			notice := Notify{Notice: m.Notice, Request: r.UUID, User: job.User}
			if !isLast && notice != job {
				continue
			}
			told := recordMail(event, r)
			told.Recipient, told.ErrorMessage = m.To, o.Reason
			c := Change{Event: told}
			if n, isGathered := notice.RequestNotice(); isGathered && isLast {
				c.DoneNotices = []invitation.RequestNotice{n}
			}
			changes = append(changes, c)
		}
		return changes, nil
	})
}
