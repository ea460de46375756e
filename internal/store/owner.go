package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"invited/internal/directory"
	"invited/internal/fault"
)

// owner finds a token's user with what they hold: a row for each membership, or one without.
const owner = "SELECT api_tokens.expires, users.uuid, users.username, users.full_name, users.email, users.email_folded," +
	" users.civil_number, users.image, users.is_staff, users.is_support, users.is_active, users.notifications_enabled," +
	" users.created, " + granted +
	" FROM api_tokens JOIN users ON users.uuid = api_tokens.user_uuid" +
	" LEFT JOIN memberships ON memberships.user_uuid = users.uuid AND " + inForce +
	// One after the other: SQLite makes the whole of a join in parentheses first.
	" LEFT JOIN scopes ON scopes.uuid = memberships.scope_uuid" +
	" LEFT JOIN roles ON roles.uuid = memberships.role_uuid" +
	" WHERE api_tokens.digest = ?"

var postgresOwner = numbered(owner)

// known is what was found for a digest. It is shared by requests, and never changed.
type known struct {
	sent []byte // all of it, as PostgreSQL sent it; nil: it can't be told again
	key  directory.APIToken
	user directory.User
	held []directory.Grant
}

// read reads a row.
func (k *known) read(scan scan) error {
	var (
		in, customer, role *uuid.UUID
		kind               *directory.ScopeType
		grant              directory.Grant
		user               = &k.user
	)
	err := scan(&k.key.Expires, id{&user.UUID}, &user.Username, &user.FullName, &user.Email, &user.EmailFolded,
		&user.CivilNumber, &user.Image, &user.IsStaff, &user.IsSupport, &user.IsActive, &user.NotificationsEnabled,
		&user.Created, maybe{&in}, &kind, maybe{&customer}, maybe{&role}, list{&grant.Permissions})
	if err == nil && in != nil {
		grant.ScopeUUID, grant.ScopeType, grant.CustomerUUID, grant.RoleUUID = *in, *kind, *customer, *role
		k.held = append(k.held, grant)
	}
	return err
}

// What is remembered of callers.
const (
	knownCallers = 2_048
	knownBytes   = 4 << 10 // of one caller, as it is sent: about ten memberships
)

// Owner returns the token with this digest, its user with what they hold, and the time of the look-up; fault.NotFound
// where there is none. It takes one statement, because every request begins with it.
func (db *DB) Owner(ctx context.Context, digest string) (directory.APIToken, directory.User, time.Time, error) {
	found := &known{key: directory.APIToken{Digest: digest}, held: []directory.Grant{}}
	now, err := db.moment(ctx)
	if err == nil {
		err = db.look(ctx, now, digest, found)
	}
	if err == nil && found.user.UUID == uuid.Nil {
		err = fault.Missing()
	}
	found.key.UserUUID, found.user.Held = found.user.UUID, &found.held
	if err == nil {
		if found.sent != nil {
			db.callers.Add(digest, found)
		}
		if r := recollectionOf(ctx); r != nil {
			r.state = settled
		}
	}
	return found.key, found.user, now, db.failed(ctx, err)
}

func (db *DB) look(ctx context.Context, now time.Time, digest string, found *known) error {
	if db.pool == nil {
		return through{ctx, db.dialect, db.reads.WithContext(ctx)}.query(owner, []any{now, digest}, found.read)
	}
	var sent []byte
	err := db.lookUp(ctx, postgresOwner, []any{now, digest}, func(rows pgx.Rows) error {
		return eachRow(rows, func(scan scan) error {
			sent = appendRow(sent, rows)
			return found.read(scan)
		})
	})
	if len(sent) <= knownBytes {
		found.sent = sent
	}
	return err
}

// appendRow appends the values of a row as they are sent, each with its length; a null has one that no value has.
func appendRow(to []byte, rows pgx.Rows) []byte {
	for _, each := range rows.RawValues() {
		length := uint64(0)
		if each != nil {
			length = 1 + uint64(len(each))
		}
		to = append(binary.AppendUvarint(to, length), each...)
	}
	return to
}

// recollection is what all rests on that is done with a context: a caller as they were known, who is looked up with the
// first query, and before anything is written.
type recollection struct {
	digest string
	was    *known
	now    time.Time
	state  recollectionState
}

type recollectionState int

const (
	unsettled recollectionState = iota
	settled
	stale
)

// errStale is what becomes of all that rests on a recollection that does not hold.
var errStale = errors.New("store: the caller is not who they were")

type recollectionKey struct{}

func recollectionOf(ctx context.Context) *recollection {
	r, _ := ctx.Value(recollectionKey{}).(*recollection)
	return r
}

// Recall implements directory.Keys. On SQLite nobody is remembered: to ask it is no way to go.
func (db *DB) Recall(ctx context.Context, digest string) (context.Context, *directory.Recollection) {
	if db.pool == nil {
		return ctx, nil
	}
	r := &recollection{digest: digest, state: settled}
	ctx = context.WithValue(ctx, recollectionKey{}, r)
	was, ok := db.callers.Get(digest)
	if !ok {
		return ctx, nil
	}
	now, err := db.moment(ctx)
	if err != nil {
		return ctx, nil // Owner says so too
	}
	r.was, r.now, r.state = was, now, unsettled
	return ctx, &directory.Recollection{
		Token: was.key, User: was.user, Now: now,
		Holds: func(ctx context.Context) (bool, error) {
			err := db.settle(ctx)
			if errors.Is(err, errStale) {
				return false, nil
			}
			return err == nil, db.failed(ctx, err)
		},
	}
}

// forget has the caller of a context looked up the next time: what they hold changes.
func (db *DB) forget(ctx context.Context) {
	if r := recollectionOf(ctx); r != nil {
		db.callers.Remove(r.digest)
	}
}

// toSettle is the recollection that has to be looked up before anything that rests on it; nil: there is none. It fails where
// that was looked up, and does not hold.
func toSettle(ctx context.Context) (*recollection, error) {
	r := recollectionOf(ctx)
	switch {
	case r == nil || r.state == settled:
		return nil, nil
	case r.state == stale:
		return nil, errStale
	default:
		return r, nil
	}
}

// settle looks up the recollection of a context, if there is one to settle.
func (db *DB) settle(ctx context.Context) error {
	r, err := toSettle(ctx)
	if r == nil {
		return err
	}
	return db.lookUp(ctx, postgresOwner, r.arguments(), func(rows pgx.Rows) error { return db.judge(r, rows) })
}

func (r *recollection) arguments() []any { return []any{r.now, r.digest} }

// judge settles a recollection by what the look-up found.
func (db *DB) judge(r *recollection, rows pgx.Rows) error {
	defer rows.Close()
	var sent []byte
	for rows.Next() {
		sent = appendRow(sent, rows)
	}
	if rows.Close(); rows.Err() != nil {
		return rows.Err()
	}
	if !bytes.Equal(sent, r.was.sent) {
		r.state = stale
		db.callers.Remove(r.digest)
		return errStale
	}
	r.state = settled
	return nil
}
