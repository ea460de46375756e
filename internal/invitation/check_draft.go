package invitation

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

const (
	msgBlankInside = "This field may not contain white space or invisible characters." // of a field that identifies somebody
	msgNotAdmitted = "Email does not match the membership restrictions of the %s."     // what has the patterns
	msgOtherType   = "Cannot change role type from %s to %s. Role must remain within the same scope type."
)

// A PartialDraft holds what a request to create an invitation says of the fields that the contract alone can't check. A field
// that is nil is missing, or is not of the contract's form.
type PartialDraft struct {
	ScopeURL    *string
	Role        *uuid.UUID
	CivilNumber string
	// Expires and MembershipExpires are those of Draft.
	Expires           *time.Time
	MembershipExpires *time.Time
}

// CheckDraft returns the messages about fields that the contract allows and Create refuses, for a request that the contract
// refuses: so that all bad fields of a request are reported together. CheckDraft returns no messages where the caller may not
// manage the scope. CheckDraft returns no errors of its own: only those that every use case returns.
func (s *Service) CheckDraft(ctx context.Context, caller directory.Actor, d PartialDraft) (wrong fault.Fields, err error) {
	err = s.Store.Read(ctx, func(tx Tx) error {
		wrong = fault.Fields{}
		CheckCivilNumber(wrong, d.CivilNumber)
		draft := Draft{Expires: d.Expires, MembershipExpires: d.MembershipExpires}
		if d.ScopeURL == nil && d.Role == nil {
			s.Policy.checkEnds(wrong, Invitation{}, draft.ends(directory.Scope{}, tx.Now()), tx.Now())
			return nil
		}
		actor, err := directory.Refresh(tx.FindActor, caller)
		if err != nil {
			return err
		}
		var address string
		var id uuid.UUID
		if d.ScopeURL != nil {
			address = *d.ScopeURL
		}
		if d.Role != nil {
			id = *d.Role
		}
		scope, role, err := resolveTarget(tx, actor, address, id)
		if err != nil {
			return err
		}
		if scope.UUID != uuid.Nil && !actor.MayManage(scope) {
			wrong = nil
			return nil
		}
		s.Policy.checkEnds(wrong, Invitation{}, draft.ends(scope, tx.Now()), tx.Now())
		if d.ScopeURL != nil {
			checkScope(wrong, scope, address)
		}
		if d.Role != nil {
			checkRole(wrong, role, Draft{Role: id})
		}
		return nil
	})
	return wrong, err
}

func checkScope(wrong fault.Fields, found directory.Scope, address string) {
	if found.UUID == uuid.Nil {
		wrong.Add("scope", directory.NoScope(address))
	}
}

func checkRole(wrong fault.Fields, found directory.Role, d Draft) {
	switch {
	case found.UUID != uuid.Nil:
	case d.Role == uuid.Nil && d.RoleName != "":
		wrong.Add("role", fmt.Sprintf("Object with name=%s does not exist.", d.RoleName))
	default:
		wrong.Add("role", fmt.Sprintf("Object with uuid=%s does not exist.", d.Role))
	}
}

// CheckCivilNumber adds the message about a civil number with white space inside, which the contract allows and Create refuses:
// the number would look like the invitee's and not equal it.
func CheckCivilNumber(wrong fault.Fields, number string) {
	if directory.HasBlank(number) {
		wrong.Add("civil_number", msgBlankInside)
	}
}

// notAdmitted is the message about an address that the patterns of a scope or its customer refuse.
func notAdmitted(refusing directory.ScopeType) string {
	word := string(refusing)
	if refusing == directory.Customer {
		word = "organization"
	}
	return fmt.Sprintf(msgNotAdmitted, word)
}
