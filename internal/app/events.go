package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/directory"
	"invited/internal/lifecycle"
	"invited/internal/store"
)

func (p Process) eventsCommand() *cobra.Command {
	return commandGroup("events", "Send events to the webhook again", p.eventsRedeliverCommand())
}

func (p Process) eventsRedeliverCommand() *cobra.Command {
	var since, until, invitation string
	var dryRun bool
	redeliver := command("redeliver", "Send the events of a time to the webhook again",
		`Sends the events again that were sent to INVITED_EVENTS_WEBHOOK_URL, or given up, since a time: those of one invitation in
their order, each with the webhook-id that it had. A server with workers sends them. Events that still wait are left as they
are. A TIME is such as 2026-11-23T09:30:00Z, or how long ago: 36h.`,
		func(ctx context.Context) error {
			if since == "" {
				return usageError{errors.New("say since when: --since 2026-11-23T09:30:00Z, or --since 36h")}
			}
			return p.withDatabase(func(db *store.Store) error {
				if err := requireCurrentSchema(ctx, db); err != nil {
					return err
				}
				now, err := db.Now(ctx)
				if err != nil {
					return err
				}
				r, err := redelivery(now, since, until, invitation)
				if err != nil {
					return err
				}
				service := &lifecycle.Service{Store: db.Lifecycle()}
				events, invitations, err := service.Redeliver(ctx, r, dryRun)
				if err != nil {
					return err
				}
				done := "will be sent again by a server with workers and INVITED_EVENTS_WEBHOOK_URL"
				if dryRun {
					done = "would be sent again"
				}
				_, err = fmt.Fprintf(p.Stdout, "%s of %s %s\n", plural(events, "event"), plural(invitations, "invitation"), done)
				return err
			})
		})
	redeliver.Flags().StringVar(&since, "since", "", "the `TIME` at or after which the events were sent or given up")
	redeliver.Flags().StringVar(&until, "until", "", "the `TIME` before which they were (default now)")
	redeliver.Flags().StringVar(&invitation, "invitation", "", "the `UUID` of an invitation: only its events")
	redeliver.Flags().BoolVar(&dryRun, "dry-run", false, "say how many events there are, and send nothing")
	return redeliver
}

// plural returns a number with a noun, such as "1 event" and "2 events".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// redelivery reads the flags of the command. It returns a usageError where one is wrong.
func redelivery(now time.Time, since, until, invitation string) (r lifecycle.Redelivery, err error) {
	if r.Since, err = parseTime(now, since); err != nil {
		return r, usageError{fmt.Errorf("--since: %w", err)}
	}
	if until != "" {
		end, err := parseTime(now, until)
		if err != nil {
			return r, usageError{fmt.Errorf("--until: %w", err)}
		}
		r.Until = &end
	}
	if invitation != "" {
		id, ok := directory.ParseUUID(invitation)
		if !ok {
			return r, usageError{fmt.Errorf("--invitation: %q is not the uuid of an invitation", invitation)}
		}
		r.Invitation = &id
	}
	return r, nil
}

// parseTime reads a time in RFC 3339, or a duration before now.
func parseTime(now time.Time, text string) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is neither a time such as 2026-11-23T09:30:00Z nor a duration such as 36h", text)
	}
	return at.UTC(), nil
}
