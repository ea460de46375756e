package waldur

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"invited/internal/directory"
)

// importRoles imports all roles in one batch: there are few. A role stands for the one here with its uuid, else for the one with
// its name, which keeps its own permissions.
func (r *run) importRoles(ctx context.Context) error {
	return r.source.roles(ctx, 1<<20, func(rows []roleRow) error {
		return r.do(ctx, Roles, len(rows), func(b *batch) (func(Tx) error, error) {
			names := make([]string, len(rows))
			for n, each := range rows {
				names[n] = directory.Trim(each.name)
			}
			found, err := b.tx.FindRoles(idsOf(rows, func(each roleRow) uuid.UUID { return each.id }), names)
			if err != nil {
				return nil, err
			}
			here := byID(found, func(each directory.Role) uuid.UUID { return each.UUID })
			named := map[string]directory.Role{}
			for _, each := range found {
				named[each.Name] = each
			}
			taken := map[string]bool{} // names of the roles of Waldur so far
			roles := map[uuid.UUID]directory.Role{}
			var save []directory.Role
			for _, each := range rows {
				role, ok := r.importRole(b, each, here, named, taken, &save)
				if ok {
					roles[each.id] = role
				}
			}
			b.then = append(b.then, func() { r.roles = roles })
			return func(tx Tx) error { return tx.SaveRoles(save) }, nil
		})
	})
}

// importRole returns a role as it is here after the import, and reports false where it is left.
func (r *run) importRole(
	b *batch, row roleRow, here map[uuid.UUID]directory.Role, named map[string]directory.Role, taken map[string]bool, save *[]directory.Role,
) (directory.Role, bool) {
	want, notes, left := mapRole(row)
	if left != "" {
		b.left(Roles, row.id, left)
		return want, false
	}
	existing, exists := here[want.UUID]
	if taken[want.Name] { // since 2026 organizations can have roles of their own, whose names others have too
		want = renamed(want)
		notes = append(notes, alteredRoleName)
	} else if other, is := named[want.Name]; is && !exists {
		if other.ScopeType != want.ScopeType {
			b.left(Roles, row.id, leftRoleType)
			return want, false
		}
		taken[want.Name] = true
		b.unchanged(Roles)
		b.altered(Roles, row.id, alteredRoleHere)
		return other, true
	} else if is && other.UUID != want.UUID {
		want = renamed(want)
		notes = append(notes, alteredRoleName)
	}
	taken[want.Name] = true
	b.altered(Roles, row.id, notes...)
	switch {
	case !exists:
		b.created(Roles)
	case existing.ScopeType != want.ScopeType:
		b.left(Roles, row.id, leftScopeType)
		return want, false
	case existing.Name == want.Name && existing.NameFolded == want.NameFolded && existing.Description == want.Description &&
		existing.DescriptionFolded == want.DescriptionFolded && existing.IsActive == want.IsActive &&
		slices.Equal(existing.Permissions, want.Permissions):
		b.unchanged(Roles)
		return existing, true
	default:
		b.changed(Roles)
	}
	*save = append(*save, want)
	return want, true
}

// importUsers imports users, each with their token.
func (r *run) importUsers(ctx context.Context) error {
	return r.source.users(ctx, batchSize, r.WithTokens, func(rows []userRow) error {
		return r.do(ctx, Users, len(rows), func(b *batch) (func(Tx) error, error) { return r.decideUsers(b, rows) })
	})
}

func (r *run) decideUsers(b *batch, rows []userRow) (func(Tx) error, error) {
	names := make([]string, len(rows))
	for n, each := range rows {
		names[n] = directory.Trim(each.username)
	}
	found, err := b.tx.FindUsers(idsOf(rows, func(each userRow) uuid.UUID { return each.id }), names)
	if err != nil {
		return nil, err
	}
	here := byID(found, func(each directory.User) uuid.UUID { return each.UUID })
	named := map[string]uuid.UUID{}
	for _, each := range found {
		named[each.Username] = each.UUID
	}
	var save []directory.User
	var imported []userRow
	for _, row := range rows {
		want, notes, left := mapUser(row)
		existing, exists := here[want.UUID]
		if exists && existing.Username == directory.ErasedUsername(existing.UUID) {
			left = leftErased
			b.then = append(b.then, func() { r.erased.add(row.id) })
		} else if owner, taken := named[want.Username]; left == "" && taken && owner != want.UUID {
			left = leftUsernameUsed
		}
		if left != "" {
			b.left(Users, row.id, left)
			b.then = append(b.then, func() { r.users.add(row.id) })
			continue
		}
		named[want.Username] = want.UUID
		if want.Created.IsZero() {
			want.Created = b.tx.Now()
		}
		if exists { // what Waldur does not have stays
			want.Image, want.Kind, want.MadeBySignIn, want.Created = existing.Image, existing.Kind, existing.MadeBySignIn, existing.Created
		}
		b.altered(Users, row.id, notes...)
		switch {
		case !exists:
			b.created(Users)
			save = append(save, want)
		case existing != want:
			b.changed(Users)
			save = append(save, want)
		default:
			b.unchanged(Users)
		}
		imported = append(imported, row)
	}
	saveTokens, err := r.decideTokens(b, imported)
	return func(tx Tx) error {
		if err := tx.SaveUsers(save); err != nil {
			return err
		}
		return saveTokens(tx)
	}, err
}

// decideTokens decides about the tokens of users that are imported. A token that an import before has made, and that is not the
// user's in Waldur any more, is revoked.
func (r *run) decideTokens(b *batch, users []userRow) (func(Tx) error, error) {
	if !r.WithTokens || !r.source.hasTokens() {
		return func(Tx) error { return nil }, nil
	}
	var rows []userRow
	var tokens []directory.APIToken
	var reasons, digests []string
	for _, row := range users {
		if row.token == "" {
			continue
		}
		made, left := mapToken(row, b.tx.Now())
		rows, tokens, reasons, digests = append(rows, row), append(tokens, made), append(reasons, left), append(digests, made.Digest)
	}
	save, isNew, err := r.compareTokens(b, rows, tokens, reasons, digests)
	if err != nil {
		return nil, err
	}
	ended, err := b.tx.TokensOf(idsOf(users, func(each userRow) uuid.UUID { return each.id }))
	if err != nil {
		return nil, err
	}
	ended = slices.DeleteFunc(ended, func(each directory.APIToken) bool {
		return each.UUID != tokenID(each.Digest) || slices.Contains(digests, each.Digest)
	})
	for _, each := range ended {
		b.changed(Tokens)
		b.altered(Tokens, each.UserUUID, alteredTokenEnded)
	}
	return func(tx Tx) error {
		if err := tx.SaveTokens(save); err != nil {
			return err
		}
		if err := tx.SaveTokenEvents(true, isNew); err != nil {
			return err
		}
		if len(ended) == 0 {
			return nil
		}
		revoked, err := tx.DeleteTokens(idsOf(ended, func(each directory.APIToken) uuid.UUID { return each.UUID }))
		if err != nil {
			return err
		}
		return tx.SaveTokenEvents(false, revoked)
	}, nil
}

// compareTokens returns those of the tokens of users that are to be saved, and those of them that are new. reasons has why a
// token that is not here is left.
func (r *run) compareTokens(
	b *batch, rows []userRow, tokens []directory.APIToken, reasons, digests []string,
) (save, isNew []directory.APIToken, err error) {
	if len(rows) == 0 {
		return nil, nil, nil
	}
	found, err := b.tx.FindTokens(digests)
	if err != nil {
		return nil, nil, err
	}
	here := map[string]directory.APIToken{}
	for _, each := range found {
		here[each.Digest] = each
	}
	details, err := b.tx.RevokedTokens(idsOf(rows, func(each userRow) uuid.UUID { return each.id }))
	if err != nil {
		return nil, nil, err
	}
	revoked := map[string]bool{}
	for _, each := range details {
		id, _, _ := strings.Cut(each, " ")
		revoked[strings.TrimSuffix(id, ",")] = true
	}
	for n, row := range rows {
		want := tokens[n]
		existing, exists := here[want.Digest]
		left := reasons[n]
		switch {
		case exists && existing.UserUUID != want.UserUUID:
			left = leftTokenUsed
		case exists && !sameTime(existing.Expires, want.Expires):
			left = "" // it ends here as it does in Waldur, also where that is past
		case !exists && revoked[want.UUID.String()]:
			left = leftTokenRevoked
		}
		switch {
		case left != "":
			b.left(Tokens, row.id, left)
		case !exists:
			b.created(Tokens)
			save, isNew = append(save, want), append(isNew, want)
		case sameTime(existing.Expires, want.Expires):
			b.unchanged(Tokens)
		default:
			b.changed(Tokens)
			save = append(save, want)
		}
	}
	return save, isNew, nil
}

// importPersonalTokens leaves personal access tokens: they are limited to single permissions and objects of Waldur, and would
// do more here than there.
func (r *run) importPersonalTokens(ctx context.Context) error {
	if !r.WithTokens {
		return nil
	}
	return r.source.personalTokens(ctx, batchSize, func(ids []uuid.UUID) error {
		return r.do(ctx, Tokens, 0, func(b *batch) (func(Tx) error, error) {
			for _, each := range ids {
				b.left(Tokens, each, leftPersonal)
			}
			return func(Tx) error { return nil }, nil
		})
	})
}

// kindOf is the kind of the scopes of a type.
func kindOf(t directory.ScopeType) Kind {
	switch t {
	case directory.Customer:
		return Customers
	case directory.Project:
		return Projects
	default:
		return OtherScopes
	}
}

// importScopes imports scopes, organizations first.
func (r *run) importScopes(ctx context.Context) error {
	return r.source.scopeRows(ctx, batchSize, func(rows []scopeRow) error {
		return r.do(ctx, Customers, len(rows), func(b *batch) (func(Tx) error, error) { return r.decideScopes(b, rows) })
	})
}

func (r *run) decideScopes(b *batch, rows []scopeRow) (func(Tx) error, error) {
	found, err := b.tx.FindScopes(idsOf(rows, func(each scopeRow) uuid.UUID { return each.id }), nil)
	if err != nil {
		return nil, err
	}
	here := byID(found, func(each directory.Scope) uuid.UUID { return each.UUID })
	leftHere := set{} // organizations of this batch
	var save []directory.Scope
	for _, row := range rows {
		want, notes, left := mapScope(row)
		existing, exists := here[want.UUID]
		switch {
		case left != "":
		case r.scopes.has(want.CustomerUUID) || leftHere.has(want.CustomerUUID):
			left = leftCustomer
		case exists && existing.Type != want.Type:
			left = leftScopeType
		case exists && existing.CustomerUUID != want.CustomerUUID:
			left = leftMoved
		}
		if left != "" {
			b.left(kindOf(row.kind), row.id, left)
			leftHere.add(row.id)
			b.then = append(b.then, func() { r.scopes.add(row.id) })
			continue
		}
		b.altered(kindOf(row.kind), row.id, notes...)
		b.then = append(b.then, func() { r.customers[want.UUID] = want.CustomerUUID })
		switch {
		case !exists:
			if want.Created.IsZero() {
				want.Created = b.tx.Now()
			}
			b.created(kindOf(row.kind))
		case sameScope(existing, want):
			b.unchanged(kindOf(row.kind))
			continue
		default:
			want.Created, want.GroupInvitationUUID, want.MadeForUUID = existing.Created, existing.GroupInvitationUUID, existing.MadeForUUID
			b.changed(kindOf(row.kind))
		}
		save = append(save, want)
	}
	// A scope refers to its organization, which may be one of these.
	slices.SortStableFunc(save, func(x, y directory.Scope) int {
		return cmp.Compare(rank(x), rank(y))
	})
	return func(tx Tx) error { return tx.SaveScopes(save) }, nil
}

// rank orders organizations before their scopes.
func rank(s directory.Scope) int {
	if s.Type == directory.Customer {
		return 0
	}
	return 1
}

func sameScope(a, b directory.Scope) bool {
	return a.Name == b.Name && a.NameFolded == b.NameFolded && a.Slug == b.Slug && a.Description == b.Description &&
		a.DescriptionFolded == b.DescriptionFolded && a.IsRemoved == b.IsRemoved && sameTime(a.StartDate, b.StartDate) &&
		slices.Equal(a.UserEmailPatterns, b.UserEmailPatterns)
}

// resolve returns the role and the scope of a row, or why the row is left.
func (r *run) resolve(t targetRow) (role directory.Role, scope directory.Scope, left string) {
	scope = directory.Scope{
		UUID: t.scope, Type: t.kind, CustomerUUID: r.customers[t.scope], StartDate: t.startDate, IsRemoved: t.isRemoved,
	}
	role, hasRole := r.roles[t.role]
	switch {
	case t.model == "":
		left = leftNoScope
	case scopeType(t.model) == "":
		left = leftType(t.model)
	case t.scope == uuid.Nil:
		left = leftNoScope
	case r.scopes.has(t.scope):
		left = leftScope
	case !hasRole:
		left = leftRole
	}
	return role, scope, left
}

// by returns who made a row; nil where that user was left. An erased user is here.
func (r *run) by(user uuid.UUID) *uuid.UUID {
	if user == uuid.Nil || (r.users.has(user) && !r.erased.has(user)) {
		return nil
	}
	return &user
}

// importMembers imports the roles that users hold.
func (r *run) importMembers(ctx context.Context) error {
	return r.source.members(ctx, batchSize, func(rows []memberRow) error {
		return r.do(ctx, Memberships, len(rows), func(b *batch) (func(Tx) error, error) { return r.decideMembers(b, rows) })
	})
}

func (r *run) decideMembers(b *batch, rows []memberRow) (func(Tx) error, error) {
	wanted := make([]directory.Membership, 0, len(rows))
	keys := make([]directory.MembershipKey, 0, len(rows))
	last := r.lastMember
	for _, row := range rows {
		role, scope, left := r.resolve(row.targetRow)
		key := directory.MembershipKey{User: row.user, Role: role.UUID, Scope: scope.UUID}
		switch {
		case left != "":
		case row.id == uuid.Nil:
			left = leftNoUUID
		case r.users.has(row.user):
			left = leftUser
		case role.ScopeType != scope.Type:
			left = leftMisfit
		case key == last:
			left = leftHeldTwice
		}
		if left != "" {
			b.left(Memberships, row.id, left)
			continue
		}
		last = key
		keys = append(keys, key)
		wanted = append(wanted, directory.Membership{
			UUID: row.id, UserUUID: key.User, RoleUUID: key.Role, ScopeUUID: key.Scope, CreatedByUUID: r.by(row.createdBy),
			Created: row.created, Expires: row.expires,
		})
	}
	b.then = append(b.then, func() { r.lastMember = last })
	found, err := b.tx.FindMembershipsByID(idsOf(wanted, membershipID))
	if err != nil {
		return nil, err
	}
	here := byID(found, membershipID)
	if found, err = b.tx.FindMemberships(keys); err != nil {
		return nil, err
	}
	held := map[directory.MembershipKey]directory.Membership{}
	for _, each := range found {
		held[directory.MembershipKey{User: each.UserUUID, Role: each.RoleUUID, Scope: each.ScopeUUID}] = each
	}
	var save, freed []directory.Membership // freed make place for others
	now := b.tx.Now()
	for n, want := range wanted {
		existing, exists := here[want.UUID]
		other, isHeld := held[keys[n]]
		switch {
		case exists && existing.Revoked != nil:
			b.left(Memberships, want.UUID, leftRevoked)
		case isHeld && other.UUID != want.UUID && (other.Expires == nil || other.Expires.After(now)):
			b.left(Memberships, want.UUID, leftHeldTwice)
		case !exists:
			if isHeld { // an expired one that nobody has revoked
				other.Revoked = &now
				freed = append(freed, other)
			}
			b.created(Memberships)
			save = append(save, want)
		case sameTime(existing.Expires, want.Expires):
			b.unchanged(Memberships)
		default:
			b.changed(Memberships)
			existing.Expires = want.Expires
			save = append(save, existing)
		}
	}
	return func(tx Tx) error {
		if err := tx.SaveMemberships(freed); err != nil {
			return err
		}
		return tx.SaveMemberships(save)
	}, nil
}

func membershipID(m directory.Membership) uuid.UUID { return m.UUID }

// endMembers revokes the roles that an import before has given, and that were revoked in Waldur since.
func (r *run) endMembers(ctx context.Context) error {
	return r.source.endedMembers(ctx, batchSize, func(ids []uuid.UUID) error {
		return r.do(ctx, Memberships, len(ids), func(b *batch) (func(Tx) error, error) {
			found, err := b.tx.FindMembershipsByID(ids)
			now := b.tx.Now()
			var ended []directory.Membership
			for _, each := range found {
				if each.Revoked == nil {
					each.Revoked = &now
					ended = append(ended, each)
					b.changed(Memberships)
				}
			}
			return func(tx Tx) error { return tx.SaveMemberships(ended) }, err
		})
	})
}
