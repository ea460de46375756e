package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"invited/internal/directory"
	"invited/internal/fault"
)

// ownerQuery finds a token's user with what they hold: a row for each membership, or one without.
const ownerQuery = "SELECT api_tokens.expires, users.uuid, users.username, users.full_name, users.email, users.email_folded," +
	" users.civil_number, users.image, users.is_staff, users.is_support, users.is_active, users.notifications_enabled," +
	" users.created, " + granted +
	" FROM api_tokens JOIN users ON users.uuid = api_tokens.user_uuid" +
	" LEFT JOIN memberships ON memberships.user_uuid = users.uuid AND " + inForce +
	// One after the other: SQLite makes the whole of a join in parentheses first.
	" LEFT JOIN scopes ON scopes.uuid = memberships.scope_uuid" +
	" LEFT JOIN roles ON roles.uuid = memberships.role_uuid" +
	" WHERE api_tokens.digest = ?"

var postgresOwnerQuery = numbered(ownerQuery)

// cachedOwner is what was found for a digest. It is shared by requests, and never changed.
type cachedOwner struct {
	directory.Owner
	sent []byte // all of it, as PostgreSQL sent it
}

// The cache of owners.
const (
	cachedOwners = 2_048
	cachedBytes  = 4 << 10 // of one owner, as it is sent: about ten memberships. Who has more is looked up each time
)

// Owner implements directory.Keys, in one statement.
func (db *DB) Owner(ctx context.Context, digest string) (directory.Owner, error) {
	now, err := db.moment(ctx)
	if err != nil {
		return directory.Owner{}, db.failed(ctx, err)
	}
	found := directory.Owner{Token: directory.APIToken{Digest: digest}, User: directory.User{Held: &[]directory.Grant{}}, At: now}
	read := func(scan scanFunc) error { return scanOwner(scan, &found) }
	var sent []byte
	if db.pool == nil {
		err = sqlExecutor{dialect: db.dialect, kept: db.kept}.query(ctx, ownerQuery, []any{now, digest}, read)
	} else {
		err = db.queryPool(ctx, postgresOwnerQuery, []any{now, digest}, func(rows pgx.Rows) error {
			return eachRow(rows, func(scan scanFunc) error {
				if len(sent) <= cachedBytes {
					sent = appendRow(sent, rows)
				}
				return read(scan)
			})
		})
	}
	if err == nil && found.User.UUID == uuid.Nil {
		err = fault.NotFound()
	}
	if err != nil {
		return directory.Owner{}, db.failed(ctx, err)
	}
	found.Token.UserUUID = found.User.UUID
	if r := revalidationOf(ctx); r != nil {
		r.state = current
	}
	if sent != nil && len(sent) <= cachedBytes {
		db.owners.Add(digest, &cachedOwner{found, sent})
	}
	return found, nil
}

// scanOwner reads a row of ownerQuery.
func scanOwner(scan scanFunc, to *directory.Owner) error {
	var (
		in, customer, role *uuid.UUID
		kind               *directory.ScopeType
		grant              directory.Grant
		user               = &to.User
	)
	err := scan(&to.Token.Expires, uuidInto{&user.UUID}, &user.Username, &user.FullName, &user.Email, &user.EmailFolded,
		&user.CivilNumber, &user.Image, &user.IsStaff, &user.IsSupport, &user.IsActive, &user.NotificationsEnabled,
		&user.Created, maybe{&in}, &kind, maybe{&customer}, maybe{&role}, list{&grant.Permissions})
	if err == nil && in != nil {
		grant.ScopeUUID, grant.ScopeType, grant.CustomerUUID, grant.RoleUUID = *in, *kind, *customer, *role
		*user.Held = append(*user.Held, grant)
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

// revalidation is of an owner on whom all rests that is done with a context. It is looked up with the first query, and
// before anything is written. A context has one, and is used by one goroutine at a time.
type revalidation struct {
	digest string
	cached *cachedOwner
	state  validity
}

type validity int

const (
	unchecked validity = iota
	current
	stale
)

// errStale is what becomes of all that rests on an owner who has changed.
var errStale = errors.New("store: the caller is not who they were")

type revalidationKey struct{}

func revalidationOf(ctx context.Context) *revalidation {
	r, _ := ctx.Value(revalidationKey{}).(*revalidation)
	return r
}

// Cached implements directory.Keys. SQLite has no cache: it runs in this process, and to ask it is no round trip.
func (db *DB) Cached(ctx context.Context, digest string) (context.Context, *directory.Owner) {
	if db.pool == nil {
		return ctx, nil
	}
	r := &revalidation{digest: digest, state: current}
	ctx = context.WithValue(ctx, revalidationKey{}, r)
	cached, ok := db.owners.Get(digest)
	if !ok {
		return ctx, nil
	}
	now, err := db.moment(ctx)
	if err != nil {
		return ctx, nil // Owner will say so
	}
	found := cached.Owner
	found.At = now
	r.cached, r.state = &cachedOwner{found, cached.sent}, unchecked
	return ctx, &found
}

// Revalidate implements directory.Keys.
func (db *DB) Revalidate(ctx context.Context) (bool, error) {
	err := db.revalidate(ctx)
	if errors.Is(err, errStale) {
		return false, nil
	}
	return err == nil, db.failed(ctx, err)
}

// forget has the owner of a context looked up the next time: what they hold changes.
func (db *DB) forget(ctx context.Context) {
	if r := revalidationOf(ctx); r != nil {
		db.owners.Remove(r.digest)
	}
}

// toRevalidate is what has to be looked up before anything is done with a context; nil: nothing. It fails where that was
// looked up and has changed.
func toRevalidate(ctx context.Context) (*revalidation, error) {
	r := revalidationOf(ctx)
	switch {
	case r == nil || r.state == current:
		return nil, nil
	case r.state == stale:
		return nil, errStale
	default:
		return r, nil
	}
}

// revalidate looks up the owner of a context, if that has to be.
func (db *DB) revalidate(ctx context.Context) error {
	r, err := toRevalidate(ctx)
	if r == nil {
		return err
	}
	return db.queryPool(ctx, postgresOwnerQuery, r.arguments(), func(rows pgx.Rows) error { return db.compare(r, rows) })
}

func (r *revalidation) arguments() []any { return []any{r.cached.At, r.digest} }

// compare reads what was found of an owner.
func (db *DB) compare(r *revalidation, rows pgx.Rows) error {
	var sent []byte
	err := eachRow(rows, func(scanFunc) error {
		sent = appendRow(sent, rows)
		return nil
	})
	if err != nil {
		return err
	}
	if !bytes.Equal(sent, r.cached.sent) {
		r.state = stale
		db.owners.Remove(r.digest)
		return errStale
	}
	r.state = current
	return nil
}
