package store

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
)

// The tables that belong to an invitation's row, each under the name that queries know it by.
const (
	joinRole     = " JOIN roles ON roles.uuid = invitations.role_uuid"
	joinScope    = " JOIN scopes ON scopes.uuid = invitations.scope_uuid"
	joinCustomer = " JOIN scopes AS customers ON customers.uuid = invitations.customer_uuid"
	joinCreator  = " LEFT JOIN users AS creators ON creators.uuid = invitations.created_by_uuid"
	joined       = joinRole + joinScope + joinCustomer + joinCreator
)

var wholeJoins = []join{{"roles", joinRole}, {"scopes", joinScope}, {"customers", joinCustomer}, {"creators", joinCreator}}

// wholeColumns are what is read of an invitation, in the order of destinations. GORM would read all columns of five
// tables, and spend more time on finding out where each belongs than the database on finding them. The e-mail patterns
// of scope and customer, of which there can be a megabyte, are read only they matter where something is decided.
const wholeColumns = "invitations.uuid, invitations.state, invitations.created, invitations.delivery," +
	" invitations.execution_state, invitations.error_message, invitations.reminded," +
	" invitations.email, invitations.email_folded, invitations.full_name, invitations.native_name," +
	" invitations.phone_number, invitations.organization, invitations.job_title, invitations.civil_number," +
	" invitations.extra_invitation_text, invitations.link_uuid," +
	" roles.uuid, roles.name, roles.description, roles.scope_type, roles.is_active," +
	" scopes.uuid, scopes.type, scopes.name, scopes.description, scopes.start_date, scopes.is_removed," +
	" customers.uuid, customers.type, customers.name, customers.is_removed," +
	" creators.uuid, creators.username, creators.full_name, creators.email, creators.image, creators.is_active"

// whole is an invitation with all that belongs to it, while it is read.
type whole struct {
	invitation.Invitation
	customer directory.Scope
	creator  struct {
		uuid                             *uuid.UUID
		username, fullName, email, image *string
		isActive                         *bool
	}
}

func (w *whole) destinations() []any {
	i, customer, creator := &w.Invitation, &w.customer, &w.creator
	return []any{
		uuidInto{&i.UUID},
		(*string)(&i.StoredState), &i.Created, &i.Delivery,
		(*string)(&i.ExecutionState), &i.ErrorMessage, &i.Reminded,
		&i.Email, &i.EmailFolded, &i.FullName, &i.NativeName,
		&i.PhoneNumber, &i.Organization, &i.JobTitle, &i.CivilNumber,
		&i.ExtraInvitationText,
		maybe{&i.LinkUUID},
		uuidInto{&i.Role.UUID},
		&i.Role.Name, &i.Role.Description, (*string)(&i.Role.ScopeType), &i.Role.IsActive,
		uuidInto{&i.Scope.UUID},
		(*string)(&i.Scope.Type), &i.Scope.Name, &i.Scope.Description, &i.Scope.StartDate, &i.Scope.IsRemoved,
		uuidInto{&customer.UUID},
		(*string)(&customer.Type), &customer.Name, &customer.IsRemoved,
		maybe{&creator.uuid},
		&creator.username, &creator.fullName, &creator.email, &creator.image, &creator.isActive,
	}
}

// read is the invitation, once its destinations are filled.
func (w *whole) read() invitation.Invitation {
	i := w.Invitation
	i.Created = i.Created.UTC()
	i.Scope.StartDate = utc(i.Scope.StartDate)
	i.RoleUUID, i.ScopeUUID, i.CustomerUUID = i.Role.UUID, i.Scope.UUID, w.customer.UUID
	w.customer.CustomerUUID, i.Scope.CustomerUUID = w.customer.UUID, w.customer.UUID
	i.Scope.Customer = &w.customer
	if c := w.creator; c.uuid != nil {
		i.CreatedByUUID = c.uuid
		i.CreatedBy = &directory.User{
			UUID: *c.uuid, Username: *c.username, FullName: *c.fullName, Email: *c.email, Image: *c.image, IsActive: *c.isActive,
		}
	}
	return i
}

// list reads a column that holds a JSON list of texts, or nothing.
type list struct{ to *[]string }

// Scan implements sql.Scanner.
func (l list) Scan(value any) error {
	switch text := value.(type) {
	case nil:
		*l.to = nil
		return nil
	case string:
		return json.Unmarshal([]byte(text), l.to)
	case []byte:
		return json.Unmarshal(text, l.to)
	default:
		return fmt.Errorf("store: a list can't be read from %T", value)
	}
}

// scanned are the invitations that a query finds, which asks for wholeColumns and for what goes to more.
func (tx *Tx) scanned(query string, arguments []any, more ...any) ([]invitation.Invitation, error) {
	return found(tx, query, arguments, func(scan scanFunc) (invitation.Invitation, error) {
		var each whole
		err := scan(append(each.destinations(), more...)...)
		return each.read(), err
	})
}
