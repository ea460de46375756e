package api_test

import (
	"fmt"
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

// crowd makes users with roles nowhere: crowd0, crowd1, …
func (w *world) crowd(n int) []string {
	w.t.Helper()
	file, names := "users:\n", make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("crowd%d", i)
		file += fmt.Sprintf("  - {username: %s, email: %[1]s@acme.example, tokens: [%[1]s-key]}\n", names[i])
	}
	w.apply(file)
	return names
}

func TestOfManyAcceptsOneWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		var requests []*http.Request
		for _, user := range w.crowd(rivals) {
			requests = append(requests, w.newRequest("POST", at(made.UUID.String(), "accept"), user, nil))
		}
		answers := w.race(requests...)
		require.Equal(w.t, map[int]int{http.StatusOK: 1, http.StatusNotFound: rivals - 1}, count(answers))
		for _, each := range answers {
			if each.Status == http.StatusNotFound {
				each.is(http.StatusNotFound, notFound)
			}
		}
		require.Equal(w.t, "1", w.value("SELECT CAST(count(*) AS TEXT) FROM memberships WHERE role_uuid = '"+admin+"'"))
	})
}

func TestOfManyAcceptsOfOneUserOneWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		made := w.create("owner", "a@x.example", admin, apollo)
		var requests []*http.Request
		for range rivals {
			requests = append(requests, w.newRequest("POST", at(made.UUID.String(), "accept"), "stranger", nil))
		}
		require.Equal(w.t, map[int]int{http.StatusOK: 1, http.StatusNotFound: rivals - 1}, count(w.race(requests...)))
	})
}

// One user accepts many invitations to the same role at once, by different e-mails.
func TestARoleIsGivenOnceThoughOfferedOften(t *testing.T) {
	inEachWorld(t, func(w *world) {
		var requests []*http.Request
		for i := range rivals {
			made := w.create("owner", fmt.Sprintf("a%d@x.example", i), admin, apollo)
			requests = append(requests, w.newRequest("POST", at(made.UUID.String(), "accept"), "stranger", nil))
		}
		answers := w.race(requests...)
		require.Equal(w.t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: rivals - 1}, count(answers))
		for _, each := range answers {
			if each.Status == http.StatusBadRequest {
				each.is(http.StatusBadRequest, sameRole)
			}
		}
		require.Len(w.t, w.emails("owner", "state=pending"), rivals-1)
	})
}

func TestOneManagerEvenWhereManyAcceptAtOnce(t *testing.T) {
	inEachWorld(t, func(w *world) {
		var requests []*http.Request
		for i, user := range w.crowd(rivals) {
			made := w.create("owner", fmt.Sprintf("a%d@acme.example", i), manager, strict)
			requests = append(requests, w.newRequest("POST", at(made.UUID.String(), "accept"), user, nil))
		}
		answers := w.race(requests...)
		require.Equal(w.t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: rivals - 1}, count(answers))
	}, oneManager)
}

func TestOneRoleEvenWhereManyAreAcceptedAtOnce(t *testing.T) {
	inEachWorld(t, func(w *world) {
		var requests []*http.Request
		for _, role := range []string{admin, member, manager} {
			made := w.create("owner", "a@x.example", role, apollo)
			requests = append(requests, w.newRequest("POST", at(made.UUID.String(), "accept"), "stranger", nil))
		}
		require.Equal(w.t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: 2}, count(w.race(requests...)))
	}, disableMultiple)
}

func TestOfManyEqualCreatesOneWins(t *testing.T) {
	inEachWorld(t, func(w *world) {
		var requests []*http.Request
		for i := range rivals {
			email := []string{"a@x.example", "A@X.EXAMPLE"}[i%2]
			requests = append(requests, w.newRequest("POST", base, "owner", draft(email, admin, apollo)))
		}
		answers := w.race(requests...)
		require.Equal(w.t, map[int]int{http.StatusCreated: 1, http.StatusBadRequest: rivals - 1}, count(answers))
		for _, each := range answers {
			if each.Status == http.StatusBadRequest {
				each.is(http.StatusBadRequest, field("email", msgTwice))
			}
		}
		require.Len(w.t, w.emails("owner", ""), 1)
		require.Equal(w.t, 1, w.jobs("deliver_invitation"))
	})
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

func TestAcceptAndCancelAtOnce(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for i := range rivals {
			made := w.create("owner", fmt.Sprintf("a%d@x.example", i), member, artemis)
			require.Equal(w.t, "project", string(made.State))
			w.exec("UPDATE invitations SET state = 'pending'")
			answers := w.race(
				w.newRequest("POST", at(made.UUID.String(), "accept"), []string{"stranger", "invitee"}[i%2], nil),
				w.newRequest("POST", at(made.UUID.String(), "cancel"), "owner", nil))
			w.exec("DELETE FROM memberships WHERE role_uuid = '" + member + "' AND scope_uuid = '" + artemis + "'")
			if answers[0].Status == http.StatusOK {
				answers[1].is(http.StatusBadRequest, noCancel)
				require.Equal(w.t, "accepted", w.state(made.UUID))
			} else {
				answers[0].is(http.StatusNotFound, notFound)
				answers[1].is(http.StatusOK, canceled)
				require.Equal(w.t, "canceled", w.state(made.UUID))
			}
		}
	})
}

func TestApproveAndRejectAtOnce(t *testing.T) {
	inEachWorld(t, func(w *world) {
		for i := range rivals {
			made := w.create("owner", fmt.Sprintf("a%d@x.example", i), admin, apollo)
			staff := w.userID("staff")
			var requests []*http.Request
			for _, each := range decisions {
				for range 2 {
					requests = append(requests, w.newRequest("POST", base+each.action+"/", "",
						map[string]string{"token": w.sign(each.purpose, staff, made.UUID)}))
				}
			}
			answers := w.race(requests...)
			require.Equal(w.t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: 3}, count(answers))
			for _, each := range answers {
				if each.Status == http.StatusBadRequest {
					each.is(http.StatusBadRequest, rule(msgBadID))
				}
			}
		}
		require.Equal(w.t, len(w.emails("owner", "state=pending&page_size=300")), w.jobs("deliver_invitation"))
	}, onlyStaff)
}
