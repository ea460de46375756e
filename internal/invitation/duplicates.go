package invitation

import (
	"context"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Pair is who is to be invited, as what.
type Pair struct {
	Email string
	Role  uuid.UUID
}

// Duplicate is a pair that would stand twice.
type Duplicate struct {
	Pair
	Existing *uuid.UUID // the open invitation of the pair; nil: it only comes again among those that were asked about
}

// Duplicates returns which of many invitations to a scope would stand twice, each once, as and in the order in which it
// first came. It returns fault.KindInvalid where the scope can't be found among those that the caller sees, and
// fault.KindNotFound where they may not manage it.
func (s *Service) Duplicates(
	ctx context.Context, caller directory.User, scopeURL string, pairs []Pair,
) (out []Duplicate, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		actor, err := tx.Actor(caller)
		if err != nil {
			return err
		}
		scope, _, err := s.named(tx, actor, scopeURL, uuid.Nil)
		if err != nil {
			return err
		}
		if scope.UUID == uuid.Nil {
			return fault.Field("scope", msgNoScope+scopeURL)
		}
		if !actor.MayManage(scope) {
			return fault.NotFound()
		}
		times := make(map[Pair]int, len(pairs))
		var distinct []Pair // as they first came
		for _, each := range pairs {
			key := each.folded()
			if times[key]++; times[key] == 1 {
				distinct = append(distinct, each)
			}
		}
		open, err := s.open(tx, scope, distinct)
		if err != nil {
			return err
		}
		for _, each := range distinct {
			if existing := open[each.folded()]; existing != nil || times[each.folded()] > 1 {
				out = append(out, Duplicate{each, existing})
			}
		}
		return nil
	})
	return out, err
}

// folded is the pair as pairs are compared.
func (p Pair) folded() Pair { return Pair{directory.Fold(p.Email), p.Role} }

// open is, for each of these pairs that has one, folded, the invitation to a scope that is open for it now.
func (s *Service) open(tx Tx, scope directory.Scope, pairs []Pair) (map[Pair]*uuid.UUID, error) {
	folded := make([]Pair, len(pairs))
	for i, each := range pairs {
		folded[i] = each.folded()
	}
	found, err := tx.Open(scope.UUID, folded)
	open := make(map[Pair]*uuid.UUID, len(found))
	for _, each := range found {
		each.Scope = scope
		if each.StateAt(tx.Now(), s.Policy.Lifetime) != Expired {
			open[Pair{each.EmailFolded, each.RoleUUID}] = &each.UUID
		}
	}
	return open, err
}
