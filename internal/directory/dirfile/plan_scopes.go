package dirfile

import (
	"slices"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// planScopes plans customers first, because a scope without a uuid is looked up by the uuid of its customer.
func (p *planner) planScopes() error {
	p.scopes = make([]target, len(p.file.scopes))
	matched := make(map[uuid.UUID]*location, len(p.file.scopes))
	var customers, others []int
	for i, each := range p.file.scopes {
		if each.customer == noCustomer {
			customers = append(customers, i)
		} else {
			others = append(others, i)
		}
	}
	for _, indexes := range [][]int{customers, others} {
		for chunk := range slices.Chunk(indexes, lookupSize) {
			if err := p.planScopeChunk(chunk, matched); err != nil {
				return err
			}
			p.step(len(chunk))
		}
	}
	return nil
}

// planScopeChunk plans the scopes with the given indexes in File.scopes.
func (p *planner) planScopeChunk(chunk []int, matched map[uuid.UUID]*location) error {
	var ids []uuid.UUID
	var keys []directory.ScopeKey
	for _, i := range chunk {
		switch record := p.file.scopes[i]; {
		case record.UUID != uuid.Nil:
			ids = append(ids, record.UUID)
		case record.customer == noCustomer || !p.scopes[record.customer].isNew:
			keys = append(keys, p.scopeKey(record))
		}
	}
	found, err := p.tx.FindScopes(ids, keys)
	if err != nil {
		return err
	}
	byID := make(map[uuid.UUID]directory.Scope, len(found))
	byKey := make(map[directory.ScopeKey][]directory.Scope, len(found))
	for _, each := range found {
		key := directory.ScopeKey{Type: each.Type, Name: each.Name, Customer: each.CustomerUUID}
		if each.Type == directory.Customer {
			key.Customer = uuid.Nil
		}
		byID[each.UUID], byKey[key] = each, append(byKey[key], each)
	}
	for _, i := range chunk {
		record := p.file.scopes[i]
		row, exists := byID[record.UUID]
		if record.UUID == uuid.Nil {
			candidates := byKey[p.scopeKey(record)]
			if len(candidates) > 1 {
				p.add(record.location, "name", record.line, "is that of %d scopes, %s and %s among them; give the uuid",
					len(candidates), candidates[0].UUID, candidates[1].UUID)
				continue
			}
			if exists = len(candidates) == 1; exists {
				row = candidates[0]
			}
			if exists && row.GroupInvitationUUID != nil {
				// Who asked for the project may have chosen the name so that the operator takes it for another one.
				p.add(record.location, "name", record.line,
					"is that of a project that the approval of a permission request made; give its uuid (%s) if you mean this project, else another name",
					row.UUID)
			}
		}
		if exists {
			claim(&p.problems, matched, record.location, row.UUID)
		}
		p.planScope(i, row, exists)
	}
	return nil
}

// scopeKey returns the key of a scope whose customer has been planned.
func (p *planner) scopeKey(s scopeRecord) directory.ScopeKey {
	key := directory.ScopeKey{Type: s.Type, Name: s.Name}
	if s.customer != noCustomer {
		key.Customer = p.scopes[s.customer].id
	}
	return key
}

func (p *planner) planScope(index int, row directory.Scope, exists bool) {
	record := p.file.scopes[index]
	want := record.Scope
	want.Created = p.now
	if exists {
		want = record.onto(row)
		if row.Name != want.Name || row.NameFolded != want.NameFolded || (row.IsRemoved && !want.IsRemoved) {
			// Taken over: approvals must not find a project under a name that the operator gave it.
			want.GroupInvitationUUID, want.MadeForUUID = nil, nil
		}
	} else if want.UUID == uuid.Nil {
		want.UUID = uuid.New()
	}
	want.CustomerUUID = want.UUID
	if record.customer != noCustomer {
		want.CustomerUUID = p.scopes[record.customer].id
	}
	p.scopes[index] = target{id: want.UUID, isNew: !exists}
	switch {
	case exists && row.Type != want.Type:
		p.add(record.location, "uuid", record.line, "is that of a %s, not a %s: the type can't be changed", row.Type, want.Type)
	case exists && row.CustomerUUID != want.CustomerUUID && want.CustomerUUID != uuid.Nil:
		p.add(record.location, "uuid", record.line, "is that of a scope of another customer, %s: it can't be moved",
			row.CustomerUUID)
	}
	same := row.Name == want.Name && row.NameFolded == want.NameFolded && row.Slug == want.Slug && row.Description == want.Description &&
		row.DescriptionFolded == want.DescriptionFolded && row.IsRemoved == want.IsRemoved &&
		sameTime(row.StartDate, want.StartDate) && slices.Equal(row.UserEmailPatterns, want.UserEmailPatterns)
	count, rows := &p.changes.report.OtherScopes, &p.changes.otherScopes
	switch want.Type {
	case directory.Customer:
		count, rows = &p.changes.report.Customers, &p.changes.customers
	case directory.Project:
		count = &p.changes.report.Projects
	default:
	}
	if count.count(!exists, same) {
		*rows = append(*rows, want)
		if exists {
			p.noteScope(row, want)
		}
	}
}
