package store

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// List implements invitation.Tx.
func (tx *Tx) List(q invitation.Query) (rows []invitation.Invitation, total int, err error) {
	l := tx.invitationList(q)
	page := l.page(tx, q.Window)
	if byStateOnly(q) {
		page = l.pageWithCount(tx, q.Window, tx.countByState(q))
	}
	rows, err = collect(page, func(scan scanFunc) (invitation.Invitation, error) {
		var first *time.Time
		found, err := scanInvitation(scan, &first, &total)
		found.FirstCreated = found.Created
		if first != nil {
			found.FirstCreated = first.UTC()
		}
		return found, err
	})
	if err == nil && len(rows) == 0 && q.Behind != nil {
		total, err = tx.Count(q)
	}
	return rows, total, err
}

// Count implements invitation.Tx.
func (tx *Tx) Count(q invitation.Query) (int, error) {
	if !byStateOnly(q) {
		return tx.invitationList(q).count(tx)
	}
	var count int
	query := tx.countByState(q)
	return count, tx.db.Raw("SELECT "+query.SQL, query.Vars...).Row().Scan(&count)
}

func (tx *Tx) invitationList(q invitation.Query) listing {
	l := listing{table: "invitations", columns: clause.Expr{SQL: invitationColumns + ", invitations.first_created"}, joins: invitationJoins}
	l.filters = []filter{
		tx.visible(q),
		equal("invitations.civil_number", q.CivilNumber),
		equal("invitations.email_folded", directory.FoldEmail(q.EmailExact)),
		containsEmail(q.Email, "invitations"),
		equalUUID("invitations.customer_uuid", q.Customer),
		equalUUID("invitations.role_uuid", q.Role),
		tx.inStates(q),
		inExecutionStates(q.ExecutionStates),
		tx.expiresBefore(q),
		during("invitations.created", q.Created),
		equalUUID("invitations.created_by_uuid", q.CreatedBy),
		tx.containsText(q.Text),
	}
	if q.WithoutRemoved {
		l.filters = append(l.filters, where("NOT "+ofRemovedScope))
	}
	if q.RoleName != "" {
		l.filters = append(l.filters, tx.in("invitations.role_uuid", "roles", equal("roles.name", q.RoleName)))
	}
	if q.ScopeType != "" || q.ScopeName != "" || q.ScopeDescription != "" {
		l.filters = append(l.filters, tx.in("invitations.scope_uuid", "scopes", equal("scopes.type", q.ScopeType),
			contains(q.ScopeName, "scopes.name_folded"), contains(q.ScopeDescription, "scopes.description_folded")))
	}
	if q.Scope != nil {
		l.filters = append(l.filters, where("invitations.scope_uuid = ?", q.Scope.UUID), tx.ofScope("invitations.scope_uuid", q.Scope))
	}
	l.order = ordering(q.Order, directory.Order{By: invitation.ByCreated, Descending: true}, map[directory.OrderBy][]key{
		invitation.ByCreated: by("invitations.created"),
		invitation.ByCreatedBy: {{
			// Usernames have no folded form. Both engines lower only their ASCII letters.
			sql:  "CASE WHEN creators.full_name <> '' THEN creators.full_name_folded ELSE COALESCE(lower(creators.username), '') END",
			join: joinCreator,
		}},
		invitation.ByEmail:        by("invitations.email_folded"),
		invitation.ByFirstCreated: by(firstCreated),
		invitation.ByState:        by("CASE WHEN "+isExpired+" THEN 'expired' ELSE invitations.state END", expiredBy(q.Cutoff, tx.now)...),
	})
	if len(q.Order) == 1 && q.Order[0].By == invitation.ByFirstCreated {
		l.isKeyset = true
		if q.Behind != nil {
			l.behind = []any{q.Behind.FirstCreated, q.Behind.FirstCreated, q.Behind.UUID}
		}
		if byStateOnly(q) && len(q.States) > 0 {
			l.parts = tx.inEachState(q)
		}
	}
	return l
}

// visible is the filter by a visibility: the same as the rule of package invitation for a single one.
func (tx *Tx) visible(q invitation.Query) filter {
	v := q.Visible
	if q.Invitee != nil {
		return tx.mine(q)
	}
	if v.All {
		return all
	}
	alternatives := tx.within(v.ScopeSet, "invitations.scope_uuid", "invitations.customer_uuid")
	if v.Email != "" {
		alternatives = append(alternatives, clause.Expr{
			SQL:  "invitations.email_folded = ? AND " + awaitsInvitee + " AND NOT " + isExpired + " AND NOT " + ofRemovedScope,
			Vars: append([]any{v.Email}, expiredBy(q.Cutoff, tx.now)...),
		})
	}
	return anyOf(alternatives...)
}

// inStates is the filter by the states that invitations are in now. The states are text: each set of them has a plan of
// its own.
func (tx *Tx) inStates(q invitation.Query) filter {
	if len(q.States) == 0 {
		return all
	}
	names := stateNames(q.States)
	if names == "" {
		return anyOf() // only unknown states
	}
	condition, args := "invitations.state IN ("+names+")", []any{}
	expired := expiredBy(q.Cutoff, tx.now)
	if slices.ContainsFunc(q.States, func(s invitation.State) bool { return !isClosed(s) }) {
		condition, args = "("+condition+" AND NOT "+isExpired+")", append(args, expired...)
	}
	if slices.Contains(q.States, invitation.Expired) {
		condition, args = "("+condition+" OR "+isExpired+")", append(args, expired...)
	}
	return where(condition, args...)
}

// stateNames returns the known ones of some states as the text of a list, in one order; empty: none is known.
func stateNames(states []invitation.State) string {
	var names []string
	for _, state := range invitation.States {
		if slices.Contains(states, state) {
			names = append(names, "'"+string(state)+"'")
		}
	}
	return strings.Join(names, ", ")
}

// openStates are the stored states that time can end.
var openStates = []invitation.State{invitation.Project, invitation.Requested, invitation.Pending}

// isClosed reports whether a state is none of openStates.
func isClosed(s invitation.State) bool { return !slices.Contains(openStates, s) }

// inExecutionStates is the filter by the states of the delivery. They are text, as in inStates.
func inExecutionStates(states []invitation.ExecutionState) filter {
	if len(states) == 0 {
		return all
	}
	var names []string
	for _, state := range invitation.ExecutionStates {
		if slices.Contains(states, state) {
			names = append(names, "'"+string(state)+"'")
		}
	}
	if names == nil {
		return anyOf() // only unknown states
	}
	return where("invitations.execution_state IN (" + strings.Join(names, ", ") + ")")
}

// expiresBefore is the filter by the time that invitation.View has; without an ExpiryCutoff it filters nothing. The life of an
// invitation that waits for its project begins now at the earliest. Of open states, both alternatives name the states, so that an
// index has each of them: without, SQLite reads every row.
func (tx *Tx) expiresBefore(q invitation.Query) filter {
	if q.ExpiryCutoff == nil {
		return all
	}
	cutoff, lifetime := *q.ExpiryCutoff, tx.now.Sub(q.Cutoff)
	byLifetime := "invitations.expires_at IS NULL AND invitations.created < ? AND " + startOrCreated + " < ?"
	if !tx.now.Before(cutoff) {
		byLifetime += " AND invitations.state <> 'project'"
	}
	byFixedEnd := hasFixedEnd + " AND " + fixedEnd + " < ?"
	if names := stateNames(q.States); names != "" && !slices.ContainsFunc(q.States, isClosed) {
		byLifetime = "invitations.state IN (" + names + ") AND " + byLifetime
		byFixedEnd = "invitations." + isOpen + " AND " + byFixedEnd
	}
	return where("(("+byLifetime+") OR ("+byFixedEnd+"))", cutoff, cutoff, cutoff.Add(lifetime))
}

// byStateOnly reports whether a query is by a caller who sees all invitations, and filters by nothing but states.
func byStateOnly(q invitation.Query) bool {
	filters := q
	filters.Visible, filters.Cutoff, filters.States = directory.Visibility{}, time.Time{}, nil
	filters.Order, filters.Behind, filters.Window = nil, nil, directory.Window{}
	return q.Visible.All && reflect.DeepEqual(filters, invitation.Query{})
}

// countByState is the expression for the number of invitations in the states of a query. This is SQL text, because GORM
// has no scalar subqueries as columns; counting 10,000 rows instead makes a page take 10 times as long. The table
// invitation_counts has the number of stored states (stateCounts), so that a million rows are counted as fast as ten. The
// rows that time has ended since are counted by the expression, and there are no more of them than a sweep has left: each
// count reads one index.
func (tx *Tx) countByState(q invitation.Query) clause.Expr {
	states := q.States
	if len(states) == 0 {
		states = invitation.States
	}
	var names []string
	for _, state := range invitation.States {
		if slices.Contains(states, state) {
			names = append(names, string(state))
		}
	}
	count := clause.Expr{SQL: "(SELECT CAST(SUM(" + strings.Join(names, " + ") + ") AS bigint) FROM invitation_counts)"}
	for _, state := range openStates {
		stored, shown := slices.Contains(states, state), slices.Contains(states, invitation.Expired)
		if stored == shown {
			continue
		}
		sign := " + "
		if stored {
			sign = " - "
		}
		add := func(condition string, args ...any) {
			count.SQL += sign + "(SELECT count(*) FROM invitations WHERE " + condition + " AND invitations.state = '" + string(state) + "')"
			count.Vars = append(count.Vars, args...)
		}
		add(isPastFixedEnd, tx.now)
		if state != invitation.Project { // which no lifetime ends
			add(isOutlived+" AND NOT "+isPastFixedEnd, q.Cutoff, q.Cutoff, tx.now)
		}
	}
	return count
}
