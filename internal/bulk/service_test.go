package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// people returns rows that invite count people into Apollo.
func people(name string, count int) []bulk.Row {
	rows := make([]bulk.Row, count)
	for i := range rows {
		rows[i] = bulk.Row{Email: fmt.Sprintf("%s%d@university.example", name, i), Role: member, Scope: projectURL(apollo)}
	}
	return rows
}

func (e *env) submit(username string, rows []bulk.Row, on bulk.OnDuplicate) bulk.Bulk {
	e.Helper()
	made, err := e.bulk.Submit(invitation.WithRequestID(e.Context(), "the-request"), e.user(username), bulk.Submission{Rows: rows, OnDuplicate: on})
	require.NoError(e, err)
	return made
}

// step does one batch of a bulk invitation, and reports whether there are more.
func (e *env) step(id uuid.UUID) bool {
	e.Helper()
	asked := 0
	more, err := e.bulk.Run(e.Context(), bulk.Job{Bulk: id}, func() bool {
		asked++
		return asked > 1
	})
	require.NoError(e, err)
	return more
}

// finish does the rest of a bulk invitation, and returns it with its first results.
func (e *env) finish(id uuid.UUID) bulk.ResultPage {
	e.Helper()
	for e.step(id) {
	}
	return e.retrieve(id)
}

func (e *env) retrieve(id uuid.UUID) bulk.ResultPage {
	e.Helper()
	found, err := e.bulk.Retrieve(e.Context(), e.user("sam"), id, nil, 1, 1000)
	require.NoError(e, err)
	return found
}

// requireMade requires that each result that made an invitation has one of its own, with one event and one delivery, and that
// nothing else was made.
func (e *env) requireMade(results []bulk.Result) {
	e.Helper()
	made := map[uuid.UUID]bool{}
	for _, each := range results {
		if each.Code == bulk.Created {
			require.False(e, made[*each.UUID])
			made[*each.UUID] = true
			require.Equal(e, directory.FoldEmail(each.Row.Email), e.find(*each.UUID).EmailFolded)
		}
	}
	require.NoError(e, e.db.Bulk().Read(e.Context(), func(tx bulk.Tx) error {
		total, err := tx.Count(invitation.Query{Visible: directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}})
		require.Equal(e, len(made), total)
		for id := range made {
			events, _, err := tx.ListEvents(id, directory.Window{Limit: 10})
			require.NoError(e, err)
			require.Len(e, events, 1)
			require.Equal(e, "the-request", events[0].RequestID)
		}
		counted, err2 := tx.Count(invitation.Query{Visible: directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}, States: []invitation.State{invitation.Pending}})
		require.Equal(e, len(made), counted, "the counts by state are exact")
		return errors.Join(err, err2)
	}))
	require.Len(e, storetest.Jobs(e.T, e.db, "deliver_invitation"), len(made))
}

func TestDuplicatesWithinABulkInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		batch := e.db.Bulk().BatchRows()
		rows := people("one", 2*batch)
		rows[1].Email = "ONE0@university.example" // in the same batch
		rows[batch+1] = rows[0]                   // in the next one
		for _, on := range []bulk.OnDuplicate{bulk.Skip, bulk.Send} {
			found := e.finish(e.submit("olivia", rows, on).UUID)
			first := found.Results[0]
			for _, i := range []int{1, batch + 1} {
				require.Equal(e, bulk.Duplicate, found.Results[i].Code)
				require.Equal(e, first.UUID, found.Results[i].UUID)
			}
			if on == bulk.Skip {
				require.Equal(e, bulk.Counts{bulk.Created: 2*batch - 2, bulk.Duplicate: 2}, found.Counts)
				e.requireMade(found.Results)
				e.clock.Advance(time.Minute)
				continue
			}
			require.Equal(e, bulk.Counts{bulk.Sent: 2*batch - 2, bulk.Duplicate: 2}, found.Counts)
			require.Equal(e, 1, e.find(*first.UUID).Delivery)
		}
	})
}

func TestSendAgain(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made, err := e.bulk.Do(t.Context(), e.user("olivia"), bulk.Submission{Rows: []bulk.Row{
			{Email: "a@university.example", Role: member, Scope: apollo}, {Email: "b@university.example", Role: member, Scope: borea},
		}})
		require.NoError(e, err)
		rows := []bulk.Row{made.Results[0].Row, made.Results[1].Row, made.Results[0].Row}
		for round, code := range []bulk.Code{bulk.Sent, bulk.Sent, bulk.Refused} { // the limit
			got, err := e.bulk.Do(t.Context(), e.user("olivia"), bulk.Submission{Rows: rows, OnDuplicate: bulk.Send})
			require.NoError(e, err)
			require.Equal(e, code, got.Results[0].Code, round)
			require.Equal(e, bulk.Duplicate, got.Results[1].Code, "it waits for its project")
			require.Equal(e, made.Results[0].UUID, got.Results[0].UUID)
			if code == bulk.Refused {
				require.Equal(e, fault.Fields{"non_field_errors": {"Request was throttled. Expected available in 3600 seconds."}}, got.Results[0].Errors)
			} else {
				require.Equal(e, bulk.Duplicate, got.Results[2].Code, "sent by the row before")
			}
		}
		require.Equal(e, 2, e.find(*made.Results[0].UUID).Delivery)
	}, func(p *invitation.Policy) { p.LimitInvitation = invitation.Limit{Count: 3, Per: time.Hour} })
}

func TestMembersAndInvalidRows(t *testing.T) {
	onEachEngine(t, func(e *env) {
		got, err := e.bulk.Do(t.Context(), e.user("olivia"), bulk.Submission{Rows: []bulk.Row{
			{Email: "Mia@university.example", Role: member, Scope: apollo},
			{Email: "max@university.example", Role: member, Scope: apollo}, // not active
			{Email: "mia@university.example", Role: member, Scope: borea},
			{Email: "nobody", Role: "NO.ROLE", Scope: nothing, CivilNumber: "1 2"},
			{Email: "nobody", Role: "NO\x00ROLE", Scope: foreign},
			{Email: "nul\x00@university.example", Role: member, Scope: apollo, FullName: "\x00"},
			{},
		}})
		require.NoError(e, err)
		var codes []bulk.Code
		for _, each := range got.Results {
			codes = append(codes, each.Code)
		}
		require.Equal(e, []bulk.Code{bulk.Member, bulk.Created, bulk.Created, bulk.Invalid, bulk.Invalid, bulk.Invalid, bulk.Invalid}, codes)
		require.Equal(e, fault.Fields{"email": {"User has already the same role in this scope."}}, got.Results[0].Errors)
		require.Equal(e, fault.Fields{
			"email":        {"Enter a valid email address."},
			"role":         {"Object with name=NO.ROLE does not exist."},
			"scope":        {"Can't restore object from url: " + nothing},
			"civil_number": {"This field may not contain white space or invisible characters."},
		}, got.Results[3].Errors)
		require.Equal(e, fault.Fields{
			"email": {"Enter a valid email address."},
			"role":  {"Object with name=NO\x00ROLE does not exist."},
			"scope": {"Can't restore object from url: " + foreign}, // its type is not told
		}, got.Results[4].Errors)

		// What is stored can have NUL too.
		rows := append(people("one", 1), got.Results[4].Row, got.Results[5].Row)
		found := e.finish(e.submit("olivia", rows, bulk.Skip).UUID)
		require.Equal(e, bulk.Counts{bulk.Created: 1, bulk.Invalid: 2}, found.Counts)
		require.Equal(e, rows[1], found.Results[1].Row)
		require.Equal(e, got.Results[4].Errors, found.Results[1].Errors)
	})
}

// A creator who loses the right while the rows are done, makes no more of them.
func TestAuthorityIsReadForEachBatch(t *testing.T) {
	for name, change := range map[string]struct{ file, message string }{
		"may not manage": {
			"roles: [{name: CUSTOMER.OWNER, scope_type: customer, permissions: [INVITATION.LIST]}]", "Not found.",
		},
		"inactive": {"users: [{username: olivia, is_active: false}]", "User inactive or deleted."},
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(e *env) {
				batch := e.db.Bulk().BatchRows()
				made := e.submit("olivia", people("one", 2*batch), bulk.Skip)
				require.True(e, e.step(made.UUID))
				require.Equal(e, bulk.Running, e.retrieve(made.UUID).State)
				e.apply(change.file)
				found := e.finish(made.UUID)
				require.Equal(e, bulk.Counts{bulk.Created: batch, bulk.Refused: batch}, found.Counts)
				require.Equal(e, bulk.Refused, found.Results[batch].Code)
				require.Equal(e, fault.Fields{fault.NonField: {change.message}}, found.Results[batch].Errors)
				e.requireMade(found.Results)
			})
		})
	}
}

func TestCancel(t *testing.T) {
	onEachEngine(t, func(e *env) {
		batch := e.db.Bulk().BatchRows()
		made := e.submit("olivia", people("one", 3*batch), bulk.Skip)
		require.True(e, e.step(made.UUID))
		require.True(e, fault.Is(e.bulk.Cancel(t.Context(), e.user("mia"), made.UUID), fault.KindNotFound))
		require.NoError(e, e.bulk.Cancel(t.Context(), e.user("olivia"), made.UUID))
		require.True(e, fault.Is(e.bulk.Cancel(t.Context(), e.user("sam"), made.UUID), fault.KindRejected))
		found := e.finish(made.UUID)
		require.Equal(e, bulk.Stopped, found.State)
		require.NotNil(e, found.Finished)
		require.Equal(e, bulk.Counts{bulk.Created: batch, bulk.Canceled: 2 * batch}, found.Counts)
		require.Len(e, found.Results, 3*batch)
		e.requireMade(found.Results)
		canceled, err := e.bulk.Retrieve(t.Context(), e.user("olivia"), made.UUID, []bulk.Code{bulk.Canceled}, 2, 10)
		require.NoError(e, err)
		require.Equal(e, 2*batch, canceled.Matches)
		require.Equal(e, batch+10, canceled.Results[0].Index)
	})
}

// Two jobs of one bulk invitation, as after a restart, and clients who create the same invitations one by one.
func TestRaces(t *testing.T) {
	onEachEngine(t, func(e *env) {
		batch := e.db.Bulk().BatchRows()
		rows := people("one", 2*batch)
		made := e.submit("olivia", rows, bulk.Skip)
		olivia := e.user("olivia")
		var all sync.WaitGroup
		var mu sync.Mutex
		single := map[string]bool{}
		for range 2 {
			all.Go(func() {
				for more := true; more; {
					var err error
					more, err = e.bulk.Run(t.Context(), bulk.Job{Bulk: made.UUID}, func() bool { return false })
					require.False(e, err != nil && !fault.Is(err, fault.KindUnavailable), "%v", err)
					more = more || err != nil // the queue tries again
				}
			})
		}
		all.Go(func() {
			for i := 0; i < len(rows); i += 3 {
				_, err := e.invitations.Create(invitation.WithRequestID(t.Context(), "the-request"), olivia, invitation.Draft{
					Email: rows[i].Email, Role: uuid.MustParse(member), ScopeURL: rows[i].Scope,
				})
				if err == nil {
					mu.Lock()
					single[rows[i].Email] = true
					mu.Unlock()
				}
			}
		})
		all.Wait()
		found := e.retrieve(made.UUID)
		require.Equal(e, bulk.Done, found.State)
		require.Len(e, found.Results, len(rows))
		for i, each := range found.Results {
			want := bulk.Created
			if single[each.Row.Email] {
				want = bulk.Duplicate
			}
			require.Equal(e, want, each.Code, each.Row.Email)
			if want == bulk.Duplicate {
				found.Results[i].Code = bulk.Created // by the client, once
			}
		}
		e.requireMade(found.Results)
	})
}

func TestWhoSeesABulkInvitation(t *testing.T) {
	onEachEngine(t, func(e *env) {
		var mine []uuid.UUID
		for range 3 {
			mine = append([]uuid.UUID{e.submit("olivia", people("one", 1), bulk.Skip).UUID}, mine...)
			e.clock.Advance(time.Second)
		}
		e.submit("mona", people("two", 1), bulk.Skip)
		page, err := e.bulk.List(t.Context(), e.user("olivia"), 1, 2)
		require.NoError(e, err)
		require.Equal(e, 3, page.Total)
		require.Len(e, page.Bulks, 2)
		require.Equal(e, mine[0], page.Bulks[0].UUID)
		require.Equal(e, mine[1], page.Bulks[1].UUID)
		require.Equal(e, "Olivia Owner", page.Bulks[0].CreatedBy.FullName)
		for username, want := range map[string]int{"olivia": 3, "mona": 1, "sam": 4} {
			total, err := e.bulk.Count(t.Context(), e.user(username))
			require.NoError(e, err)
			require.Equal(e, want, total)
		}
		_, err = e.bulk.List(t.Context(), e.user("olivia"), 3, 2)
		require.True(e, fault.Is(err, fault.KindNotFound))
		for username, sees := range map[string]bool{"olivia": true, "sam": true, "mona": false} {
			_, err := e.bulk.Retrieve(t.Context(), e.user(username), mine[0], nil, 1, 10)
			require.Equal(e, !sees, fault.Is(err, fault.KindNotFound))
			_, err = e.bulk.Results(t.Context(), e.user(username), mine[0], nil)
			require.Equal(e, !sees, fault.Is(err, fault.KindNotFound))
		}
	})
}

// A table that is read in pages is the table of all results.
func TestTable(t *testing.T) {
	onEachEngine(t, func(e *env) {
		rows := people("one", 1_100)
		for i := range rows {
			rows[i].Email = "no address" // which is fast
		}
		rows[1_099].FullName, rows[0].Email, rows[1].JobTitle = "The Last", "one@university.example", "First"
		made := e.finish(e.submit("olivia", rows, bulk.Skip).UUID)
		olivia := e.user("olivia")
		for _, codes := range [][]bulk.Code{nil, {bulk.Invalid}, {bulk.Created}, {bulk.Refused}} {
			results, err := e.bulk.Results(t.Context(), olivia, made.UUID, codes)
			require.NoError(e, err)
			var want, got bytes.Buffer
			require.NoError(e, bulk.WriteCSV(&want, results))
			write, err := e.bulk.Table(t.Context(), olivia, made.UUID, codes)
			require.NoError(e, err)
			require.NoError(e, write(&got))
			require.Equal(e, want.String(), got.String())
		}
		_, err := e.bulk.Table(t.Context(), e.user("mia"), made.UUID, nil)
		require.True(e, fault.Is(err, fault.KindNotFound))

		// The error of a later page is returned.
		write, err := e.bulk.Table(t.Context(), olivia, made.UUID, nil)
		require.NoError(e, err)
		require.NoError(e, e.db.QueueDriver().GetExecutor().Exec(t.Context(), "DELETE FROM bulk_invitations"))
		require.True(e, fault.Is(write(io.Discard), fault.KindNotFound))
	})
}

func TestLimitsOfBulkInvitations(t *testing.T) {
	onEachEngine(t, func(e *env) {
		for range 3 {
			e.submit("olivia", people("one", 1), bulk.Skip)
		}
		olivia := e.user("olivia")
		_, err := e.bulk.Submit(t.Context(), olivia, bulk.Submission{Rows: people("one", 1), OnDuplicate: bulk.Skip})
		require.True(e, fault.Is(err, fault.KindThrottled))
		require.EqualError(e, err, "3 bulk invitations of yours are not done yet: wait until one is done, or cancel one.")
		e.submit("mona", people("one", 1), bulk.Skip)

		// After 30 days those that are finished are deleted, and the invitations stay.
		page, err := e.bulk.List(t.Context(), olivia, 1, 10)
		require.NoError(e, err)
		found := e.finish(page.Bulks[0].UUID)
		e.clock.Advance(30*24*time.Hour - time.Second)
		require.NoError(e, e.bulk.Sweep(t.Context()))
		e.retrieve(found.UUID)
		e.clock.Advance(2 * time.Second)
		kept := e.submit("mona", people("one", 1), bulk.Skip)
		require.NoError(e, e.bulk.Sweep(t.Context()))
		total, err := e.bulk.Count(t.Context(), e.user("sam"))
		require.NoError(e, err)
		require.Equal(e, 4, total)
		e.retrieve(kept.UUID)
		for _, unfinished := range page.Bulks[1:] {
			e.finish(unfinished.UUID)
		}
		require.False(e, e.step(found.UUID), "its job ends")
		e.find(*found.Results[0].UUID)
	})
}

// A row is stored with no more of a value that is too long than it takes to say so, also when the row is corrected.
func TestLongValuesAreCut(t *testing.T) {
	onEachEngine(t, func(e *env) {
		long := strings.Repeat("ö", 20_000)
		rows := people("one", 2)
		rows[0] = bulk.Row{
			Email: long, Role: long, Scope: long, FullName: long, NativeName: long, PhoneNumber: long, Organization: long, JobTitle: long,
			CivilNumber: long, ExtraInvitationText: long, Expires: long, MembershipExpires: "2026-12-24T09:30:00." + strings.Repeat("0", 20_000) + "Z",
		}
		wrong := rows[0].Check()
		require.Len(e, wrong, 12)
		require.Equal(e, wrong, rows[0].TooLong())
		made := e.submit("olivia", rows, bulk.Skip)
		require.Less(e, made.Size, 12_000)
		found := e.finish(made.UUID).Results[0]
		require.Equal(e, bulk.Invalid, found.Code)
		require.Equal(e, wrong, found.Errors)
		require.Equal(e, wrong, found.Row.Check())
		require.Equal(e, strings.Repeat("ö", 2001), found.Row.ExtraInvitationText)
		require.Less(e, len(encode(e, found.Row)), 12_000)
		require.Len(e, rows[0].Email, 40_000, "the caller's rows stay")
	})
}

func TestLimitOfStoredText(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.submit("olivia", people("one", 2), bulk.Skip)
		require.Equal(e, len(encode(e, people("one", 2)))-len("[,]"), made.Size)
		e.finish(made.UUID)
		submit := func(left int) error {
			require.NoError(e, e.db.QueueDriver().GetExecutor().Exec(t.Context(), fmt.Sprintf("UPDATE bulk_invitations SET size = %d", 100_000_000-left)))
			_, err := e.bulk.Submit(t.Context(), e.user("olivia"), bulk.Submission{Rows: people("one", 2), OnDuplicate: bulk.Skip})
			return err
		}
		err := submit(made.Size - 1)
		require.True(e, fault.Is(err, fault.KindRejected))
		require.EqualError(e, err, "99 MB of rows of your bulk invitations of the last 30 days are kept, these are 0 MB, and 100 MB can be kept: "+
			"send fewer rows or shorter texts, or wait.")
		require.NoError(e, submit(made.Size))
	})
}

// The test is not parallel, since it counts what the process allocates.
func TestSubmitTakesLittleMemory(t *testing.T) { //nolint:paralleltest // as above
	e := newEnv(t, storetest.Engines[0])
	text := strings.Repeat("x", 64<<10)
	rows := make([]bulk.Row, bulk.MaxRows)
	for i := range rows {
		rows[i] = bulk.Row{ExtraInvitationText: text}
	}
	olivia := e.user("olivia")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	made, err := e.bulk.Submit(t.Context(), olivia, bulk.Submission{Rows: rows, OnDuplicate: bulk.Skip})
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	allocated := (after.TotalAlloc - before.TotalAlloc) / 1e6
	t.Logf("%d bytes stored, %d MB allocated", made.Size, allocated)
	require.Less(t, made.Size, 25_000_000)
	require.Less(t, allocated, uint64(300))
}

func TestWhoMayInviteNowhere(t *testing.T) {
	onEachEngine(t, func(e *env) {
		sub, mia := bulk.Submission{Rows: people("one", 1), OnDuplicate: bulk.Skip}, e.user("mia")
		_, err := e.bulk.DryRun(t.Context(), mia, sub)
		require.True(e, fault.Is(err, fault.KindForbidden))
		_, err = e.bulk.Do(t.Context(), mia, sub)
		require.True(e, fault.Is(err, fault.KindForbidden))
		_, err = e.bulk.Submit(t.Context(), mia, sub)
		require.True(e, fault.Is(err, fault.KindForbidden))
	})
}

// Requests at the same time count each other's rows.
func TestInviterLimitOfManyAtOnce(t *testing.T) {
	onEachEngine(t, func(e *env) {
		olivia := e.user("olivia")
		made := e.submit("olivia", people("job", 100), bulk.Skip)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				_, err := e.bulk.Do(t.Context(), olivia, bulk.Submission{Rows: people(fmt.Sprint("r", i, "-"), 100), OnDuplicate: bulk.Skip})
				require.False(e, err != nil && !fault.Is(err, fault.KindUnavailable), "%v", err)
			})
		}
		all.Go(func() { e.finish(made.UUID) })
		all.Wait()
		require.Len(e, storetest.Jobs(t, e.db, "deliver_invitation"), 200)
	}, func(p *invitation.Policy) { p.LimitInviter = invitation.Limit{Count: 200, Per: time.Hour} })
}

// A job whose rows are gone ends with an error, which the queue logs, in place of asking for them for its whole turn.
func TestMissingRows(t *testing.T) {
	onEachEngine(t, func(e *env) {
		made := e.submit("olivia", people("one", 2), bulk.Skip)
		require.NoError(e, e.db.QueueDriver().GetExecutor().Exec(t.Context(), "DELETE FROM bulk_invitation_rows"))
		_, err := e.bulk.Run(t.Context(), bulk.Job{Bulk: made.UUID}, func() bool { return false })
		require.ErrorContains(e, err, "has no row 0 of 2")
	})
}

// Addresses are compared with fast patterns where they are needed, so that no batch runs twice.
func TestFastPatterns(t *testing.T) {
	onEachEngine(t, func(e *env) {
		batch := e.db.Bulk().BatchRows()
		rows := people("one", 2*batch)
		for i := range rows {
			rows[i].Scope = closed
		}
		made := e.submit("olivia", rows, bulk.Skip)
		require.True(e, e.step(made.UUID))
		require.Equal(e, bulk.Counts{bulk.Created: batch}, e.retrieve(made.UUID).Counts)
		require.False(e, e.step(made.UUID))
	})
}

// Addresses are compared with slow patterns outside of the transaction.
func TestSlowPatterns(t *testing.T) {
	onEachEngine(t, func(e *env) {
		e.apply(strings.ReplaceAll(directoryFile, "user_email_patterns: ['", `user_email_patterns: ['(?:.?){900}x', '`))
		rows := people("one", 3*e.db.Bulk().BatchRows())
		for i := range rows {
			rows[i].Scope = closed
			if i%2 == 1 {
				rows[i].Email = fmt.Sprintf("one%d@elsewhere.example", i)
			}
		}
		made := e.submit("olivia", rows, bulk.Skip)
		require.True(e, e.step(made.UUID))
		require.Empty(e, e.retrieve(made.UUID).Counts)
		more, err := e.bulk.Run(t.Context(), bulk.Job{Bulk: made.UUID}, func() bool { return false })
		require.NoError(e, err)
		require.False(e, more)
		found := e.retrieve(made.UUID)
		require.Equal(e, bulk.Counts{bulk.Created: (len(rows) + 1) / 2, bulk.Refused: len(rows) / 2}, found.Counts)
		require.Equal(e, fault.Fields{"email": {"Email does not match the membership restrictions of the project."}}, found.Results[1].Errors)
		dry, err := e.bulk.DryRun(t.Context(), e.user("olivia"), bulk.Submission{Rows: rows})
		require.NoError(e, err)
		require.Equal(e, bulk.Counts{bulk.Duplicate: (len(rows) + 1) / 2, bulk.Refused: len(rows) / 2}, dry.Counts)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = e.bulk.DryRun(ctx, e.user("olivia"), bulk.Submission{Rows: rows})
		require.ErrorIs(e, err, context.Canceled)
	})
}
