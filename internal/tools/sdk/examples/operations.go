package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/gen/client"
	"invited/internal/tools/sdk/live"
)

// An operation is what an example of it needs beforehand, and leaves behind.
type operation struct {
	heading      string // in the document
	method, path string // {uuid} for the invitation's
	as           string // who runs the example; invitee: one who accepted nothing yet
	begins       client.InvitationState
	signed       string                 // page whose link has the token that the example needs; "": none
	ends         client.InvitationState // "": the invitation is gone
	prints       string                 // "": the invitation's e-mail
}

const (
	base    = "/api/user-invitations/"
	each    = base + "{uuid}/"
	invitee = "invitee"
	nothing = client.InvitationState("") // no invitation
)

var operations = []operation{
	{
		heading: "List User Invitations", method: "GET", path: base, as: live.Owner, begins: "pending", ends: "pending",
		prints: live.Email(""), // its own may be on a later page
	},
	{heading: "Retrieve", method: "GET", path: each, as: live.Owner, begins: "pending", ends: "pending"},
	{heading: "Create", method: "POST", path: base, as: live.Staff, begins: nothing, ends: "pending"},
	{heading: "Details", method: "GET", path: each + "details/", as: invitee, begins: "pending", ends: "pending"},
	{
		heading: "Accept invitation for current user", method: "POST", path: each + "accept/", as: invitee, begins: "pending",
		ends: "accepted", prints: "Invitation has been successfully accepted.",
	},
	{
		heading: "For user's convenience invitation approval is performed without authentication", method: "POST",
		path: base + "approve/", as: live.Owner, begins: "requested", signed: "invitation_approve", ends: "pending",
		prints: "Invitation has been approved.",
	},
	{
		heading: "Cancel", method: "POST", path: each + "cancel/", as: live.Owner, begins: "pending", ends: "canceled",
		prints: "Invitation has been successfully canceled.",
	},
	{heading: "Check", method: "POST", path: each + "check/", as: live.Owner, begins: "pending", ends: "pending"},
	{
		heading: "Delete", method: "POST", path: each + "delete/", as: live.Staff, begins: "pending", ends: nothing,
		prints: "Invitation has been successfully deleted.",
	},
	{
		heading: "Reject", method: "POST", path: base + "reject/", as: live.Owner, begins: "requested", signed: "invitation_reject",
		ends: "rejected", prints: "Invitation has been rejected.",
	},
	{
		heading: "Send", method: "POST", path: each + "send/", as: live.Owner, begins: "canceled", ends: "pending",
		prints: "Invitation sending has been successfully scheduled.",
	},
}

// A world is a server where only staff may invite without asking, so that there are requests to approve.
type world struct {
	server *live.Server
}

const worldPolicy = "INVITED_ONLY_STAFF_CAN_INVITE_USERS=true"

// as is the API as somebody.
func (w world) as(name string) (*client.ClientWithResponses, error) {
	return client.NewClientWithResponses(w.server.URL, client.WithHTTPClient(&http.Client{Timeout: time.Minute}),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Token "+live.Token(name))
			return nil
		}))
}

// An answer is any operation's.
type answer interface {
	StatusCode() int
	GetBody() []byte
}

// said is an error where the server said no.
func said(what string, response answer) error {
	if response.StatusCode()/100 == 2 {
		return nil
	}
	return fmt.Errorf("%s: %d %s", what, response.StatusCode(), response.GetBody())
}

// prepare makes an invitation in the state that an operation begins with.
func (w world) prepare(ctx context.Context, o operation, email string) (uuid.UUID, error) {
	if o.begins == nothing {
		return uuid.UUID{}, nil
	}
	by := live.Staff
	if o.begins == "requested" {
		by = live.Owner
	}
	api, err := w.as(by)
	if err != nil {
		return uuid.UUID{}, err
	}
	created, err := api.UserInvitationsCreateWithResponse(ctx, client.InvitationRequest{
		Email: email, Role: uuid.MustParse(live.Role), Scope: w.server.Scope,
	})
	if err != nil {
		return uuid.UUID{}, err
	}
	if err := said("creating an invitation", created); err != nil {
		return uuid.UUID{}, err
	}
	id := created.JSON201.UUID
	if o.begins == "canceled" {
		canceled, err := api.UserInvitationsCancelWithResponse(ctx, id)
		if err == nil {
			err = said("canceling it", canceled)
		}
		if err != nil {
			return id, err
		}
	}
	return id, w.in(ctx, id, o.begins)
}

// in is an error where an invitation is in another state.
func (w world) in(ctx context.Context, id uuid.UUID, want client.InvitationState) error {
	api, err := w.as(live.Staff)
	if err != nil {
		return err
	}
	seen, err := api.UserInvitationsRetrieveWithResponse(ctx, id)
	if err != nil {
		return err
	}
	if want == nothing {
		if seen.StatusCode() == http.StatusNotFound {
			return nil
		}
		return fmt.Errorf("the invitation is not gone: %d %s", seen.StatusCode(), seen.Body)
	}
	if err := said("looking at the invitation", seen); err != nil {
		return err
	}
	if seen.JSON200.State != want {
		return fmt.Errorf("the invitation is %s, and should be %s", seen.JSON200.State, want)
	}
	return nil
}

// find is the invitation for an address.
func (w world) find(ctx context.Context, email string) (uuid.UUID, error) {
	api, err := w.as(live.Staff)
	if err != nil {
		return uuid.UUID{}, err
	}
	list, err := api.UserInvitationsListWithResponse(ctx, &client.UserInvitationsListParams{EmailExact: &email})
	if err != nil {
		return uuid.UUID{}, err
	}
	if err := said("listing", list); err != nil {
		return uuid.UUID{}, err
	}
	if len(*list.JSON200) != 1 {
		return uuid.UUID{}, fmt.Errorf("there are %d invitations for %s, and should be one", len(*list.JSON200), email)
	}
	return (*list.JSON200)[0].UUID, nil
}

// signed waits for a mail to staff that is not among those seen before, and takes the token from its link to a page.
func (w world) signed(ctx context.Context, page string, before map[string]bool) (string, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	link := regexp.MustCompile("/" + page + `/([^/\s]+)/`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		files, err := w.mails()
		if err != nil {
			return "", err
		}
		for _, file := range files {
			if before[file] {
				continue
			}
			text, err := plain(file)
			if err != nil {
				return "", fmt.Errorf("%s: %w", file, err)
			}
			if found := link.FindStringSubmatch(text); found != nil {
				return found[1], nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", errors.New("staff was sent no mail with a link to " + page)
		}
	}
}

func (w world) mails() ([]string, error) {
	return filepath.Glob(filepath.Join(w.server.Mails, "*.eml"))
}

// plain is the text of a mail.
func plain(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	message, err := mail.ReadMessage(f)
	if err != nil {
		return "", err
	}
	_, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return "", err
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return "", fmt.Errorf("it has no plain text: %w", err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			text, err := io.ReadAll(part)
			return string(text), err
		}
	}
}
