package waldur

import (
	"context"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
)

// importInvitations imports invitations, the newest first: of several open ones to the same target only one can be open here.
func (r *run) importInvitations(ctx context.Context) error {
	return r.source.invitations(ctx, batchSize, func(rows []invitationRow) error {
		return r.do(ctx, Invitations, len(rows), func(b *batch) (func(Tx) error, error) { return r.decideInvitations(b, rows) })
	})
}

// isOpen reports whether an invitation is open by its stored state.
func isOpen(i invitation.Invitation) bool {
	return i.StoredState == invitation.Pending || i.StoredState == invitation.Requested || i.StoredState == invitation.Project
}

func targetOf(i invitation.Invitation) invitation.Target {
	return invitation.Target{Email: i.EmailFolded, Role: i.RoleUUID, Scope: i.ScopeUUID}
}

func invitationID(i invitation.Invitation) uuid.UUID { return i.UUID }

func (r *run) decideInvitations(b *batch, rows []invitationRow) (func(Tx) error, error) {
	wanted := make([]invitation.Invitation, 0, len(rows))
	for _, row := range rows {
		role, scope, left := r.resolve(row.targetRow)
		var made invitation.Invitation
		var notes []string
		if left == "" {
			made, notes, left = r.mapInvitation(row, role, scope, b.tx.Now())
		}
		if left != "" {
			b.left(Invitations, row.id, left)
			continue
		}
		if made.CreatedByUUID = r.by(row.createdBy); made.CreatedByUUID == nil && row.createdBy != uuid.Nil {
			notes = append(notes, alteredCreator)
		}
		b.altered(Invitations, row.id, notes...)
		wanted = append(wanted, made)
	}
	ids := idsOf(wanted, invitationID)
	found, err := b.tx.FindInvitations(ids)
	if err != nil {
		return nil, err
	}
	here := byID(found, invitationID)
	changedIDs, err := b.tx.ChangedInvitations(ids)
	if err != nil {
		return nil, err
	}
	touched := setOf(changedIDs)
	places, err := r.findPlaces(b, wanted)
	if err != nil {
		return nil, err
	}

	var changed, created []invitation.Invitation
	var displaced []uuid.UUID
	open := map[invitation.Target]uuid.UUID{} // of this batch
	for _, want := range wanted {
		existing, exists := here[want.UUID]
		if touched.has(want.UUID) {
			if exists && !sameInvitation(existing, want) {
				b.left(Invitations, want.UUID, leftChanged)
			} else if exists {
				b.unchanged(Invitations)
			} else {
				b.left(Invitations, want.UUID, leftDeleted)
			}
			continue
		}
		if isOpen(want) {
			target := targetOf(want)
			place := places[target]
			_, isOld := open[target]
			if _, before := r.open[target]; isOld || before || !place.isFreeFor(want) {
				want.StoredState, want.Reminded = invitation.Canceled, false
				b.altered(Invitations, want.UUID, alteredDuplicate)
			} else {
				open[target] = want.UUID
				b.then = append(b.then, func() { r.open[target] = want.UUID })
				if place.taken && place.by.UUID != want.UUID {
					displaced = append(displaced, place.by.UUID)
					b.then = append(b.then, func() { r.displaced.add(place.by.UUID) })
				}
			}
		}
		if want.StoredState == invitation.Requested {
			b.then = append(b.then, func() { r.report.Requested++ })
		}
		if exists {
			want.Reminded = want.Reminded || existing.Reminded
		}
		switch {
		case !exists:
			b.created(Invitations)
			created = append(created, want)
		case sameInvitation(existing, want) && !r.displaced.has(want.UUID):
			b.unchanged(Invitations)
		default:
			b.changed(Invitations)
			changed = append(changed, want)
		}
	}
	// What a statement frees, the next one can take.
	slices.SortStableFunc(changed, func(x, y invitation.Invitation) int { return openLast(x) - openLast(y) })
	return func(tx Tx) error {
		if len(displaced) > 0 {
			if err := tx.CancelInvitations(displaced); err != nil {
				return err
			}
		}
		return tx.SaveInvitations(changed, created)
	}, nil
}

// openLast orders open invitations after others.
func openLast(i invitation.Invitation) int {
	if isOpen(i) {
		return 1
	}
	return 0
}

// place is where an open invitation to a target is, or could be.
type place struct {
	taken  bool
	by     invitation.Invitation
	isKept bool // the invitation there was made or changed here, and stays
}

// isFreeFor reports whether an invitation can be open there.
func (p place) isFreeFor(i invitation.Invitation) bool {
	return !p.taken || p.by.UUID == i.UUID || !p.isKept
}

// findPlaces returns the places of the open ones of invitations.
func (r *run) findPlaces(b *batch, wanted []invitation.Invitation) (map[invitation.Target]place, error) {
	var targets []invitation.Target
	for _, each := range wanted {
		if isOpen(each) {
			targets = append(targets, targetOf(each))
		}
	}
	if len(targets) == 0 {
		return nil, nil
	}
	found, err := b.tx.FindOpenTargets(targets)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	changed, err := b.tx.ChangedInvitations(idsOf(found, invitationID))
	kept := setOf(changed)
	places := make(map[invitation.Target]place, len(found))
	for _, each := range found {
		places[targetOf(each)] = place{taken: true, by: each, isKept: kept.has(each.UUID)}
	}
	return places, err
}

// sameInvitation reports whether an invitation here has the content of an imported one.
func sameInvitation(a, b invitation.Invitation) bool { return reflect.DeepEqual(plain(a), plain(b)) }

// plain returns an invitation without the rows that it refers to, and with its times in one form.
func plain(i invitation.Invitation) invitation.Invitation {
	i.Role, i.Scope, i.CreatedBy = directory.Role{}, directory.Scope{}, nil
	i.Created = i.Created.UTC()
	if i.ExpiresAt != nil {
		i.ExpiresAt = new(i.ExpiresAt.UTC())
	}
	return i
}

// importGroups imports group invitations.
func (r *run) importGroups(ctx context.Context) error {
	return r.source.groups(ctx, batchSize, func(rows []groupRow) error {
		return r.do(ctx, Groups, len(rows), func(b *batch) (func(Tx) error, error) { return r.decideGroups(b, rows) })
	})
}

func (r *run) decideGroups(b *batch, rows []groupRow) (func(Tx) error, error) {
	ids := idsOf(rows, func(each groupRow) uuid.UUID { return each.id })
	found, err := b.tx.FindGroups(ids)
	if err != nil {
		return nil, err
	}
	here := byID(found, func(each joining.GroupInvitation) uuid.UUID { return each.UUID })
	changedIDs, err := b.tx.ChangedGroups(ids)
	if err != nil {
		return nil, err
	}
	touched := setOf(changedIDs)
	var changed, created []joining.GroupInvitation
	for _, row := range rows {
		role, scope, left := r.resolve(row.targetRow)
		var projectRole *directory.Role
		if row.projectRole != uuid.Nil {
			if each, is := r.roles[row.projectRole]; is {
				projectRole = &each
			} else if left == "" {
				left = leftRole
			}
		}
		var want joining.GroupInvitation
		var notes []string
		if left == "" {
			want, notes, left = mapGroup(row, role, projectRole, scope)
		}
		existing, exists := here[row.id]
		switch {
		case left != "":
		case touched.has(row.id) && !exists:
			left = leftDeleted
		case touched.has(row.id):
			b.left(Groups, row.id, leftChanged)
			b.then = append(b.then, func() { r.groups[row.id] = existing })
			continue
		}
		if left != "" {
			b.left(Groups, row.id, left)
			continue
		}
		if want.CreatedByUUID = r.by(row.createdBy); want.CreatedByUUID == nil && row.createdBy != uuid.Nil {
			notes = append(notes, alteredCreator)
		}
		want.OfferedByUUID = want.CreatedByUUID
		b.altered(Groups, row.id, notes...)
		b.then = append(b.then, func() { r.groups[row.id] = want })
		switch {
		case !exists:
			b.created(Groups)
			created = append(created, want)
		case sameGroup(existing, want):
			b.unchanged(Groups)
		default:
			want.Version = existing.Version + 1
			b.changed(Groups)
			changed = append(changed, want)
		}
	}
	return func(tx Tx) error { return tx.SaveGroups(changed, created) }, nil
}

// sameGroup reports whether a group invitation here has the content of an imported one.
func sameGroup(a, b joining.GroupInvitation) bool {
	plain := func(g joining.GroupInvitation) joining.GroupInvitation {
		g.Role, g.Scope, g.CreatedBy, g.ProjectRole, g.Version, g.Created = directory.Role{}, directory.Scope{}, nil, nil, 0, g.Created.UTC()
		return g
	}
	return reflect.DeepEqual(plain(a), plain(b))
}

// importRequests imports permission requests, the oldest first.
func (r *run) importRequests(ctx context.Context) error {
	return r.source.requests(ctx, batchSize, func(rows []requestRow) error {
		return r.do(ctx, Requests, len(rows), func(b *batch) (func(Tx) error, error) { return r.decideRequests(b, rows) })
	})
}

func (r *run) decideRequests(b *batch, rows []requestRow) (func(Tx) error, error) {
	found, err := b.tx.FindRequests(idsOf(rows, func(each requestRow) uuid.UUID { return each.id }))
	if err != nil {
		return nil, err
	}
	here := byID(found, func(each joining.Request) uuid.UUID { return each.UUID })
	changedIDs, err := b.tx.ChangedRequests(idsOf(rows, func(each requestRow) uuid.UUID { return each.group }))
	if err != nil {
		return nil, err
	}
	touched := setOf(changedIDs)
	exclusive, err := b.tx.FindExclusive(idsOf(rows, func(each requestRow) uuid.UUID { return each.createdBy }))
	if err != nil {
		return nil, err
	}
	pending := map[requester]uuid.UUID{}
	for _, each := range exclusive {
		pending[requester{each.CreatedByUUID, each.ScopeUUID}] = each.UUID
	}
	var changed, created []joining.Request
	for _, row := range rows {
		group, hasGroup := r.groups[row.group]
		want, notes, left := mapRequest(row, group)
		existing, exists := here[row.id]
		switch {
		case left != "":
		case !hasGroup:
			left = leftGroup
		case r.users.has(row.createdBy):
			left = leftUser
		case touched.has(row.id) && !exists:
			left = leftDeleted
		case touched.has(row.id):
			left = leftChanged
		}
		if left != "" {
			b.left(Requests, row.id, left)
			continue
		}
		want.ReviewedByUUID = r.by(row.reviewedBy)
		key := requester{want.CreatedByUUID, want.ScopeUUID}
		if want.State != joining.Pending && pending[key] == want.UUID { // it makes place
			delete(pending, key)
		}
		if want.State == joining.Pending && want.IsExclusive {
			other, taken := pending[key]
			if before, is := r.pending[key]; is {
				other, taken = before, true
			}
			if taken && other != want.UUID {
				want.IsExclusive = false
				notes = append(notes, alteredNotAlone)
			} else {
				pending[key] = want.UUID
				b.then = append(b.then, func() { r.pending[key] = want.UUID })
			}
		}
		b.altered(Requests, row.id, notes...)
		switch {
		case !exists:
			b.created(Requests)
			created = append(created, want)
		case sameRequest(existing, want):
			b.unchanged(Requests)
		default:
			b.changed(Requests)
			changed = append(changed, want)
		}
	}
	return func(tx Tx) error { return tx.SaveRequests(changed, created) }, nil
}

// sameRequest reports whether a permission request here has the content of an imported one.
func sameRequest(a, b joining.Request) bool {
	plain := func(q joining.Request) joining.Request {
		q.Group, q.CreatedBy, q.ReviewedBy, q.Created = joining.GroupInvitation{}, directory.User{}, nil, q.Created.UTC()
		if q.ReviewedAt != nil {
			q.ReviewedAt = new(q.ReviewedAt.UTC())
		}
		return q
	}
	return reflect.DeepEqual(plain(a), plain(b))
}
