package invite

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"invited/gen/client"
)

// MaxTable is the size of the largest table that is sent, in bytes. A server can have a smaller limit, and says so.
const MaxTable = 64 << 20

// A Table has the people to invite, and how to invite them.
type Table struct {
	Name        string // for messages
	Text        []byte
	Role, Scope string // of the rows that name none; empty: none
	SendAgain   bool   // an invitation that is open already is sent again
	DryRun      bool   // nothing is written
}

// Output is where results go.
type Output struct {
	Counts   io.Writer // gets a line with the number of rows of each result
	Progress io.Writer // a terminal gets a progress bar, anything else some lines
	// Failed is the path of the file that gets the rows which were not invited, with the reasons. It is written only where there
	// are such rows. It ends in ".csv" unless Replace is set.
	Failed string
	// Replace is set where a file that is there already is replaced. Otherwise that one stays, because somebody may be correcting
	// it, and the new one gets a number: people.failed-2.csv.
	Replace bool
}

// Invite sends a table to the server, and waits until each row has its result. It returns an error where a row was not invited,
// or would not be.
func (c *Client) Invite(ctx context.Context, t Table, out Output) error {
	params := client.UserInvitationsBulkCreateParams{
		DryRun: &t.DryRun, Role: nilIfEmpty(t.Role), Scope: nilIfEmpty(t.Scope), OnDuplicate: new(client.BulkInvitationOnDuplicateSkip),
	}
	if t.SendAgain {
		params.OnDuplicate = new(client.BulkInvitationOnDuplicateSend)
	}
	var editors []client.RequestEditorFn
	if !t.DryRun {
		editors = append(editors, withKey)
	}
	answer, err := c.api.UserInvitationsBulkCreateWithBodyWithResponse(ctx, &params, "text/csv", bytes.NewReader(t.Text), editors...)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: the server may have taken %s; send it again, and who was invited by then is left alone", t.Name)
	case err != nil:
		return c.unreachable(err)
	case answer.JSON200 != nil:
		return c.report(t, *answer.JSON200, out)
	case answer.JSON202 != nil:
		return c.Follow(ctx, answer.JSON202.UUID, out)
	case answer.StatusCode() == http.StatusNotFound:
		return fmt.Errorf("%s has no bulk invitations: it is no server of invited, or an older one", c.server)
	}
	return c.refusal(t.Name, answer.HTTPResponse, answer.Body)
}

// pollInterval is the time between two looks at a bulk invitation.
const pollInterval = 500 * time.Millisecond

// Follow waits until each row of a bulk invitation has its result. It returns an error where a row was not invited.
func (c *Client) Follow(ctx context.Context, id uuid.UUID, out Output) error {
	found, err := c.wait(ctx, id, out.Progress)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped waiting, and the server goes on: `invited invite --follow %[1]s` waits again, `invited invite --cancel %[1]s` stops the server", id)
	case err != nil:
		return err
	}
	writeCounts(out.Counts, found.Total, found.Counts, false)
	if failed(found.Counts) == 0 {
		return nil
	}
	answer, err := c.api.UserInvitationsBulkCsvRetrieveWithResponse(ctx, id, &client.UserInvitationsBulkCsvRetrieveParams{Result: &failures})
	switch {
	case err != nil:
		return c.unreachable(err)
	case answer.StatusCode() != http.StatusOK:
		return c.refusal(id.String(), answer.HTTPResponse, answer.Body)
	}
	return writeFailed(out, answer.Body, found.Total, found.Counts, false)
}

// wait returns a bulk invitation when each of its rows has a result, and shows the progress until then.
func (c *Client) wait(ctx context.Context, id uuid.UUID, to io.Writer) (*client.BulkInvitationDetails, error) {
	c.retries.RetryMax = retriesLater
	var shown progress
	defer func() {
		if shown != nil {
			shown.end()
		}
	}()
	for {
		answer, err := c.api.UserInvitationsBulkRetrieveWithResponse(ctx, id, &client.UserInvitationsBulkRetrieveParams{PageSize: new(1)})
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w; the server goes on when it can, and `invited invite --follow %s` waits for it", c.unreachable(err), id)
		case answer.JSON200 == nil:
			return nil, c.refusal(id.String(), answer.HTTPResponse, answer.Body)
		}
		found := answer.JSON200
		if shown == nil {
			shown = newProgress(to, found.Total)
		}
		shown.set(found.Done)
		if found.State == client.BulkInvitationStateDone || found.State == client.BulkInvitationStateCanceled {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// Cancel stops a bulk invitation.
func (c *Client) Cancel(ctx context.Context, id uuid.UUID, out Output) error {
	answer, err := c.api.UserInvitationsBulkCancelWithResponse(ctx, id)
	switch {
	case err != nil:
		return c.unreachable(err)
	case answer.JSON200 == nil:
		return c.refusal(id.String(), answer.HTTPResponse, answer.Body)
	}
	_, err = fmt.Fprintln(out.Counts, printable(answer.JSON200.Detail))
	return err
}

func nilIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
