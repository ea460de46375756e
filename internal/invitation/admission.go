package invitation

import (
	"context"

	"invited/internal/directory"
)

// admitter returns the type of the scope, a scope or its customer, whose e-mail patterns refuse an address; it is empty where
// none does. See directory.Scope.RefusesEmail.
type admitter = func(scope directory.Scope, email string) (refusing directory.ScopeType, err error)

// admissionQuestion is the question to an admitter.
type admissionQuestion struct {
	scope directory.Scope
	email string
}

func (q admissionQuestion) answer() directory.ScopeType { return q.scope.RefusesEmail(q.email) }

func (q admissionQuestion) equal(other admissionQuestion) bool {
	return q.email == other.email && q.scope.Type == other.scope.Type && q.scope.SameEmailPatterns(other.scope)
}

// changeAdmitting is Store.Change for a decision that depends on e-mail patterns. Fast patterns are evaluated in the
// transaction. Slow ones are evaluated outside of it: then admits returns an error, decide has to return the error, and decide
// runs again.
func (s *Service) changeAdmitting(ctx context.Context, decide func(Tx, admitter) ([]Change, error)) error {
	return directory.AnswerOutside(admissionQuestion.equal, admissionQuestion.answer,
		func(ask func(admissionQuestion) (directory.ScopeType, error)) error {
			admits := func(scope directory.Scope, email string) (directory.ScopeType, error) {
				q := admissionQuestion{scope, email}
				if scope.HasFastEmailPatterns(email) {
					return q.answer(), nil
				}
				return ask(q)
			}
			return s.Store.Change(ctx, func(tx Tx) ([]Change, error) { return decide(tx, admits) })
		})
}
