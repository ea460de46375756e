package joining

import (
	"context"
	"errors"
	"slices"

	"invited/internal/directory"
)

// admission is what patterns of e-mail addresses say about one address.
type admission struct {
	byInvitation bool                // a pattern of the group invitation matches
	refusedBy    directory.ScopeType // the scope, or its customer, whose patterns the address does not match; empty: none
}

// admitter evaluates patterns for one address.
type admitter = func(patterns []string, scope directory.Scope, email string) (admission, error)

// errManyPatterns ends a decision that depends on more e-mail patterns than are evaluated in a transaction.
var errManyPatterns = errors.New("joining: the e-mail patterns are to be evaluated outside of the transaction")

// manyPatterns is the number of patterns of a group invitation that take too long for a transaction.
const manyPatterns = 10

// changeAdmitting is Store.Change for a decision that depends on e-mail patterns. Patterns can take a second, and on SQLite
// everybody who writes waits for the transaction. So only few patterns are evaluated in the transaction. Where there are
// many, admits returns errManyPatterns, which decide has to return; the patterns are evaluated, and decide runs again.
func (s *Service) changeAdmitting(ctx context.Context, decide func(Tx, admitter) ([]Change, error)) error {
	// One decision can ask about two scopes: that of the group invitation, and its project.
	type question struct {
		patterns []string
		scope    directory.Scope
		email    string
		answer   admission
	}
	var known []question
	admits := func(patterns []string, scope directory.Scope, email string) (admission, error) {
		if len(patterns) <= manyPatterns && scope.HasFewEmailPatterns(email) {
			return admit(patterns, scope, email), nil
		}
		for _, k := range known {
			if k.email == email && slices.Equal(k.patterns, patterns) && k.scope.Type == scope.Type && k.scope.SameEmailPatterns(scope) {
				return k.answer, nil
			}
		}
		known = append(known, question{patterns: patterns, scope: scope, email: email})
		return admission{}, errManyPatterns
	}
	for {
		err := s.Store.Change(ctx, func(tx Tx) ([]Change, error) { return decide(tx, admits) })
		if !errors.Is(err, errManyPatterns) {
			return err
		}
		last := &known[len(known)-1]
		last.answer = admit(last.patterns, last.scope, last.email)
	}
}

// admit asks the customer's patterns before the scope's: an address that both refuse is refused by the customer.
func admit(patterns []string, scope directory.Scope, email string) admission {
	ofInvitation := directory.Scope{Type: directory.Customer, UserEmailPatterns: patterns}
	a := admission{byInvitation: ofInvitation.RefusesEmail(email) == ""}
	if scope.Customer != nil {
		a.refusedBy = scope.Customer.RefusesEmail(email)
	}
	if a.refusedBy == "" {
		a.refusedBy = scope.RefusesEmail(email)
	}
	return a
}
