package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// rivals is how many requests are sent at once.
const rivals = 8

// count tells how many responses have each status.
func count(all []response) map[int]int {
	statuses := map[int]int{}
	for _, each := range all {
		statuses[each.Status]++
	}
	return statuses
}

// The room that an expired invitation leaves is taken once.
func TestOfManyWhoTakeTheRoomOfAnExpiredOneOneWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		old := w.create("owner", "a@x.example", admin, apollo)
		w.clock.Advance(lifetime)
		requests := []*http.Request{w.newRequest("POST", at(old.UUID.String(), "send"), "owner", nil)}
		for range rivals - 1 {
			requests = append(requests, w.newRequest("POST", base, "owner", draft("a@x.example", admin, apollo)))
		}
		answers := w.race(requests...)
		statuses := count(answers)
		require.Equal(w.t, rivals-1, statuses[http.StatusBadRequest], statuses)
		require.Equal(w.t, 1, statuses[http.StatusCreated]+statuses[http.StatusOK], statuses)
		require.Len(w.t, w.emails("owner", "state=pending"), 1)
	})
}

func TestOneOfManyReopeningsWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		var requests []*http.Request
		for range rivals {
			made := w.create("owner", "a@x.example", admin, apollo)
			w.do("owner", made.UUID, "cancel").is(http.StatusOK, canceled)
			requests = append(requests, w.newRequest("POST", at(made.UUID.String(), "send"), "owner", nil))
		}
		require.Equal(w.t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: rivals - 1}, count(w.race(requests...)))
		require.Len(w.t, w.emails("owner", "state=pending"), 1)
	})
}
