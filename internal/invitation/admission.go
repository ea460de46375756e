package invitation

import (
	"context"
	"errors"

	"invited/internal/directory"
)

// admitter reports whether the e-mail patterns of a scope and its customer admit an address.
type admitter = func(scope directory.Scope, email string) (bool, error)

// errManyPatterns ends a decision that depends on more e-mail patterns than are evaluated in a transaction.
var errManyPatterns = errors.New("invitation: the e-mail patterns are to be evaluated outside of the transaction")

// changeAdmitting is Store.Change for a decision that depends on e-mail patterns. Patterns can take a second, and on SQLite
// everybody who writes waits for the transaction. So only few patterns are evaluated in the transaction. Where there are
// many, admits returns errManyPatterns, which decide has to return; the patterns are evaluated, and decide runs again.
func (s *Service) changeAdmitting(ctx context.Context, decide func(Tx, admitter) ([]Change, error)) error {
	var known struct {
		scope    directory.Scope
		email    string
		admitted bool
	}
	admits := func(scope directory.Scope, email string) (bool, error) {
		if scope.HasFewEmailPatterns() {
			return scope.AdmitsEmail(email), nil
		}
		if known.email == email && known.scope.SameEmailPatterns(scope) {
			return known.admitted, nil
		}
		known.scope, known.email = scope, email
		return false, errManyPatterns
	}
	for {
		err := s.Store.Change(ctx, func(tx Tx) ([]Change, error) { return decide(tx, admits) })
		if !errors.Is(err, errManyPatterns) {
			return err
		}
		known.admitted = known.scope.AdmitsEmail(known.email)
	}
}
