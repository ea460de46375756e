package directory

import (
	"slices"

	"github.com/google/uuid"
)

// planScopes finds out about customers first: the others are found within theirs.
func (a *application) planScopes() error {
	a.scopes = make([]target, len(a.file.scopes))
	meant := make(map[uuid.UUID]*where, len(a.file.scopes))
	var customers, others []int
	for i, each := range a.file.scopes {
		if each.customer == none {
			customers = append(customers, i)
		} else {
			others = append(others, i)
		}
	}
	for _, all := range [][]int{customers, others} {
		for part := range slices.Chunk(all, lookedUp) {
			if err := a.planSomeScopes(part, meant); err != nil {
				return err
			}
			a.step(len(part))
		}
	}
	return nil
}

func (a *application) planSomeScopes(part []int, meant map[uuid.UUID]*where) error {
	var ids []uuid.UUID
	var names []ScopeKey
	for _, i := range part {
		switch record := a.file.scopes[i]; {
		case record.UUID != uuid.Nil:
			ids = append(ids, record.UUID)
		case record.customer == none || !a.scopes[record.customer].isNew:
			names = append(names, a.keyOf(record))
		}
	}
	found, err := a.tx.ScopesBy(ids, names)
	if err != nil {
		return err
	}
	byID, byKey := make(map[uuid.UUID]Scope, len(found)), make(map[ScopeKey][]Scope, len(found))
	for _, each := range found {
		key := ScopeKey{each.Type, each.Name, each.CustomerUUID}
		if each.Type == Customer {
			key.Customer = uuid.Nil
		}
		byID[each.UUID], byKey[key] = each, append(byKey[key], each)
	}
	for _, i := range part {
		record := a.file.scopes[i]
		row, exists := byID[record.UUID]
		if record.UUID == uuid.Nil {
			same := byKey[a.keyOf(record)]
			if len(same) > 1 {
				a.add(record.where, "name", record.line, "is that of %d scopes, %s and %s among them; give the uuid",
					len(same), same[0].UUID, same[1].UUID)
				continue
			}
			if exists = len(same) == 1; exists {
				row = same[0]
			}
		}
		if exists {
			claim(&a.problems, meant, record.where, row.UUID)
		}
		a.planScope(i, row, exists)
	}
	return nil
}

// keyOf is what a scope is found by that has no uuid in the file; its customer has been found.
func (a *application) keyOf(s scopeRecord) ScopeKey {
	key := ScopeKey{Type: s.Type, Name: s.Name}
	if s.customer != none {
		key.Customer = a.scopes[s.customer].id
	}
	return key
}

func (a *application) planScope(i int, row Scope, exists bool) {
	record := a.file.scopes[i]
	want := record.Scope
	want.Created = a.now
	if exists {
		want.UUID, want.Created = row.UUID, row.Created
	} else if want.UUID == uuid.Nil {
		want.UUID = uuid.New()
	}
	want.CustomerUUID = want.UUID
	if record.customer != none {
		want.CustomerUUID = a.scopes[record.customer].id
	}
	a.scopes[i] = target{id: want.UUID, isNew: !exists}
	switch {
	case exists && row.Type != want.Type:
		a.add(record.where, "uuid", record.line, "is that of a %s, not a %s: the type can't be changed", row.Type, want.Type)
	case exists && row.CustomerUUID != want.CustomerUUID && want.CustomerUUID != uuid.Nil:
		a.add(record.where, "uuid", record.line, "is that of a scope of another customer, %s: it can't be moved",
			row.CustomerUUID)
	}
	same := row.Name == want.Name && row.NameFolded == want.NameFolded && row.Description == want.Description &&
		row.DescriptionFolded == want.DescriptionFolded && row.IsRemoved == want.IsRemoved &&
		sameTime(row.StartDate, want.StartDate) && slices.Equal(row.UserEmailPatterns, want.UserEmailPatterns)
	switch want.Type {
	case Customer:
		if a.report.Customers.note(!exists, same) {
			a.saveCustomers = append(a.saveCustomers, want)
		}
	case Project:
		if a.report.Projects.note(!exists, same) {
			a.saveScopes = append(a.saveScopes, want)
		}
	default:
		if a.report.OtherScopes.note(!exists, same) {
			a.saveScopes = append(a.saveScopes, want)
		}
	}
}
