package invitation

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// What an invitation is to whoever has opened its link.
func TestOffer(t *testing.T) {
	t.Parallel()
	guest := directory.Actor{User: people.guest}
	other := directory.Actor{User: people.creator}
	nameless := directory.Actor{User: directory.User{UUID: uuid.New()}} // no verified address
	row := pendingInvitation()
	in := func(user directory.Actor, role uuid.UUID) directory.Actor {
		user.Grants = []directory.Grant{{ScopeUUID: row.ScopeUUID, RoleUUID: role}}
		return user
	}
	with := func(state State, change func(*Invitation)) Invitation {
		i := testInvitation(state, yesterday, testProject())
		if change != nil {
			change(&i)
		}
		return i
	}
	acceptedBy := func(user directory.User) Event {
		return Event{Type: EventAccepted, UserUUID: &user.UUID, Created: yesterday}
	}
	strict := func(p *Policy) { p.StrictCheck = true }
	validate := func(p *Policy) { p.ValidateEmail = true }
	retired := with(Pending, func(i *Invitation) { i.Role.IsActive = false })
	elsewhere := with(Pending, func(i *Invitation) { i.Scope.UserEmailPatterns = []string{`.*@elsewhere\.example`} })
	numbered := with(Pending, func(i *Invitation) { i.CivilNumber = "1" })
	recently, asked := testTime.Add(-time.Minute), testTime.Add(-time.Hour)
	expiredAsked := testInvitation(Expired, longAgo, testProject())
	expiredAsked.RenewalAskedAt = &asked

	for name, each := range map[string]struct {
		row      Invitation
		user     directory.Actor
		byUUID   bool // without the link
		policy   func(*Policy)
		manager  bool
		accepted Event
		want     Offer // Standing empty: not found
	}{
		"ready":                                {row: row, user: guest, want: Offer{Standing: StandingReady, IsOwn: true}},
		"ready for whoever has the link":       {row: row, user: other, want: Offer{Standing: StandingReady}},
		"a stranger with the uuid":             {row: row, user: other, byUUID: true},
		"another address":                      {row: row, user: other, policy: validate, want: Offer{Standing: StandingAddress}},
		"another address, told at accept":      {row: row, user: other, policy: strict, want: Offer{Standing: StandingAddress, Reason: RefusedAddress}},
		"no verified address":                  {row: row, user: nameless, policy: validate, want: Offer{Standing: StandingUnverified}},
		"no verified address, told at accept":  {row: row, user: nameless, policy: strict, want: Offer{Standing: StandingUnverified, Reason: RefusedAddress}},
		"another civil number":                 {row: numbered, user: guest, want: Offer{Standing: StandingPerson}},
		"a civil number and no address":        {row: numbered, user: nameless, policy: validate, want: Offer{Standing: StandingPerson}},
		"an address that is not admitted":      {row: elsewhere, user: guest, want: Offer{Standing: StandingRefused, Reason: RefusedByProject, IsOwn: true}},
		"a retired role":                       {row: retired, user: guest, want: Offer{Standing: StandingRefused, Reason: RefusedRole, IsOwn: true}},
		"a second manager":                     {row: row, user: guest, manager: true, want: Offer{Standing: StandingRefused, Reason: RefusedManager, IsOwn: true}},
		"another role, where one is the limit": {row: row, user: in(guest, uuid.New()), policy: func(p *Policy) { p.DisableMultipleRoles = true }, want: Offer{Standing: StandingRefused, Reason: RefusedSecond, IsOwn: true}},
		"held already":                         {row: row, user: in(guest, row.RoleUUID), want: Offer{Standing: StandingHeld, IsOwn: true}},
		"accepted": {
			row: with(Accepted, nil), user: in(guest, row.RoleUUID), accepted: acceptedBy(people.guest),
			want: Offer{Standing: StandingHeld, IsOwn: true, AcceptedAt: yesterday},
		},
		"accepted, and the role has ended": {
			row: with(Accepted, nil), user: guest, accepted: acceptedBy(people.guest),
			want: Offer{Standing: StandingAccepted, IsOwn: true, AcceptedAt: yesterday},
		},
		"accepted by somebody else":  {row: with(Accepted, nil), user: guest, accepted: acceptedBy(people.creator)},
		"accepted, before events":    {row: with(Accepted, nil), user: guest},
		"taken back":                 {row: with(Canceled, nil), user: guest, want: Offer{Standing: StandingCanceled, IsOwn: true}},
		"declined a minute ago":      {row: declinedInvitation(recently), user: guest, want: Offer{Standing: StandingDeclined, IsOwn: true, UndoUntil: recently.Add(UndoPeriod)}},
		"declined by somebody else":  {row: declinedInvitation(recently), user: other, want: Offer{Standing: StandingDeclined}},
		"declined ten minutes ago":   {row: declinedInvitation(testTime.Add(-UndoPeriod)), user: guest, want: Offer{Standing: StandingDeclined, IsOwn: true}},
		"expired":                    {row: testInvitation(Pending, longAgo, testProject()), user: guest, want: Offer{Standing: StandingExpired, IsOwn: true}},
		"expired and asked for":      {row: expiredAsked, user: guest, want: Offer{Standing: StandingExpired, IsOwn: true, AskedUntil: asked.Add(RenewalInterval)}},
		"expired, for a stranger":    {row: expiredAsked, user: other, byUUID: true},
		"expired, for an other user": {row: expiredAsked, user: other, policy: validate, want: Offer{Standing: StandingAddress}},
		"waits for approval":         {row: with(Requested, nil), user: guest, want: Offer{Standing: StandingRequested, IsOwn: true}},
		"waits for its project":      {row: testInvitation(Project, yesterday, startingAt(tomorrow)), user: guest, want: Offer{Standing: StandingStarts, IsOwn: true}},
		"rejected":                   {row: with(Rejected, nil), user: guest},
		"its project was removed":    {row: testInvitation(Pending, yesterday, removed(testProject())), user: guest},
	} {
		p := testPolicy
		if each.policy != nil {
			each.policy(&p)
		}
		view := p.view(each.row, testTime)
		got, err := p.offer(view, !each.byUUID, each.user, each.manager, each.accepted, testTime)
		if each.want.Standing == "" {
			require.Equal(t, error(fault.NotFound()), err, name)
			require.Equal(t, Offer{}, got, name)
			continue
		}
		require.NoError(t, err, name)
		each.want.View = view
		require.Equal(t, each.want, got, name)
	}
}
