package joining

import "context"

// sweepBatch is the number of group invitations that one transaction of a sweep changes.
const sweepBatch = 100

// Sweep cancels for good the group invitations whose scopes were removed, each once, however many sweeps run at once: a scope
// that is restored must not bring back links that everybody believes ended. Until the sweep they are inactive all the same; see
// GroupInvitation.IsActiveAt. Work that is left when ctx ends is left to the next sweep.
func (s *Service) Sweep(ctx context.Context) error {
	for more := true; more; {
		err := s.Store.Change(ctx, func(tx Tx) (changes []Change, err error) {
			found, err := tx.LockGroupsOfRemoved(sweepBatch)
			for _, g := range found {
				changes = append(changes, end(g))
			}
			more = len(found) == sweepBatch
			return changes, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
