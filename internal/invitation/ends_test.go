package invitation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

const (
	msgWindow      = "Enter a time from 2026-11-23T10:30:00Z to 2027-02-21T09:30:00Z." // of testPolicy at testTime
	msgAfterMember = "Enter a time that is not after membership_expires."
	msgBeforeEnd   = "Enter a time that is not before expires, or change expires too."
)

// in returns the moment that is a time after testTime.
func in(d time.Duration) *time.Time { return new(testTime.Add(d)) }

func TestCheckEnds(t *testing.T) {
	t.Parallel()
	const least, most = time.Hour, 90 * day
	started, later := startingAt(yesterday), startingAt(testTime.Add(10*day))
	for name, c := range map[string]struct {
		scope                   directory.Scope // of testProject where it has no UUID
		oldEnd, oldMembership   *time.Time
		end, membership         *time.Time
		created                 time.Time
		wantEnd, wantMembership string
	}{
		"neither":                              {},
		"the shortest life":                    {end: in(least)},
		"too short":                            {end: in(least - time.Microsecond), wantEnd: msgWindow},
		"in the past":                          {end: in(-day), wantEnd: msgWindow},
		"the longest life":                     {end: in(most)},
		"too long":                             {end: in(most + time.Microsecond), wantEnd: msgWindow},
		"the project has started":              {scope: started, end: in(least)},
		"after the start of the project":       {scope: later, end: in(10*day + least)},
		"the longest life after the start":     {scope: later, end: in(10*day + most)},
		"before the start of the project":      {scope: later, end: in(9 * day), wantEnd: "Enter a time from 2026-12-03T10:30:00Z to 2027-03-03T09:30:00Z."},
		"the shortest membership":              {membership: in(least)},
		"a membership that ends too soon":      {membership: in(least - time.Microsecond), wantMembership: "Enter a time at or after 2026-11-23T10:30:00Z."},
		"a membership that ends before it can": {scope: later, membership: in(9 * day), wantMembership: "Enter a time at or after 2026-12-03T10:30:00Z."},
		"a membership of decades":              {membership: new(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))},
		"a membership of too many decades": {
			membership:     new(time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))),
			wantMembership: "Enter a time before the year 10000 in UTC, or null for no end.",
		},
		"both at once":                        {end: in(day), membership: in(day)},
		"an end after that of the membership": {end: in(2 * day), membership: in(day), wantEnd: msgAfterMember},
		"both wrong": {
			end: in(0), membership: in(0), wantEnd: msgWindow, wantMembership: "Enter a time at or after 2026-11-23T10:30:00Z.",
		},

		"both stay, out of the window of now":     {oldEnd: in(-day), oldMembership: in(-day), end: in(-day), membership: in(-day)},
		"the membership stays":                    {oldMembership: in(2 * day), end: in(2 * day), membership: in(2 * day)},
		"the membership stays, and ends too soon": {oldMembership: in(day), end: in(2 * day), membership: in(day), wantEnd: msgAfterMember},
		"the end stays":                           {oldEnd: in(2 * day), end: in(2 * day), membership: in(2 * day)},
		"the end stays, and is too late":          {oldEnd: in(2 * day), end: in(2 * day), membership: in(day), wantMembership: msgBeforeEnd},
		"the membership loses its end":            {oldEnd: in(2 * day), oldMembership: in(3 * day), end: in(2 * day)},
		"back to the default":                     {oldEnd: in(30 * day), created: yesterday},
		"back to a default that has passed": {
			oldEnd: in(30 * day), created: longAgo, wantEnd: "Enter a time: without one, the invitation would have ended already.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.scope.Type == "" {
				c.scope = testProject()
			}
			before := Invitation{Scope: c.scope, StoredState: Pending, Created: c.created, ExpiresAt: c.oldEnd, MembershipExpires: c.oldMembership}
			after := before
			after.ExpiresAt, after.MembershipExpires = c.end, c.membership
			wrong, want := fault.Fields{}, fault.Fields{}
			testPolicy.checkEnds(wrong, before, after, testTime)
			if c.wantEnd != "" {
				want.Add("expires", c.wantEnd)
			}
			if c.wantMembership != "" {
				want.Add("membership_expires", c.wantMembership)
			}
			require.Equal(t, want, wrong)
		})
	}
}

// The times that the refusal names are allowed.
func TestCheckEndsNamesAllowedTimes(t *testing.T) {
	t.Parallel()
	now := testTime.Add(time.Microsecond)
	wrong := fault.Fields{}
	testPolicy.checkEnds(wrong, Invitation{}, Invitation{ExpiresAt: &now}, now)
	require.Equal(t, fault.Fields{"expires": {"Enter a time from 2026-11-23T10:30:01Z to 2027-02-21T09:30:00Z."}}, wrong)
	for _, named := range []*time.Time{in(time.Hour + time.Second), in(90 * day)} {
		wrong := fault.Fields{}
		testPolicy.checkEnds(wrong, Invitation{}, Invitation{ExpiresAt: named, MembershipExpires: in(90 * day)}, now)
		require.Empty(t, wrong)
	}
}

// An update of an end alone sends nothing, and lets the reminder come when it is due by the new end.
func TestUpdateOfEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end          time.Duration // after testTime
		reminded     bool
		wantReminded bool
	}{
		"reminded, and ends later now":        {2 * day, true, false},
		"reminded, and ends within a day":     {day, true, true},
		"not reminded, and ends later now":    {2 * day, false, false},
		"not reminded, and ends within a day": {day, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := pendingInvitation()
			row.Reminded = c.reminded
			edited := endingAt(testTime.Add(c.end), row)
			got := testPolicy.update(viewNow(row), edited, people.staff, testTime)
			want := edited
			want.Reminded = c.wantReminded
			require.Equal(t, Change{
				Before: &row, After: &want, Event: wantEvent(EventUpdated, &people.staff, Pending, Pending, want),
			}, got)
		})
	}
}

// Who first hears of an invitation within a day of a fixed end gets no reminder.
func TestShortLivesNeedNoReminder(t *testing.T) {
	t.Parallel()
	made := func(end, membership *time.Time) Invitation {
		d := Draft{Expires: end, MembershipExpires: membership}
		return testPolicy.newInvitation(d, testProject(), testRole, people.creator, testTime)
	}
	for _, short := range []Invitation{made(in(day), nil), made(nil, in(day))} {
		require.True(t, short.Reminded)
	}
	for _, long := range []Invitation{made(in(day+1), nil), made(nil, in(day+1)), made(nil, nil)} {
		require.False(t, long.Reminded)
	}
	waiting := endingAt(testTime.Add(day), testInvitation(Project, yesterday, startingAt(testTime)))
	waiting.Reminded = false
	require.True(t, testPolicy.start(waiting, testTime).After.Reminded)
	asked := endingAt(testTime.Add(day), testInvitation(Requested, yesterday, testProject()))
	asked.Reminded = false
	approved, err := testPolicy.approve(viewNow(asked), people.staff, testTime)
	require.NoError(t, err)
	require.True(t, approved.After.Reminded)
}

func TestExpiresOfFixedEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		row  Invitation
		want time.Time
	}{
		"its own end":                                {endingAt(tomorrow, pendingInvitation()), tomorrow},
		"its own end, later than the lifetime":       {endingAt(testTime.Add(30*day), pendingInvitation()), testTime.Add(30 * day)},
		"the membership ends before the lifetime":    {membershipEndingAt(tomorrow, pendingInvitation()), tomorrow},
		"the membership ends after the lifetime":     {membershipEndingAt(testTime.Add(30*day), pendingInvitation()), yesterday.Add(testLifetime)},
		"its own end, in a membership that ends":     {membershipEndingAt(testTime.Add(30*day), endingAt(testTime.Add(20*day), pendingInvitation())), testTime.Add(20 * day)},
		"waits for its project, without an end":      {testInvitation(Project, longAgo, testProject()), testTime.Add(testLifetime)},
		"waits for its project, with an end":         {endingAt(tomorrow, testInvitation(Project, longAgo, startingAt(testTime))), tomorrow},
		"waits for its project, its membership ends": {membershipEndingAt(tomorrow, testInvitation(Project, longAgo, testProject())), tomorrow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, viewNow(c.row).Expires)
		})
	}
}
