package invitation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// Draft is what a caller says to create an invitation: trimmed, and valid by the contract.
type Draft struct {
	Role                uuid.UUID
	ScopeURL            string
	Email               string
	FullName            string
	NativeName          string
	PhoneNumber         string
	Organization        string
	JobTitle            string
	CivilNumber         string
	ExtraInvitationText string
}

// Create makes an invitation and asks for its delivery in the same transaction, unless staff have to approve it
// or its project has not started. It returns fault.KindInvalid where the scope can't be found among those that the
// caller sees, the role does not exist, is not active or is for another scope type, the project has its one
// manager, another invitation is open for the same e-mail, role and scope, or the e-mail is not admitted; and
// fault.KindNotFound where the caller may not manage the scope. The checks are made in this order.
func (s *Service) Create(ctx context.Context, caller directory.User, d Draft) (View, error) {
	var (
		actor directory.Actor
		scope directory.Scope
		role  directory.Role
	)
	// Nothing is locked for what is found out here, so it need not be in the transaction that others wait for.
	err := s.Store.Read(ctx, func(tx Tx) (err error) {
		if actor, err = tx.Actor(caller); err == nil {
			scope, role, err = s.subject(tx, actor, d)
		}
		return err
	})
	if err != nil {
		return View{}, err
	}
	var refused error                // where nothing that has to be looked up stands against it
	if !scope.AdmitsEmail(d.Email) { // nobody waits for it either: there can be many patterns
		refused = fault.Field("email", msgNotAdmitted)
	} else if !actor.MayManage(scope) {
		refused = fault.NotFound()
	}
	out, err := s.create(ctx, caller, d, scope, role, refused, refused != nil)
	if errors.Is(err, ErrTwice) { // what is in the way is looked for once something is: few have another
		out, err = s.create(ctx, caller, d, scope, role, nil, true)
	}
	return out, refuseTwice(err)
}

// create writes a new invitation. With room it looks for another that is open for the same e-mail, role and scope, and
// expires it where its time is over; else that is the refusal, before the one that stands against it otherwise, if any.
// Without, it returns ErrTwice where there is another.
func (s *Service) create(
	ctx context.Context, caller directory.User, d Draft, scope directory.Scope, role directory.Role, refused error, room bool,
) (out View, err error) {
	err = s.Store.Write(ctx, func(tx Tx) error {
		made := s.draft(d, scope, role, caller)
		made.StoredState, made.Created = s.firstState(scope, caller, tx.Now()), tx.Now()
		if err := s.oneManager(tx, role, scope.UUID, fault.Field(fault.NonField, msgOneManager)); err != nil {
			return err
		}
		if room {
			if err := s.makeRoom(tx, made); err != nil {
				return err
			}
		}
		if refused != nil {
			return refused
		}
		if err := tx.Insert(made, by(caller, EventCreated).event(made, "", made.StoredState)); err != nil {
			return err
		}
		out = s.view(made, tx.Now())
		return s.announce(tx, made)
	})
	return out, err
}

// subject finds the scope and the role that a draft names, and reports together what is wrong with either.
func (s *Service) subject(tx Tx, actor directory.Actor, d Draft) (directory.Scope, directory.Role, error) {
	wrong := fault.Fields{}
	scope, role, err := s.named(tx, actor, d.ScopeURL, d.Role)
	if err != nil {
		return scope, role, err
	}
	if scope.UUID == uuid.Nil {
		wrong.Add("scope", msgNoScope+d.ScopeURL)
	}
	if role.UUID == uuid.Nil {
		wrong.Add("role", fmt.Sprintf("Object with uuid=%s does not exist.", d.Role))
	}
	if err := wrong.Err(); err != nil {
		return scope, role, err
	}
	return scope, role, fits(role, scope)
}

// named are the scope of a URL and a role; each has no uuid where it is not there, or the scope is not seen by the actor.
func (s *Service) named(
	tx Tx, actor directory.Actor, scopeURL string, role uuid.UUID,
) (directory.Scope, directory.Role, error) {
	kind, id, _ := directory.ParseScopeURL(scopeURL) // of none it is the uuid of none
	scope, found, err := tx.Subject(kind, id, role)
	if err == nil && scope.UUID != uuid.Nil && !actor.CanSee(scope) {
		scope = directory.Scope{}
	}
	return scope, found, err
}

// fits returns the refusal where a role can't be given in a scope.
func fits(role directory.Role, scope directory.Scope) error {
	if !role.IsActive || role.ScopeType != scope.Type {
		return fault.Field(fault.NonField, "Role and scope should belong to the same content type.")
	}
	return nil
}

const (
	msgNoScope     = "Can't restore object from url: " // and the URL
	msgOneManager  = "Project already has an active project manager."
	msgNotAdmitted = "This email does not match the email patterns of the organization or the scope."
)

// oneManager returns the refusal where only one project manager is allowed, the role is that, and somebody has
// it.
func (s *Service) oneManager(tx Tx, role directory.Role, scope uuid.UUID, refusal error) error {
	if !s.Policy.OneProjectManager || role.Name != directory.ProjectManager {
		return nil
	}
	taken, err := tx.HasMember(scope, directory.ProjectManager)
	if err != nil {
		return err
	}
	if taken {
		return refusal
	}
	return nil
}

// makeRoom returns the refusal of a second open invitation where another stands for the same e-mail, role and scope. One
// that time has ended but whose row still says open is written to be expired: the database refuses a second open row,
// and it sees only what is written.
func (s *Service) makeRoom(tx Tx, opening Invitation) error {
	rival, err := tx.Rival(opening.EmailFolded, opening.RoleUUID, opening.ScopeUUID)
	if err == nil && rival.UUID != opening.UUID && s.view(rival, tx.Now()).State == Expired {
		// Locked only where it is to be changed: two that want each other's place would wait for each other.
		rival, err = tx.Lock(rival.UUID)
	}
	switch {
	case fault.Is(err, fault.KindNotFound):
		return nil
	case err != nil:
		return err
	case rival.UUID == opening.UUID:
		return nil
	case s.view(rival, tx.Now()).State != Expired:
		return errOpen()
	case rival.StoredState == Expired: // another transaction was first
		return nil
	}
	return expire(tx, rival)
}

func (s *Service) draft(d Draft, scope directory.Scope, role directory.Role, caller directory.User) Invitation {
	taken := func(field, value string) string {
		if s.Policy.Allows(field) {
			return value
		}
		return ""
	}
	return Invitation{
		// Random, never time-ordered: whoever knows the uuid of an invitation can check it.
		UUID:                uuid.New(),
		ExecutionState:      Scheduled,
		RoleUUID:            role.UUID,
		Role:                role,
		ScopeUUID:           scope.UUID,
		Scope:               scope,
		CustomerUUID:        scope.CustomerUUID,
		CreatedByUUID:       &caller.UUID,
		CreatedBy:           &caller,
		Email:               d.Email,
		EmailFolded:         directory.Fold(d.Email),
		FullName:            taken("full_name", d.FullName),
		NativeName:          taken("native_name", d.NativeName),
		PhoneNumber:         taken("phone_number", d.PhoneNumber),
		Organization:        taken("organization", d.Organization),
		JobTitle:            taken("job_title", d.JobTitle),
		CivilNumber:         taken("civil_number", d.CivilNumber),
		ExtraInvitationText: d.ExtraInvitationText,
	}
}

// firstState is the state that a new invitation starts in.
func (s *Service) firstState(scope directory.Scope, caller directory.User, now time.Time) State {
	if s.Policy.OnlyStaffCanInvite && !caller.IsStaff {
		return Requested
	}
	return openState(scope, now)
}

// openState is the state of an invitation that may go out: it waits for its project to start, or for its invitee.
func openState(scope directory.Scope, now time.Time) State {
	if scope.StartsAfter(now) {
		return Project
	}
	return Pending
}

// announce asks for the mail that a new state brings: to the invitee where it is pending, to staff where it waits
// for approval.
func (s *Service) announce(tx Tx, i Invitation) error {
	switch i.StoredState {
	case Pending:
		return tx.Enqueue(Deliver{Invitation: i.UUID, Delivery: i.Delivery, Webhook: s.byWebhook(i.Scope)})
	case Requested:
		staff, err := tx.StaffToNotify()
		if err != nil {
			return err
		}
		for _, each := range staff {
			if err := tx.Enqueue(Notify{Notice: NoticeRequested, Invitation: i.UUID, Delivery: i.Delivery, User: each.UUID}); err != nil {
				return err
			}
		}
		return nil
	default:
		return nil
	}
}
