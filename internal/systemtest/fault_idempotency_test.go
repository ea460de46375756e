package systemtest

import (
	"testing"

	"github.com/google/uuid"

	"invited/internal/systemtest/harness"
)

const keptAnswers = "SELECT digest FROM idempotency_keys"

// The process is killed at every statement of a request with an Idempotency-Key. What the request did and its answer are both
// there, or neither is; the same request with the same key succeeds at once, and the operation was done once.
func TestFaultKilledWithIdempotencyKey(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]operation{
		"create": {
			prepare: func(*faultCase, *harness.Process) string { return uuid.NewString() },
			send: func(p *harness.Process, key string) (harness.Response, error) {
				return p.TryDo("POST", harness.InvitationsPath, "olivia", harness.InvitationBody("asked@university.example"),
					"Idempotency-Key", key)
			},
			again: map[bool]int{true: 201, false: 201}, status: 201, event: "created",
			done: "SELECT uuid FROM invitations WHERE email = 'asked@university.example' AND state = 'pending'",
			with: "SELECT '' || id FROM river_job WHERE kind = 'deliver_invitation'",
			also: []string{keptAnswers},
		},
		"accept": {
			prepare: func(f *faultCase, p *harness.Process) string { return f.create(p, "ina", 1)[0] },
			send: func(p *harness.Process, id string) (harness.Response, error) {
				return p.TryDo("POST", harness.InvitationsPath+id+"/accept/", "ina", "", "Idempotency-Key", id)
			},
			again: map[bool]int{true: 200, false: 200}, status: 200, event: "accepted",
			done: "SELECT uuid FROM invitations WHERE state = 'accepted'",
			with: "SELECT m.uuid FROM memberships m JOIN users u ON u.uuid = m.user_uuid WHERE u.username = 'ina'",
			also: []string{keptAnswers},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachFault(t, "kill -9 at every statement of "+name+" with a key", func(f *faultCase) { f.killAtEvery(o) })
		})
	}
}
