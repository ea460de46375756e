package jobs

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"invited/internal/delivery"
	"invited/internal/invitation"
)

// A relay takes a number of mails in each period, and refuses the rest of them.
type relay struct {
	count  int
	period time.Duration

	mu    sync.Mutex
	taken []time.Time
	tries int
}

var errTooMany = &delivery.Failure{Reason: "The mail server asked to slow down (450).", Throttled: true}

// take is the conversation about one mail, which takes 20 ms.
func (r *relay) take() error {
	time.Sleep(20 * time.Millisecond) //nolint:forbidigo // of the bubble's clock
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	now, inPeriod := time.Now(), 0
	for _, each := range r.taken {
		if now.Sub(each) < r.period {
			inPeriod++
		}
	}
	if inPeriod >= r.count {
		return errTooMany
	}
	r.taken = append(r.taken, now)
	return nil
}

// deliverAll has as many workers as a process has send mails to a relay until the relay has taken all of them, as the queue
// does it, and returns how long that took.
func deliverAll(t *testing.T, r *relay, least time.Duration, mails int) time.Duration {
	t.Helper()
	way := route{pace: newPace(least)}
	began := time.Now()
	queue := make(chan int, mails) // of numbers of attempts
	for range mails {
		queue <- 1
	}
	var left sync.WaitGroup
	left.Add(mails)
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range maxWorkers[invitation.QueueMail] {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case attempt := <-queue:
					again := way.wait(ctx)
					if again == 0 {
						if way.do(r.take) == nil {
							left.Done()
							continue
						}
						again = jitter(retryDelay(attempt))
						attempt++
					}
					time.AfterFunc(again, func() { queue <- attempt })
				}
			}
		})
	}
	left.Wait()
	took := time.Since(began)
	cancel()
	workers.Wait()
	return took
}

// A relay that takes few mails in a time gets little more than it takes, and gets them in little more time than it needs.
func TestRelayThatLimitsTheRate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		count  int
		period time.Duration
		least  time.Duration
		mails  int
		within time.Duration
		tries  int
	}{
		"2 a second":                {2, time.Second, 0, 300, 205 * time.Second, 330},
		"2 a second, and set to it": {2, time.Second, time.Second / 2, 300, 152 * time.Second, 301},
		"20 a second":               {20, time.Second, 0, 2000, 145 * time.Second, 2200},
		"30 a minute":               {30, time.Minute, 0, 300, 20 * time.Minute, 400},
		// A mail that was refused waits for 72 minutes at most: an hour, and a fifth of it as jitter.
		"100 a day":                 {100, 24 * time.Hour, 0, 150, 24*time.Hour + 90*time.Minute, 150 + 24*60/5 + 50},
		"no limit":                  {1000000, time.Second, 0, 1000, 3 * time.Second, 1000},
		"no limit, 10 a second set": {1000000, time.Second, time.Second / 10, 100, 10 * time.Second, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &relay{count: test.count, period: test.period}
				took := deliverAll(t, r, test.least, test.mails)
				t.Logf("%d mails in %.0f s with %d tries", test.mails, took.Seconds(), r.tries)
				require.LessOrEqual(t, took, test.within)
				require.LessOrEqual(t, r.tries, test.tries)
				require.Len(t, r.taken, test.mails)
			})
		})
	}
}

// One recipient whose server always asks to slow down does not keep other mails from going out.
func TestOneRecipientSlowsNobodyDownForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := route{pace: newPace(0)}
		began, next, attempt := time.Now(), time.Now(), 1
		for range 5000 {
			if !time.Now().Before(next) {
				require.Zero(t, way.wait(t.Context()))
				require.ErrorIs(t, way.do(func() error { return errTooMany }), errTooMany)
				next = time.Now().Add(retryDelay(attempt))
				attempt++
			}
			require.Zero(t, way.wait(t.Context()))
			require.NoError(t, way.do(func() error {
				time.Sleep(20 * time.Millisecond) //nolint:forbidigo // of the bubble's clock
				return nil
			}))
		}
		t.Logf("5,000 mails in %.0f s, %d refusals", time.Since(began).Seconds(), attempt-1)
		require.Less(t, time.Since(began), 3*time.Minute)
	})
}

// Recipients whose servers always ask to slow down, four of five mails, make the others wait for some seconds each. The same
// replies from the mail server itself make them wait for minutes.
func TestRecipientsSlowDownLittle(t *testing.T) {
	t.Parallel()
	ofRecipient := &delivery.Failure{Reason: errTooMany.Reason, Throttled: true, Recipient: true}
	for refusal, within := range map[*delivery.Failure][2]time.Duration{
		ofRecipient: {0, 6 * time.Minute}, errTooMany: {10 * time.Minute, 24 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			way := route{pace: newPace(0)}
			began := time.Now()
			for i := range 5 * 40 {
				for {
					again := way.wait(t.Context())
					if again == 0 {
						break
					}
					time.Sleep(again) //nolint:forbidigo // of the bubble's clock
				}
				_ = way.do(func() error {
					if i%5 == 4 {
						return nil
					}
					return refusal
				})
			}
			require.Greater(t, time.Since(began), within[0])
			require.Less(t, time.Since(began), within[1])
		})
	}
}

// Until a mail is accepted after a reply about rate, one mail at a time goes out.
func TestOneMailProbesAfterAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := route{pace: newPace(0)}
		refuse := func() error { return errTooMany }
		require.Zero(t, way.wait(t.Context()))
		require.ErrorIs(t, way.do(refuse), errTooMany)
		began := time.Now()
		require.Zero(t, way.wait(t.Context()))
		require.Equal(t, minPause, time.Since(began))

		var probing sync.WaitGroup
		second := time.Duration(-1)
		probing.Go(func() {
			require.Zero(t, way.wait(t.Context()))
			second = time.Since(began)
		})
		time.Sleep(minPause / 2) //nolint:forbidigo // of the bubble's clock
		require.NoError(t, way.do(func() error { return nil }))
		probing.Wait()
		require.Equal(t, 2*minPause, second, "an interval after the first one")
	})
}

// Who waits for a route goes back into the queue when the workers stop, when the wait is long, and when the job is canceled.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(time.Hour)
		require.Zero(t, p.wait(t.Context()))
		began := time.Now()
		require.InDelta(t, time.Hour, p.wait(t.Context()), float64(time.Second))
		require.Zero(t, time.Since(began))

		p = newPace(10 * time.Second)
		require.Zero(t, p.wait(t.Context()))
		var waiting sync.WaitGroup
		waits := make([]time.Duration, 3)
		for n := range waits {
			waiting.Go(func() { waits[n] = p.wait(t.Context()) })
		}
		time.Sleep(5 * time.Second) //nolint:forbidigo // of the bubble's clock
		close(p.stopping)
		waiting.Wait()
		require.Equal(t, []time.Duration{queuePause, queuePause, queuePause}, waits)
		require.Equal(t, 5*time.Second, time.Since(began))

		p = newPace(10 * time.Second)
		require.Zero(t, p.wait(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Positive(t, p.wait(ctx))
	})
}

// Jobs that send nothing, because their invitation was canceled or the circuit is open, take no turn from those that do, and
// send none away.
func TestWhatIsNotSentTakesNoTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		way := route{pace: newPace(time.Hour)}
		var waiting sync.WaitGroup
		began := time.Now()
		dead := func() bool {
			time.Sleep(5 * time.Millisecond) //nolint:forbidigo // of the bubble's clock
			return false
		}
		for range 10 {
			waiting.Go(func() { require.Zero(t, way.begin(t.Context(), dead)) })
		}
		waiting.Wait()
		require.Panics(t, func() { way.begin(t.Context(), func() bool { panic("a mistake") }) })
		require.Zero(t, way.wait(t.Context()))
		require.Less(t, time.Since(began), time.Minute)

		blocked := &delivery.Failure{Reason: "The login is refused.", Operator: true, Blocked: true}
		require.ErrorIs(t, way.do(func() error { return blocked }), blocked)
		require.Positive(t, way.wait(t.Context()))
		time.Sleep(time.Hour) //nolint:forbidigo // of the bubble's clock
		way.last = time.Now()
		for range 10 {
			require.Zero(t, way.wait(t.Context()))
			require.ErrorAs(t, way.do(func() error { panic("never sent") }), new(errCircuitOpen))
		}
	})
}

// Failures that say nothing about the rate change no pace, and neither do those of mails that were sent before it.
func TestOtherFailuresKeepThePace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(0)
		for _, err := range []error{errors.New("a panic"), &delivery.Failure{}, &delivery.Failure{Final: true}, &delivery.Failure{Operator: true}, nil} {
			p.done(time.Now(), err)
			require.Zero(t, p.wait(t.Context()), "%v", err)
		}
		before := time.Now()
		time.Sleep(time.Millisecond) //nolint:forbidigo // of the bubble's clock
		p.done(time.Now(), errTooMany)
		next := p.next
		p.done(before, errTooMany)
		p.done(before, nil)
		require.Equal(t, next, p.next)
		require.Equal(t, time.Second/2, p.pause)
	})
}
