package web

import (
	"strings"
	"time"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// timelineEntry is something that happened to an invitation, in words.
type timelineEntry struct {
	Created time.Time
	Who     string // begins the text; empty: nothing
	Text    string
	About   string // ends the text: an address or a role; empty: nothing
	By      string // empty: the server itself, or a user who is gone
	Reason  string // that they gave
	Problem string
}

// eventWords has the words for what happened.
var eventWords = map[invitation.EventType]string{
	invitation.EventCreated:            "Invited",
	invitation.EventApproved:           "Approved",
	invitation.EventRejected:           "Rejected",
	invitation.EventAccepted:           "Accepted",
	invitation.EventRefused:            "Could not be accepted: whoever invited may not invite here any more",
	invitation.EventCanceled:           "Taken back",
	invitation.EventDeclined:           "Declined",
	invitation.EventDeclineUndone:      "Decline undone",
	invitation.EventRenewalAsked:       "A new one was asked for",
	invitation.EventSent:               "Sent again",
	invitation.EventUpdated:            "Changed. The address is now",
	invitation.EventDeleted:            "Deleted",
	invitation.EventExpired:            "Expired: nobody accepted in time",
	invitation.EventErased:             "What was kept of the invitee was erased",
	invitation.EventActivated:          "The project started, so the invitation goes out",
	invitation.EventReminded:           "A reminder was asked for",
	invitation.EventDelivered:          "Mailed to",
	invitation.EventDeliveryFailed:     "Could not be mailed to",
	invitation.EventNotified:           "Mail about it sent to",
	invitation.EventNotificationFailed: "Mail about it could not be sent to",
}

// noticeWords has the words for a mail about an invitation that was sent, and for one that was not.
var noticeWords = map[invitation.Notice][2]string{
	invitation.NoticeRequested:     {"Asked for approval by mail:", "Could not be asked for approval by mail:"},
	invitation.NoticeRejected:      {"Told of the rejection by mail:", "Could not be told of the rejection by mail:"},
	invitation.NoticeExpired:       {"Told of the end by mail:", "Could not be told of the end by mail:"},
	invitation.NoticeRefused:       {"Told by mail that nobody can accept:", "Could not be told by mail that nobody can accept:"},
	invitation.NoticeDeclined:      {"Told by mail that it was declined:", "Could not be told by mail that it was declined:"},
	invitation.NoticeRenewalAsked:  {"Asked by mail for a new one:", "Could not be asked by mail for a new one:"},
	invitation.NoticeUndeliverable: {"Told by mail that it was not delivered:", "Could not be told by mail that it was not delivered:"},
	invitation.NoticeAccepted:      {"Told by mail that it was accepted:", "Could not be told by mail that it was accepted:"},
	invitation.NoticeReminder:      {"Reminded by mail:", "Could not be reminded by mail:"},
	invitation.NoticeScopeRemoved:  {"Told by mail that it was canceled:", "Could not be told by mail that it was canceled:"},
}

// timeline returns events in words, in their order.
func timeline(events []invitation.Event) []timelineEntry {
	entries := make([]timelineEntry, len(events))
	for i, e := range events {
		entry := timelineEntry{Created: e.Created, Text: eventWords[e.Type], By: e.UserFullName, Reason: e.Reason}
		if entry.By == "" {
			entry.By = e.UserUsername
		}
		switch e.Type {
		case invitation.EventCanceled:
			if e.UserUUID == nil {
				entry.Text = "Ended: what it invited into was removed"
				if directory.IsErasedEmail(e.Email) { // it has the same address if the scope was removed before that
					entry.Text = "Ended"
				}
			}
		case invitation.EventCreated:
			if e.ToState == invitation.Requested {
				entry.Text = "Asked to invite"
			}
			entry.About = e.Email
		case invitation.EventUpdated:
			entry.About = e.Email
		case invitation.EventDelivered, invitation.EventDeliveryFailed:
			entry.About = e.Recipient
			if e.Channel == invitation.ByWebhook {
				entry.Text, entry.About = "Handed over to be delivered", ""
				if e.Type == invitation.EventDeliveryFailed {
					entry.Text = "Could not be handed over to be delivered"
				}
			}
		case invitation.EventNotified, invitation.EventNotificationFailed:
			entry.About = e.Recipient
			if words, known := noticeWords[e.Notice]; known {
				entry.Text = words[0]
				if e.Type == invitation.EventNotificationFailed {
					entry.Text = words[1]
				}
			}
		default: // the words say all
		}
		if e.Type == invitation.EventDeliveryFailed || e.Type == invitation.EventNotificationFailed {
			entry.Problem = e.ErrorMessage
		}
		if entry.Text == "" { // an event of a newer version
			entry.Text = strings.ReplaceAll(string(e.Type), "_", " ")
		}
		entries[i] = entry
	}
	return entries
}
