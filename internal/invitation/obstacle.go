package invitation

import (
	"errors"
	"slices"

	"invited/internal/directory"
	"invited/internal/fault"
)

const (
	notSent        = "Not sent, because nobody could accept: "
	msgHeld        = "Not sent: the invitee holds the role already."
	msgInviterGone = "Whoever invited may not invite into this scope any more. " +
		"Cancel the invitation and send it again, to invite in your own name."
)

// obstacle returns the rule by which accept would refuse the invitee of a pending invitation, if they have its address and
// hold no role; empty: none. refusing and hasManager are those of accept.
func (p Policy) obstacle(v View, refusing directory.ScopeType, hasManager bool) Refusal {
	invitee := directory.User{Email: v.Email, EmailFolded: v.EmailFolded}
	return p.refusal(v, directory.Actor{User: invitee}, refusing, hasManager)
}

// findObstacle returns why nobody could accept an invitation now; empty: somebody could. Nothing is mailed then that accept
// would refuse. The invitation has the e-mail patterns of its scopes.
func (s *Service) findObstacle(tx Tx, admits admitter, v View) (Refusal, error) {
	if directory.IsErasedEmail(v.EmailFolded) {
		return msgErased, nil
	}
	taken, err := s.hasManager(tx, v.Role, v.ScopeUUID)
	if err != nil {
		return "", err
	}
	refusing, err := admits(v.Scope, v.Email)
	if err != nil {
		return "", err
	}
	if refusal := s.Policy.obstacle(v, refusing, taken); refusal != "" || !s.Policy.RecheckInviter {
		return refusal, nil
	}
	may, err := s.inviterMayOffer(tx, v.Invitation)
	if err == nil && !may {
		return msgInviterGone, nil
	}
	return "", err
}

// ErrObstacle is the cause of a fault.KindRejected that says why nobody could accept an invitation.
var ErrObstacle = errors.New("nobody could accept the invitation")

// refuseObstacle returns fault.KindRejected with ErrObstacle, in the words of accept, where nobody could accept an invitation
// now.
func (s *Service) refuseObstacle(tx Tx, admits admitter, v View) error {
	obstacle, err := s.findObstacle(tx, admits, v)
	if err == nil && obstacle != "" {
		err = &fault.Error{Kind: fault.KindRejected, Message: string(obstacle), Cause: ErrObstacle}
	}
	return err
}

// reasonNotToRemind returns why the invitee of an invitation is not to be reminded; empty: they are.
func (s *Service) reasonNotToRemind(tx Tx, found Invitation) (string, error) {
	held, err := tx.RolesByEmail(found.ScopeUUID, []string{found.EmailFolded})
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(held[found.EmailFolded], func(r directory.Role) bool { return r.UUID == found.RoleUUID }) {
		return msgHeld, nil
	}
	withPatterns, err := tx.FindForChange(found.UUID)
	if err != nil {
		return "", err
	}
	// Nobody waits for this transaction, which only reads: the patterns are evaluated in it.
	admits := func(scope directory.Scope, email string) (directory.ScopeType, error) {
		return scope.RefusesEmail(email), nil
	}
	obstacle, err := s.findObstacle(tx, admits, s.view(tx, withPatterns))
	if err != nil || obstacle == "" {
		return "", err
	}
	return notSent + string(obstacle), nil
}
