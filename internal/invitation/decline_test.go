package invitation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// A decline can be undone for ten minutes, while the invitation lives.
func TestUndoDecline(t *testing.T) {
	t.Parallel()
	tooLate := fault.Rejected("It is too late to undo the decline. Ask for another invitation.")
	expired := fault.Rejected("The invitation has expired. Ask for another invitation.")
	atTheEnd := declinedInvitation(testTime.Add(-time.Minute))
	atTheEnd.Created = longAgo
	reopened := pendingInvitation() // by a process that does not know the columns
	reopened.DeclinedAt = &yesterday
	for name, each := range map[string]struct {
		row  Invitation
		want error
	}{
		"a microsecond before":                {declinedInvitation(testTime.Add(time.Microsecond - UndoPeriod)), nil},
		"ten minutes later":                   {declinedInvitation(testTime.Add(-UndoPeriod)), tooLate},
		"a day later":                         {declinedInvitation(yesterday), tooLate},
		"the invitation has expired":          {atTheEnd, expired},
		"somebody else has canceled":          {testInvitation(Canceled, yesterday, testProject()), fault.NotFound()},
		"it is pending":                       {reopened, fault.NotFound()},
		"it was never declined, and accepted": {testInvitation(Accepted, yesterday, testProject()), fault.NotFound()},
	} {
		_, err := Policy{}.undoDecline(viewNow(each.row), people.guest, testTime)
		require.Equal(t, each.want, err, name)
	}
}

// Only the user with the address, and the civil number, of an invitation declines it, whatever the policies let others
// accept.
func TestIsAddressee(t *testing.T) {
	t.Parallel()
	forGuest := pendingInvitation()
	numbered := forGuest
	numbered.CivilNumber = people.guest.CivilNumber
	sameAddress := people.creator
	sameAddress.EmailFolded = people.guest.EmailFolded
	nobody := directory.User{UUID: uuid.New()}
	for name, each := range map[string]struct {
		row  Invitation
		user directory.User
		want bool
	}{
		"the invitee":                         {forGuest, people.guest, true},
		"another address":                     {forGuest, people.creator, false},
		"no address":                          {forGuest, nobody, false},
		"another user with the address":       {forGuest, sameAddress, true},
		"the civil number":                    {numbered, people.guest, true},
		"the address without the number":      {numbered, sameAddress, false},
		"staff, who are not the ones invited": {forGuest, people.staff, false},
	} {
		require.Equal(t, each.want, isAddressee(each.row, each.user), name)
	}
}

// A new invitation can be asked for once a day, in the place of an expired one alone, and by whom that one was meant for.
func TestAskAgain(t *testing.T) {
	t.Parallel()
	expired := testInvitation(Expired, longAgo, testProject())
	for name, each := range map[string]struct {
		asked *time.Time
		wait  time.Duration
	}{
		"never":                    {nil, 0},
		"a day ago":                {new(testTime.Add(-RenewalInterval)), 0},
		"almost a day ago":         {new(testTime.Add(time.Second - RenewalInterval)), time.Second},
		"a moment ago":             {&testTime, RenewalInterval},
		"before the clock was set": {new(testTime.Add(time.Hour)), RenewalInterval + time.Hour},
	} {
		row := expired
		row.RenewalAskedAt = each.asked
		recipients := []uuid.UUID{people.creator.UUID, people.staff.UUID}
		got, err := askAgain(viewNow(row), people.guest, recipients, testTime)
		if each.wait > 0 {
			require.Equal(t, error(fault.Throttled(each.wait)), err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, &testTime, got.After.RenewalAskedAt, name)
		require.Equal(t, wantEvent(EventRenewalAsked, &people.guest, Expired, Expired, row), got.Event, name)
		require.Len(t, got.Jobs, 2, name)
		require.Equal(t, Notify{
			Notice: NoticeRenewalAsked, Invitation: row.UUID, Delivery: 3, User: people.creator.UUID, Asker: people.guest.UUID,
		}, got.Jobs[0], name)
	}

	guest := directory.Actor{User: people.guest}
	member := directory.Actor{User: people.guest, Grants: []directory.Grant{{ScopeUUID: expired.ScopeUUID, RoleUUID: expired.RoleUUID}}}
	for name, each := range map[string]struct {
		row    Invitation
		byLink bool
		user   directory.Actor
		want   bool
	}{
		"the invitee":                   {expired, true, guest, true},
		"the invitee, by the uuid":      {expired, false, guest, true},
		"somebody else with the link":   {expired, true, directory.Actor{User: people.creator}, true},
		"somebody else with the uuid":   {expired, false, directory.Actor{User: people.creator}, false},
		"it was accepted in time":       {expired, true, member, false},
		"it is pending":                 {pendingInvitation(), true, guest, false},
		"it was expired by time":        {testInvitation(Pending, longAgo, testProject()), true, guest, true},
		"it was canceled":               {testInvitation(Canceled, longAgo, testProject()), true, guest, false},
		"its project was removed":       {testInvitation(Expired, longAgo, removed(testProject())), true, guest, false},
		"its organization was removed ": {testInvitation(Expired, longAgo, customerRemoved(testProject())), true, guest, false},
	} {
		require.Equal(t, each.want, testPolicy.mayAskAgain(viewNow(each.row), each.byLink, each.user), name)
	}
	strict := testPolicy
	strict.ValidateEmail = true
	require.False(t, strict.mayAskAgain(viewNow(expired), true, directory.Actor{User: people.creator}))
}

func TestCheckReason(t *testing.T) {
	t.Parallel()
	tooLong := fault.Field("reason", "Ensure this field has no more than 1000 characters.")
	for name, each := range map[string]struct {
		reason, want string
		err          error
	}{
		"none":              {"", "", nil},
		"white space":       {" \t\r\n\u00a0", "", nil},
		"white space at it": {"\n Not now. \r\n", "Not now.", nil},
		"lines":             {"One.\nTwo.", "One.\nTwo.", nil},
		"lines of browsers": {"One.\r\nTwo.\rThree.\tFour.", "One.\nTwo.\nThree.\tFour.", nil},
		"control":           {"\x1b[2JOne.\x00\u0085", "[2JOne.", nil},
		"markup":            {"<b>&amp;", "<b>&amp;", nil},
		"longest":           {strings.Repeat("ж", MaxReason) + " ", strings.Repeat("ж", MaxReason), nil},
		"too long":          {strings.Repeat("ж", MaxReason+1), "", tooLong},
	} {
		got, err := checkReason(each.reason)
		require.Equal(t, each.err, err, name)
		require.Equal(t, each.want, got, name)
	}
}
