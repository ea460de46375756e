package directory

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"invited/internal/fault"
)

// A transaction runs once more for each question, and each question is answered once, outside of it.
func TestAnswerOutside(t *testing.T) {
	t.Parallel()
	runs, inside, answered := 0, false, []string{}
	answer := func(q []string) string {
		require.False(t, inside)
		answered = append(answered, strings.Join(q, ""))
		return strings.ToUpper(strings.Join(q, ""))
	}
	var got []string
	failure := errors.New("of the transaction")
	err := AnswerOutside(slices.Equal[[]string], answer, func(ask func([]string) (string, error)) error {
		runs++
		inside, got = true, nil
		defer func() { inside = false }()
		for _, q := range [][]string{{"a"}, {"b", "c"}, {"a"}, {"d"}} {
			found, err := ask(q)
			if err != nil {
				return errors.Join(err, errors.New("with more words"))
			}
			got = append(got, found)
		}
		return failure
	})
	require.ErrorIs(t, err, failure)
	require.Equal(t, 4, runs)
	require.Equal(t, []string{"a", "bc", "d"}, answered)
	require.Equal(t, []string{"A", "BC", "A", "D"}, got)
}

func TestAnswerOutsideEnds(t *testing.T) {
	t.Parallel()
	runs := 0
	err := AnswerOutside(func(a, b int) bool { return a == b }, func(int) bool { return true }, func(ask func(int) (bool, error)) error {
		runs++
		_, err := ask(runs)
		return err
	})
	require.True(t, fault.Is(err, fault.KindUnavailable), "%v", err)
	require.Equal(t, maxTurns, runs)
}
