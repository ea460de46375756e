package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/token"
)

// A Person is somebody whom an issuer vouches for. Issuer and Subject identify the person. The other fields have the issuer's
// present words about the person; "" where the issuer says nothing.
type Person struct {
	Issuer        string // its URL
	Subject       string // unique within the issuer
	Email         string
	EmailVerified bool // the issuer says that the person reads the mail of Email
	Username      string
	FullName      string
	CivilNumber   string
	Staff         *bool // whether the person is staff; nil where the issuer does not decide that
	IsCurrent     bool  // what the issuer says is of now, and not of when it wrote a token
}

// Identity is a Person as the database knows one. It belongs to one user, and a user has one of each issuer at most.
type Identity struct {
	Issuer     string `gorm:"primaryKey"`
	Subject    string `gorm:"primaryKey"`
	UserUUID   uuid.UUID
	Created    time.Time
	LastUsed   time.Time // when the person signed in last
	GivesStaff bool      // the user is staff because the issuer says so, and for no other reason
}

// maxText is the length of the longest name that is taken from an issuer, in characters.
const maxText = 255

// clean returns the person without the texts that no user can have.
func (p Person) clean() Person {
	if p.Email = directory.Trim(p.Email); !directory.ValidEmail(p.Email) {
		p.Email, p.EmailVerified = "", false
	}
	for _, text := range []*string{&p.Username, &p.FullName, &p.CivilNumber} {
		*text = directory.Trim(*text)
		if !utf8.ValidString(*text) || utf8.RuneCountInString(*text) > maxText || strings.ContainsFunc(*text, unicode.IsControl) {
			*text = ""
		}
	}
	if directory.HasBlank(p.CivilNumber) { // no invitation can name it
		p.CivilNumber = ""
	}
	return p
}

// known holds what the directory has that a person can be.
type known struct {
	own         *directory.User  // the user of the person's identity; nil: the issuer's person was never here
	identity    Identity         // zero where own is nil
	sameAddress []directory.User // the active users with the person's verified address
	shutOut     bool             // only inactive users have that address
	hasIdentity bool             // the first of sameAddress has another identity of the issuer
	invited     bool             // the person's address has an invitation, open or expired lately
}

// decision names what signing in does for a person.
type decision int

const (
	useOwn   decision = iota // the person is the user of their identity
	linkUser                 // the person is the only user with their verified address, from now on
	makeUser                 // the person gets a new user
)

// decide returns which user a person is. It returns fault.KindForbidden, in words that say whom to ask, where the person
// is none, and fault.KindUnauthenticated where their user is inactive. An address that the issuer does not vouch for
// decides nothing. An address that only inactive users have makes no user: who was shut out does not come back as somebody
// new. One that another active user has makes none either: a code in a mail to it would sign in neither.
func (k known) decide(p Person, create CreateUsers) (decision, error) {
	switch verified := p.Email != "" && p.EmailVerified; {
	case k.own != nil && !k.own.IsActive:
		return 0, fault.Unauthorized("User inactive or deleted.")
	case k.own != nil && k.own.IsService():
		return 0, errService()
	case k.own != nil:
		return useOwn, nil
	case verified && len(k.sameAddress) == 1 && !k.hasIdentity:
		return linkUser, nil
	case k.shutOut:
		return 0, refused("The account with your address was closed. Ask the people who run this site.")
	case verified && len(k.sameAddress) > 0:
		return 0, refused("Another account here has your address. Sign in with that account, or ask the people who run this site.")
	case create == CreateAny, create == CreateInvited && verified && k.invited:
		return makeUser, nil
	case create == CreateInvited && !verified:
		return 0, refused("Your account has no verified e-mail address, so that nobody can say whether you are invited." +
			" Verify the address where you have the account, or ask the people who run this site.")
	case create == CreateInvited:
		return 0, refused("Nobody has invited " + p.Email + ". Ask whoever invited you to send the invitation to this address.")
	default:
		return 0, refused("Nobody here is known by your account. Ask the people who run this site to add you.")
	}
}

func refused(message string) error {
	return &fault.Error{Kind: fault.KindForbidden, Message: message}
}

// update returns a user and their identity after a sign-in. addressIsFree: no other active user has the person's address.
// An issuer makes its people staff and takes that back; it does not take it from a user who was staff before.
func (p Person) update(u directory.User, i Identity, addressIsFree bool, now time.Time) (directory.User, Identity) {
	if p.FullName != "" {
		u.FullName, u.FullNameFolded = p.FullName, directory.Fold(p.FullName)
	}
	if p.CivilNumber != "" {
		u.CivilNumber = p.CivilNumber
	}
	if p.Email != "" && p.EmailVerified && addressIsFree {
		u.Email, u.EmailFolded = p.Email, directory.FoldEmail(p.Email)
	}
	if p.Staff != nil && (i.GivesStaff || !u.IsStaff) {
		u.IsStaff, i.GivesStaff = *p.Staff, *p.Staff
	}
	i.LastUsed = now
	return u, i
}

// newUser returns the user of a person who has none, before update.
func (p Person) newUser(now time.Time) directory.User {
	name := p.Username
	for _, other := range []string{p.Email, p.Subject} {
		if name == "" {
			name = other
		}
	}
	user := directory.User{
		UUID: uuid.New(), Username: directory.Fold(name), Email: "", IsActive: true, NotificationsEnabled: true,
		MadeBySignIn: true, Created: now,
	}
	if p.Email != "" && p.EmailVerified {
		user.Email, user.EmailFolded = p.Email, directory.FoldEmail(p.Email)
	}
	return user
}

// SignInPerson signs a person in, and returns the secret of the session and the user. A person who is new here becomes the
// user with their verified address, or a new user; see [CreateUsers]. SignInPerson returns fault.KindForbidden, in words
// that say whom to ask, where the person is nobody here, and fault.KindUnauthenticated where their user is inactive.
func (s *Service) SignInPerson(ctx context.Context, p Person, client string) (session string, user directory.User, err error) {
	session = token.NewSecret()
	err = s.writePerson(ctx, p.clean(), client, func(tx Tx, signedIn directory.User) error {
		user = signedIn
		started := newSession(session, user.UUID, client, tx.Now())
		started.Issuer = p.Issuer
		return startSession(tx, started, newEvent(EventSignedIn, user, client, "").of(p))
	})
	if err != nil {
		return "", directory.User{}, s.recordRefusal(ctx, Event{Client: client}.of(p), err)
	}
	return session, user, nil
}

// AuthenticatePerson returns the user of a person whom an issuer or a proxy vouches for in a single request, with their
// grants. It is SignInPerson without a session. A user is brought up to date at first sight and, where the person IsCurrent,
// once a minute at most. A token makes nobody staff, because an older one would give back what a newer one took; it does take
// that back. The faults are those of SignInPerson.
func (s *Service) AuthenticatePerson(ctx context.Context, p Person, client string) (directory.Actor, error) {
	found, err := s.Store.FindPerson(ctx, p.Issuer, p.Subject)
	isNew := fault.Is(err, fault.KindNotFound)
	if err != nil && !isNew {
		return directory.Actor{}, err
	}
	losesStaff := !isNew && found.Identity.GivesStaff && p.Staff != nil && !*p.Staff
	isOld := !isNew && found.IsActive && p.IsCurrent && found.ReadAt.Sub(found.Identity.LastUsed) >= touchAfter
	if isNew || losesStaff || isOld {
		p = p.clean()
		if isNew {
			if !p.IsCurrent {
				p.Staff = nil
			}
			// Most people who are new here are refused, which must not wait for the database's lock.
			if err = s.Store.Read(ctx, func(tx Tx) error { _, _, err := s.look(tx, p); return err }); err != nil {
				return directory.Actor{}, err
			}
		}
		if err = s.writePerson(ctx, p, client, func(Tx, directory.User) error { return nil }); err == nil {
			found, err = s.Store.FindPerson(ctx, p.Issuer, p.Subject)
		}
		if err != nil {
			return directory.Actor{}, err
		}
	}
	if !found.IsActive {
		return directory.Actor{}, fault.Unauthorized("User inactive or deleted.")
	} else if found.IsService() {
		return directory.Actor{}, errService()
	}
	return found.Actor, nil
}

func errService() error {
	return refused("A service user signs in nowhere, and calls the API with tokens alone.")
}

// errOvertaken is returned where the same person, or another person of the same user, signs in at the same time.
var errOvertaken = errors.New("identity: another sign-in was faster")

// writePerson finds or makes the user of a person, brings the user up to date, and calls then, all in one transaction.
func (s *Service) writePerson(ctx context.Context, p Person, client string, then func(Tx, directory.User) error) (err error) {
	for range 3 {
		err = s.Store.Write(ctx, func(tx Tx) error {
			user, err := s.resolve(tx, p, client)
			if err != nil {
				return err
			}
			return then(tx, user)
		})
		if !errors.Is(err, errOvertaken) {
			return err
		}
	}
	return fault.Unavailable(err)
}

// look reads what the directory has that a person can be, and decides which user the person is. It reads the identity last:
// whoever makes a user with the person's address at the same time makes the identity with it, and then the person has one.
func (s *Service) look(tx Tx, p Person) (k known, choice decision, err error) {
	if p.Email != "" && p.EmailVerified {
		folded := directory.FoldEmail(p.Email)
		if k.sameAddress, k.shutOut, err = usersOf(tx, folded); err != nil {
			return k, 0, err
		}
		if len(k.sameAddress) == 1 {
			if k.hasIdentity, err = tx.HasIdentity(k.sameAddress[0].UUID, p.Issuer); err != nil {
				return k, 0, err
			}
		}
		if k.invited, err = tx.WasInvited(folded, tx.Now().Add(-invitedFor), s.Lifetime); err != nil {
			return k, 0, err
		}
	}
	identity, user, err := tx.FindIdentity(p.Issuer, p.Subject)
	if err == nil {
		k.own, k.identity = &user, identity
	} else if !fault.Is(err, fault.KindNotFound) {
		return k, 0, err
	}
	choice, err = k.decide(p, s.Create)
	return k, choice, err
}

// resolve returns the user of a person, brought up to date. It links or makes the user where that has to be.
func (s *Service) resolve(tx Tx, p Person, client string) (user directory.User, err error) {
	if p.Email != "" {
		if err := lockAddress(tx, directory.FoldEmail(p.Email)); err != nil {
			return user, err
		}
	}
	k, choice, err := s.look(tx, p)
	if err != nil {
		return user, err
	}
	identity := Identity{Issuer: p.Issuer, Subject: p.Subject, Created: tx.Now(), LastUsed: tx.Now()}
	switch choice {
	case useOwn:
		user, identity = *k.own, k.identity
	case linkUser:
		user = k.sameAddress[0]
	case makeUser:
		if user, err = createUser(tx, p.newUser(tx.Now())); err == nil {
			err = tx.SaveSignInEvent(newEvent(EventUserCreated, user, client, "").of(p))
		}
		if err != nil {
			return user, err
		}
	}
	if choice != useOwn {
		identity.UserUUID = user.UUID
		if saved, err := tx.SaveIdentity(identity); err != nil {
			return user, err
		} else if !saved {
			return user, errOvertaken
		}
		if err := tx.SaveSignInEvent(newEvent(EventIdentityLinked, user, client, "").of(p)); err != nil {
			return user, err
		}
	}
	addressIsFree := !slices.ContainsFunc(k.sameAddress, func(other directory.User) bool { return other.UUID != user.UUID })
	updated, identity := p.update(user, identity, addressIsFree, tx.Now())
	if err = tx.UpdateUser(user, updated); err == nil {
		err = tx.UpdateIdentity(identity)
	}
	return updated, err
}
