package identity

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// findUser returns the user with a verified address, and whether a person with the address can sign in at all: as that
// user, or as one who is made. A user who is to be made has no UUID. Where several active users have the address, nobody
// can say which one the person is. An address that only inactive users have signs nobody in: who was shut out does not come
// back as somebody new.
func (s *Service) findUser(tx Tx, email string) (user directory.User, known bool, err error) {
	folded := directory.Fold(email)
	found, err := tx.UsersWithEmail(folded)
	if err != nil {
		return user, false, err
	}
	active := slices.DeleteFunc(slices.Clone(found), func(u directory.User) bool { return !u.IsActive })
	switch {
	case len(active) == 1:
		return active[0], true, nil
	case len(found) > 0:
		return user, false, nil
	}
	switch s.Create {
	case CreateAny:
		return user, true, nil
	case CreateInvited:
		known, err = tx.HasOpenInvitation(folded, tx.Now().Add(-s.Lifetime))
		return user, known, err
	default:
		return user, false, nil
	}
}

// signIn returns the user with a verified address, and makes one where the policy says so; fault.KindForbidden otherwise.
func (s *Service) signIn(tx Tx, email string) (directory.User, error) {
	user, known, err := s.findUser(tx, email)
	switch {
	case err != nil || user.UUID != uuid.Nil:
		return user, err
	case !known:
		return user, fault.Forbidden()
	}
	return s.createUser(tx, email)
}

// maxUsernames is how many usernames are tried for a new user.
const maxUsernames = 100

// createUser writes a user whose username is the address. A username that is taken gets a number behind it, and its user
// is left alone, unless somebody has just made them for the same address.
func (s *Service) createUser(tx Tx, email string) (directory.User, error) {
	user := directory.User{
		UUID: uuid.New(), Username: directory.Fold(email), Email: email, EmailFolded: directory.Fold(email),
		IsActive: true, NotificationsEnabled: true, Created: tx.Now(),
	}
	for n := 2; n <= maxUsernames; n++ {
		free, err := tx.CreateUser(user)
		if err != nil || free {
			return user, err
		}
		if made, known, err := s.findUser(tx, email); err != nil || made.UUID != uuid.Nil {
			return made, err
		} else if !known {
			return made, fault.Forbidden()
		}
		user.Username = fmt.Sprintf("%s-%d", directory.Fold(email), n)
	}
	return user, fmt.Errorf("identity: %d usernames like %q are taken", maxUsernames, directory.Excerpt(email))
}
