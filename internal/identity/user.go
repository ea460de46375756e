package identity

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
)

// findUser returns the user with a verified address, and whether a person with the address can sign in at all: as that
// user, or as one who is made. A user who is to be made has no UUID. Where several active users have the address, nobody
// can say which one the person is. An address that only inactive users have signs nobody in: who was shut out does not come
// back as somebody new.
func (s *Service) findUser(tx Tx, email string) (user directory.User, known bool, err error) {
	folded := directory.FoldEmail(email)
	active, shutOut, err := usersOf(tx, folded)
	switch {
	case err != nil:
		return user, false, err
	case len(active) == 1:
		return active[0], true, nil
	case len(active) > 1 || shutOut:
		return user, false, nil
	}
	switch s.Create {
	case CreateAny:
		return user, true, nil
	case CreateInvited:
		known, err = tx.WasInvited(folded, tx.Now().Add(-invitedFor), s.Lifetime)
		return user, known, err
	default:
		return user, false, nil
	}
}

// usersOf returns the active users with an address (folded). shutOut: only inactive users have the address.
func usersOf(tx Tx, email string) (active []directory.User, shutOut bool, err error) {
	found, err := tx.UsersWithEmail(email)
	active = slices.DeleteFunc(slices.Clone(found), func(u directory.User) bool { return !u.IsActive })
	return active, len(found) > 0 && len(active) == 0, err
}

// invitedFor is for how long after an invitation expired its address still counts as invited: who comes late can sign in and
// ask for a new one.
const invitedFor = 30 * 24 * time.Hour

// lockAddress makes other transactions wait that find or make the user with the same address (folded), until this
// transaction ends: of two at once, one makes the user and the other finds them.
func lockAddress(tx Tx, email string) error { return tx.LockText("user with address " + email) }

// signIn returns the user with a verified address, and makes one where the policy says so; fault.KindForbidden otherwise.
func (s *Service) signIn(tx Tx, email, client string) (directory.User, error) {
	if err := lockAddress(tx, directory.FoldEmail(email)); err != nil {
		return directory.User{}, err
	}
	user, known, err := s.findUser(tx, email)
	switch {
	case err != nil || user.UUID != uuid.Nil:
		return user, err
	case !known:
		return user, fault.Forbidden()
	}
	user, err = createUser(tx, Person{Email: email, EmailVerified: true}.newUser(tx.Now()))
	if err == nil {
		err = tx.SaveSignInEvent(newEvent(EventUserCreated, user, client, "for "+email))
	}
	return user, err
}

// maxUsernames is how many usernames are tried for a new user.
const maxUsernames = 100

// createUser writes a user. A username that is taken gets a number behind it, and its user is left alone.
func createUser(tx Tx, user directory.User) (directory.User, error) {
	name := user.Username
	for n := 2; n <= maxUsernames; n++ {
		free, err := tx.CreateUser(user)
		if err != nil || free {
			return user, err
		}
		user.Username = fmt.Sprintf("%s-%d", name, n)
	}
	return user, fmt.Errorf("identity: %d usernames like %q are taken", maxUsernames, directory.Excerpt(name))
}
