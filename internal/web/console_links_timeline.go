package web

import (
	"strings"

	"github.com/google/uuid"

	"invited/internal/invitation"
	"invited/internal/joining"
)

// linkEventWords has the words for what happened to a join link, and to the requests by it: after who did it where the words
// begin small.
var linkEventWords = map[joining.EventType]string{
	joining.EventCreated:  "Made",
	joining.EventUpdated:  "Changed",
	joining.EventCanceled: "Canceled",

	joining.EventSubmitted:       "asked to join",
	joining.EventApproved:        "approved",
	joining.EventRejected:        "rejected",
	joining.EventRequestCanceled: "took back",
	joining.EventRequestDeleted:  "deleted",
}

// linkTimeline returns events of a join link in words, in their order.
func linkTimeline(events []joining.Event) []timelineEntry {
	requesters := map[uuid.UUID]joining.Event{} // what each request began with
	for _, e := range events {
		if e.Type == joining.EventSubmitted && e.PermissionRequestUUID != nil {
			requesters[*e.PermissionRequestUUID] = e
		}
	}
	entries := make([]timelineEntry, len(events))
	for i, e := range events {
		var asked *joining.Event
		if e.PermissionRequestUUID != nil {
			if found, known := requesters[*e.PermissionRequestUUID]; known {
				asked = &found
			}
		}
		entries[i] = linkEntry(e, asked)
	}
	return entries
}

// linkEntry returns an event of a join link in words. asked is the event by which its request was made; nil: there is none, or it
// is not known.
func linkEntry(e joining.Event, asked *joining.Event) timelineEntry {
	entry := timelineEntry{Created: e.Created, Text: linkEventWords[e.Type], Reason: e.Comment}
	switch e.Type {
	case joining.EventCreated, joining.EventUpdated:
		entry.By = eventUser(e)
	case joining.EventCanceled:
		if entry.By = eventUser(e); e.UserUUID == nil {
			entry.Text = "Ended: what it leads to was removed"
		}
	case joining.EventSubmitted:
		entry.Who = eventUser(e)
	case joining.EventApproved, joining.EventRejected, joining.EventRequestCanceled, joining.EventRequestDeleted:
		isOwn := asked != nil && asked.UserUUID != nil && e.UserUUID != nil && *asked.UserUUID == *e.UserUUID
		switch entry.Who = eventUser(e); {
		case isOwn && e.Type == joining.EventApproved:
			entry.Who, entry.Text, entry.About = "", "Let in at once:", eventUser(e)
		case isOwn:
			entry.Text += " their request"
		case asked != nil:
			entry.Text, entry.About = entry.Text+" the request of", eventUser(*asked)
		default:
			entry.Text += " a request"
		}
	case joining.EventNotified, joining.EventNotificationFailed:
		words := noticeWords[invitation.NoticeRequested]
		if e.ToState == joining.Rejected {
			words = noticeWords[invitation.NoticeRejected]
		}
		if entry.Text, entry.About = words[0], e.Recipient; e.Type == joining.EventNotificationFailed {
			entry.Text, entry.Problem = words[1], e.ErrorMessage
		}
	default: // an event of a newer version
		entry.Text, entry.By = strings.ReplaceAll(string(e.Type), "_", " "), eventUser(e)
	}
	return entry
}

// eventUser returns the name of whoever did what an event is about; empty: the server itself.
func eventUser(e joining.Event) string {
	if e.UserFullName != "" {
		return e.UserFullName
	}
	return e.UserUsername
}
