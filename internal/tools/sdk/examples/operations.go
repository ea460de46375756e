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

// An operation says what its examples need, and what they leave behind.
type operation struct {
	heading      string                 // in the document
	method, path string                 // {uuid} stands for the invitation's uuid
	as           string                 // username whose token is used; invitee: a user who has accepted nothing yet
	begins       client.InvitationState // of the invitation before the example
	tokenPage    string                 // front-end page whose link in a mail has the token that the example needs; "": no token
	ends         client.InvitationState // of the invitation after the example; none: deleted
	prints       string                 // text in the output of the example; "": the invitation's e-mail address
}

const (
	listPath   = "/api/user-invitations/"
	detailPath = listPath + "{uuid}/"
	invitee    = "invitee"
	none       = client.InvitationState("") // there is no invitation
)

var operations = []operation{
	{
		heading: "List User Invitations", method: "GET", path: listPath, as: live.Owner, begins: "pending", ends: "pending",
		prints: live.Email(""), // the example's own invitation may be on a later page
	},
	{heading: "Retrieve", method: "GET", path: detailPath, as: live.Owner, begins: "pending", ends: "pending"},
	{heading: "Create", method: "POST", path: listPath, as: live.Staff, begins: none, ends: "pending"},
	{heading: "Details", method: "GET", path: detailPath + "details/", as: invitee, begins: "pending", ends: "pending"},
	{
		heading: "Accept invitation for current user", method: "POST", path: detailPath + "accept/", as: invitee, begins: "pending",
		ends: "accepted", prints: "Invitation has been successfully accepted.",
	},
	{
		heading: "For user's convenience invitation approval is performed without authentication", method: "POST",
		path: listPath + "approve/", as: live.Owner, begins: "requested", tokenPage: "invitation_approve", ends: "pending",
		prints: "Invitation has been approved.",
	},
	{
		heading: "Cancel", method: "POST", path: detailPath + "cancel/", as: live.Owner, begins: "pending", ends: "canceled",
		prints: "Invitation has been successfully canceled.",
	},
	{heading: "Check", method: "POST", path: detailPath + "check/", as: live.Owner, begins: "pending", ends: "pending"},
	{
		heading: "Delete", method: "POST", path: detailPath + "delete/", as: live.Staff, begins: "pending", ends: none,
		prints: "Invitation has been successfully deleted.",
	},
	{
		heading: "Reject", method: "POST", path: listPath + "reject/", as: live.Owner, begins: "requested", tokenPage: "invitation_reject",
		ends: "rejected", prints: "Invitation has been rejected.",
	},
	{
		heading: "Send", method: "POST", path: detailPath + "send/", as: live.Owner, begins: "canceled", ends: "requested", // only staff may invite there, and the caller is not staff
		prints: "Invitation sending has been successfully scheduled.",
	},
}

// An env is a server where only staff may invite without approval, so that there are requests to approve.
type env struct {
	server *live.Server
}

const envPolicy = "INVITED_ONLY_STAFF_CAN_INVITE_USERS=true"

// as returns a client with the token of a user.
func (e env) as(name string) (*client.ClientWithResponses, error) {
	return client.NewClientWithResponses(e.server.URL, client.WithHTTPClient(&http.Client{Timeout: time.Minute}),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Token "+live.Token(name))
			return nil
		}))
}

// A response is that of any operation.
type response interface {
	StatusCode() int
	GetBody() []byte
}

// checkOK returns an error unless the status of a response is 2xx.
func checkOK(action string, r response) error {
	if r.StatusCode()/100 == 2 {
		return nil
	}
	return fmt.Errorf("%s: %d %s", action, r.StatusCode(), r.GetBody())
}

// prepare creates an invitation in the state that an operation begins with.
func (e env) prepare(ctx context.Context, o operation, email string) (uuid.UUID, error) {
	if o.begins == none {
		return uuid.UUID{}, nil
	}
	inviter := live.Staff
	if o.begins == "requested" {
		inviter = live.Owner
	}
	api, err := e.as(inviter)
	if err != nil {
		return uuid.UUID{}, err
	}
	created, err := api.UserInvitationsCreateWithResponse(ctx, client.InvitationRequest{
		Email: email, Role: uuid.MustParse(live.Role), Scope: e.server.Scope,
	})
	if err != nil {
		return uuid.UUID{}, err
	}
	if err := checkOK("creating an invitation", created); err != nil {
		return uuid.UUID{}, err
	}
	id := created.JSON201.UUID
	if o.begins == "canceled" {
		canceled, err := api.UserInvitationsCancelWithResponse(ctx, id)
		if err == nil {
			err = checkOK("canceling it", canceled)
		}
		if err != nil {
			return id, err
		}
	}
	return id, e.checkState(ctx, id, o.begins)
}

// checkState returns an error unless an invitation is in a state; none: unless there is no such invitation.
func (e env) checkState(ctx context.Context, id uuid.UUID, want client.InvitationState) error {
	api, err := e.as(live.Staff)
	if err != nil {
		return err
	}
	retrieved, err := api.UserInvitationsRetrieveWithResponse(ctx, id)
	if err != nil {
		return err
	}
	if want == none {
		if retrieved.StatusCode() == http.StatusNotFound {
			return nil
		}
		return fmt.Errorf("the invitation still exists: %d %s", retrieved.StatusCode(), retrieved.Body)
	}
	if err := checkOK("retrieving the invitation", retrieved); err != nil {
		return err
	}
	if retrieved.JSON200.State != want {
		return fmt.Errorf("the invitation is %s, and should be %s", retrieved.JSON200.State, want)
	}
	return nil
}

// find returns the uuid of the invitation for an e-mail address.
func (e env) find(ctx context.Context, email string) (uuid.UUID, error) {
	api, err := e.as(live.Staff)
	if err != nil {
		return uuid.UUID{}, err
	}
	list, err := api.UserInvitationsListWithResponse(ctx, &client.UserInvitationsListParams{EmailExact: &email})
	if err != nil {
		return uuid.UUID{}, err
	}
	if err := checkOK("listing", list); err != nil {
		return uuid.UUID{}, err
	}
	if len(*list.JSON200) != 1 {
		return uuid.UUID{}, fmt.Errorf("there are %d invitations for %s, want 1", len(*list.JSON200), email)
	}
	return (*list.JSON200)[0].UUID, nil
}

// approvalToken waits for a mail to staff about the invitation of an address, and returns the token in its link to a page. A mail
// can be about several invitations: the links of each follow its address.
func (e env) approvalToken(ctx context.Context, page, email string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	link := regexp.MustCompile("/" + page + `/([^/\s]+)/`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		files, err := e.mails()
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := plainText(file)
			if err != nil {
				return "", fmt.Errorf("%s: %w", file, err)
			}
			_, about, _ := strings.Cut(text, email)
			if found := link.FindStringSubmatch(about); found != nil {
				return found[1], nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", errors.New("staff received no mail with a link to " + page)
		}
	}
}

func (e env) mails() ([]string, error) {
	return filepath.Glob(filepath.Join(e.server.Mails, "*.eml"))
}

// plainText returns the text/plain part of a mail.
func plainText(file string) (string, error) {
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
			return "", fmt.Errorf("no text/plain part: %w", err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			text, err := io.ReadAll(part)
			return string(text), err
		}
	}
}
