package directory

import (
	"errors"

	"invited/internal/fault"
)

// errUnanswered ends a turn of AnswerOutside.
var errUnanswered = errors.New("directory: a question is to be answered outside of the transaction")

// maxTurns is how often AnswerOutside runs a transaction. A decision asks seven different questions at most; more turns are
// needed only where what it reads changes each time.
const maxTurns = 10

// AnswerOutside runs a transaction whose decision depends on answers that take too long to be found in a transaction: on SQLite
// everybody who writes waits for it. The transaction asks. Where the answer is not known yet, ask returns an error, with which
// the transaction has to end; AnswerOutside finds the answer, and runs the transaction again. same compares the content of two
// questions: rows that the transaction makes have other ids each time, and rows that it reads may change. AnswerOutside returns
// the transaction's error, and fault.KindUnavailable where the transaction asks something else each time.
func AnswerOutside[Question, Answer any](
	same func(a, b Question) bool, answer func(Question) Answer, transaction func(ask func(Question) (Answer, error)) error,
) error {
	var questions []Question
	var answers []Answer
	ask := func(q Question) (found Answer, err error) {
		for i, known := range answers {
			if same(q, questions[i]) {
				return known, nil
			}
		}
		questions = append(questions[:len(answers)], q)
		return found, errUnanswered
	}
	for range maxTurns {
		err := transaction(ask)
		if !errors.Is(err, errUnanswered) {
			return err
		}
		answers = append(answers, answer(questions[len(answers)]))
	}
	return fault.Unavailable(errors.New("directory: what a decision depends on changed while it was made"))
}
