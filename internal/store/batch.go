package store

import (
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// FindTargetScopes implements invitation.BatchTx.
func (tx *Tx) FindTargetScopes(ids []uuid.UUID) ([]directory.Scope, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	query := tx.db.Table("scopes").Select("scopes.uuid, scopes.type, scopes.name, scopes.description, scopes.start_date," +
		" scopes.user_email_patterns, customers.uuid, customers.type, customers.name, customers.user_email_patterns").
		Joins("JOIN scopes AS customers ON customers.uuid = scopes.customer_uuid").
		Where(tx.engine.In("scopes.uuid", ids)).Where("NOT scopes.is_removed AND NOT customers.is_removed")
	return collect(query, func(scan scanFunc) (s directory.Scope, err error) {
		var customer directory.Scope
		err = scan(&s.UUID, &s.Type, &s.Name, &s.Description, &s.StartDate,
			jsonStrings{&s.UserEmailPatterns}, &customer.UUID, &customer.Type, &customer.Name, jsonStrings{&customer.UserEmailPatterns})
		customer.CustomerUUID = customer.UUID
		s.CustomerUUID, s.Customer, s.StartDate = customer.UUID, &customer, utc(s.StartDate)
		return s, err
	})
}

// FindOpenTargets implements invitation.BatchTx.
func (tx *Tx) FindOpenTargets(targets []invitation.Target) ([]invitation.Invitation, error) {
	query := tx.db.Select("uuid, state, created, expires_at, membership_expires, email, email_folded, role_uuid, scope_uuid").Where(isOpen)
	return findAll[invitation.Invitation](tx, query, targetRows(targets), "email_folded text", "role_uuid uuid", "scope_uuid uuid")
}

func targetRows(targets []invitation.Target) [][]any {
	rows := make([][]any, len(targets))
	for i, each := range targets {
		rows[i] = []any{each.Email, each.Role, each.Scope}
	}
	return rows
}

// FindHeldTargets implements invitation.BatchTx.
func (tx *Tx) FindHeldTargets(targets []invitation.Target) ([]invitation.Target, error) {
	query := tx.db.Table("users").Select("users.email_folded AS email, memberships.role_uuid AS role, memberships.scope_uuid AS scope").
		Joins("JOIN memberships ON memberships.user_uuid = users.uuid").
		Where("users.is_active").Where(isActive, tx.now)
	return findAll[invitation.Target](tx, query, targetRows(targets),
		"users.email_folded text", "memberships.role_uuid uuid", "memberships.scope_uuid uuid")
}

// ScopesWithMember implements invitation.BatchTx.
func (tx *Tx) ScopesWithMember(scopes []uuid.UUID, roleName string) (found []uuid.UUID, err error) {
	return found, tx.db.Model(&directory.Membership{}).Distinct("memberships.scope_uuid").
		Joins("JOIN roles ON roles.uuid = memberships.role_uuid").
		Where(tx.engine.In("memberships.scope_uuid", scopes)).Where("roles.name = ?", roleName).Where(isActive, tx.now).
		Pluck("memberships.scope_uuid", &found).Error
}

// RecipientTimes implements invitation.BatchTx.
func (tx *Tx) RecipientTimes(recipients []string, since time.Time) (map[string][]time.Time, error) {
	query := tx.db.Table("invitation_events").Select("mail_to, created").Where("created > ?", since).Order("created DESC")
	found, err := findAll[struct {
		MailTo  string
		Created time.Time
	}](tx, query, tuples(recipients), "mail_to text")
	times := make(map[string][]time.Time, len(recipients))
	for _, each := range found {
		times[each.MailTo] = append(times[each.MailTo], each.Created.UTC())
	}
	return times, err
}

// InviterTimes implements invitation.BatchTx.
func (tx *Tx) InviterTimes(inviter uuid.UUID, w directory.Window) ([]time.Time, error) {
	return collect(tx.db.Raw("SELECT created FROM invitation_events WHERE user_uuid = ? AND "+countsForInviter+
		" ORDER BY created DESC LIMIT ? OFFSET ?", inviter, w.Limit, w.Offset),
		func(scan scanFunc) (at time.Time, err error) {
			err = scan(&at)
			return at.UTC(), err
		})
}
