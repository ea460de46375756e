package invitation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
)

// maxRequests is the number of requests in one mail. Some mail programs cut off what is longer than 100 KiB.
const maxRequests = 50

// beginRequests is BeginNotice for a notice that is gathered. The first request is mailed at once, and those of the next
// interval together when it is over. Each request has a job for each staff user, so that none is forgotten when a process
// dies. The first job that runs after the interval takes the requests of the others along; the others then find that
// their user was told.
func (s *Service) beginRequests(ctx context.Context, job Notify) (out *Message, wait time.Duration, err error) {
	err = s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		out, wait = nil, 0
		waiting, last, err := tx.FindRequestNotice(job)
		if err != nil || waiting == 0 {
			return nil, err
		}
		// A last mail in the future is from before the database's clock was set back.
		interval := s.Policy.RequestMailInterval
		if rest := last.Add(interval).Sub(tx.Now()); rest > 0 && rest <= 2*interval {
			wait = rest + spread(interval*time.Duration(waiting/maxRequests))
			return nil, nil
		}
		obsolete := []Change{{DoneNotices: []Notify{job}}}
		staff, err := tx.FindStaff(job.User)
		if fault.Is(err, fault.KindNotFound) || (err == nil && staff.Email == "") {
			return obsolete, nil
		} else if err != nil {
			return nil, err
		}
		found, total, err := tx.ListRequests(job, maxRequests)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 || found[0].UUID != job.Invitation {
			return obsolete, nil // the others have jobs of their own
		}
		own := found[0]
		slices.SortStableFunc(found, func(a, b Invitation) int { return a.Created.Compare(b.Created) })
		requests, err := s.requests(tx, staff, found...)
		if err != nil {
			return nil, err
		}
		out = &Message{
			Notice: job.Notice,
			To:     staff.Email,
			// Another attempt may be about other requests, and is another mail.
			ID:         fmt.Sprintf("%s.%s.%d.%s", own.UUID, job.Notice, tx.Now().UnixMicro(), staff.UUID),
			Invitation: s.view(tx, own),
			Link:       s.scopeLink(own.Scope),
			ScopeLink:  s.scopeLink(own.Scope),
			Requests:   requests,
			More:       total - len(found),
			LinksEnd:   tx.Now().Add(s.Policy.MaxAge),
		}
		return []Change{{Mail: &RequestMail{User: staff.UUID, Last: last, Begun: tx.Now()}}}, nil
	})
	if errors.Is(err, ErrConflict) { // jobs of other requests began mails to the user each time that this one tried
		return nil, s.Policy.RequestMailInterval + spread(time.Second), nil
	}
	if err != nil {
		return nil, 0, err
	}
	return out, wait, nil
}

// spread returns a random time of at most d. The jobs of many requests wait for different times: one job an interval is
// enough, and all of them at once would keep the workers from other mails.
func spread(d time.Duration) time.Duration {
	return rand.N(d + 1) //nolint:gosec // spreads load; nothing secret
}

// requests returns invitations with the links by which a staff user decides about them.
func (s *Service) requests(tx Tx, staff directory.User, all ...Invitation) (out []Request, err error) {
	out = make([]Request, len(all))
	for n, i := range all {
		if out[n].Invitation, err = s.viewFromInviter(tx, i); err != nil {
			return nil, err
		}
		out[n].ApproveLink, out[n].RejectLink = s.approvalLinks(staff, i, tx.Now())
	}
	return out, nil
}
