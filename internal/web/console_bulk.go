package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
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
	out, do := resultPage{Done: "Sent again", Did: "sent again"}, p.Invitations.Send
	switch r.PostFormValue("action") {
	case "send":
	case "cancel":
		out, do = resultPage{Done: "Taken back", Did: "taken back"}, p.Invitations.Cancel
	default:
		return errBadForm
	}
	selected, problem, err := p.selected(r)
	if err != nil {
		return err
	} else if problem != "" {
		return r.renderList(http.StatusBadRequest, problem)
	}
	status := http.StatusOK
	for i, id := range selected {
		result, err := p.actOn(r, do, id)
		if err != nil {
			p.Logger.ErrorContext(r.Context(), "acting on several invitations ended early", "error", err)
			status, out.NotTried = http.StatusServiceUnavailable, len(selected)-i
			break
		}
		if result.Problem == "" {
			out.Succeeded++
		}
		out.Results = append(out.Results, result)
	}
	return r.render(status, "results", out.Done, out)
}

// selected returns the invitations that the form selects: those that it names, or all that match its filter, of which it says
// how many the user was told there are. problem is why there is nothing to do.
func (p *pages) selected(r *request) (selected []uuid.UUID, problem string, err error) {
	if expected := r.PostFormValue("all"); expected != "" {
		found, err := p.Invitations.List(r.Context(), r.user.Actor, r.listFilter().query(), 1, maxBulk)
		switch {
		case err != nil:
			return nil, "", err
		case found.Total > maxBulk:
			return nil, "More than " + strconv.Itoa(maxBulk) + " invitations match. Narrow the filter. Nothing was changed.", nil
		case strconv.Itoa(found.Total) != expected:
			return nil, "The list has changed: " + strconv.Itoa(found.Total) + " invitations match now. Look again. Nothing was changed.", nil
		}
		for _, view := range found.Invitations {
			selected = append(selected, view.UUID)
		}
		return selected, "", nil
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

// actOn does something to one invitation. It returns an error where the server can't tell the user anything better to do than
// to try again.
func (p *pages) actOn(
	r *request, do func(context.Context, directory.Actor, uuid.UUID) error, id uuid.UUID,
) (bulkResult, error) {
	found, err := p.Invitations.Retrieve(r.Context(), r.user.Actor, id)
	if err == nil {
		err = do(r.Context(), r.user.Actor, id)
	}
	result := bulkResult{UUID: id, Email: found.Email, Problem: refusal(err)}
	if fault.Is(err, fault.KindNotFound) {
		result.Problem = msgGone
	}
	if result.Problem != "" {
		return result, nil
	}
	return result, err
}
