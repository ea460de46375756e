package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// The filters of the list show a part of what the caller sees: what the rules of this test say, which are written again from
// the documented behaviour.
func TestListFiltersShowWhatTheRulesShow(t *testing.T) {
	t.Parallel()
	onRandomData(t, func(c *randomEnv) {
		found := map[string]int{}
		for _, caller := range c.actors[:6] {
			for name, each := range c.invitationFilters() {
				kind, _, _ := strings.Cut(name, " ")
				found[kind] += c.compareInvitations(caller, name, each)
			}
		}
		for name, rows := range found {
			if c.isKnown {
				require.NotZero(c.t, rows, "%s: a test that finds nothing proves nothing", name)
			}
		}
	})
}

// invitationFilter is a query with its rule: whether an invitation that the caller sees is listed.
type invitationFilter struct {
	query invitation.Query
	rule  func(invitation.Invitation) bool
}

func (c *randomEnv) invitationFilters() map[string]invitationFilter {
	all := map[string]invitationFilter{}
	for i, user := range c.users {
		all[fmt.Sprint("by ", i)] = invitationFilter{invitation.Query{CreatedBy: &user.UUID}, func(i invitation.Invitation) bool {
			return i.CreatedByUUID != nil && *i.CreatedByUUID == user.UUID
		}}
	}
	for i := range 4 {
		edge := c.invitations[i].Created
		all[fmt.Sprint("after ", i)] = invitationFilter{
			invitation.Query{Created: directory.Period{From: &edge}},
			func(i invitation.Invitation) bool { return !i.Created.Before(edge) },
		}
		all[fmt.Sprint("before ", i)] = invitationFilter{
			invitation.Query{Created: directory.Period{To: &edge}, States: []invitation.State{invitation.Pending, invitation.Expired}},
			func(i invitation.Invitation) bool {
				return !i.Created.After(edge) && slices.Contains([]invitation.State{invitation.Pending, invitation.Expired}, c.state(i))
			},
		}
	}
	for _, part := range []string{"ann", "ANN LEE", "ünal", "%", "_0", "李", "SCOPE 1", "e", "bücher", "xn--bcher-kva.example", "nobody"} {
		all["text "+part] = invitationFilter{invitation.Query{Text: invitation.Text{Part: part}}, func(i invitation.Invitation) bool {
			name := ""
			for _, scope := range c.scopes {
				if scope.UUID == i.ScopeUUID {
					name = scope.Name
				}
			}
			return slices.ContainsFunc([]string{i.FullName, i.NativeName, name}, func(text string) bool {
				return strings.Contains(strings.ToLower(text), strings.ToLower(part))
			}) || strings.Contains(directory.FoldEmail(i.Email), directory.FoldEmailPart(part))
		}}
	}
	return all
}

// compareInvitations returns the number of invitations that were found: by pages and by a cursor.
func (c *randomEnv) compareInvitations(caller directory.Actor, name string, f invitationFilter) int {
	c.t.Helper()
	ruled, listed := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for _, each := range c.invitations {
		if c.stored[each.UUID] && c.sees(caller.User, each) && f.rule(each) {
			ruled[each.UUID] = true
		}
	}
	page, err := c.service.List(c.t.Context(), caller, f.query, 1, 300)
	require.NoError(c.t, err)
	for _, each := range page.Invitations {
		listed[each.UUID] = true
	}
	require.Equal(c.t, ruled, listed, "what %s finds with the filter %q", caller.Username, name)
	counted, err := c.service.Count(c.t.Context(), caller, f.query)
	require.NoError(c.t, err)
	require.Equal(c.t, len(ruled), counted)
	require.Len(c.t, c.byCursor(caller, f.query, c.one(2), 5+c.random.IntN(20)), len(ruled), name)
	return len(ruled)
}

// byCursor returns the invitations that a cursor shows, and compares their order and their number with what the cursor promises.
func (c *randomEnv) byCursor(caller directory.Actor, q invitation.Query, newestFirst bool, size int) map[uuid.UUID]bool {
	c.t.Helper()
	found := map[uuid.UUID]bool{}
	var last *invitation.Position
	for {
		page, err := c.service.ListBehind(c.t.Context(), caller, q, last, newestFirst, size)
		require.NoError(c.t, err)
		for _, each := range page.Invitations {
			at := invitation.Position{FirstCreated: each.FirstCreated, UUID: each.UUID}
			require.NotContains(c.t, found, each.UUID, "shown twice")
			if last != nil {
				require.Equal(c.t, newestFirst, comesBefore(at, *last))
			}
			found[each.UUID], last = true, &at
		}
		if page.Next == nil {
			require.Len(c.t, found, page.Total)
			return found
		}
		require.Equal(c.t, last, page.Next)
		require.Len(c.t, page.Invitations, size)
	}
}

// comesBefore reports whether a position comes before another one, the oldest first.
func comesBefore(one, other invitation.Position) bool {
	return one.FirstCreated.Before(other.FirstCreated) ||
		(one.FirstCreated.Equal(other.FirstCreated) && one.UUID.String() < other.UUID.String())
}

// Every state, and every set of states, is found by a cursor as by pages.
func TestCursorOfStates(t *testing.T) {
	t.Parallel()
	onRandomData(t, func(c *randomEnv) {
		sets := [][]invitation.State{nil, invitation.States}
		for _, state := range invitation.States {
			sets = append(sets, []invitation.State{state}, []invitation.State{state, invitation.Expired})
		}
		for _, caller := range c.actors[:4] {
			for _, states := range sets {
				q, ruled := invitation.Query{States: states}, map[uuid.UUID]bool{}
				for _, each := range c.invitations {
					if c.stored[each.UUID] && c.sees(caller.User, each) && (len(states) == 0 || slices.Contains(states, c.state(each))) {
						ruled[each.UUID] = true
					}
				}
				require.Equal(c.t, ruled, c.byCursor(caller, q, c.one(2), 3+c.random.IntN(20)), "%s %v", caller.Username, states)
			}
		}
	})
}

// While others create, delete, reopen, activate and expire invitations, a cursor shows each one that stands throughout once.
func TestCursorWhileOthersWrite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
		c := newRandomEnv(t, engine, knownSeeds[0])
		staff := c.actors[0]
		require.True(t, staff.IsStaff)
		lasting, doomed := map[uuid.UUID]bool{}, []invitation.Invitation{}
		for i, each := range c.invitations {
			if !c.stored[each.UUID] {
				continue
			}
			if i%4 == 3 {
				doomed = append(doomed, each)
			} else {
				lasting[each.UUID] = true
			}
		}
		change := func(decide func(invitation.Tx) ([]invitation.Change, error)) {
			assert.NoError(t, c.db.Invitations().Change(t.Context(), decide))
		}
		var stopped atomic.Bool
		var writers sync.WaitGroup
		defer func() {
			stopped.Store(true)
			writers.Wait()
		}()
		writers.Go(func() { // gives invitations another life, one at a time and, as a sweep does, several at once
			random, ids := rand.New(rand.NewPCG(1, 1)), make([]uuid.UUID, 0, len(lasting))
			for id := range lasting {
				ids = append(ids, id)
			}
			for n := 0; !stopped.Load(); n++ {
				change(func(tx invitation.Tx) (changes []invitation.Change, err error) {
					for i := range 1 + n%2 {
						before, err := tx.FindForChange(ids[(random.IntN(len(ids)/2)*2+i)%len(ids)])
						if err != nil {
							return nil, err
						}
						after := before
						after.Created = tx.Now().Add(time.Duration(n%2-1) * time.Duration(n) * time.Minute)
						changes = append(changes, invitation.Change{Before: &before, After: &after})
					}
					return changes, nil
				})
			}
		})
		writers.Go(func() { // creates and deletes
			for n := 0; !stopped.Load(); n++ {
				made := c.invitations[0]
				made.UUID, made.StoredState, made.Email, made.EmailFolded = uuid.New(), invitation.Accepted, fmt.Sprint(n, "@new.example"), fmt.Sprint(n, "@new.example")
				made.Created = c.now.Add(time.Duration(n) * time.Second)
				change(func(invitation.Tx) ([]invitation.Change, error) { return []invitation.Change{{After: &made}}, nil })
				if n < len(doomed) {
					change(func(tx invitation.Tx) ([]invitation.Change, error) {
						before, err := tx.FindForChange(doomed[n].UUID)
						return []invitation.Change{{Before: &before}}, err
					})
				}
			}
		})
		for n := range 12 {
			found := map[uuid.UUID]int{}
			var behind *invitation.Position
			for {
				page, err := c.service.ListBehind(t.Context(), staff, invitation.Query{}, behind, n%2 == 0, 1+n)
				require.NoError(t, err)
				for _, each := range page.Invitations {
					found[each.UUID]++
				}
				if behind = page.Next; behind == nil || len(found) > 10_000 {
					break
				}
			}
			for id := range lasting {
				require.Equal(t, 1, found[id], "the invitation %s in reading %d", id, n)
			}
			for id, times := range found {
				require.Equal(t, 1, times, id)
			}
		}
	})
}

// An invitee's own list has what they can answer: the rule of this test is written again from the documented behaviour.
func TestMineShowsWhatTheRuleShows(t *testing.T) {
	t.Parallel()
	onRandomData(t, func(c *randomEnv) {
		kinds := map[invitation.State]int{}
		for _, caller := range c.actors {
			ruled, listed := map[uuid.UUID]invitation.State{}, map[uuid.UUID]invitation.State{}
			for _, each := range c.invitations {
				if c.stored[each.UUID] && c.isOwn(caller.User, each) {
					ruled[each.UUID] = c.state(each)
				}
			}
			page, err := c.service.Mine(c.t.Context(), caller, nil, 1, 300)
			require.NoError(c.t, err)
			for _, each := range page.Invitations {
				listed[each.UUID] = each.State
				kinds[each.State]++
				require.Equal(c.t, each.State == invitation.Canceled, each.UndoUntil() != nil)
				require.True(c.t, each.UndoUntil() == nil || each.UndoUntil().After(c.now))
			}
			require.Equal(c.t, ruled, listed, caller.Username)
			counted, err := c.service.CountMine(c.t.Context(), caller, nil)
			require.NoError(c.t, err)
			require.Equal(c.t, len(ruled), counted)
			require.Equal(c.t, counted, page.Total)
		}
		if c.isKnown {
			require.NotZero(c.t, kinds[invitation.Pending])
		}
	})
}

// isOwn reports whether an invitation is the user's to answer.
func (c *randomEnv) isOwn(user directory.User, i invitation.Invitation) bool {
	if user.Email == "" || directory.FoldEmail(user.Email) != directory.FoldEmail(i.Email) ||
		(i.CivilNumber != "" && i.CivilNumber != user.CivilNumber) || c.isRemoved(i.ScopeUUID) || c.isRemoved(i.CustomerUUID) {
		return false
	}
	if i.StoredState != invitation.Canceled {
		return slices.Contains([]invitation.State{invitation.Pending, invitation.Project}, c.state(i))
	}
	stood := i
	stood.StoredState = invitation.Pending
	return i.DeclinedAt != nil && c.now.Before(i.DeclinedAt.Add(10*time.Minute)) && c.state(stood) != invitation.Expired
}
