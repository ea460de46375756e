package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
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

// fastWork limits how many addresses one Decide compares with fast e-mail patterns: it takes about 20 ms.
const fastWork = 10 * directory.FastEmailWork

// Admissions has the answers to which addresses e-mail patterns admit, and finds those that are fast to find: to find another
// can take a second, which nobody who writes should wait for. The zero Admissions has none.
type Admissions struct {
	answers map[uuid.UUID]scopeAdmissions
	asked   []admissionQuestion
	spent   int // of fastWork
}

// scopeAdmissions are the answers of one scope.
type scopeAdmissions struct {
	scope    directory.Scope                // with the patterns that the answers are about
	refusing map[string]directory.ScopeType // by address
}

// errUnanswered means that a decision needs an answer that Admissions does not have.
var errUnanswered = errors.New("invitation: it is not known whether e-mail patterns admit an address")

// begin begins a decision about some scopes: it forgets the answers of those whose patterns have changed.
func (a *Admissions) begin(scopes map[uuid.UUID]directory.Scope) {
	a.spent = 0
	for id, known := range a.answers {
		if scope, ok := scopes[id]; ok && !known.scope.SameEmailPatterns(scope) {
			delete(a.answers, id)
		}
	}
}

// find is an admitter. It returns errUnanswered for what takes long to find.
func (a *Admissions) find(scope directory.Scope, email string) (directory.ScopeType, error) {
	if refusing, known := a.known(scope, email); known {
		return refusing, nil
	}
	work, isFast := scope.EmailPatternWork(email)
	if !isFast || a.spent+work > fastWork {
		return "", errUnanswered
	}
	a.spent += work
	return a.answer(admissionQuestion{scope, email}), nil
}

// known returns an answer that needs no comparing.
func (a *Admissions) known(scope directory.Scope, email string) (refusing directory.ScopeType, ok bool) {
	if len(scope.UserEmailPatterns) == 0 && (scope.Customer == nil || len(scope.Customer.UserEmailPatterns) == 0) {
		return "", true
	}
	refusing, ok = a.answers[scope.UUID].refusing[email]
	return refusing, ok
}

// answer finds an answer, and keeps it.
func (a *Admissions) answer(q admissionQuestion) directory.ScopeType {
	if a.answers == nil {
		a.answers = map[uuid.UUID]scopeAdmissions{}
	}
	if _, known := a.answers[q.scope.UUID]; !known {
		a.answers[q.scope.UUID] = scopeAdmissions{q.scope, map[string]directory.ScopeType{}}
	}
	refusing := q.answer()
	a.answers[q.scope.UUID].refusing[q.email] = refusing
	return refusing
}

// askFor notes what drafts need.
func (a *Admissions) askFor(f *batchFacts, drafts []BatchDraft) {
	a.asked = nil
	for i, d := range drafts {
		named := f.aims[len(f.aims)-len(drafts)+i]
		if f.checkAim(d, named) != nil {
			continue
		}
		for _, email := range []string{d.Email, f.open[named.target(d.Email)].Email} {
			if _, known := a.known(named.scope, email); !known && email != "" {
				a.asked = append(a.asked, admissionQuestion{named.scope, email})
			}
		}
	}
}

// Answer finds the answers that the last Decide needed, for as long as limit or until ctx ends, and one at least. One slow
// answer is looked for at a time in a process. Answer returns fault.KindUnavailable where the time of ctx is up.
func (a *Admissions) Answer(ctx context.Context, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for i, q := range a.asked {
		if i > 0 && time.Now().After(deadline) {
			break
		}
		if err := a.answerAlone(ctx, q); errors.Is(err, context.DeadlineExceeded) {
			return fault.Unavailable(err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// answering has a value while a slow answer is looked for. All batches of the process have one processor between them.
var answering = make(chan struct{}, 1)

// answerAlone answers a question, a slow one when no other slow one is being answered. It returns the error of a context that
// has ended.
func (a *Admissions) answerAlone(ctx context.Context, q admissionQuestion) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.scope.HasFastEmailPatterns(q.email) {
		a.answer(q)
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answering <- struct{}{}:
		defer func() { <-answering }()
		a.answer(q)
		return nil
	}
}
