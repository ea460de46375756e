package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// invitationColumns are the columns that are read of an invitation and of the tables that it refers to. The e-mail
// patterns of scope and customer, of which there can be a megabyte, are read only where a change is decided.
const (
	invitationColumns = "invitations.uuid, invitations.state, invitations.created, invitations.delivery," +
		" invitations.execution_state, invitations.error_message, invitations.reminded, invitations.inviter_notified," +
		" invitations.email, invitations.email_folded, invitations.full_name, invitations.native_name," +
		" invitations.phone_number, invitations.organization, invitations.job_title, invitations.civil_number," +
		" invitations.extra_invitation_text, invitations.link_uuid, invitations.offered_by_uuid," +
		" invitations.declined_at, invitations.decline_reason, invitations.renewal_asked_at," +
		" invitations.expires_at, invitations.membership_expires," +
		" roles.uuid, roles.name, roles.description, roles.scope_type, roles.is_active," +
		" scopes.uuid, scopes.type, scopes.name, scopes.description, scopes.start_date, scopes.is_removed," +
		" customers.uuid, customers.type, customers.name, customers.is_removed," +
		" creators.uuid, COALESCE(creators.username, ''), COALESCE(creators.full_name, ''), COALESCE(creators.email, '')," +
		" COALESCE(creators.image, ''), COALESCE(creators.is_active, FALSE)"
	patternColumns = ", scopes.user_email_patterns, customers.user_email_patterns"

	joinCreator     = " LEFT JOIN users AS creators ON creators.uuid = invitations.created_by_uuid"
	invitationJoins = "JOIN roles ON roles.uuid = invitations.role_uuid" +
		" JOIN scopes ON scopes.uuid = invitations.scope_uuid" +
		" JOIN scopes AS customers ON customers.uuid = invitations.customer_uuid" + joinCreator
)

// scanInvitation reads invitationColumns and the columns after them.
func scanInvitation(scan scanFunc, more ...any) (invitation.Invitation, error) {
	var (
		i        invitation.Invitation
		customer directory.Scope
		creator  directory.User
	)
	err := scan(append([]any{
		&i.UUID, &i.StoredState, &i.Created, &i.Delivery,
		&i.ExecutionState, &i.ErrorMessage, &i.Reminded, &i.InviterNotified,
		&i.Email, &i.EmailFolded, &i.FullName, &i.NativeName,
		&i.PhoneNumber, &i.Organization, &i.JobTitle, &i.CivilNumber,
		&i.ExtraInvitationText, &i.LinkUUID, &i.OfferedByUUID,
		&i.DeclinedAt, &i.DeclineReason, &i.RenewalAskedAt,
		&i.ExpiresAt, &i.MembershipExpires,
		&i.Role.UUID, &i.Role.Name, &i.Role.Description, &i.Role.ScopeType, &i.Role.IsActive,
		&i.Scope.UUID, &i.Scope.Type, &i.Scope.Name, &i.Scope.Description, &i.Scope.StartDate, &i.Scope.IsRemoved,
		&customer.UUID, &customer.Type, &customer.Name, &customer.IsRemoved,
		&i.CreatedByUUID, &creator.Username, &creator.FullName, &creator.Email, &creator.Image, &creator.IsActive,
	}, more...)...)
	i.Created, i.Scope.StartDate = i.Created.UTC(), utc(i.Scope.StartDate)
	i.DeclinedAt, i.RenewalAskedAt = utc(i.DeclinedAt), utc(i.RenewalAskedAt)
	i.ExpiresAt, i.MembershipExpires = utc(i.ExpiresAt), utc(i.MembershipExpires)
	i.RoleUUID, i.ScopeUUID, i.CustomerUUID = i.Role.UUID, i.Scope.UUID, customer.UUID
	customer.CustomerUUID, i.Scope.CustomerUUID = customer.UUID, customer.UUID
	i.Scope.Customer = &customer
	if i.CreatedByUUID != nil {
		creator.UUID = *i.CreatedByUUID
		i.CreatedBy = &creator
	}
	return i, err
}

// Find implements invitation.Tx.
func (tx *Tx) Find(id uuid.UUID) (invitation.Invitation, error) {
	return findInvitation(tx.db.Table("invitations").Where("invitations.uuid = ?", id))
}

// findInvitation reads the one invitation of a query on the table invitations.
func findInvitation(query *gorm.DB) (invitation.Invitation, error) {
	return collectOne(query.Select(invitationColumns).Joins(invitationJoins),
		func(scan scanFunc) (invitation.Invitation, error) { return scanInvitation(scan) })
}

// FindForChange implements invitation.Tx.
func (tx *Tx) FindForChange(id uuid.UUID) (invitation.Invitation, error) {
	row := tx.db.Table("invitations").Where("uuid = ?", id)
	if tx.lock {
		row = row.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	// The row is locked before anything is joined: to a row that changed while the lock was waited for, PostgreSQL
	// joins the rows that it referred to before.
	query := tx.db.Table("(?) AS invitations", row).Select(invitationColumns + patternColumns).Joins(invitationJoins)
	return collectOne(query, func(scan scanFunc) (invitation.Invitation, error) {
		var scope, customer []string
		found, err := scanInvitation(scan, jsonStrings{&scope}, jsonStrings{&customer})
		if err == nil {
			found.Scope.UserEmailPatterns, found.Scope.Customer.UserEmailPatterns = scope, customer
		}
		return found, err
	})
}

// FindForCheck implements invitation.Tx. This is SQL text with eleven columns of three tables, where Find reads 42 of
// five and takes 1.3 times as long: anybody may check, without a token.
func (tx *Tx) FindForCheck(id uuid.UUID) (invitation.Invitation, error) {
	return collectOne(tx.db.Raw("SELECT invitations.state, invitations.created, invitations.expires_at, invitations.membership_expires,"+
		" invitations.email, invitations.email_folded,"+
		" invitations.civil_number, invitations.link_uuid, scopes.start_date, scopes.is_removed, customers.is_removed"+
		" FROM invitations JOIN scopes ON scopes.uuid = invitations.scope_uuid"+
		" JOIN scopes AS customers ON customers.uuid = invitations.customer_uuid WHERE invitations.uuid = ?", id),
		func(scan scanFunc) (invitation.Invitation, error) {
			i, customer := invitation.Invitation{UUID: id}, directory.Scope{}
			i.Scope.Type = directory.Project // only projects have a start date
			err := scan(&i.StoredState, &i.Created, &i.ExpiresAt, &i.MembershipExpires, &i.Email, &i.EmailFolded,
				&i.CivilNumber, &i.LinkUUID, &i.Scope.StartDate, &i.Scope.IsRemoved, &customer.IsRemoved)
			i.Created, i.Scope.StartDate, i.Scope.Customer = i.Created.UTC(), utc(i.Scope.StartDate), &customer
			i.ExpiresAt, i.MembershipExpires = utc(i.ExpiresAt), utc(i.MembershipExpires)
			return i, err
		})
}

// FindByLink implements invitation.Tx.
func (tx *Tx) FindByLink(link uuid.UUID) (uuid.UUID, error) {
	var found invitation.Invitation
	err := tx.db.Select("uuid").Take(&found, "link_uuid = ?", link).Error
	return found.UUID, err
}

// isOpen is the condition of the unique index invitations_open.
const isOpen = "state IN ('project', 'requested', 'pending')"

// FindOpen implements invitation.Tx.
func (tx *Tx) FindOpen(email string, role, scope uuid.UUID) (invitation.Invitation, error) {
	return findInvitation(tx.db.Table("invitations").Where("invitations.email_folded = ? AND invitations.role_uuid = ?"+
		" AND invitations.scope_uuid = ? AND invitations."+isOpen, email, role, scope))
}

// FindOpenAll implements invitation.Tx.
func (tx *Tx) FindOpenAll(scope uuid.UUID, pairs []invitation.Pair) ([]invitation.Invitation, error) {
	wanted := make([][]any, len(pairs))
	for i, pair := range pairs {
		wanted[i] = []any{pair.Email, pair.Role}
	}
	query := tx.db.Select("uuid, state, created, expires_at, membership_expires, email_folded, role_uuid").Where(isOpen+" AND scope_uuid = ?", scope)
	return findAll[invitation.Invitation](tx, query, wanted, "email_folded text", "role_uuid uuid")
}

// RolesByEmail implements invitation.Tx.
func (tx *Tx) RolesByEmail(scope uuid.UUID, emails []string) (map[string][]directory.Role, error) {
	query := tx.db.Table("memberships").Select("users.email_folded, roles.uuid, roles.name, roles.description").
		Joins("JOIN users ON users.uuid = memberships.user_uuid AND users.is_active").
		Joins("JOIN roles ON roles.uuid = memberships.role_uuid").
		Where("memberships.scope_uuid = ?", scope).Where(isActive, tx.now).Order("roles.name")
	type held struct {
		EmailFolded string
		directory.Role
	}
	found, err := findAll[held](tx, query, tuples(emails), "users.email_folded text")
	roles := map[string][]directory.Role{}
	for _, each := range found {
		roles[each.EmailFolded] = append(roles[each.EmailFolded], each.Role)
	}
	return roles, err
}

// canExpire is the condition of the index invitations_due. SQLite recognizes the index by the very text.
const canExpire = "invitations.state IN ('requested', 'pending')"

// awaitsInvitee is the condition that an invitation is for its invitee to accept, now or when its project starts.
const awaitsInvitee = "invitations.state IN ('project', 'pending')"

// ofRemovedScope is the condition that the scope of an invitation, or the scope's customer, was removed. Few scopes are.
const ofRemovedScope = "invitations.scope_uuid IN (" + removedScopes + ")"

// isExpired is the condition, with the arguments of expiredBy, that time has ended an invitation: the same as
// invitation.Invitation.StateAt. It is isOutlived or isPastFixedEnd.
const isExpired = "(" + isOutlived + " OR " + isPastFixedEnd + ")"

// isOutlived is the condition, with the cutoff twice as its arguments, that the policy's lifetime has ended an invitation.
// Only projects have a start date. It is looked up for old invitations alone: a join would look up the scope of every row.
const isOutlived = "(" + canExpire + " AND " + isPastLifetime + ")"

// isPastLifetime is the condition, with the cutoff twice as its arguments, that an invitation without an end of its own is
// older than the policy's lifetime, whatever its state is.
const isPastLifetime = "invitations.expires_at IS NULL AND invitations.created <= ? AND " + startOrCreated + " <= ?"

// fixedEnd is the moment that ends an open invitation whatever the policy is: invitation.Invitation.fixedEnd. SQLite
// recognizes the index invitations_fixed_end by the very text of both, of hasFixedEnd and of isOpen.
const (
	fixedEnd    = "COALESCE(invitations.expires_at, invitations.membership_expires)"
	hasFixedEnd = fixedEnd + " IS NOT NULL"
)

// isPastFixedEnd is the condition, with the present time as its argument, that its fixed end has ended an invitation. It is
// never null.
const isPastFixedEnd = "(invitations." + isOpen + " AND " + hasFixedEnd + " AND " + fixedEnd + " <= ?)"

// expiredBy returns the arguments of isExpired for a moment. cutoff is the moment less the policy's lifetime.
func expiredBy(cutoff, at time.Time) []any { return []any{cutoff, cutoff, at} }

// startOrCreated is the start of the invitation's project, else the invitation's creation.
const startOrCreated = "COALESCE((SELECT starting.start_date" +
	" FROM scopes AS starting WHERE starting.uuid = invitations.scope_uuid), invitations.created)"

// canBeReminded is the condition that the invitee of an invitation was not reminded in its present life.
const canBeReminded = "invitations.state = 'pending' AND NOT invitations.reminded"

// LockDue implements invitation.Tx. Nothing is joined: PostgreSQL, which plans without knowing how many rows are due,
// would read the whole directory for each batch.
func (tx *Tx) LockDue(what invitation.Due, cutoff, from time.Time, limit int) ([]invitation.Invitation, error) {
	table := "invitations"
	if what == invitation.DueFixedExpiry || what == invitation.DueFixedReminder {
		table = tx.engine.IndexedBy(table, "invitations_fixed_end")
	}
	query := tx.db.Table(table).Select("invitations.uuid, invitations.state, invitations.created," +
		" invitations.delivery, invitations.execution_state, invitations.error_message, invitations.reminded," +
		" invitations.inviter_notified, invitations.declined_at, invitations.decline_reason, invitations.renewal_asked_at," +
		" invitations.expires_at, invitations.membership_expires," +
		" invitations.email, invitations.link_uuid, invitations.created_by_uuid, invitations.offered_by_uuid, invitations.role_uuid," +
		" (SELECT roles.name FROM roles WHERE roles.uuid = invitations.role_uuid), invitations.scope_uuid," +
		" invitations.customer_uuid," +
		" (SELECT scopes.type FROM scopes WHERE scopes.uuid = invitations.scope_uuid)")
	order, soon := "invitations.created", tx.now.Add(invitation.ReminderPeriod)
	switch what {
	case invitation.DueRemoval:
		query = query.Where("invitations."+isOpen+" AND "+ofRemovedScope+" AND NOT "+isExpired, expiredBy(cutoff, tx.now)...)
	case invitation.DueExpiry:
		query = query.Where(isOutlived, cutoff, cutoff)
	case invitation.DueFixedExpiry:
		query, order = query.Where(isPastFixedEnd, tx.now), fixedEnd
	case invitation.DueActivation:
		query = query.Where("invitations.state = 'project' AND NOT "+ofRemovedScope).Where("NOT "+isPastFixedEnd, tx.now).
			Where("NOT EXISTS (SELECT 1 FROM scopes AS starting WHERE starting.uuid = invitations.scope_uuid"+
				" AND starting.start_date > ?)", tx.now)
	case invitation.DueReminder:
		cutoffSoon := cutoff.Add(invitation.ReminderPeriod)
		query = query.Where(canBeReminded).Where("NOT "+isExpired, expiredBy(cutoff, tx.now)...).Where(isOutlived, cutoffSoon, cutoffSoon)
	case invitation.DueFixedReminder:
		query = query.Where(canBeReminded).Where("NOT "+isExpired, expiredBy(cutoff, tx.now)...).Where(isPastFixedEnd, soon)
		order = fixedEnd
	}
	query = query.Where(order+" >= ?", from).Order(order).Limit(limit).Clauses(clause.Locking{
		Strength: "UPDATE", Table: clause.Table{Name: "invitations"}, Options: "SKIP LOCKED",
	})
	return collect(query, func(scan scanFunc) (i invitation.Invitation, err error) {
		err = scan(&i.UUID, &i.StoredState, &i.Created, &i.Delivery, &i.ExecutionState, &i.ErrorMessage, &i.Reminded,
			&i.InviterNotified, &i.DeclinedAt, &i.DeclineReason, &i.RenewalAskedAt,
			&i.ExpiresAt, &i.MembershipExpires,
			&i.Email, &i.LinkUUID, &i.CreatedByUUID, &i.OfferedByUUID, &i.RoleUUID, &i.Role.Name, &i.ScopeUUID,
			&i.CustomerUUID, &i.Scope.Type)
		i.Created, i.DeclinedAt, i.RenewalAskedAt = i.Created.UTC(), utc(i.DeclinedAt), utc(i.RenewalAskedAt)
		i.ExpiresAt, i.MembershipExpires = utc(i.ExpiresAt), utc(i.MembershipExpires)
		return i, err
	})
}

// FindTarget implements invitation.Tx, in one statement: scope and role are decided about together.
func (tx *Tx) FindTarget(
	kind directory.ScopeType, scope, role uuid.UUID,
) (s directory.Scope, r directory.Role, err error) {
	var (
		customer                    directory.Scope
		scopeID, customerID, roleID *uuid.UUID
	)
	// The joins stand one after the other: SQLite computes the whole of a join in parentheses first.
	_, err = collectOne(tx.db.Table("(SELECT 1) AS one").Select(
		"scopes.uuid, COALESCE(scopes.type, ''), COALESCE(scopes.name, ''), COALESCE(scopes.description, ''),"+
			" scopes.start_date, scopes.user_email_patterns, COALESCE(scopes.is_removed, FALSE),"+
			" customers.uuid, COALESCE(customers.type, ''), COALESCE(customers.name, ''), customers.user_email_patterns,"+
			" COALESCE(customers.is_removed, FALSE), roles.uuid, COALESCE(roles.name, ''), COALESCE(roles.description, ''),"+
			" COALESCE(roles.scope_type, ''), COALESCE(roles.is_active, FALSE)").
		Joins("LEFT JOIN scopes ON scopes.uuid = ? AND scopes.type = ?", scope, kind).
		Joins("LEFT JOIN scopes AS customers ON customers.uuid = scopes.customer_uuid").
		Joins("LEFT JOIN roles ON roles.uuid = ?", role),
		func(scan scanFunc) (struct{}, error) {
			return struct{}{}, scan(
				&scopeID, &s.Type, &s.Name, &s.Description, &s.StartDate, jsonStrings{&s.UserEmailPatterns}, &s.IsRemoved,
				&customerID, &customer.Type, &customer.Name, jsonStrings{&customer.UserEmailPatterns}, &customer.IsRemoved,
				&roleID, &r.Name, &r.Description, &r.ScopeType, &r.IsActive)
		})
	if err != nil {
		return s, r, err
	}
	if scopeID != nil {
		s.UUID, s.CustomerUUID, s.StartDate = *scopeID, *customerID, utc(s.StartDate)
		customer.UUID, customer.CustomerUUID = *customerID, *customerID
		s.Customer = &customer
	}
	if s.Customer == nil || s.Removed() {
		s = directory.Scope{}
	}
	if roleID != nil {
		r.UUID = *roleID
	}
	return s, r, nil
}

// The queries that quotas count with. Each reads as many entries of one index as the quota counts. SQLite recognizes the
// index invitation_events_inviter by the very text of its condition.
const (
	countedOfRecipient  = "SELECT created FROM invitation_events WHERE mail_to = ? ORDER BY created DESC LIMIT 1 OFFSET ?"
	countedOfInvitation = "SELECT created FROM invitation_events WHERE invitation_uuid = ? AND mail_to IS NOT NULL" +
		" ORDER BY id DESC LIMIT 1 OFFSET ?"
	countsForInviter = "(event_type = 'created' OR event_type = 'updated' AND mail_to IS NOT NULL)"
	countedOfInviter = "SELECT created FROM invitation_events WHERE user_uuid = ? AND " + countsForInviter +
		" ORDER BY created DESC LIMIT 1 OFFSET ?"
)

// QuotaTimes implements invitation.Tx, in one statement. This is SQL text, because each create waits for it: GORM takes
// 0.1 ms to put the same text together.
func (tx *Tx) QuotaTimes(quotas []invitation.Quota) ([]time.Time, error) {
	columns, joins, args := make([]string, len(quotas)), "", make([]any, 0, 2*len(quotas))
	found, times, into := make([]*time.Time, len(quotas)), make([]time.Time, len(quotas)), make([]any, len(quotas))
	for i, quota := range quotas {
		counted, of := countedOfInvitation, any(quota.Invitation)
		if quota.Recipient != "" {
			counted, of = countedOfRecipient, quota.Recipient
		} else if quota.Inviter != uuid.Nil {
			counted, of = countedOfInviter, quota.Inviter
		}
		name := "quota" + strconv.Itoa(i)
		joins += " LEFT JOIN (" + counted + ") AS " + name + " ON TRUE"
		columns[i], args, into[i] = name+".created", append(args, of, quota.Count-1), &found[i]
	}
	_, err := collectOne(tx.db.Raw("SELECT "+strings.Join(columns, ", ")+" FROM (SELECT 1) AS one"+joins, args...),
		func(scan scanFunc) (struct{}, error) { return struct{}{}, scan(into...) })
	for i, at := range found {
		if at != nil {
			times[i] = at.UTC()
		}
	}
	return times, err
}

// FindEvent implements invitation.Tx.
func (tx *Tx) FindEvent(id uuid.UUID, since time.Time, types ...invitation.EventType) (found invitation.Event, err error) {
	err = tx.db.Where("invitation_uuid = ? AND created >= ? AND event_type IN ?", id, since, types).Order("id").Take(&found).Error
	found.Created = found.Created.UTC()
	return found, err
}

// ListEvents implements invitation.Tx.
func (tx *Tx) ListEvents(id uuid.UUID, w directory.Window) ([]invitation.Event, int, error) {
	var rows []struct {
		invitation.Event `gorm:"embedded"`
		Total            int
	}
	err := tx.db.Table("invitation_events").Select("*, count(*) OVER () AS total").Where("invitation_uuid = ?", id).
		Order("id DESC").Offset(w.Offset).Limit(w.Limit).Find(&rows).Error
	found, total := make([]invitation.Event, 0, len(rows)), 0
	for _, row := range rows {
		row.Created = row.Created.UTC()
		found, total = append(found, row.Event), row.Total
	}
	return found, total, err
}
