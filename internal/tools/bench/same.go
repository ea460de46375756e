package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
)

// pagesOf returns a request, and for a list also the request for its second page.
func pagesOf(r request) []request {
	pages := []request{r}
	path, query, _ := strings.Cut(r.path, "?")
	if path == api && !strings.Contains(query, "email=") {
		r.path = path + "?" + strings.TrimPrefix(query+"&page=2", "&")
		pages = append(pages, r)
	}
	return pages
}

// ofItsOwn matches the values that differ between new invitations.
var ofItsOwn = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|20\d\d-[^"]*Z|new\.[^@]*@`)

// sums are the counts that change with a create and an accept.
var sums = []string{"SELECT SUM(pending) FROM invitation_counts", "SELECT SUM(accepted) FROM invitation_counts"}

// sameWrites returns an error where the two servers write different rows.
func sameWrites(ctx context.Context, d *database, ours, theirs *client) error {
	const invitations = 2
	if err := d.offers(ctx, invitations, time.Hour); err != nil {
		return err
	}
	var said, left [2]string
	for i, each := range []*client{ours, theirs} {
		var before []int
		for _, sum := range sums {
			n, err := d.count(ctx, sum)
			if err != nil {
				return err
			}
			before = append(before, n)
		}
		state := &writing{run: fmt.Sprint(i), offers: invitations}
		state.taken.Store(int64(i))
		for _, next := range []func() (request, bool){
			func() (request, bool) { return state.create(rand.New(rand.NewPCG(1, 2))) }, //nolint:gosec // the choice of requests is not secret
			state.accept,
		} {
			asked, _ := next()
			if err := each.do(asked); err != nil {
				return err
			}
			said[i] += ofItsOwn.ReplaceAllString(string(each.resp.Body())+string(each.resp.Header.Peek("Location")), "…")
			again := asked
			again.status = 404
			if asked.body != "" {
				again.status = 400
			}
			if err := each.do(again); err != nil {
				return err
			}
		}
		for _, query := range []string{
			"SELECT count(*) FROM invitations WHERE state = 'pending' AND delivery = 0 AND execution_state = 'Scheduled'",
			"SELECT count(*) FROM invitation_events WHERE user_username <> '' AND email <> '' AND role_name = 'PROJECT.MEMBER'" +
				" AND from_state || '>' || to_state || ' ' || event_type IN ('>pending created', 'pending>accepted accepted')",
			"SELECT count(*) FROM river_job WHERE kind = 'deliver_invitation' AND queue = 'default' AND max_attempts = 30000 AND priority = 1",
			"SELECT count(*) FROM memberships WHERE role_uuid = '" + uuidOf(ofRole, roleMember).String() + "'",
			"SELECT count(*) FROM invitations WHERE state = 'accepted' AND email_folded LIKE '%" + made + "'",
		} {
			n, err := d.count(ctx, query)
			if err != nil {
				return err
			}
			left[i] += fmt.Sprintf("%d: %s\n", n, query)
		}
		for s, sum := range sums {
			n, err := d.count(ctx, sum)
			if err != nil {
				return err
			}
			left[i] += fmt.Sprintf("%+d: %s\n", n-before[s], sum)
		}
		if i == 0 {
			// The floor starts from the same rows as the server did, and must end with the same rows.
			if err := d.reset(ctx); err != nil {
				return err
			}
			if err := d.offers(ctx, invitations, time.Hour); err != nil {
				return err
			}
		}
	}
	if said[0] != said[1] {
		return fmt.Errorf("the server and the floor answer differently to create and accept:\n%s\n%s", said[0], said[1])
	}
	if left[0] != left[1] {
		return fmt.Errorf("the server and the floor write differently:\n%s\n%s", left[0], left[1])
	}
	return d.reset(ctx)
}
