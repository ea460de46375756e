package invitation

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Pair is an address and the role to invite it to.
type Pair struct {
	Email string
	Role  uuid.UUID
}

// folded returns the pair in the form in which pairs are compared.
func (p Pair) folded() Pair { return Pair{directory.FoldEmail(p.Email), p.Role} }

// Duplicate is a pair that can't be invited as asked.
type Duplicate struct {
	Pair
	Existing *uuid.UUID // the open invitation of the pair; nil: the pair only occurs more than once in the question
}

// ExistingRole is a role that a user holds whom somebody wants to invite.
type ExistingRole struct {
	Pair
	Held directory.Role
}

// Duplicates is the answer to who of many people is invited already, or is a member.
type Duplicates struct {
	Duplicates    []Duplicate
	ExistingRoles []ExistingRole
}

// Duplicates returns those pairs among many that have an open invitation into the scope or occur more than once, each
// once, in the order and the spelling of its first occurrence, and the roles that users with the addresses hold in the scope,
// in the same order. Duplicates returns fault.KindInvalid where the scope is
// not among those that the caller sees, and fault.KindNotFound where they may not manage it.
func (s *Service) Duplicates(
	ctx context.Context, caller directory.Actor, scopeURL string, pairs []Pair,
) (out Duplicates, err error) {
	err = s.Store.ReadList(ctx, caller.UUID, func(tx Tx) error {
		out = Duplicates{}
		scope, _, err := resolveTarget(tx, caller, scopeURL, uuid.Nil)
		if err != nil {
			return err
		}
		if scope.UUID == uuid.Nil {
			return fault.Field("scope", directory.NoScope(scopeURL))
		}
		if !caller.MayManage(scope) {
			return fault.NotFound()
		}
		times := make(map[Pair]int, len(pairs))
		var first []Pair // each pair once
		for _, pair := range pairs {
			if times[pair.folded()]++; times[pair.folded()] == 1 {
				first = append(first, pair)
			}
		}
		open, err := s.findOpen(tx, scope, first)
		if err != nil {
			return err
		}
		emails := make([]string, len(first))
		for i, pair := range first {
			emails[i] = directory.FoldEmail(pair.Email)
		}
		held, err := tx.RolesByEmail(scope.UUID, emails)
		if err != nil {
			return err
		}
		for _, pair := range first {
			if existing := open[pair.folded()]; existing != nil || times[pair.folded()] > 1 {
				out.Duplicates = append(out.Duplicates, Duplicate{pair, existing})
			}
			for _, role := range held[directory.FoldEmail(pair.Email)] {
				out.ExistingRoles = append(out.ExistingRoles, ExistingRole{pair, role})
			}
		}
		return nil
	})
	return out, err
}

// findOpen returns, by folded pair, the UUIDs of the invitations into a scope that are open now for any of the pairs.
func (s *Service) findOpen(tx Tx, scope directory.Scope, pairs []Pair) (map[Pair]*uuid.UUID, error) {
	folded := make([]Pair, len(pairs))
	for i, pair := range pairs {
		folded[i] = pair.folded()
	}
	found, err := tx.FindOpenAll(scope.UUID, folded)
	open := make(map[Pair]*uuid.UUID, len(found))
	for _, i := range found {
		i.Scope = scope
		if s.view(tx, i).State != Expired {
			open[Pair{i.EmailFolded, i.RoleUUID}] = &i.UUID
		}
	}
	return open, err
}
