package invitation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"invited/internal/directory"
	"invited/internal/fault"
)

// beginRequests is BeginNotice for a notice that is gathered; see Gather.
func (s *Service) beginRequests(ctx context.Context, job Notify) (out *Message, wait time.Duration, err error) {
	notice, _ := job.RequestNotice()
	err = s.Store.Change(ctx, func(tx Tx) ([]Change, error) {
		out = nil
		found, err := Gather(tx, notice, s.Policy.RequestMailInterval, func() (_ bool, _ time.Duration, err error) {
			out, err = s.composeRequests(tx, job, notice)
			return out != nil, 0, err
		})
		wait = found.Wait
		return []Change{{Mail: found.Mail, DoneNotices: found.Done}}, err
	})
	if errors.Is(err, ErrConflict) {
		return nil, RetryGathering(s.Policy.RequestMailInterval), nil
	}
	if err != nil {
		return nil, 0, err
	}
	return out, wait, nil
}

// composeRequests returns the mail about all requests that wait for a staff user; nil where that of the notice is not among
// them.
func (s *Service) composeRequests(tx Tx, job Notify, n RequestNotice) (*Message, error) {
	staff, err := tx.FindStaff(n.User)
	if fault.Is(err, fault.KindNotFound) || (err == nil && staff.Email == "") {
		return nil, nil //nolint:nilnil // nobody is told
	} else if err != nil {
		return nil, err
	}
	found, total, err := tx.ListRequests(n, MaxRequests)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].UUID != n.Request {
		return nil, nil //nolint:nilnil // the others have jobs of their own
	}
	own := found[0]
	slices.SortStableFunc(found, func(a, b Invitation) int { return a.Created.Compare(b.Created) })
	requests, err := s.requests(tx, staff, found...)
	if err != nil {
		return nil, err
	}
	return &Message{
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
	}, nil
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
