package invitation

import (
	"fmt"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
)

// maxEndYear is the last year, in UTC, that SQLite can read back: later ones have five digits.
const maxEndYear = 9999

// lifeStart returns the moment from which a life in a scope counts that begins now: now, or the start of the project
// where the start is later.
func lifeStart(scope directory.Scope, now time.Time) time.Time {
	if start := scope.StartDate; scope.Type == directory.Project && start != nil && start.After(now) {
		return *start
	}
	return now
}

// fixedEnd returns the moment that ends the invitation in every open state, whatever the policy and the start of its
// project; nil: there is none. It is ExpiresAt, else MembershipExpires: of the two, ExpiresAt is never the later one.
func (i Invitation) fixedEnd() *time.Time {
	if i.ExpiresAt != nil {
		return i.ExpiresAt
	}
	return i.MembershipExpires
}

// endOf returns the end of an invitation whose end by the policy is a given one.
func (i Invitation) endOf(byPolicy time.Time) time.Time {
	if end := i.fixedEnd(); i.ExpiresAt != nil || (end != nil && end.Before(byPolicy)) {
		return *end
	}
	return byPolicy
}

// isPastFixedEnd reports whether a fixed end has ended the invitation at a moment.
func (i Invitation) isPastFixedEnd(now time.Time) bool {
	end := i.fixedEnd()
	return end != nil && i.StoredState.isOpen() && !now.Before(*end)
}

// checkEnds adds what is wrong with those ends of an invitation that differ from the ends it had before. A new
// invitation had none. An unchanged end is not checked: the time since it was set could make it too early.
//
// The life of an invitation with an end of its own is at least MinLifetime and at most MaxLifetime, counted from now or
// from the start of its project where that is later. The membership ends no earlier than the least life, and no earlier
// than the invitation: nobody is to accept what has ended.
func (p Policy) checkEnds(wrong fault.Fields, before, after Invitation, now time.Time) {
	var (
		from          = lifeStart(after.Scope, now)
		least         = from.Add(p.MinLifetime + time.Second - 1).Truncate(time.Second)
		most          = from.Add(p.MaxLifetime).Truncate(time.Second)
		newEnd        = !sameTime(before.ExpiresAt, after.ExpiresAt)
		newMembership = !sameTime(before.MembershipExpires, after.MembershipExpires)
	)
	if end := after.ExpiresAt; newEnd {
		switch {
		case end != nil && (end.Before(from.Add(p.MinLifetime)) || end.After(from.Add(p.MaxLifetime))):
			wrong.Add("expires", fmt.Sprintf("Enter a time from %s to %s.", least.Format(time.RFC3339), most.Format(time.RFC3339)))
		case end == nil && !now.Before(p.view(after, now).Expires):
			wrong.Add("expires", "Enter a time: without one, the invitation would have ended already.")
		}
	}
	if end := after.MembershipExpires; newMembership && end != nil {
		switch {
		case end.Before(from.Add(p.MinLifetime)):
			wrong.Add("membership_expires", fmt.Sprintf("Enter a time at or after %s.", least.Format(time.RFC3339)))
		case end.UTC().Year() > maxEndYear:
			wrong.Add("membership_expires", "Enter a time before the year 10000 in UTC, or null for no end.")
		}
	}
	if len(wrong["expires"])+len(wrong["membership_expires"]) > 0 || (!newEnd && !newMembership) {
		return
	}
	if end, last := after.ExpiresAt, after.MembershipExpires; end != nil && last != nil && end.After(*last) {
		if newEnd {
			wrong.Add("expires", "Enter a time that is not after membership_expires.")
		} else {
			wrong.Add("membership_expires", "Enter a time that is not before expires, or change expires too.")
		}
	}
}

// sameTime reports whether two times are the same moment, or both are missing.
func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

// sameMillisecond reports whether two times are within the same millisecond, or both are missing.
func sameMillisecond(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Truncate(time.Millisecond).Equal(b.Truncate(time.Millisecond))
}

// beginLife starts another life of an invitation, now. ExpiresAt moves, so that the new life is as long as the former
// one, within MinLifetime and MaxLifetime, and ends no later than the membership. beginLife returns fault.KindRejected
// where the membership would end before that least life.
func (p Policy) beginLife(i Invitation, now time.Time) (Invitation, error) {
	from := lifeStart(i.Scope, now)
	if last := i.MembershipExpires; last != nil && last.Before(from.Add(p.MinLifetime)) {
		return i, fault.Rejected(msgMembershipEnds)
	}
	if i.ExpiresAt != nil {
		was := lifeStart(i.Scope, i.Created)
		if !was.Before(*i.ExpiresAt) { // the project was moved behind the end
			was = i.Created
		}
		end := from.Add(max(p.MinLifetime, min(i.ExpiresAt.Sub(was), p.MaxLifetime)))
		if last := i.MembershipExpires; last != nil && last.Before(end) {
			end = *last
		}
		i.ExpiresAt = &end
	}
	i.Created, i.InviterNotified = now, false
	i.Reminded = p.needsNoReminder(i, now)
	return i, nil
}

const msgMembershipEnds = "The role would end before anybody could accept: invite again, with a later end of the role."

// needsNoReminder reports whether an invitation with a fixed end begins within ReminderPeriod of that end. Without
// a fixed end, the sweep knows from the policy alone.
func (p Policy) needsNoReminder(i Invitation, now time.Time) bool {
	return i.fixedEnd() != nil && !now.Before(p.view(i, now).Expires.Add(-ReminderPeriod))
}

// MsgNoTime is the message about a text that is no time in RFC 3339.
const MsgNoTime = "Enter a date and time such as 2026-11-23T09:30:00Z."

// ParseEnd returns the time of a text in RFC 3339 as Draft has it, in UTC and whole microseconds, and whether the text
// is one.
func ParseEnd(text string) (time.Time, bool) {
	parsed, err := time.Parse(time.RFC3339, text)
	return parsed.UTC().Truncate(time.Microsecond), err == nil
}
