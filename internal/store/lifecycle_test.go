package store_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"invited/internal/invitation"
	"invited/internal/lifecycle"
	"invited/internal/storetest"
)

// Readers that ask again and again for what came after the last event they saw read every event once, each in an order
// in which those of an invitation follow each other, while writers commit in any order and several processes give
// positions.
func TestFeedHasEachEventOnce(t *testing.T) {
	const writers, invitationsOfEach, eventsOfEach = 6, 8, 6
	onEachEngine(t, func(t *testing.T, e *env) {
		feed := &lifecycle.Service{Store: e.db.Lifecycle()}
		var writing, writingLate, reading sync.WaitGroup
		written := make(chan struct{}) // closed when all events are committed
		for range writers {
			writing.Go(func() {
				for range invitationsOfEach {
					id := uuid.New()
					for n := range eventsOfEach {
						err := e.db.Invitations().Change(t.Context(), func(invitation.Tx) ([]invitation.Change, error) {
							event := newEvent(id, invitation.EventUpdated)
							event.Reason = fmt.Sprint(n)
							return []invitation.Change{{Event: event}}, nil
						})
						if err != nil {
							t.Errorf("writing: %v", err)
						}
					}
				}
			})
		}
		// A transaction that has taken its id and commits late.
		held, release := make(chan struct{}), make(chan struct{})
		late := uuid.New()
		writingLate.Go(func() {
			if !e.postgres { // SQLite has one writer at a time
				close(held)
				if err := e.change(invitation.Change{Event: newEvent(late, invitation.EventUpdated)}); err != nil {
					t.Errorf("writing: %v", err)
				}
				return
			}
			tx, err := e.outside.Begin()
			if err == nil {
				_, err = tx.Exec(`INSERT INTO invitation_events (invitation_uuid, created, event_type, user_username, user_full_name,
					from_state, to_state, email, role_uuid, role_name, execution_state, error_message, notice, channel, recipient, request_id)
					VALUES ('` + late.String() + `', now(), 'updated', '', '', '', '', '', '` + late.String() + `', '', '', '', '', '', '', '')`)
			}
			close(held)
			<-release
			if err == nil {
				err = tx.Commit()
			}
			if err != nil {
				t.Errorf("writing: %v", err)
			}
		})
		<-held
		seen := make([][]invitation.Event, 2)
		for r := range seen {
			reading.Go(func() {
				for after, ended := int64(0), false; ; {
					// Both give positions, so that one finds the other at it.
					if _, err := feed.AssignPositions(t.Context(), true); err != nil {
						t.Errorf("assigning positions: %v", err)
						return
					}
					found, err := e.db.Lifecycle().ListFeed(t.Context(), uuid.New(), lifecycle.Query{After: after, Limit: 7})
					if err != nil {
						t.Errorf("reading: %v", err)
						return
					}
					if seen[r] = append(seen[r], found...); len(found) > 0 {
						after = *found[len(found)-1].Position
						continue
					}
					if ended {
						return
					}
					select {
					case <-written:
						waiting, err := e.db.Lifecycle().HasUnpositioned(t.Context())
						ended = err == nil && !waiting
					default:
					}
				}
			})
		}
		writing.Wait()
		close(release)
		writingLate.Wait()
		close(written)
		reading.Wait()

		const total = writers*invitationsOfEach*eventsOfEach + 1
		for r, events := range seen {
			next, ids := map[uuid.UUID]int{}, map[int64]bool{}
			for i, each := range events {
				require.Equal(t, int64(i+1), *each.Position, "reader %d", r)
				require.False(t, ids[each.ID])
				ids[each.ID] = true
				if each.InvitationUUID != late {
					require.Equal(t, fmt.Sprint(next[each.InvitationUUID]), each.Reason)
				}
				next[each.InvitationUUID]++
			}
			require.Equal(t, int64(total), *events[len(events)-1].Position, "reader %d", r)
		}
		require.Equal(t, total, e.count("SELECT count(*) FROM event_deliveries WHERE state = 'pending'"))
		jobs := storetest.Jobs(t, e.db, lifecycle.Deliver{}.Kind())
		require.Len(t, jobs, writers*invitationsOfEach+1, "one for each invitation")
	})
}

// assignPositions gives events their positions.
func assignPositions(t *testing.T, s *lifecycle.Service) {
	t.Helper()
	_, err := s.AssignPositions(t.Context(), true)
	require.NoError(t, err)
}

// write writes an event of each invitation.
func (e *env) write(kind invitation.EventType, ids ...uuid.UUID) {
	e.t.Helper()
	for _, id := range ids {
		require.NoError(e.t, e.change(invitation.Change{Event: newEvent(id, kind)}))
	}
}

// Each invitation with pending deliveries has one job, whichever of them end in which order.
func TestDeliveriesHaveOneJob(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		s, one, other := &lifecycle.Service{Store: e.db.Lifecycle()}, uuid.New(), uuid.New()
		jobs := func() int { return len(storetest.Jobs(t, e.db, lifecycle.Deliver{}.Kind())) }
		finish := func(id uuid.UUID, failed bool) *lifecycle.Delivery {
			next, err := s.Next(t.Context(), lifecycle.Deliver{Invitation: id})
			require.NoError(t, err)
			if next != nil {
				finished, _, err := s.Finish(t.Context(), *next, failed)
				require.NoError(t, err)
				return &finished
			}
			return nil
		}
		e.write(invitation.EventCreated, one, other, one)
		e.write(invitation.EventRefused, one) // not sent
		assignPositions(t, s)
		require.Equal(t, 2, jobs())
		e.write(invitation.EventUpdated, one)
		assignPositions(t, s)
		require.Equal(t, 2, jobs(), "the job of the invitation finds it")

		first := finish(one, false)
		require.Equal(t, one.String()+"_event_1", first.ID())
		require.Equal(t, invitation.EventCreated, first.Event.Type)
		require.Equal(t, lifecycle.Delivered, first.State)
		require.Equal(t, 1, finish(one, true).Failures)
		require.Equal(t, 2, finish(one, true).Failures)
		require.Equal(t, int64(3), finish(one, false).Position)
		require.Equal(t, int64(5), finish(one, false).Position)
		require.Nil(t, finish(one, false))
		e.write(invitation.EventUpdated, one)
		assignPositions(t, s)
		require.Equal(t, 3, jobs(), "the invitation had no pending delivery")

		// What has ended is sent again before what waits, by the same job; the other invitation waits for its first.
		again := lifecycle.Redelivery{Since: time.Now().Add(-time.Hour)}
		deliveries, invitations, err := s.Redeliver(t.Context(), again, true)
		require.NoError(t, err)
		require.Equal(t, []int{3, 1}, []int{deliveries, invitations})
		require.Equal(t, 2, e.count("SELECT count(*) FROM event_deliveries WHERE state = 'pending'"))
		_, _, err = s.Redeliver(t.Context(), again, false)
		require.NoError(t, err)
		require.Equal(t, 3, jobs())
		for _, position := range []int64{1, 3, 5, 6} {
			next := finish(one, false)
			require.Equal(t, []any{position, 0}, []any{next.Position, next.Failures})
		}
		require.Nil(t, finish(one, false))
		again.Invitation = &one
		_, _, err = s.Redeliver(t.Context(), again, false)
		require.NoError(t, err)
		require.Equal(t, 4, jobs())
		again.Until = new(time.Now().Add(-time.Minute))
		deliveries, _, err = s.Redeliver(t.Context(), again, false)
		require.NoError(t, err)
		require.Zero(t, deliveries)
	})
}

// An invitation whose job is gone, or was cancelled, while deliveries wait has one again after a sweep. Others have no
// other.
func TestSweepRestoresJobs(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		s := &lifecycle.Service{Store: e.db.Lifecycle()}
		done, waiting, lost, canceled := uuid.New(), uuid.New(), uuid.New(), uuid.New()
		e.write(invitation.EventCreated, done, waiting, lost, canceled, lost)
		assignPositions(t, s)
		next, err := s.Next(t.Context(), lifecycle.Deliver{Invitation: done})
		require.NoError(t, err)
		_, _, err = s.Finish(t.Context(), *next, false)
		require.NoError(t, err)
		of := func(id uuid.UUID) string { return "CAST(args AS text) LIKE '%" + id.String() + "%'" }
		require.NoError(t, e.exec("DELETE FROM river_job WHERE %s OR %s", of(done), of(lost)))
		require.NoError(t, e.exec("UPDATE river_job SET state = 'cancelled', finalized_at = created_at WHERE %s", of(canceled)))
		for range 2 {
			require.NoError(t, s.Sweep(t.Context()))
			jobs := map[uuid.UUID]int{}
			for _, job := range storetest.Jobs(t, e.db, lifecycle.Deliver{}.Kind()) {
				var args lifecycle.Deliver
				require.NoError(t, json.Unmarshal(job.EncodedArgs, &args))
				jobs[args.Invitation]++
			}
			require.Equal(t, map[uuid.UUID]int{waiting: 1, lost: 1, canceled: 2}, jobs)
		}
	})
}

// Of two jobs of one invitation that make the same delivery, the one that comes last gets what the first has recorded,
// and goes on.
func TestTwoJobsOfOneInvitation(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		s, id := &lifecycle.Service{Store: e.db.Lifecycle()}, uuid.New()
		e.write(invitation.EventCreated, id, id, id)
		assignPositions(t, s)
		take := func() lifecycle.Delivery {
			next, err := s.Next(t.Context(), lifecycle.Deliver{Invitation: id})
			require.NoError(t, err)
			return *next
		}
		both := take()
		sent, _, err := s.Finish(t.Context(), both, false)
		require.NoError(t, err)
		for _, failed := range []bool{true, false} {
			finished, next, err := s.Finish(t.Context(), both, failed)
			require.NoError(t, err)
			require.Equal(t, []any{lifecycle.Delivered, 0, int64(1)}, []any{finished.State, finished.Failures, finished.Position})
			require.WithinDuration(t, *sent.Ended, *finished.Ended, time.Millisecond)
			require.Equal(t, int64(2), next.Position)
		}
		// Given up by the one, it is not sent for the other.
		both = take()
		both.FirstFailed = new(time.Now().Add(-2 * lifecycle.GiveUpAfter))
		finished, _, err := s.Finish(t.Context(), both, true)
		require.NoError(t, err)
		require.Equal(t, lifecycle.GivenUp, finished.State)
		finished, next, err := s.Finish(t.Context(), both, false)
		require.NoError(t, err)
		require.Equal(t, []any{lifecycle.GivenUp, int64(3)}, []any{finished.State, next.Position})
		require.Equal(t, []string{"given_up", "pending", "sent"}, e.texts("SELECT state FROM event_deliveries ORDER BY state"))

		require.NoError(t, e.exec("DELETE FROM event_deliveries"))
		finished, next, err = s.Finish(t.Context(), both, true)
		require.NoError(t, err)
		require.Empty(t, finished.State)
		require.Nil(t, next)
	})
}

// A delivery whose event was deleted is given up, and holds up no other.
func TestEventsOfDeliveriesAreGone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		s, id := &lifecycle.Service{Store: e.db.Lifecycle()}, uuid.New()
		e.write(invitation.EventCreated, id, id, id, id, id, id)
		assignPositions(t, s)
		require.NoError(t, e.exec("DELETE FROM invitation_events WHERE position IN (1, 2, 4, 6)"))
		next, err := s.Next(t.Context(), lifecycle.Deliver{Invitation: id})
		require.NoError(t, err)
		require.Equal(t, int64(3), next.Position)
		_, next, err = s.Finish(t.Context(), *next, false)
		require.NoError(t, err)
		require.Equal(t, int64(5), next.Position)
		_, next, err = s.Finish(t.Context(), *next, false)
		require.NoError(t, err)
		require.Nil(t, next)
		require.Equal(t, []string{"1 given_up", "2 given_up", "3 sent", "4 given_up", "5 sent", "6 given_up"},
			e.texts("SELECT position || ' ' || state FROM event_deliveries ORDER BY position"))
	})
}

// Deliveries are made pending again in parts, and in their order.
func TestRedeliverMany(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		const n, invitations = 250, 70
		ids := make([]uuid.UUID, invitations)
		for i := range ids {
			ids[i] = uuid.New()
		}
		require.NoError(t, e.db.Write(t.Context(), func(tx *gorm.DB, now time.Time) error {
			deliveries := make([]lifecycle.Delivery, n)
			for i := range deliveries {
				deliveries[i] = lifecycle.Delivery{
					Position: int64(i + 1), InvitationUUID: ids[i%invitations], State: lifecycle.Delivered, Ended: new(now.Add(-time.Hour)),
				}
			}
			return tx.CreateInBatches(deliveries, 500).Error
		}))
		s := &lifecycle.Service{Store: e.db.Lifecycle()}
		for range 2 {
			deliveries, of, err := s.Redeliver(t.Context(), lifecycle.Redelivery{Since: time.Now().Add(-2 * time.Hour)}, false)
			require.NoError(t, err)
			require.Equal(t, n, e.count("SELECT count(*) FROM event_deliveries WHERE state = 'pending' AND ended IS NULL"))
			require.Len(t, storetest.Jobs(t, e.db, lifecycle.Deliver{}.Kind()), invitations)
			if deliveries == 0 {
				break // the second time
			}
			require.Equal(t, []int{n, invitations}, []int{deliveries, of})
		}
	})
}

// A delivery that ends while another event of its invitation gets its position leaves a job that finds the other one.
func TestPositionsRaceWithTheLastDelivery(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		s := &lifecycle.Service{Store: e.db.Lifecycle()}
		for range 25 {
			id := uuid.New()
			e.write(invitation.EventCreated, id)
			assignPositions(t, s)
			before := len(storetest.Jobs(t, e.db, lifecycle.Deliver{}.Kind()))
			e.write(invitation.EventUpdated, id)
			var both sync.WaitGroup
			var foundNext bool
			both.Go(func() {
				if _, err := s.AssignPositions(t.Context(), true); err != nil {
					t.Errorf("assigning positions: %v", err)
				}
			})
			both.Go(func() { // what a job does
				next, err := s.Next(t.Context(), lifecycle.Deliver{Invitation: id})
				if err == nil {
					_, next, err = s.Finish(t.Context(), *next, false)
				}
				foundNext = next != nil
				if err != nil {
					t.Errorf("finishing: %v", err)
				}
			})
			both.Wait()
			after := len(storetest.Jobs(t, e.db, lifecycle.Deliver{}.Kind()))
			require.Equal(t, foundNext, after == before, "either the job goes on, or there is another one: never none, never both")
		}
	})
}

// Without a webhook events have positions, and nothing is sent, then or later.
func TestNothingIsSentWithoutAWebhook(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		s := &lifecycle.Service{Store: e.db.Lifecycle()}
		e.write(invitation.EventCreated, uuid.New(), uuid.New())
		_, err := s.AssignPositions(t.Context(), false)
		require.NoError(t, err)
		assignPositions(t, s)
		require.Equal(t, 2, e.count("SELECT max(position) FROM invitation_events"))
		require.Zero(t, e.count("SELECT count(*) FROM event_deliveries"))
		require.Zero(t, e.count("SELECT count(*) FROM river_job"))
	})
}

// Events of the version before have their scope and their position, and are never sent. A replica of that version still
// writes events, whose scope is found when they get their position.
func TestMigrationAssignsPositions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		db, address := openAt(t, engine, 25)
		e := &env{t: t, url: address, postgres: engine.Name == "postgres", db: db, outside: outside(t, address)}
		const at = "'2026-11-23T09:30:00.000000Z'"
		for _, each := range []struct {
			id   uuid.UUID
			kind string
		}{{customerID, "customer"}, {projectID, "project"}} {
			require.NoError(t, e.exec(`INSERT INTO scopes (uuid, type, name, name_folded, description, description_folded, customer_uuid,
				is_removed, created) VALUES ('%s', '%s', 'Acme', 'acme', '', '', '%s', false, `+at+`)`, each.id, each.kind, customerID))
		}
		require.NoError(t, e.exec(`INSERT INTO roles (uuid, name, description, scope_type, permissions, is_active)
			VALUES ('%s', 'PROJECT.ADMIN', '', 'project', '[]', true)`, adminRoleID))
		there, deleted := uuid.New(), uuid.New()
		require.NoError(t, e.exec(`INSERT INTO invitations (uuid, state, created, delivery, execution_state, error_message, reminded, role_uuid,
			scope_uuid, customer_uuid, email, email_folded, full_name, native_name, phone_number, organization, job_title, civil_number,
			extra_invitation_text)
			VALUES ('%s', 'pending', `+at+`, 0, 'OK', '', false, '%s', '%s', '%s', 'a@x.example', 'a@x.example', '', '', '', '', '', '', '')`,
			there, adminRoleID, projectID, customerID))
		write := func(id uuid.UUID) {
			t.Helper()
			require.NoError(t, e.exec(`INSERT INTO invitation_events (invitation_uuid, created, event_type, user_username, user_full_name,
				from_state, to_state, email, role_uuid, role_name, execution_state, error_message, notice, channel, recipient, request_id)
				VALUES ('%s', `+at+`, 'created', '', '', '', '', '', '%s', '', '', '', '', '', '', '')`, id, id))
		}
		write(deleted)
		write(there)
		_, err := db.Migrate(t.Context())
		require.NoError(t, err)
		write(there)
		feed := &lifecycle.Service{Store: db.Lifecycle()}
		list := func(customer *uuid.UUID) (positions []int64) {
			found, err := db.Lifecycle().ListFeed(t.Context(), uuid.New(), lifecycle.Query{Customer: customer, Limit: 10})
			require.NoError(t, err)
			for _, each := range found {
				positions = append(positions, *each.Position)
				require.Equal(t, each.InvitationUUID == deleted, each.ScopeUUID == nil)
				require.Equal(t, each.InvitationUUID == deleted, each.CustomerUUID == nil)
			}
			return positions
		}
		require.Equal(t, []int64{1, 2}, list(nil))
		assignPositions(t, feed)
		require.Equal(t, []int64{1, 2, 3}, list(nil))
		require.Equal(t, []int64{2, 3}, list(&customerID))
		require.Equal(t, []string{"3"}, e.texts("SELECT CAST(position AS text) FROM event_deliveries"))

		steps := provider(t, engine, db)
		_, err = steps.DownTo(t.Context(), 25)
		require.NoError(t, err)
		_, err = db.Migrate(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int64{1, 2, 3}, list(nil))
	})
}
