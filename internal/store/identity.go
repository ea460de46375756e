package store

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
	"invited/internal/invitation"
)

// Identities returns the store as package identity needs it.
func (s *Store) Identities() identity.Store { return identityStore{s} }

type identityStore struct{ *Store }

// Read implements identity.Store.
func (s identityStore) Read(ctx context.Context, f func(identity.Tx) error) error {
	return s.read(ctx, func(tx *Tx) error { return f(tx) })
}

// Write implements identity.Store.
func (s identityStore) Write(ctx context.Context, f func(identity.Tx) error) error {
	return s.Store.Write(ctx, func(db *gorm.DB, now time.Time) error { return f(&Tx{db: db, engine: s.DB, now: now}) })
}

// FindSession implements identity.Store, in one statement as Credential.
func (s identityStore) FindSession(ctx context.Context, digest string) (found identity.SignedIn, err error) {
	err = s.Store.Read(ctx, func(db *gorm.DB, now time.Time) error {
		found.Session.Digest, found.ReadAt = digest, now
		_, err := collectOne(db.Raw("SELECT "+actorColumns+", sessions.created, sessions.last_used, sessions.client, sessions.issuer FROM sessions"+
			" JOIN users ON users.uuid = sessions.user_uuid"+actorJoins+" WHERE sessions.digest = ?", now, digest),
			func(scan scanFunc) (struct{}, error) {
				return struct{}{}, scanActor(scan, &found.Actor,
					&found.Session.Created, &found.Session.LastUsed, &found.Session.Client, &found.Session.Issuer)
			})
		return err
	})
	found.Session.UserUUID = found.UUID
	return found, err
}

// FindPerson implements identity.Store, in one statement as Credential.
func (s identityStore) FindPerson(ctx context.Context, issuer, subject string) (found identity.KnownPerson, err error) {
	err = s.Store.Read(ctx, func(db *gorm.DB, now time.Time) error {
		found.Identity.Issuer, found.Identity.Subject, found.ReadAt = issuer, subject, now
		_, err := collectOne(db.Raw("SELECT "+actorColumns+", identities.last_used, identities.gives_staff FROM identities"+
			" JOIN users ON users.uuid = identities.user_uuid"+actorJoins+
			" WHERE identities.issuer = ? AND identities.subject = ?", now, issuer, subject),
			func(scan scanFunc) (struct{}, error) {
				return struct{}{}, scanActor(scan, &found.Actor, &found.Identity.LastUsed, &found.Identity.GivesStaff)
			})
		return err
	})
	found.Identity.UserUUID = found.UUID
	return found, err
}

var _ identity.Tx = (*Tx)(nil)

// CodeRequestTime implements identity.Tx.
func (tx *Tx) CodeRequestTime(of identity.CodeRequest, by identity.RequestKey, n int) (time.Time, error) {
	query := tx.db.Where("email_folded = ?", of.EmailFolded)
	if by == identity.ByClient {
		query = tx.db.Where("client = ?", of.Client)
	}
	var found []identity.CodeRequest
	err := query.Select("created").Order("created DESC").Offset(n - 1).Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	return found[0].Created, nil
}

// SaveCodeRequest implements identity.Tx.
func (tx *Tx) SaveCodeRequest(r identity.CodeRequest, former string, job identity.Job) error {
	err := tx.db.Model(&identity.CodeRequest{}).Where("browser = ?", former).Update("used", true).Error
	if err == nil {
		err = tx.db.Create(&r).Error
	}
	if err == nil {
		err = tx.enqueue([]invitation.Job{job})
	}
	return err
}

// FindCodeRequest implements identity.Tx.
func (tx *Tx) FindCodeRequest(id uuid.UUID) (found identity.CodeRequest, err error) {
	return found, tx.db.Take(&found, "uuid = ?", id).Error
}

// FindCodeRequestOf implements identity.Tx.
func (tx *Tx) FindCodeRequestOf(browser string) (found identity.CodeRequest, err error) {
	return found, tx.db.Take(&found, "browser = ?", browser).Error
}

// LockCodeRequest implements identity.Tx.
func (tx *Tx) LockCodeRequest(browser string) (found identity.CodeRequest, err error) {
	return found, tx.db.Clauses(clause.Locking{Strength: "UPDATE"}).Take(&found, "browser = ?", browser).Error
}

// UpdateCodeRequest implements identity.Tx.
func (tx *Tx) UpdateCodeRequest(r identity.CodeRequest) error {
	return tx.db.Model(&r).Updates(map[string]any{"tries": r.Tries, "used": r.Used}).Error
}

// LockText implements identity.Tx.
func (tx *Tx) LockText(text string) error {
	return tx.engine.Lock(tx.db, lockNumber(text))
}

// lockNumber returns the number by which a text is locked.
func lockNumber(text string) int64 {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(text)) // never fails
	return int64(sum.Sum64() >> 1)
}

// UsersWithEmail implements identity.Tx.
func (tx *Tx) UsersWithEmail(email string) (found []directory.User, err error) {
	return found, tx.db.Find(&found, "email_folded = ? AND kind <> ?", email, directory.ServiceUser).Error
}

// ActiveUser implements identity.Tx.
func (tx *Tx) ActiveUser(username string) (found directory.User, err error) {
	return found, tx.db.Take(&found, "username = ? AND is_active AND kind <> ?", username, directory.ServiceUser).Error
}

// expiredPending is the condition that an invitation was pending when its present life ended. Staff never approved a request
// that expired, and nobody may open an account by it. Where a row is sent again when it expires, the event of the former
// life's end has the time at which the present life began.
const expiredPending = "invitations.state = 'expired' AND EXISTS (SELECT 1 FROM invitation_events AS ended" +
	" WHERE ended.invitation_uuid = invitations.uuid AND ended.event_type = 'expired' AND ended.from_state = 'pending'" +
	" AND ended.created > invitations.created)"

// WasInvited implements identity.Tx.
func (tx *Tx) WasInvited(email string, since time.Time, lifetime time.Duration) (bool, error) {
	var count int64
	cutoff := since.Add(-lifetime)
	err := tx.db.Model(&invitation.Invitation{}).Where("email_folded = ?", email).
		Where("((invitations.state = 'project' AND NOT "+isPastFixedEnd+") OR ((invitations.state = 'pending' OR ("+expiredPending+"))"+
			" AND NOT ("+isPastLifetime+") AND NOT ("+hasFixedEnd+" AND "+fixedEnd+" <= ?)))", tx.now, cutoff, cutoff, since).
		Limit(1).Count(&count).Error
	return count > 0, err
}

// CreateUser implements identity.Tx.
func (tx *Tx) CreateUser(u directory.User) (bool, error) {
	result := tx.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "username"}}, DoNothing: true}).Create(&u)
	return result.RowsAffected == 1, result.Error
}

// UpdateUser implements identity.Tx. A column that did not change is not written: the directory file may change it at the
// same time.
func (tx *Tx) UpdateUser(before, after directory.User) error {
	changes := map[string]any{}
	if after.FullName != before.FullName {
		changes["full_name"], changes["full_name_folded"] = after.FullName, after.FullNameFolded
	}
	if after.Email != before.Email {
		changes["email"], changes["email_folded"] = after.Email, after.EmailFolded
	}
	if after.CivilNumber != before.CivilNumber {
		changes["civil_number"] = after.CivilNumber
	}
	if after.IsStaff != before.IsStaff {
		changes["is_staff"] = after.IsStaff
	}
	if len(changes) == 0 {
		return nil
	}
	return tx.db.Model(&directory.User{}).Where("uuid = ?", after.UUID).Updates(changes).Error
}

// FindIdentity implements identity.Tx.
func (tx *Tx) FindIdentity(issuer, subject string) (found identity.Identity, user directory.User, err error) {
	if err = tx.db.Take(&found, "issuer = ? AND subject = ?", issuer, subject).Error; err == nil {
		err = tx.db.Take(&user, "uuid = ?", found.UserUUID).Error
	}
	return found, user, err
}

// HasIdentity implements identity.Tx.
func (tx *Tx) HasIdentity(user uuid.UUID, issuer string) (bool, error) {
	var count int64
	err := tx.db.Model(&identity.Identity{}).Where("user_uuid = ? AND issuer = ?", user, issuer).Count(&count).Error
	return count > 0, err
}

// SaveIdentity implements identity.Tx.
func (tx *Tx) SaveIdentity(i identity.Identity) (bool, error) {
	result := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&i)
	return result.RowsAffected == 1, result.Error
}

// UpdateIdentity implements identity.Tx.
func (tx *Tx) UpdateIdentity(i identity.Identity) error {
	return tx.db.Model(&i).Updates(map[string]any{"last_used": i.LastUsed, "gives_staff": i.GivesStaff}).Error
}

// SaveSession implements identity.Tx.
func (tx *Tx) SaveSession(s identity.Session) error { return tx.db.Create(&s).Error }

// SessionsOf implements identity.Tx.
func (tx *Tx) SessionsOf(user uuid.UUID) (found []identity.Session, err error) {
	return found, tx.db.Order("last_used DESC, created DESC, digest").Find(&found, "user_uuid = ?", user).Error
}

// TouchSession implements identity.Tx.
func (tx *Tx) TouchSession(digest string, at time.Time) error {
	return tx.db.Model(&identity.Session{}).Where("digest = ?", digest).Update("last_used", at).Error
}

// DeleteSession implements identity.Tx.
func (tx *Tx) DeleteSession(digest string) (identity.Session, error) {
	return deleteByDigest[identity.Session](tx, digest)
}

// deleteByDigest deletes the row with a digest and returns it.
func deleteByDigest[Row any](tx *Tx, digest string) (deleted Row, err error) {
	var found []Row
	err = tx.db.Clauses(clause.Returning{}).Delete(&found, "digest = ?", digest).Error
	if err == nil && len(found) == 0 {
		return deleted, fault.NotFound()
	} else if err != nil {
		return deleted, err
	}
	return found[0], nil
}

// DeleteSessionsOf implements identity.Tx.
func (tx *Tx) DeleteSessionsOf(users ...uuid.UUID) (int, error) {
	tokens, err := tx.DeleteSessionTokensOf(users...)
	if err != nil {
		return 0, err
	}
	sessions := tx.db.Where(tx.engine.In("user_uuid", users)).Delete(&identity.Session{})
	return int(sessions.RowsAffected) + tokens, sessions.Error
}

// DeleteSessionTokensOf implements identity.Tx.
func (tx *Tx) DeleteSessionTokensOf(users ...uuid.UUID) (int, error) {
	of := tx.db.Where(tx.engine.In("user_uuid", users)).Session(&gorm.Session{})
	if err := of.Delete(&identity.Ticket{}).Error; err != nil {
		return 0, err
	}
	tokens := of.Delete(&directory.APIToken{}, "(signed_in OR issued_by_uuid IS NOT NULL)")
	return int(tokens.RowsAffected), tokens.Error
}

// DeleteStale implements identity.Tx.
func (tx *Tx) DeleteStale(before time.Time) error {
	for _, row := range []any{&identity.Session{}, &identity.CodeRequest{}, &identity.Ticket{}} {
		if err := tx.db.Delete(row, "created < ?", before).Error; err != nil {
			return err
		}
	}
	return tx.db.Delete(&directory.APIToken{}, "signed_in AND expires < ?", before).Error
}

// SaveTicket implements identity.Tx.
func (tx *Tx) SaveTicket(t identity.Ticket) error { return tx.db.Create(&t).Error }

// FindTicket implements identity.Tx.
func (tx *Tx) FindTicket(digest string) (found identity.Ticket, err error) {
	return found, tx.db.Take(&found, "digest = ?", digest).Error
}

// DeleteTicket implements identity.Tx.
func (tx *Tx) DeleteTicket(digest string) (identity.Ticket, error) {
	return deleteByDigest[identity.Ticket](tx, digest)
}

// SaveSignInEvent implements identity.Tx.
func (tx *Tx) SaveSignInEvent(e identity.Event) error {
	e.Created, e.RequestID = tx.now, invitation.RequestID(tx.db.Statement.Context)
	return tx.db.Create(&e).Error
}

// ListSignInEvents implements identity.Tx.
func (tx *Tx) ListSignInEvents(user *uuid.UUID, limit int) (found []identity.Event, err error) {
	query := tx.db.Order("id DESC").Limit(limit)
	if user != nil {
		query = query.Where("user_uuid = ?", user)
	}
	return found, query.Find(&found).Error
}

// DeleteSignInEvents implements identity.Tx.
func (tx *Tx) DeleteSignInEvents(before time.Time) error {
	return tx.db.Delete(&identity.Event{}, "created < ?", before).Error
}

// IssuersOf implements joining.Tx.
func (tx *Tx) IssuersOf(user uuid.UUID) (issuers []string, err error) {
	return issuers, tx.db.Table("identities").Where("user_uuid = ?", user).Order("issuer").Pluck("issuer", &issuers).Error
}
