package api

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/labstack/echo/v4"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// checkDraft returns a function that adds to the error of a create request that the contract refuses what else is wrong with
// the request: a scope or a role that does not exist. The client gets all messages at once.
func checkDraft(service *invitation.Service) func(echo.Context, error) error {
	return func(c echo.Context, refused error) error {
		var f *fault.Error
		if !errors.As(refused, &f) || f.Kind != fault.KindInvalid || len(f.Fields[fault.NonField]) > 0 || c.Request().GetBody == nil {
			return refused
		}
		body, err := c.Request().GetBody()
		if err != nil {
			return refused
		}
		sent, err := io.ReadAll(body)
		if err != nil {
			return refused
		}
		wrong, err := service.CheckDraft(c.Request().Context(), caller(c.Request().Context()), partialDraft(sent, f.Fields))
		if err != nil {
			return err
		}
		for field, messages := range wrong {
			if len(f.Fields[field]) == 0 {
				f.Fields[field] = messages
			}
		}
		return f
	}
}

// partialDraft returns what a body says of the fields about which there is no message yet.
func partialDraft(body []byte, messages fault.Fields) (d invitation.PartialDraft) {
	var sent map[string]json.RawMessage
	if json.Unmarshal(body, &sent) != nil {
		return d
	}
	text := func(field string) (value string, ok bool) {
		return value, sent[field] != nil && len(messages[field]) == 0 && json.Unmarshal(sent[field], &value) == nil
	}
	if scope, ok := text("scope"); ok {
		d.ScopeURL = &scope
	}
	if role, ok := text("role"); ok {
		if id, isUUID := directory.ParseUUID(role); isUUID {
			d.Role = &id
		}
	}
	d.CivilNumber, _ = text("civil_number")
	for field, into := range map[string]**time.Time{"expires": &d.Expires, "membership_expires": &d.MembershipExpires} {
		value, _ := text(field)
		if end, ok := invitation.ParseEnd(value); ok {
			*into = &end
		}
	}
	return d
}
