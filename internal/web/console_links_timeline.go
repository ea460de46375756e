package web

import (
	"strings"

	"github.com/google/uuid"

	"invited/internal/joining"
)

// linkEventWords has the words for what happened to a join link, and to the requests by it.
var linkEventWords = map[joining.EventType]string{
	joining.EventCreated:            "Made",
	joining.EventUpdated:            "Changed",
	joining.EventCanceled:           "Canceled",
	joining.EventDeleted:            "Deleted",
	joining.EventSubmitted:          "Request to join",
	joining.EventApproved:           "Approved",
	joining.EventRejected:           "Rejected",
	joining.EventRequestCanceled:    "Taken back",
	joining.EventRequestDeleted:     "Deleted",
	joining.EventNotified:           "Mail about a request sent to",
	joining.EventNotificationFailed: "Mail about a request could not be sent to",
}

// linkTimeline returns events of a join link in words, in their order.
func linkTimeline(events []joining.Event) []timelineEntry {
	name := func(e joining.Event) string {
		if e.UserFullName != "" {
			return e.UserFullName
		}
		return e.UserUsername
	}
	requesters := map[uuid.UUID]string{} // by request
	for _, e := range events {
		if e.Type == joining.EventSubmitted && e.PermissionRequestUUID != nil {
			requesters[*e.PermissionRequestUUID] = name(e)
		}
	}
	entries := make([]timelineEntry, len(events))
	for i, e := range events {
		entry := timelineEntry{Created: e.Created, Text: linkEventWords[e.Type], By: name(e), Reason: e.Comment}
		switch e.Type {
		case joining.EventCanceled:
			if e.UserUUID == nil {
				entry.Text = "Ended: what it leads to was removed"
			}
		case joining.EventApproved, joining.EventRejected, joining.EventRequestCanceled, joining.EventRequestDeleted:
			entry.Text += ": a request"
			if e.PermissionRequestUUID != nil && requesters[*e.PermissionRequestUUID] != "" {
				entry.Text, entry.About = entry.Text+" of", requesters[*e.PermissionRequestUUID]
			}
		case joining.EventNotified:
			entry.About = e.Recipient
		case joining.EventNotificationFailed:
			entry.About, entry.Problem = e.Recipient, e.ErrorMessage
		default: // the words say all
		}
		if entry.Text == "" { // an event of a newer version
			entry.Text = strings.ReplaceAll(string(e.Type), "_", " ")
		}
		entries[i] = entry
	}
	return entries
}
