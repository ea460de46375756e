package invitation

import (
	"context"
	"errors"

	"invited/internal/directory"
)

// admitter returns the type of the scope, a scope or its customer, whose e-mail patterns refuse an address; it is empty where
// none does. See directory.Scope.RefusesEmail.
type admitter = func(scope directory.Scope, email string) (refusing directory.ScopeType, err error)

// errManyPatterns ends a decision that depends on more e-mail patterns than are evaluated in a transaction.
var errManyPatterns = errors.New("invitation: the e-mail patterns are to be evaluated outside of the transaction")

// changeAdmitting is Store.Change for a decision that depends on e-mail patterns. Patterns can take a second, and on SQLite
// everybody who writes waits for the transaction. So only few patterns are evaluated in the transaction. Where there are
// many, admits returns errManyPatterns, which decide has to return; the patterns are evaluated, and decide runs again.
func (s *Service) changeAdmitting(ctx context.Context, decide func(Tx, admitter) ([]Change, error)) error {
	var known struct {
		scope    directory.Scope
		email    string
		refusing directory.ScopeType
	}
	admits := func(scope directory.Scope, email string) (directory.ScopeType, error) {
		if scope.HasFewEmailPatterns(email) {
			return scope.RefusesEmail(email), nil
		}
		if known.email == email && known.scope.SameEmailPatterns(scope) {
			return known.refusing, nil
		}
		known.scope, known.email = scope, email
		return "", errManyPatterns
	}
	for {
		err := s.Store.Change(ctx, func(tx Tx) ([]Change, error) { return decide(tx, admits) })
		if !errors.Is(err, errManyPatterns) {
			return err
		}
		known.refusing = known.scope.RefusesEmail(known.email)
	}
}
