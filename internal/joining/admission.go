package joining

import (
	"context"
	"slices"

	"invited/internal/directory"
)

// admission is the answer of patterns of e-mail addresses about one address.
type admission struct {
	byInvitation bool                // a pattern of the group invitation matches
	refusedBy    directory.ScopeType // the scope, or its customer, whose patterns the address does not match; empty: none
}

// admitter evaluates patterns for one address: those of a group invitation, and those of a scope and its customer.
type admitter = func(patterns []string, scope directory.Scope, email string) (admission, error)

// admissionQuestion is the question to an admitter. invitation has the patterns of the group invitation.
type admissionQuestion struct {
	invitation, scope directory.Scope
	email             string
}

// newQuestion returns the question about an address: what patterns of a group invitation, and those of a scope, say.
func newQuestion(patterns []string, scope directory.Scope, email string) admissionQuestion {
	return admissionQuestion{directory.Scope{Type: directory.Customer, UserEmailPatterns: patterns}, scope, email}
}

// answer asks the customer's patterns before the scope's: an address that both refuse is refused by the customer.
func (q admissionQuestion) answer() admission {
	a := admission{byInvitation: q.invitation.RefusesEmail(q.email) == ""}
	if q.scope.Customer != nil {
		a.refusedBy = q.scope.Customer.RefusesEmail(q.email)
	}
	if a.refusedBy == "" {
		a.refusedBy = q.scope.RefusesEmail(q.email)
	}
	return a
}

func (q admissionQuestion) equal(other admissionQuestion) bool {
	return q.email == other.email && slices.Equal(q.invitation.UserEmailPatterns, other.invitation.UserEmailPatterns) &&
		q.scope.Type == other.scope.Type && q.scope.SameEmailPatterns(other.scope)
}

func (q admissionQuestion) isFast() bool {
	return q.invitation.HasFastEmailPatterns(q.email) && q.scope.HasFastEmailPatterns(q.email)
}

// changeAdmitting is Store.Change for a decision that depends on e-mail patterns. Fast patterns are evaluated in the
// transaction. Slow ones are evaluated outside of it: then admits returns an error, decide has to return the error, and decide
// runs again. One decision can ask about two scopes: that of the group invitation, and the project.
func (s *Service) changeAdmitting(ctx context.Context, decide func(Tx, admitter) ([]Change, error)) error {
	return directory.AnswerOutside(admissionQuestion.equal, admissionQuestion.answer,
		func(ask func(admissionQuestion) (admission, error)) error {
			admits := func(patterns []string, scope directory.Scope, email string) (admission, error) {
				q := newQuestion(patterns, scope, email)
				if q.isFast() {
					return q.answer(), nil
				}
				return ask(q)
			}
			return s.Store.Change(ctx, func(tx Tx) ([]Change, error) { return decide(tx, admits) })
		})
}
