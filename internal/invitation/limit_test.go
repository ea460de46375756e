package invitation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Each kind of change has the quotas of whom it mails and of who makes it.
func TestQuotas(t *testing.T) {
	t.Parallel()
	limit := func(count int) Limit { return Limit{Count: count, Per: time.Hour} }
	p := testPolicy
	p.LimitInvitation, p.LimitRecipient, p.LimitInviter = limit(1), limit(2), limit(3)
	row := pendingInvitation()
	other := row
	other.Email, other.EmailFolded = "Other@acme.example", "other@acme.example"
	requested := testInvitation(Requested, yesterday, testProject())
	var (
		ofRow       = Quota{Limit: limit(1), Invitation: row.UUID}
		ofRecipient = Quota{Limit: limit(2), Recipient: row.EmailFolded}
		ofCreator   = Quota{Limit: limit(3), Inviter: people.creator.UUID}
		ofStaff     = Quota{Limit: limit(30), Inviter: people.staff.UUID}
	)
	must := func(c Change, err error) Change {
		require.NoError(t, err)
		return c
	}
	for name, each := range map[string]struct {
		change Change
		staff  bool
		want   []Quota
	}{
		"create":                {change: p.create(row, people.creator, nil), want: []Quota{ofRecipient, ofCreator}},
		"create by staff":       {change: p.create(row, people.staff, nil), staff: true, want: []Quota{ofRecipient, ofStaff}},
		"create a request":      {change: p.create(requested, people.creator, nil), want: []Quota{ofCreator}},
		"send":                  {change: must(p.send(viewNow(row), people.creator, nil, testTime)), want: []Quota{ofRecipient, ofRow}},
		"approve":               {change: must(p.approve(viewNow(requested), people.staff, testTime)), staff: true, want: []Quota{ofRecipient, ofRow}},
		"reject":                {change: must(reject(viewNow(requested), people.staff, "")), staff: true},
		"decline":               {change: must(decline(viewNow(row), people.guest, "", testTime))},
		"cancel":                {change: must(cancel(viewNow(row), people.creator))},
		"delete":                {change: remove(viewNow(row), people.creator)},
		"update nothing's mail": {change: p.update(viewNow(row), row, people.creator, testTime)},
		"update the address": {
			change: p.update(viewNow(row), other, people.creator, testTime),
			want:   []Quota{{Limit: limit(2), Recipient: other.EmailFolded}, ofRow, ofCreator},
		},
	} {
		user := people.creator
		if each.staff {
			user = people.staff
		}
		require.Equal(t, each.want, p.quotas(each.change, user), name)
		require.Empty(t, testPolicy.quotas(each.change, user), "%s without limits", name)
	}
}

// A change waits until all of its quotas have room.
func TestThrottled(t *testing.T) {
	t.Parallel()
	quotas := []Quota{{Limit: Limit{Count: 10, Per: time.Hour}}, {Limit: Limit{Count: 3, Per: day}, Recipient: "a@b.example"}}
	ago := func(d time.Duration) time.Time { return testTime.Add(-d) }
	for name, each := range map[string]struct {
		times []time.Time
		wait  time.Duration // 0: not throttled
		limit string
	}{
		"room in both":                {[]time.Time{{}, {}}, 0, ""},
		"a period ago":                {[]time.Time{ago(time.Hour), ago(day)}, 0, ""},
		"a microsecond less":          {[]time.Time{ago(time.Hour - time.Microsecond), {}}, time.Second, "invitation"},
		"the second is used up":       {[]time.Time{ago(2 * time.Hour), ago(2 * time.Hour)}, 22 * time.Hour, "recipient"},
		"the longer wait counts":      {[]time.Time{ago(time.Minute), ago(day - time.Minute)}, 59 * time.Minute, "invitation"},
		"this moment":                 {[]time.Time{{}, testTime}, day, "recipient"},
		"a process's clock is behind": {[]time.Time{testTime.Add(time.Millisecond), {}}, time.Hour + time.Second, "invitation"},
	} {
		limit, wait := throttled(quotas, each.times, testTime)
		require.Equal(t, each.limit, limit, name)
		if each.wait == 0 {
			require.Zero(t, wait, name)
			continue
		}
		require.Equal(t, each.wait, fault.Throttled(wait).Wait, name)
	}
	_, wait := throttled(nil, nil, testTime)
	require.Zero(t, wait)
}

func TestLimitFor(t *testing.T) {
	t.Parallel()
	limit := Limit{3, time.Hour}
	require.Equal(t, limit, limit.For(directory.User{}))
	require.Equal(t, Limit{30, time.Hour}, limit.For(directory.User{IsStaff: true}))
	require.Zero(t, Limit{}.For(directory.User{IsStaff: true}).Count)
}
