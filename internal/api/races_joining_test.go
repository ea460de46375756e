package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/gen/server"
	"invited/internal/joining"
)

const (
	isRequested = `400 ["Permission request already exists for this scope."]`
	isHeld      = `400 ["User already has this role in the scope."]`
	isReviewed  = `409 {"detail":"Valid states for operation: pending."}`
	isTooLate   = `400 ["Only pending or draft requests can be canceled."]`
	hasRequests = "People have asked by this invitation already, so what it offers can't change: make another invitation."
	isInactive  = `400 ["Only pending invitation can be requested."]`
)

// submitRequest asks for what a group invitation offers.
func (e *env) submitRequest(group, user string) *http.Request {
	e.t.Helper()
	return e.newRequest("POST", groupAt(group, "submit_request"), user, nil)
}

// repeat returns n requests of the same kind.
func (e *env) repeat(n int, path, user string) (all []*http.Request) {
	for range n {
		all = append(all, e.newRequest("POST", path, user, nil))
	}
	return all
}

// number returns the number of rows that a query finds.
func (e *env) number(from string) int {
	e.t.Helper()
	n, err := strconv.Atoi(e.countRows(from))
	require.NoError(e.t, err)
	return n
}

// Of concurrent submissions by one user one succeeds, adds a request, and has its approvers told once; or, where the group
// invitation approves by itself, adds a membership. The others are told why not.
func TestConcurrentSubmissionsByOne(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, each := range []struct {
			group, loses                string
			requests, memberships, jobs int
		}{
			{e.group("owner", member, apollo).UUID.String(), isRequested, 1, 0, 1},
			{e.group("owner", admin, artemis, "auto_approve", true).UUID.String(), isHeld, 1, 1, 0},
			{e.publicGroup("auto_approve", true, "project_name_template", "Of {username}").UUID.String(), isRequested, 1, 1, 0},
		} {
			e.exec("DELETE FROM permission_requests")
			e.exec("DELETE FROM river_job")
			memberships := e.number("memberships")
			requests := make([]*http.Request, crowdSize)
			for i := range requests {
				requests[i] = e.submitRequest(each.group, "stranger")
			}
			counts := tally(e.sendAtOnce(requests...))
			require.Equal(e.t, crowdSize-1, counts[each.loses], "%v", counts)
			require.Equal(e.t, each.requests, e.number("permission_requests"))
			require.Equal(e.t, memberships+each.memberships, e.number("memberships"))
			require.Equal(e.t, each.jobs, e.countJobs(joining.Announce{}.Kind()))
			require.Equal(e.t, 1, e.number("group_invitation_events WHERE event_type = 'submitted' AND group_invitation_uuid = '"+each.group+"'"))
		}
		require.Equal(e.t, 1, e.number("scopes WHERE group_invitation_uuid IS NOT NULL"))
	})
}

// Of concurrent submissions by 50 users to a link that makes projects of one name, each is approved: there is one project, with
// 50 members.
func TestConcurrentSubmissionsMakeOneProject(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(guests(crowdSize))
		group := e.publicGroup("auto_approve", true, "project_name_template", "The workshop").UUID.String()
		requests := make([]*http.Request, crowdSize)
		for i := range requests {
			requests[i] = e.submitRequest(group, guestName(i))
		}
		made, projects := 0, map[string]bool{}
		for _, each := range e.sendAtOnce(requests...) {
			var got server.SubmitRequestResponse
			each.is(http.StatusOK, "").decode(&got)
			require.True(e.t, got.AutoApproved)
			projects[got.ProjectUUID.String()] = true
			if *got.ProjectCreated {
				made++
			}
		}
		require.Equal(e.t, 1, made)
		require.Len(e.t, projects, 1)
		require.Equal(e.t, 1, e.number("scopes WHERE group_invitation_uuid IS NOT NULL"))
		require.Equal(e.t, crowdSize, e.number("memberships m JOIN scopes s ON s.uuid = m.scope_uuid WHERE s.group_invitation_uuid IS NOT NULL AND m.revoked IS NULL"))
		require.Equal(e.t, crowdSize, e.number("permission_requests r JOIN memberships m ON m.uuid = r.membership_uuid AND m.user_uuid = r.created_by_uuid WHERE r.state = 'approved'"))
		require.Equal(e.t, crowdSize, e.number("group_invitation_events WHERE event_type = 'approved'"))
	})
}

// Of concurrent approvals of one request one succeeds, and adds a membership; the others learn that the request is not pending.
func TestConcurrentApprovals(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for _, group := range []string{e.group("owner", member, apollo).UUID.String(), e.publicGroup().UUID.String()} {
			id := e.submit("stranger", group).UUID.String()
			memberships := e.number("memberships")
			counts := tally(e.sendAtOnce(e.repeat(crowdSize, requestAt(id, "approve"), "staff")...))
			require.Equal(e.t, map[string]int{"200 ": 1, isReviewed: crowdSize - 1}, counts)
			require.Equal(e.t, memberships+1, e.number("memberships"))
			require.Equal(e.t, 1, e.number("group_invitation_events WHERE event_type = 'approved' AND group_invitation_uuid = '"+group+"'"))
		}
		require.Equal(e.t, 1, e.number("scopes WHERE group_invitation_uuid IS NOT NULL"))
	})
}

// Of concurrent approve, reject and cancel one succeeds. An approve or reject that comes too late gets a 409, a cancel its own
// 400.
func TestConcurrentReviewsAndCancels(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(guests(rounds))
		group := e.group("owner", member, apollo).UUID.String()
		for round := range rounds {
			user := guestName(round)
			id := e.submit(user, group).UUID.String()
			e.exec("DELETE FROM river_job")
			const each = 4
			actions := []string{"approve", "reject", "cancel_request"}
			slices.Reverse(actions[round%2:]) // whoever is sent first wins more often
			answers := e.sendAtOnce(slices.Concat(
				e.repeat(each, requestAt(id, actions[0]), reviewerOr(actions[0], user)),
				e.repeat(each, requestAt(id, actions[1]), reviewerOr(actions[1], user)),
				e.repeat(each, requestAt(id, actions[2]), reviewerOr(actions[2], user)))...)
			winner := ""
			for i, answer := range answers {
				action := actions[i/each]
				if answer.Status == http.StatusOK {
					require.Empty(e.t, winner, "two succeeded")
					winner = action
					continue
				}
				got := fmt.Sprint(answer.Status, " ", strings.TrimSpace(answer.Body))
				require.Equal(e.t, either(action == "cancel_request", isTooLate, isReviewed), got, action)
			}
			ends := map[string]string{"approve": "approved", "reject": "rejected", "cancel_request": "canceled"}
			require.EqualValues(e.t, ends[winner], e.seesRequest("staff", id).State)
			require.Equal(e.t, winner == "approve", e.holds(user, member, apollo))
			require.Equal(e.t, either(winner == "reject", 1, 0), e.countJobs(joining.Notify{}.Kind()))
			require.Equal(e.t, 2, e.number("group_invitation_events WHERE permission_request_uuid = '"+id+"'"))
		}
	})
}

// reviewerOr returns the user who cancels a request of theirs, or somebody who reviews the request.
func reviewerOr(action, user string) string { return either(action == "cancel_request", user, "owner") }

// Submissions, and a cancel and a destroy of their group invitation at the same time, each do what one order of them does: none
// has an internal error, no request is left of a group invitation that is gone, and what was answered with success has happened.
func TestConcurrentSubmitsAndEndOfGroup(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const users = 6
		e.apply(guests(users))
		ended := 0
		for round := range 2 * rounds {
			approves := round%2 == 1
			group := e.group("owner", member, apollo, "auto_approve", approves).UUID.String()
			var requests []*http.Request
			for i := range users {
				requests = append(requests, e.submitRequest(group, guestName(i)))
			}
			requests = append(requests, e.newRequest("POST", groupAt(group, "cancel"), "owner", nil))
			for range 2 * users { // so that some come between the cancel and a submission
				requests = append(requests, e.newRequest("DELETE", groupAt(group), "owner", nil))
			}
			answers := e.sendAtOnce(requests...)
			submitted := 0
			for _, answer := range answers[:users] {
				if answer.Status == http.StatusOK {
					submitted++
					continue
				}
				require.Contains(e.t, []string{isInactive, wasNotFound}, fmt.Sprint(answer.Status, " ", strings.TrimSpace(answer.Body)))
			}
			answers[users].is(http.StatusOK, "")
			gone := 0
			for _, answer := range answers[users+1:] {
				switch answer.Status {
				case http.StatusNoContent:
					gone++
				case http.StatusBadRequest:
					answer.is(http.StatusBadRequest, ruleError("Only canceled invitation can be deleted."))
				default:
					answer.is(http.StatusNotFound, notFound)
				}
			}
			ended += gone
			require.Equal(e.t, 1-gone, e.number("group_invitations WHERE uuid = '"+group+"'"))
			require.Equal(e.t, either(gone == 1, 0, submitted), e.number("permission_requests"))
			require.Equal(e.t, submitted, e.number("group_invitation_events WHERE event_type = 'submitted' AND group_invitation_uuid = '"+group+"'"))
			members := e.number("memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username LIKE 'guest%'")
			require.Equal(e.t, either(approves, submitted, 0), members)
			e.exec("DELETE FROM permission_requests")
			e.exec("DELETE FROM memberships WHERE user_uuid IN (SELECT uuid FROM users WHERE username LIKE 'guest%')")
		}
		require.NotZero(e.t, ended, "where no group invitation ends, the test finds no mistake")
	})
}

// Submissions and edits at the same time: none has an internal error. Each request is in the scope that its group invitation has
// in the end, and each membership is of one of the roles and scopes that the group invitation offered.
func TestConcurrentSubmitsAndEdits(t *testing.T) {
	onEachEngine(t, func(e *env) {
		const users = 6
		e.apply(guests(users))
		for round := range rounds {
			approves := round%2 == 1
			group := e.group("owner", member, apollo, "auto_approve", approves).UUID.String()
			var requests []*http.Request
			for i := range users {
				requests = append(requests, e.submitRequest(group, guestName(i)))
			}
			for _, body := range []map[string]any{{"scope": scopeURL(artemis), "role": admin}, {"custom_text": "x"}, {"auto_approve": !approves}} {
				requests = append(requests, e.newRequest("PATCH", groupAt(group), "owner", body))
			}
			answers := e.sendAtOnce(requests...)
			for i, answer := range answers {
				if i == users && answer.Status == http.StatusBadRequest {
					answer.is(http.StatusBadRequest, `{"scope": ["`+hasRequests+`"], "role": ["`+hasRequests+`"]}`) // a submission came first
					continue
				}
				answer.is(http.StatusOK, "")
			}
			require.Equal(e.t, users, e.number("permission_requests r JOIN group_invitations g ON g.uuid = r.group_invitation_uuid"+
				" AND g.scope_uuid = r.scope_uuid AND g.customer_uuid = r.customer_uuid"), "a request is elsewhere than its group invitation")
			guestMembers := "memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username LIKE 'guest%'"
			approved := e.number("permission_requests WHERE state = 'approved' AND membership_uuid IS NOT NULL")
			require.Equal(e.t, users, approved+e.number("permission_requests WHERE state = 'pending'"))
			require.Equal(e.t, approved, e.number(guestMembers))
			require.Equal(e.t, approved, e.number(guestMembers+" AND (m.role_uuid = '"+member+"' AND m.scope_uuid = '"+apollo+"'"+
				" OR m.role_uuid = '"+admin+"' AND m.scope_uuid = '"+artemis+"')"))
			e.exec("DELETE FROM permission_requests")
			e.exec("DELETE FROM memberships WHERE user_uuid IN (SELECT uuid FROM users WHERE username LIKE 'guest%')")
		}
	})
}

// Of submissions at once by two group invitations of one scope, of which one approves at once, one succeeds.
func TestSubmissionsByTwoGroupsAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		waits, approves := e.group("owner", member, apollo).UUID.String(), e.group("owner", admin, apollo, "auto_approve", true).UUID.String()
		for _, user := range []string{"stranger", "invitee", "rival", "reader", "sibling"} {
			counts := countStatuses(e.sendAtOnce(slices.Concat(e.repeat(5, groupAt(waits, "submit_request"), user),
				e.repeat(5, groupAt(approves, "submit_request"), user))...))
			require.Equal(e.t, map[int]int{200: 1, 400: 9}, counts, user)
		}
	})
}

// Of two users who ask to be the one manager, one is approved.
func TestOneManagerByRequests(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.joining.Policy.OneProjectManager = true
		group := e.group("owner", manager, strict).UUID.String()
		e.applyReplaced(", user_email_patterns: ['.*@(acme|university)\\.example']", "")
		e.exec("UPDATE scopes SET user_email_patterns = NULL")
		var requests []*http.Request
		for _, user := range []string{"stranger", "invitee", "rival"} {
			requests = append(requests, e.newRequest("POST", requestAt(e.submit(user, group).UUID.String(), "approve"), "owner", nil))
		}
		answers := e.sendAtOnce(requests...)
		require.Equal(e.t, map[int]int{200: 1, 400: 2}, countStatuses(answers))
		for _, answer := range answers {
			if answer.Status == 400 {
				answer.is(400, ruleError(msgManager))
			}
		}
	})
}

// Of submissions, edits, a cancel and a delete at once, each sees what the ones before it left: nobody takes up a group
// invitation whose restrictions refuse them, which was canceled, or which is gone.
func TestSubmissionsAgainstChangesAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		users := []string{"stranger", "invitee", "rival", "sibling", "reader", "member"}
		for range 12 {
			group := e.group("owner", admin, apollo, "allow_multiple_requests", true).UUID.String()
			var requests []*http.Request
			for i := range 3 {
				for _, user := range users {
					requests = append(requests, e.newRequest("POST", groupAt(group, "submit_request"), user, nil))
				}
				switch i {
				case 0:
					requests = append(requests,
						e.newRequest("PATCH", groupAt(group), "owner", map[string]any{"user_email_patterns": []string{"nobody"}}))
				case 1:
					requests = append(requests, e.newRequest("POST", groupAt(group, "cancel"), "owner", nil))
				case 2:
					requests = append(requests, e.newRequest("DELETE", groupAt(group), "owner", nil))
				}
			}
			for status := range countStatuses(e.sendAtOnce(requests...)) {
				require.Contains(e.t, []int{200, 204, 400, 404}, status)
			}
			var events []server.GroupInvitationEvent
			e.request("GET", groupAt(group, "events"), "staff", nil).is(http.StatusOK, "").decode(&events)
			closed := "" // by what; the events are the newest first
			for i := range events {
				event := events[len(events)-1-i]
				if event.EventType == "submitted" {
					require.Empty(e.t, closed, "nobody asks after this")
				} else if event.EventType != "created" {
					closed = string(event.EventType)
				}
			}
		}
		require.NotContains(e.t, e.log.String(), "level=ERROR")
	})
}
