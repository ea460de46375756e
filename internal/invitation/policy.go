package invitation

import (
	"slices"
	"time"

	"invited/internal/directory"
)

// Policy holds the decisions of the operator for the whole installation. config.Policy has them under Waldur's names,
// and package app maps one to the other.
type Policy struct {
	Lifetime             time.Duration // of an invitation, from its creation
	MinLifetime          time.Duration // of an invitation with an end of its own
	MaxLifetime          time.Duration // of an invitation with an end of its own
	MaxAge               time.Duration // of an approval token, from its issue
	OnlyStaffCanInvite   bool          // invitations by anybody else wait for approval
	ValidateEmail        bool          // only a user with the invitation's address sees and accepts it
	StrictCheck          bool          // accepting with another address is refused with a reason
	DisableMultipleRoles bool          // a user holds at most one role in a scope
	OneProjectManager    bool          // a project has at most one PROJECT.MANAGER
	CreateMissingUser    bool          // an unknown invitee gets a user record before the delivery
	LinkSecret           bool          // each new invitation has a link of its own from the start
	RoleCeiling          bool          // an inviter offers only roles whose permissions they hold
	RecheckInviter       bool          // an invitation is good only while its inviter may manage it
	LimitInvitation      Limit         // of deliveries of one invitation
	LimitRecipient       Limit         // of mails to one address, over all scopes
	LimitInviter         Limit         // of new addresses that one user invites; staff have ten times the limit
	NotifyAccepted       bool          // the inviter gets a mail when somebody accepts
	RequestMailInterval  time.Duration // the least time between two mails to a staff user about requests
	UseWebhooks          bool          // invitations into projects are delivered by webhook
	AllowedFields        []string      // which of the invitee's own fields are stored; see Allows
}

// dependsOnMembers reports whether a rule depends on who else is a member of the scope.
func (p Policy) dependsOnMembers() bool { return p.DisableMultipleRoles || p.OneProjectManager }

// Allows reports whether one of the fields full_name, native_name, phone_number, organization, job_title and
// civil_number is stored from a request and shown in responses.
func (p Policy) Allows(field string) bool { return slices.Contains(p.AllowedFields, field) }

// needsApproval reports whether staff have to approve what a user invites.
func (p Policy) needsApproval(user directory.User) bool { return p.OnlyStaffCanInvite && !user.IsStaff }

// mayOffer reports whether a user may invite into a scope with a role that carries these permissions.
func (p Policy) mayOffer(user directory.Actor, permissions []string, scope directory.Scope) bool {
	return user.MayManage(scope) && (!p.RoleCeiling || user.HoldsAll(permissions, scope))
}

// byWebhook reports whether invitations into a scope are delivered by webhook rather than by mail.
func (p Policy) byWebhook(scope directory.Scope) bool {
	return p.UseWebhooks && scope.Type == directory.Project
}

// view returns an invitation with its state at a moment. An invitation that waits for a project with a start in the past,
// or without one, goes out with the next sweep, and its life begins then. A fixed end stays.
func (p Policy) view(i Invitation, now time.Time) View {
	v := View{Invitation: i, State: i.StateAt(now, p.Lifetime), Expires: i.Expires(p.Lifetime)}
	if earliest := now.Add(p.Lifetime); i.StoredState == Project && v.Expires.Before(earliest) {
		v.Expires = i.endOf(earliest)
	}
	return v
}

// meantFor reports whether a user may be the invitee: they have the civil number that the invitation names, if any, and
// the invitation's address where the policy requires it or where they do not have the invitation's link.
func (p Policy) meantFor(i Invitation, byLink bool, user directory.User) bool {
	return (i.CivilNumber == "" || i.CivilNumber == user.CivilNumber) &&
		((byLink && !p.ValidateEmail) || i.EmailFolded == user.EmailFolded)
}

// maySeeDetails reports whether a user may see what an invitee sees before accepting; see Service.Details.
func (p Policy) maySeeDetails(v View, byLink bool, user directory.Actor) bool {
	if user.SeesAll() || user.HoldsRoleIn(v.ScopeUUID) || user.MayManage(v.Scope) {
		return true
	}
	return slices.Contains([]State{Pending, Expired, Canceled}, v.State) && p.meantFor(v.Invitation, byLink, user.User)
}
