package api_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/invitation"
	"invited/internal/store"
	"invited/internal/storetest"
	"invited/internal/token"
)

// limits is a policy of these limits.
func limits(ofInvitation, ofRecipient, ofInviter invitation.Limit) func(*invitation.Policy) {
	return func(p *invitation.Policy) {
		p.LimitInvitation, p.LimitRecipient, p.LimitInviter = ofInvitation, ofRecipient, ofInviter
	}
}

var unlimited invitation.Limit

func times(count int, per time.Duration) invitation.Limit {
	return invitation.Limit{Count: count, Per: per}
}

// isThrottled asserts a refusal with the time to wait in whole seconds.
func (r response) isThrottled(wait time.Duration) {
	r.t.Helper()
	seconds, unit := strconv.Itoa(int(wait/time.Second)), " seconds."
	if wait == time.Second {
		unit = " second."
	}
	r.is(http.StatusTooManyRequests, detailBody("Request was throttled. Expected available in "+seconds+unit))
	require.Equal(r.t, seconds, r.Header.Get("Retry-After"))
}

// written counts everything that a request can write.
func (e *env) written() []string {
	e.t.Helper()
	var counts []string
	for _, table := range []string{"invitations", "invitation_events", "river_job", "memberships", "users"} {
		counts = append(counts, table+" "+e.countRows(table))
	}
	return append(counts, e.value("SELECT CAST(COALESCE(sum(delivery), 0) AS text) FROM invitations"))
}

// mailsTo returns the number of deliveries that were asked for to an address, in lower case.
func (e *env) mailsTo(address string) int {
	e.t.Helper()
	n, err := strconv.Atoi(e.value("SELECT CAST(count(*) AS text) FROM invitation_events WHERE lower(email) = '" + address +
		"' AND event_type IN ('created', 'sent', 'updated') AND to_state = 'pending'"))
	require.NoError(e.t, err)
	return n
}

// manyProjects is directoryFile with n more projects of acme, and their uuids.
func manyProjects(n int) (file string, projects []string) {
	var lines strings.Builder
	for i := range n {
		id := fmt.Sprintf("50000000-0000-4000-8000-%012d", i)
		projects = append(projects, id)
		fmt.Fprintf(&lines, "      - {name: Project %d, uuid: %s}\n", i, id)
	}
	const first = "      - name: Apollo\n"
	return strings.Replace(directoryFile, first, lines.String()+first, 1), projects
}

// An owner sends two victims as many mails as the API lets them: invitations into every scope, spelled in different ways,
// and each one sent again and again, through two servers on one database.
func TestMailWithoutEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		file, projects := manyProjects(40)
		address := engine.Fresh(t)
		config := envConfig{directory: file, policies: []func(*invitation.Policy){
			limits(times(10, time.Hour), times(20, 24*time.Hour), unlimited),
		}}
		config.open = func(clock func() time.Time) *store.Store { return storetest.Open(t, address, clock) }
		e := newEnv(t, engine, config)
		config.open = func(func() time.Time) *store.Store { return storetest.Open(t, address, e.clock.Now) }
		replica := newEnv(t, engine, config)
		replicas := []*env{e, replica}
		spellings := [][]string{{"one@victim.example", "One@Victim.example", "ONE@VICTIM.EXAMPLE"}, {"two@victim.example"}}
		attack := func(from int) {
			e.t.Helper()
			throttled := 0
			for n := range 23 {
				for v, victim := range spellings {
					body := draft(victim[n%len(victim)], member, apollo)
					body["scope"] = "https://any.example/api/projects/" + projects[from+n/2] + "/"
					body["role"] = []string{member, admin}[n%2]
					answer := replicas[(n+v)%2].request("POST", base, "owner", body)
					if answer.Status == http.StatusTooManyRequests {
						throttled++
						continue
					}
					id := answer.is(http.StatusCreated, "").invitation().UUID
					for i := range 2 {
						if sent := replicas[i].do("owner", id, "send"); sent.Status == http.StatusTooManyRequests {
							throttled++
						}
					}
				}
			}
			require.Greater(e.t, throttled, 20)
		}
		attack(0)
		require.Equal(e.t, []int{20, 20}, []int{e.mailsTo("one@victim.example"), e.mailsTo("two@victim.example")})
		require.Len(e.t, e.queued(deliverKind), 40)
		e.request("POST", base, "owner", draft("one@victim.example", member, apollo)).isThrottled(24 * time.Hour)
		replica.request("POST", base, "owner", draft("one@victim.example", member, apollo)).isThrottled(24 * time.Hour)
		e.create("owner", "somebody.else@victim.example", member, apollo)

		// It works again once the window is over, and no sooner.
		e.clock.Advance(24*time.Hour - 1500*time.Millisecond)
		e.request("POST", base, "owner", draft("one@victim.example", member, apollo)).isThrottled(2 * time.Second)
		e.clock.Advance(500 * time.Millisecond)
		e.request("POST", base, "owner", draft("one@victim.example", member, apollo)).is(http.StatusTooManyRequests,
			detailBody("Request was throttled. Expected available in 1 second."))
		e.clock.Advance(time.Second)
		attack(20)
		require.Equal(e.t, []int{40, 40}, []int{e.mailsTo("one@victim.example"), e.mailsTo("two@victim.example")})
	})
}

// To cancel, to delete and to give another address does not get around a limit.
func TestLimitOfAnInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "ina@university.example", member, apollo)
		for range 2 {
			e.clock.Advance(time.Minute)
			e.do("owner", made.UUID, "send").is(http.StatusOK, "")
		}
		e.do("owner", made.UUID, "cancel").is(http.StatusOK, "")
		before := e.written()
		e.do("owner", made.UUID, "send").isThrottled(58 * time.Minute)
		require.Equal(e.t, before, e.written())
		require.Equal(e.t, "canceled", e.state(made.UUID))

		e.clock.Advance(58 * time.Minute)
		e.do("owner", made.UUID, "send").is(http.StatusOK, "") // the creation is an hour ago
		edit := map[string]string{"email": "eva@university.example"}
		e.request("PATCH", at(made.UUID.String()), "owner", edit).is(http.StatusTooManyRequests, "")
		require.Equal(e.t, "ina@university.example", string(e.retrieve(made.UUID).Email))
		// What mails nobody is not limited.
		e.request("PATCH", at(made.UUID.String()), "owner", map[string]string{"role": admin}).is(http.StatusOK, "")
		e.request("PATCH", at(made.UUID.String()), "owner", map[string]string{"email": "INA@university.example"}).is(http.StatusOK, "")
		e.create("owner", "ina@university.example", member, apollo)
	}, limits(times(3, time.Hour), unlimited, unlimited))
}

func TestLimitOfARecipient(t *testing.T) {
	onEachEngine(t, func(e *env) {
		first := e.create("owner", "ina@university.example", member, apollo)
		e.request("DELETE", at(first.UUID.String()), "owner", nil).is(http.StatusNoContent, "")
		// An invitation that waits for its project will be mailed by itself.
		e.create("owner", "ina@university.example", member, artemis)
		e.clock.Advance(time.Minute)
		other := e.create("rival", "eva@university.example", member, hydra)
		e.request("PATCH", at(other.UUID.String()), "rival", map[string]string{"email": "Ina@University.example"}).is(http.StatusOK, "")
		before := e.written()
		e.request("POST", base, "owner", draft("ina@university.example", member, apollo)).isThrottled(time.Hour - time.Minute)
		e.do("rival", other.UUID, "send").isThrottled(time.Hour - time.Minute)
		third := e.create("rival", "tom@university.example", member, hydra)
		e.request("PATCH", at(third.UUID.String()), "rival", map[string]string{"email": "ina@university.example", "role": admin}).
			isThrottled(time.Hour - time.Minute)
		require.Equal(e.t, "tom@university.example", string(e.retrieve(third.UUID).Email))
		e.request("DELETE", at(third.UUID.String()), "rival", nil).is(http.StatusNoContent, "")
		require.NotEqual(e.t, before, e.written(), "tom's invitation has events")
		e.clock.Advance(time.Hour - time.Minute)
		e.do("rival", other.UUID, "send").is(http.StatusOK, "")
	}, limits(unlimited, times(3, time.Hour), unlimited))
}

// A user invites a number of new addresses; staff ten times as many. Requests that wait for approval count.
func TestLimitOfAnInviter(t *testing.T) {
	onEachEngine(t, func(e *env) {
		guest := func(n int) string { return fmt.Sprintf("guest%d@university.example", n) }
		first := e.create("owner", guest(1), member, apollo)
		e.create("owner", guest(2), member, apollo)
		e.do("staff", first.UUID, "cancel").is(http.StatusBadRequest, "") // it waits for approval
		before := e.written()
		e.request("POST", base, "owner", draft(guest(3), member, apollo)).isThrottled(time.Minute)
		require.Equal(e.t, before, e.written())
		e.create("manager", guest(3), member, apollo)
		for n := range 19 {
			e.create("staff", guest(100+n), member, apollo)
		}
		last := e.create("staff", guest(200), member, apollo)
		e.request("POST", base, "staff", draft(guest(201), member, apollo)).isThrottled(time.Minute)
		e.request("PATCH", at(last.UUID.String()), "staff", map[string]string{"email": guest(201)}).isThrottled(time.Minute)
		for range 5 { // the address is not new
			e.do("staff", last.UUID, "send").is(http.StatusOK, "")
		}
		e.clock.Advance(time.Minute)
		e.request("PATCH", at(last.UUID.String()), "staff", map[string]string{"email": guest(201)}).is(http.StatusOK, "")
	}, limits(unlimited, unlimited, times(2, time.Minute)), onlyStaff)
}

// A request that can't be approved yet stays as it is, and its token stays good.
func TestLimitOfApprovals(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var ids []uuid.UUID
		for _, scope := range []string{apollo, strict} {
			ids = append(ids, e.create("owner", "ina@university.example", admin, scope).UUID)
		}
		approve := func(id uuid.UUID) response { return e.decide("approve", e.sign(token.Approve, e.userID("staff"), id)) }
		approve(ids[0]).is(http.StatusOK, "")
		before := e.written()
		approve(ids[1]).isThrottled(time.Hour)
		require.Equal(e.t, before, e.written())
		require.Equal(e.t, "requested", e.state(ids[1]))
		e.clock.Advance(time.Hour)
		approve(ids[1]).is(http.StatusOK, "")
		e.clock.Advance(time.Minute)
		third := e.create("owner", "ina@university.example", member, strict).UUID
		e.decide("reject", e.sign(token.Reject, e.userID("staff"), third)).is(http.StatusOK, "") // mails no invitee
	}, limits(unlimited, times(1, time.Hour), unlimited), onlyStaff)
}

// What the server does by itself is counted and never refused.
func TestLimitsDoNotStopTheServer(t *testing.T) {
	onEachEngine(t, func(e *env) {
		guests := []string{"Ina@University.example", "eva@university.example"}
		for _, guest := range guests {
			e.create("owner", guest, member, artemis)
		}
		e.setClock(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC))
		require.NoError(e.t, e.service.Sweep(e.context()))
		require.Equal(e.t, 2, e.countJobs(deliverKind))
		areThrottled := func() {
			for _, guest := range guests {
				e.request("POST", base, "owner", draft(guest, member, apollo)).isThrottled(10 * 24 * time.Hour)
			}
		}
		areThrottled()
		e.clock.Advance(lifetime - time.Hour)
		require.NoError(e.t, e.service.Sweep(e.context()))
		require.Equal(e.t, 2, e.countJobs(notifyKind))
		areThrottled()
	}, limits(unlimited, times(1, 10*24*time.Hour), unlimited))
}

// A limit says nothing to whoever may not make the request, and comes after everything else that is wrong with it.
func TestLimitsComeLast(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.create("owner", "ina@university.example", member, apollo)
		canceled := e.create("owner", "eva@university.example", member, apollo)
		e.do("owner", canceled.UUID, "cancel").is(http.StatusOK, "")
		full := draft("ina@university.example", member, apollo)
		for _, user := range []string{"stranger", "rival", "inactive"} {
			answer := e.request("POST", base, user, draft("ina@university.example", admin, apollo))
			unused := e.request("POST", base, user, draft("nobody@university.example", admin, apollo))
			require.NotEqual(e.t, http.StatusTooManyRequests, answer.Status)
			require.Equal(e.t, unused.Body, answer.Body, user)
			e.do(user, made.UUID, "send").is(e.do(user, uuid.New(), "send").Status, "")
		}
		e.request("POST", base, "owner", full).is(http.StatusBadRequest,
			`{"email": ["Pending invitation already exists for this email and role."]}`)
		e.request("POST", base, "owner", draft("ina@university.example", owner, apollo)).is(http.StatusBadRequest, "")
		e.request("PATCH", at(made.UUID.String()), "owner", map[string]string{"email": "Eva@University.example", "role": owner}).
			is(http.StatusBadRequest, "")
		e.do("owner", made.UUID, "cancel").is(http.StatusOK, "")
		e.request("PATCH", at(made.UUID.String()), "owner", map[string]string{"email": "eva@university.example"}).
			is(http.StatusBadRequest, `["Only pending invitations can be edited."]`)
		e.do("owner", made.UUID, "send").is(http.StatusTooManyRequests, "")
	}, limits(times(1, time.Hour), times(1, time.Hour), times(2, time.Hour)))
}

// Requests at the same time exceed the limit of an invitation never, and that of an address by no more than their number.
func TestLimitsOfRequestsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		file, projects := manyProjects(12)
		e := newEnv(t, engine, envConfig{directory: file, policies: []func(*invitation.Policy){
			limits(times(4, time.Hour), times(5, time.Hour), unlimited),
		}})
		made := e.create("owner", "ina@university.example", member, apollo)
		statuses := func(requests []*http.Request) (ok, throttled int) {
			for _, each := range e.sendAtOnce(requests...) {
				switch each.Status {
				case http.StatusOK, http.StatusCreated:
					ok++
				case http.StatusTooManyRequests:
					throttled++
				}
			}
			return ok, throttled
		}
		var sends, creates []*http.Request
		for _, project := range projects {
			sends = append(sends, e.newRequest("POST", at(made.UUID.String(), "send"), "owner", nil))
			body := draft("eva@university.example", member, apollo)
			body["scope"] = "https://any.example/api/projects/" + project + "/"
			creates = append(creates, e.newRequest("POST", base, "owner", body))
		}
		ok, throttled := statuses(sends)
		require.Equal(e.t, []int{3, len(sends) - 3}, []int{ok, throttled}, "the creation is the first")
		ok, throttled = statuses(creates)
		require.Equal(e.t, len(creates), ok+throttled)
		require.GreaterOrEqual(e.t, ok, 5)
		if engine.Name == "sqlite" {
			require.Equal(e.t, 5, ok, "writers wait for each other")
		}
		e.request("POST", base, "owner", draft("eva@university.example", member, apollo)).is(http.StatusTooManyRequests, "")
	})
}
