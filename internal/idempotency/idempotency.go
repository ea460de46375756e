package idempotency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"invited/internal/fault"
	"invited/internal/token"
)

// Kept is how long an answer is kept. Afterwards its key is free.
const Kept = 24 * time.Hour

// Answer is the response to a request.
type Answer struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header"` // only what depends on the operation
	Body   []byte              `json:"body"`
}

// MaxBody is the size of the largest body of an answer that is kept, in bytes.
const MaxBody = 1 << 20

// passing are the refusals that the same request need not get when it comes again: its token, or the object, can be another then.
var passing = []int{
	http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests,
}

// IsKept reports whether a repeated request gets the answer again.
func (a Answer) IsKept() bool {
	return a.Status < http.StatusInternalServerError && !slices.Contains(passing, a.Status)
}

// Record is a row: the answer to the request with a key.
type Record struct {
	UserUUID uuid.UUID `gorm:"primaryKey"`
	Digest   string    `gorm:"primaryKey"` // of the key; see token.Digest
	Created  time.Time
	Size     int    // of Answer, in bytes
	Answer   []byte // encrypted
}

// TableName is the name of the table.
func (Record) TableName() string { return "idempotency_keys" }

// ID names a key of a user.
type ID struct {
	UserUUID uuid.UUID
	Digest   string
}

// ErrTaken is the error of Store.Save where another answer is kept under the key.
var ErrTaken = errors.New("idempotency: the key is taken")

// Store persists answers.
type Store interface {
	// Find returns the answer that is kept under a key, or nil where there is none.
	Find(ctx context.Context, id ID) (answer []byte, err error)
	// Usage returns what is kept of a user.
	Usage(ctx context.Context, user uuid.UUID) (Usage, error)
	// WriteTogether runs f with a context whose changes are one transaction, with those of Save; see
	// database.DB.WriteTogether. It returns ErrRunning where another transaction with the key runs, as far as the database
	// knows.
	WriteTogether(ctx context.Context, id ID, f func(context.Context) error) error
	// Save keeps an answer from now on, or returns ErrTaken, or fault.KindUnauthenticated where the user is deleted.
	Save(ctx context.Context, id ID, answer []byte) error
	// DeleteExpired deletes at most limit answers that are older than Kept, and returns their number.
	DeleteExpired(ctx context.Context, limit int) (int, error)
}

// Service answers requests with keys. Any number of goroutines may use a Service at the same time.
type Service struct {
	Store  Store
	Signer *token.Signer
	Limits fault.Limits // nil: nobody counts what is refused

	running sync.Map // has an ID for each request that this process is answering
	quota   quota
}

// Request is a request with a key.
type Request struct {
	UserUUID uuid.UUID // the caller
	Key      string
	Content  []byte // a digest of everything in which two requests with one key must not differ
}

func (r Request) id() ID { return ID{r.UserUUID, token.Digest(r.Key)} }

// ErrRunning is the error where another request with the same key runs.
var ErrRunning = fault.Conflict("A request with this Idempotency-Key is still running. Send it again when that one has its answer.")

var errTooLarge = fault.Field(fault.NonField,
	"The answer would be too large to be kept for the Idempotency-Key: send less at once. Nothing was changed.")

var errContradiction = fault.Contradiction("This Idempotency-Key was used for another request. Use a new key for each new request.")

// Do returns the answer that is kept for a request, or else runs the request, and keeps its answer. What run changes
// with its context is committed together with the answer. Where run returns an error, nothing is changed or kept, and
// Do returns the error. An answer that is not to be kept (Answer.IsKept) is returned all the same, and what run changed
// is committed.
//
// The errors of Do itself are ErrRunning, a fault.KindContradiction where the key was used for another request, a
// fault.KindThrottled where too much is kept of the user, and a fault.KindInvalid where the answer's body is larger
// than MaxBody.
func (s *Service) Do(
	ctx context.Context, r Request, run func(context.Context) (Answer, error),
) (answer Answer, replayed bool, err error) {
	id := r.id()
	if _, runs := s.running.LoadOrStore(id, true); runs {
		return Answer{}, false, ErrRunning
	}
	defer s.running.Delete(id)

	if answer, replayed, err = s.find(ctx, r); replayed || err != nil {
		return answer, replayed, err
	}
	if err := s.quota.admit(ctx, s.Store, s.Limits, r.UserUUID); err != nil {
		return Answer{}, false, err
	}
	err = s.Store.WriteTogether(ctx, id, func(ctx context.Context) error {
		var err error
		if answer, err = run(ctx); err != nil || !answer.IsKept() {
			return err
		}
		if len(answer.Body) > MaxBody {
			return errTooLarge
		}
		sealed, err := s.seal(r, answer)
		if err != nil {
			return err
		}
		s.quota.spend(r.UserUUID, 0, len(sealed))
		return s.Store.Save(ctx, id, sealed)
	})
	if errors.Is(err, ErrTaken) { // another process was faster, and this one's work is undone
		if answer, replayed, err = s.find(ctx, r); !replayed && err == nil {
			err = ErrRunning
		}
	}
	return answer, replayed, err
}

// find returns the answer that is kept for a request. It reports false where there is none.
func (s *Service) find(ctx context.Context, r Request) (Answer, bool, error) {
	sealed, err := s.Store.Find(ctx, r.id())
	if sealed == nil || err != nil {
		return Answer{}, false, err
	}
	answer, err := s.open(r, sealed)
	return answer, err == nil, err
}

// seal encrypts an answer, which may hold an API token, with the key that only the client has.
func (s *Service) seal(r Request, a Answer) ([]byte, error) {
	encoded, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("idempotency: encoding an answer: %w", err)
	}
	return s.Signer.Seal(r.Key, encoded, r.context())
}

// open is the reverse of seal. An answer opens for its own request only.
func (s *Service) open(r Request, sealed []byte) (a Answer, err error) {
	encoded, ok := s.Signer.Open(r.Key, sealed, r.context())
	if !ok {
		return Answer{}, errContradiction
	}
	if err := json.Unmarshal(encoded, &a); err != nil {
		return Answer{}, fmt.Errorf("idempotency: decoding an answer: %w", err)
	}
	return a, nil
}

func (r Request) context() []byte { return append(r.UserUUID[:], r.Content...) }

// sweepBatch is the number of rows that one transaction of a sweep deletes.
const sweepBatch = 1_000

// Sweep deletes the answers that are older than Kept. What is left when ctx ends is left to the next sweep.
func (s *Service) Sweep(ctx context.Context) error {
	for {
		deleted, err := s.Store.DeleteExpired(ctx, sweepBatch)
		if err != nil || deleted < sweepBatch {
			return err
		}
	}
}
