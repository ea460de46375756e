package store

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// whole is a query for invitations with all that belongs to them.
func (tx *Tx) whole() *gorm.DB {
	return tx.orm.Model(&invitation.Invitation{}).
		InnerJoins("Role").InnerJoins("Scope").InnerJoins("Scope.Customer").Joins("CreatedBy")
}

// lapsed is the condition, with the cutoff twice as its arguments, that time has ended an invitation: the same
// as invitation.Invitation.StateAt. Only projects have a start date.
const lapsed = `(invitations.state IN ('pending', 'project') AND invitations.created <= ?` +
	` AND ("Scope".start_date IS NULL OR "Scope".start_date <= ?))`

// Find is one invitation with its role, scope, customer and creator.
func (tx *Tx) Find(id uuid.UUID) (invitation.Invitation, error) {
	var found invitation.Invitation
	err := tx.whole().Where("invitations.uuid = ?", id).Take(&found).Error
	return found, tx.db.translate(err)
}

// Lock is Find, and makes other transactions wait that would lock the same invitation.
func (tx *Tx) Lock(id uuid.UUID) (invitation.Invitation, error) {
	var found invitation.Invitation
	err := tx.db.dialect.locked(tx.whole(), "invitations").Where("invitations.uuid = ?", id).Take(&found).Error
	return found, tx.db.translate(err)
}

// Lapsed lists, locked, the invitations for an e-mail, role and scope whose stored state is open though time has
// ended them.
func (tx *Tx) Lapsed(email string, role, scope uuid.UUID, cutoff time.Time) ([]invitation.Invitation, error) {
	var found []invitation.Invitation
	err := tx.db.dialect.locked(tx.whole(), "invitations").
		Where("invitations.email_folded = ? AND invitations.role_uuid = ? AND invitations.scope_uuid = ?", email, role, scope).
		Where(lapsed, cutoff, cutoff).
		Find(&found).Error
	return found, tx.db.translate(err)
}

// Due lists up to limit invitations, locked, for which this is due; those that another transaction has locked are
// left out.
func (tx *Tx) Due(what invitation.Due, cutoff time.Time, limit int) ([]invitation.Invitation, error) {
	query := tx.whole()
	switch what {
	case invitation.DueExpiry:
		query = query.Where(lapsed, cutoff, cutoff)
	case invitation.DueActivation:
		query = query.Where("invitations.state = ?", invitation.Project).
			Where("NOT "+lapsed, cutoff, cutoff).
			Where(`("Scope".start_date IS NULL OR "Scope".start_date <= ?)`, tx.now)
	case invitation.DueReminder:
		soon := cutoff.Add(invitation.ReminderPeriod)
		query = query.Where("invitations.state = ? AND NOT invitations.reminded", invitation.Pending).
			Where("NOT "+lapsed+" AND "+lapsed, cutoff, cutoff, soon, soon)
	}
	var found []invitation.Invitation
	err := tx.db.dialect.unlocked(query, "invitations").
		Order("invitations.created").Limit(limit).Find(&found).Error
	return found, tx.db.translate(err)
}

// openStates are those of which an e-mail, role and scope can have one; the index invitations_open knows them too.
var openStates = []invitation.State{invitation.Pending, invitation.Project, invitation.Requested}

// Open tells whether an invitation stands open for an e-mail, role and scope.
func (tx *Tx) Open(email string, role, scope uuid.UUID) (bool, error) {
	var count int64
	err := tx.orm.Model(&invitation.Invitation{}).
		Where("email_folded = ? AND role_uuid = ? AND scope_uuid = ?", email, role, scope).
		Where("state IN ?", openStates).
		Count(&count).Error
	return count > 0, tx.db.translate(err)
}

// Insert writes a new invitation; invitation.ErrTwice where another is open.
func (tx *Tx) Insert(i invitation.Invitation) error {
	return tx.twice(tx.orm.Omit("Role", "Scope", "CreatedBy").Create(&i).Error)
}

// Replace writes what can change of an invitation over the row that is still in old's states.
func (tx *Tx) Replace(old, changed invitation.Invitation) (bool, error) {
	result := tx.orm.Model(&invitation.Invitation{}).
		Where("uuid = ? AND state = ? AND delivery = ? AND execution_state = ?",
			old.UUID, old.StoredState, old.Delivery, old.ExecutionState).
		Updates(map[string]any{
			"state":           changed.StoredState,
			"created":         changed.Created,
			"delivery":        changed.Delivery,
			"execution_state": changed.ExecutionState,
			"error_message":   changed.ErrorMessage,
			"reminded":        changed.Reminded,
		})
	return result.RowsAffected == 1, tx.twice(result.Error)
}

func (tx *Tx) twice(err error) error {
	if err != nil && tx.db.dialect.duplicate(err) {
		return invitation.ErrTwice
	}
	return tx.db.translate(err)
}

// Delete removes an invitation for good.
func (tx *Tx) Delete(id uuid.UUID) error {
	return tx.db.translate(tx.orm.Delete(&invitation.Invitation{}, "uuid = ?", id).Error)
}

// List is a page of the invitations that a query shows, and how many it shows in all.
func (tx *Tx) List(q invitation.Query) ([]invitation.Invitation, int, error) {
	shown := tx.filtered(tx.visible(tx.whole(), q), q)
	var total int64
	if err := shown.Session(&gorm.Session{}).Count(&total).Error; err != nil {
		return nil, 0, tx.db.translate(err)
	}
	var rows []invitation.Invitation
	if int64(q.Offset) >= total {
		return rows, int(total), nil
	}
	err := ordered(shown.Session(&gorm.Session{}), q).Offset(q.Offset).Limit(q.Limit).Find(&rows).Error
	return rows, int(total), tx.db.translate(err)
}

// visible narrows a query to what a visibility shows: the same as invitation.Invitation.visibleTo.
func (tx *Tx) visible(query *gorm.DB, q invitation.Query) *gorm.DB {
	v := q.Visible
	if v.All {
		return query
	}
	conditions, arguments := []string{}, []any{}
	for _, each := range []struct {
		column string
		set    []uuid.UUID
	}{{"invitations.customer_uuid", v.Customers}, {"invitations.scope_uuid", v.Scopes}} {
		if len(each.set) > 0 {
			condition, argument := tx.db.dialect.in(each.column, each.set)
			conditions, arguments = append(conditions, condition), append(arguments, argument)
		}
	}
	if v.Email != "" {
		conditions = append(conditions,
			"(invitations.email_folded = ? AND invitations.state IN ('pending', 'project') AND NOT "+lapsed+")")
		arguments = append(arguments, v.Email, q.Cutoff, q.Cutoff)
	}
	if len(conditions) == 0 {
		return query.Where("1 = 0")
	}
	return query.Where("("+strings.Join(conditions, " OR ")+")", arguments...)
}

// filtered narrows a query to what the caller asks for.
func (tx *Tx) filtered(query *gorm.DB, q invitation.Query) *gorm.DB {
	for _, each := range []struct{ column, value string }{
		{"invitations.civil_number", q.CivilNumber},
		{"invitations.email_folded", directory.Fold(q.EmailExact)},
		{`"Role".name`, q.RoleName},
		{`"Scope".type`, q.ScopeType},
	} {
		if each.value != "" {
			query = query.Where(each.column+" = ?", each.value)
		}
	}
	for _, each := range []struct{ column, value string }{
		{"invitations.email_folded", q.Email},
		{`"Scope".name_folded`, q.ScopeName},
		{`"Scope".description_folded`, q.ScopeDescription},
	} {
		if each.value != "" {
			query = query.Where(each.column+` LIKE ? ESCAPE '\'`, "%"+literal.Replace(directory.Fold(each.value))+"%")
		}
	}
	if q.Customer != nil {
		query = query.Where("invitations.customer_uuid = ?", *q.Customer)
	}
	if q.Role != nil {
		query = query.Where("invitations.role_uuid = ?", *q.Role)
	}
	if len(q.States) > 0 {
		query = inStates(query, q)
	}
	return query
}

// literal makes every character of a text mean itself in a LIKE pattern with the escape character \.
var literal = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// inStates narrows a query to invitations that are in one of the states now.
func inStates(query *gorm.DB, q invitation.Query) *gorm.DB {
	condition, arguments := "(invitations.state IN ? AND NOT "+lapsed+")", []any{q.States, q.Cutoff, q.Cutoff}
	if slices.Contains(q.States, invitation.Expired) {
		condition += " OR " + lapsed
		arguments = append(arguments, q.Cutoff, q.Cutoff)
	}
	return query.Where("("+condition+")", arguments...)
}

// ordered puts a query in the order asked for; ties are broken by uuid, so that pages never overlap.
func ordered(query *gorm.DB, q invitation.Query) *gorm.DB {
	order := q.Order
	if len(order) == 0 {
		order = []invitation.Order{{By: invitation.ByCreated, Descending: true}}
	}
	var keys []string
	var arguments []any
	for _, each := range order {
		var key string
		switch each.By {
		case invitation.ByCreated:
			key = "invitations.created"
		case invitation.ByCreatedBy:
			key = `CASE WHEN "CreatedBy".full_name <> '' THEN "CreatedBy".full_name` +
				` ELSE COALESCE("CreatedBy".username, '') END`
		case invitation.ByEmail:
			key = "invitations.email_folded"
		case invitation.ByState:
			key = "CASE WHEN " + lapsed + " THEN 'expired' ELSE invitations.state END"
			arguments = append(arguments, q.Cutoff, q.Cutoff)
		}
		if each.Descending {
			key += " DESC"
		}
		keys = append(keys, key)
	}
	// One expression: GORM forgets what was ordered by before one that has arguments.
	return query.Clauses(clause.OrderBy{Expression: clause.Expr{
		SQL: strings.Join(append(keys, "invitations.uuid"), ", "), Vars: arguments, WithoutParentheses: true,
	}})
}
