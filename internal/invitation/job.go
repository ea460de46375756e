package invitation

import (
	"time"

	"github.com/google/uuid"
)

// Job is work to be done after a commit, at least once. The queue keeps a job's JSON: ids, never addresses or secrets.
type Job interface {
	Kind() string  // names the work
	Queue() string // names what the work waits for: jobs that wait for different things don't hold each other up
}

// PriorityJob is a Job that may have a low priority: the other jobs of its queue are done first.
type PriorityJob interface {
	Job
	HasLowPriority() bool
}

// The queues.
const (
	QueueMail    = "default" // the mail server
	QueueNotices = "notices" // the mail server, for notices that a sweep asks for by the thousand
	QueueWebhook = "webhook"
	QueueSweep   = "sweep" // the database alone
)

// Deliver is a delivery of an invitation to its invitee.
type Deliver struct {
	Invitation uuid.UUID `json:"invitation"`
	Delivery   int       `json:"delivery"` // Invitation.Delivery when the job was enqueued
	// Webhook chooses the queue only. BeginDelivery decides how the delivery is made.
	Webhook bool `json:"webhook,omitempty"`
	// LowPriority: the delivery is one of many, and the other jobs of its queue are done first.
	LowPriority bool `json:"-"`
}

// Kind implements Job.
func (Deliver) Kind() string { return "deliver_invitation" }

// Queue implements Job.
func (d Deliver) Queue() string {
	if d.Webhook {
		return QueueWebhook
	}
	return QueueMail
}

// HasLowPriority implements PriorityJob.
func (d Deliver) HasLowPriority() bool { return d.LowPriority }

// Notice names a kind of mail. A notice is every mail about an invitation but the one that invites.
type Notice string

// The notices.
const (
	NoticeRequested Notice = "requested" // to a staff user: please approve or reject
	NoticeRejected  Notice = "rejected"  // to the inviter; see Invitation.InviterUUID
	NoticeExpired   Notice = "expired"   // to the inviter
	NoticeRefused   Notice = "refused"   // to the inviter: nobody can accept, because they may not invite any more
	NoticeReminder  Notice = "reminder"  // to the invitee, once in each life of an invitation
	NoticeDeclined  Notice = "declined"  // to the inviter, when the invitee can't take it back any more
	// NoticeScopeRemoved is to the inviter: nobody can accept, because the scope was removed.
	NoticeScopeRemoved Notice = "scope_removed"
	// NoticeUndeliverable is to the inviter: the invitation was not sent, and is not tried again by itself.
	NoticeUndeliverable Notice = "undeliverable"
	NoticeAccepted      Notice = "accepted" // to the inviter, where Policy.NotifyAccepted says so
	// NoticeRenewalAsked is to the inviter or, where the inviter can't send the invitation again, to staff.
	NoticeRenewalAsked Notice = "renewal_asked"
)

// Notify is the sending of a notice.
type Notify struct {
	Notice     Notice    `json:"notice"`
	Invitation uuid.UUID `json:"invitation"`
	Delivery   int       `json:"delivery"` // Invitation.Delivery when the job was enqueued
	User       uuid.UUID `json:"user"`     // the recipient; nil for a NoticeReminder, which goes to the invitee
	// Gathered: a NoticeRequested goes out together with what else waits for the user. Jobs of the version before are not
	// gathered: one mail is about one request.
	Gathered bool `json:"gathered,omitempty"`
	// DeclinedAt is the Invitation.DeclinedAt that a NoticeDeclined is about: an invitee can decline, undo and decline again.
	DeclinedAt time.Time `json:"declined_at,omitzero"`
	Asker      uuid.UUID `json:"asker,omitzero"` // the user who asked for a NoticeRenewalAsked
}

// Kind implements Job.
func (Notify) Kind() string { return "notify_user" }

// Queue implements Job.
func (n Notify) Queue() string {
	switch n.Notice {
	case NoticeExpired, NoticeReminder, NoticeScopeRemoved:
		return QueueNotices
	default:
		return QueueMail
	}
}

// RequestNotice implements GatheredJob.
func (n Notify) RequestNotice() (RequestNotice, bool) {
	return RequestNotice{User: n.User, Request: n.Invitation, Delivery: n.Delivery}, n.Gathered
}

// Sweep is the job that runs Service.Sweep.
type Sweep struct{}

// Kind implements Job.
func (Sweep) Kind() string { return "sweep" }

// Queue implements Job. A sweep waits for no mail server.
func (Sweep) Queue() string { return QueueSweep }
