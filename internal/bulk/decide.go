package bulk

import (
	"time"

	"invited/internal/directory"
	"invited/internal/invitation"
)

func (s *Service) batch(on OnDuplicate, admissions *invitation.Admissions) *invitation.Batch {
	return &invitation.Batch{Service: s.Invitations, SendOpen: on == Send, Admissions: admissions}
}

// codes are the codes of what a batch decides.
var codes = map[invitation.Verdict]Code{
	invitation.DraftCreated:   Created,
	invitation.DraftSent:      Sent,
	invitation.DraftDuplicate: Duplicate,
	invitation.DraftMember:    Member,
	invitation.DraftInvalid:   Invalid,
	invitation.DraftRefused:   Refused,
}

// decide returns the results of rows, of which the first has an index, and what to write. Fewer results than rows: the next row
// needs an answer of the batch's Admissions.
func decide(
	tx Tx, batch *invitation.Batch, caller directory.Actor, rows []Row, index int,
) ([]Result, []invitation.Change, error) {
	drafts := make([]invitation.BatchDraft, len(rows))
	for i, row := range rows {
		drafts[i] = row.draft()
	}
	found, changes, err := batch.Decide(tx, caller, drafts)
	if err != nil {
		return nil, nil, err
	}
	results := make([]Result, len(found))
	for i, each := range found {
		results[i] = Result{Index: index + i, Row: rows[i], Code: codes[each.Verdict], UUID: each.UUID, Errors: each.Errors}
	}
	return results, changes, nil
}

// draft returns what a row asks for.
func (r Row) draft() invitation.BatchDraft {
	d := invitation.BatchDraft{Wrong: r.Check(), Draft: invitation.Draft{
		Email:               r.Email,
		ScopeURL:            r.Scope,
		FullName:            r.FullName,
		NativeName:          r.NativeName,
		PhoneNumber:         r.PhoneNumber,
		Organization:        r.Organization,
		JobTitle:            r.JobTitle,
		CivilNumber:         r.CivilNumber,
		ExtraInvitationText: r.ExtraInvitationText,
		Expires:             endOf(r.Expires),
		MembershipExpires:   endOf(r.MembershipExpires),
	}}
	if id, ok := directory.ParseUUID(r.Role); ok {
		d.Role = id
	} else {
		d.RoleName = r.Role
	}
	return d
}

// endOf returns the time that a text gives; nil for a text that is no time.
func endOf(text string) *time.Time {
	at, ok := invitation.ParseEnd(text)
	if !ok {
		return nil
	}
	return &at
}
