package invitation

import (
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// MaxRequests is the number of requests in one mail. Some mail programs cut off what is longer than 100 KiB.
const MaxRequests = 50

// RequestNotice names a request that one user is told of by mail, with the waiting requests of the same kind: an invitation that
// waits for approval, or a permission request of package joining. Both kinds share the user's interval.
type RequestNotice struct {
	User     uuid.UUID
	Request  uuid.UUID
	Delivery int // of the invitation; 0 of a permission request
}

// GatheredJob is a Job that sends a RequestNotice. The store keeps the notice, with the job, until it is among the
// DoneNotices of a change.
type GatheredJob interface {
	Job
	// RequestNotice returns the notice; false: this job is not gathered.
	RequestNotice() (RequestNotice, bool)
}

// RequestMail is the beginning of a mail about requests to a user. Where two begin after the same Last, one is written and
// the other is ErrConflict.
type RequestMail struct {
	User  uuid.UUID
	Last  time.Time // when the last one before was begun; zero: there is none
	Begun time.Time
}

// GatherTx reads for Gather.
type GatherTx interface {
	// Now is the time of the transaction.
	Now() time.Time
	// FindRequestNotice returns the number of requests that the user of a notice has had no mail about, counted up to 5,000,
	// and when the last mail about requests to the user was begun; zero: never. The number is 0 where the user needs no mail
	// about the request of the notice.
	FindRequestNotice(n RequestNotice) (waiting int, last time.Time, err error)
}

// Gathering is the outcome of the job of a RequestNotice. The zero value ends the job.
type Gathering struct {
	Wait time.Duration   // after which the job is due again; zero: it is not
	Mail *RequestMail    // that is begun; nil: none
	Done []RequestNotice // of which nobody is to be told any more
}

// Gather decides about the job of a notice. The first request is mailed at once, and those of the next interval together when it
// is over. Each request has a job for each user, so that none is forgotten when a process dies. The first job that runs after
// the interval takes the requests of the others along; the others then find that their user was told.
//
// compose makes the mail. It returns false where nothing is to be told of this job's request, and a wait where the mail must go
// out later. Try a change that fails with ErrConflict again after RetryGathering.
func Gather(tx GatherTx, n RequestNotice, interval time.Duration, compose func() (composed bool, wait time.Duration, err error)) (Gathering, error) {
	waiting, last, err := tx.FindRequestNotice(n)
	if err != nil || waiting == 0 {
		return Gathering{}, err
	}
	// A last mail in the future is from before the database's clock was set back.
	wait, composed := last.Add(interval).Sub(tx.Now()), false
	if wait <= 0 || wait > 2*interval {
		if composed, wait, err = compose(); err != nil {
			return Gathering{}, err
		}
	}
	switch {
	case wait > 0:
		return Gathering{Wait: wait + spread(interval*time.Duration(waiting/MaxRequests))}, nil
	case !composed:
		return Gathering{Done: []RequestNotice{n}}, nil
	default:
		return Gathering{Mail: &RequestMail{User: n.User, Last: last, Begun: tx.Now()}}, nil
	}
}

// RetryGathering returns the wait of a job that lost to mails of other jobs at every try.
func RetryGathering(interval time.Duration) time.Duration { return interval + spread(time.Second) }

// spread returns a random time of at most d. The jobs of many requests wait for different times: one job an interval is
// enough, and all of them at once would keep the workers from other mails.
func spread(d time.Duration) time.Duration {
	return rand.N(d + 1) //nolint:gosec // spreads load; nothing secret
}
