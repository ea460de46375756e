package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// maxBulk is the number of invitations that one form acts on at most. Each is a transaction of its own, and all of them have
// to end within requestTimeout.
const maxBulk = 200

// resultPage is the content of the page that says what became of a selection.
type resultPage struct {
	Done, Did string // the heading's words, and those of one result
	Results   []bulkResult
	Succeeded int
	NotTried  int // the server gave up before these
}

// Selected returns the number of invitations that were selected.
func (p resultPage) Selected() int { return len(p.Results) + p.NotTried }

// bulkResult says what became of one invitation.
type bulkResult struct {
	UUID    uuid.UUID
	Email   string // empty: the user does not see the invitation
	Problem string
}

const msgGone = "You may not do this, or the invitation is gone."

// bulk does something to each selected invitation, as if the user did it to each one by itself, and says of each what became
// of it.
func (p *pages) bulk(r *request) error {
	out, action := resultPage{Done: "Sent again", Did: "sent again"}, invitation.ManySend
	switch r.PostFormValue("action") {
	case "send":
	case "cancel":
		out, action = resultPage{Done: "Taken back", Did: "taken back"}, invitation.ManyCancel
	default:
		return errBadForm
	}
	selected, problem, err := p.selected(r)
	if err != nil {
		return err
	} else if problem != "" {
		return r.renderList(http.StatusBadRequest, problem)
	}
	results, err := p.Invitations.ActOnMany(r.Context(), r.user.Actor, action, selected)
	if err != nil {
		return err
	}
	status := http.StatusOK
	for _, result := range results {
		row := bulkResult{UUID: result.UUID, Email: result.Email}
		switch result.Code {
		case invitation.ManyDone:
			out.Succeeded++
		case invitation.ManyNotFound:
			row.Problem = msgGone
		case invitation.ManyRefused:
			row.Problem = cmp.Or(refusal(result.Err), msgGone)
		case invitation.ManyFailed, invitation.ManyNotTried:
			status = http.StatusServiceUnavailable
			out.NotTried++
			continue
		}
		out.Results = append(out.Results, row)
	}
	return r.render(status, "results", out.Done, out)
}

// selected returns the invitations that the form selects: those that it names, or all that match its filter, of which it says
// how many the user was told there are. problem is why there is nothing to do.
func (p *pages) selected(r *request) (selected []uuid.UUID, problem string, err error) {
	if text := r.PostFormValue("all"); text != "" {
		expected, err := strconv.Atoi(text)
		if err != nil {
			return nil, "", errBadForm
		}
		selected, err = p.Invitations.SelectAll(r.Context(), r.user.Actor, r.listFilter().query(), expected, maxBulk)
		var f *fault.Error
		switch {
		case errors.As(err, &f) && f.Kind == fault.KindConflict:
			return nil, f.Message, nil
		case errors.As(err, &f) && f.Kind == fault.KindInvalid:
			return nil, refusal(err), nil
		}
		return selected, "", err
	}
	for _, text := range r.PostForm["uuid"] {
		id, ok := directory.ParseUUID(text)
		if !ok {
			return nil, "", errBadForm
		}
		if !slices.Contains(selected, id) {
			selected = append(selected, id)
		}
	}
	switch {
	case len(selected) == 0:
		return nil, "Select at least one invitation.", nil
	case len(selected) > maxBulk:
		return nil, "Select at most " + strconv.Itoa(maxBulk) + " invitations. Nothing was changed.", nil
	}
	return selected, "", nil
}
