package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"invited/internal/invitation"
	"invited/internal/lifecycle"
	"invited/internal/store"
)

// holdTimeout is how long `invited jobs hold` waits for what is being sent. It is longer than every attempt: what runs then is of
// a process that died.
const holdTimeout = 2 * time.Minute

func (p Process) jobsCommand() *cobra.Command {
	jobs := command("jobs", "Show the jobs that wait, hold deliveries back and release them",
		`Shows whether deliveries are held, and how many jobs of each kind are not done.`,
		func(ctx context.Context) error {
			return p.withQueue(ctx, func(db *store.Store) error { return p.showJobs(ctx, db) })
		})
	jobs.AddCommand(p.jobsListCommand(), p.jobsHoldCommand(), p.jobsReleaseCommand())
	return jobs
}

// withQueue calls f with the configured database. The schema must be current.
func (p Process) withQueue(ctx context.Context, f func(*store.Store) error) error {
	return p.withDatabase(func(db *store.Store) error {
		if err := requireCurrentSchema(ctx, db); err != nil {
			return err
		}
		return f(db)
	})
}

func (p Process) showJobs(ctx context.Context, db *store.Store) error {
	since, err := db.HeldSince(ctx)
	if err != nil {
		return err
	}
	jobs, err := db.QueuedJobs(ctx)
	if err != nil {
		return err
	}
	if since.IsZero() {
		fmt.Fprintln(p.Stdout, "Deliveries are not held.")
	} else {
		fmt.Fprintf(p.Stdout, "Deliveries are held since %s: `invited jobs release` sends what waits.\n", since.Format(time.RFC3339))
	}
	if len(jobs) == 0 {
		_, err := fmt.Fprintln(p.Stdout, "No job waits.")
		return err
	}
	table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KIND\tSTATE\tJOBS\tWAITING FOR") // Flush returns the error
	for _, each := range jobs {
		waiting := "-"
		if each.Overdue > 0 {
			waiting = each.Overdue.Round(time.Second).String()
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", shown(each.Kind), each.State, each.Count, waiting)
	}
	return table.Flush()
}

func (p Process) jobsListCommand() *cobra.Command {
	var limit int
	list := command("list", "List the jobs that would send something",
		`Lists the jobs that send a mail, a webhook call or an event and are not done, the oldest first: what "invited jobs release"
sends, and what it drops with --discard.`,
		func(ctx context.Context) error {
			if limit < 1 {
				return usageError{errors.New("--limit must be 1 or more")}
			}
			return p.withQueue(ctx, func(db *store.Store) error {
				found, err := db.WaitingDeliveries(ctx, limit)
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
				_, _ = fmt.Fprintln(table, "CREATED\tKIND\tSTATE\tATTEMPTS\tINVITATION\tEMAIL OF THE INVITATION") // Flush returns the error
				for _, each := range found {
					id := "-"
					if each.Invitation.Valid {
						id = each.Invitation.UUID.String()
					}
					_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", each.Created.Format(time.RFC3339), shown(each.Kind), each.State,
						each.Attempts, id, shown(each.Email))
				}
				return table.Flush()
			})
		})
	list.Flags().IntVar(&limit, "limit", 1000, "the `NUMBER` of jobs to list at most")
	return list
}

func (p Process) jobsHoldCommand() *cobra.Command {
	return command("hold", "Begin no delivery until they are released",
		`Holds deliveries: no process begins a job that sends a mail, calls a webhook or posts events, also after a restart, until
"invited jobs release". Requests are answered, invitations are made and expire as always, and what they would send waits. Codes to
sign in by mail wait, too. The command returns when what was being sent is sent.`,
		func(ctx context.Context) error {
			return p.withQueue(ctx, func(db *store.Store) error {
				if err := db.HoldDeliveries(ctx); err != nil {
					return err
				}
				running, err := waitForDeliveries(ctx, db)
				if err != nil {
					return err
				}
				if running > 0 {
					fmt.Fprintf(p.Stdout, "%s did not end within %s: the process that sent it has died.\n",
						plural(int(running), "job"), holdTimeout)
				}
				_, err = fmt.Fprintln(p.Stdout, "Deliveries are held until `invited jobs release`.")
				return err
			})
		})
}

// waitForDeliveries returns when no process sends anything any more, at the latest after holdTimeout, and how many jobs are said
// to be running then.
func waitForDeliveries(ctx context.Context, db *store.Store) (running int64, err error) {
	if err := sleep(ctx, store.NoticeHold); err != nil {
		return 0, err
	}
	for began := time.Now(); ; {
		if running, err = db.RunningDeliveries(ctx); err != nil || running == 0 || time.Since(began) > holdTimeout {
			return running, err
		}
		if err := sleep(ctx, time.Second/2); err != nil {
			return running, err
		}
	}
}

// sleep returns the error of ctx where that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (p Process) jobsReleaseCommand() *cobra.Command {
	var discard bool
	release := command("release", "Send what was held back, or drop it",
		`Ends what "invited jobs hold" began: the workers send what waits. With --discard, what waits by now is dropped and not sent.
Invitations stay as they are, say that they were not sent, and can be sent again. Events that wait for the webhook are given up:
"invited events redeliver" sends them.`,
		func(ctx context.Context) error {
			c, err := p.loadConfig()
			if err != nil {
				return err
			}
			return p.withQueue(ctx, func(db *store.Store) error {
				since, err := db.HeldSince(ctx)
				if err != nil {
					return err
				}
				if since.IsZero() {
					if discard {
						return errors.New("deliveries are not held: run `invited jobs hold` first, so that nothing is sent while it is dropped")
					}
					_, err := fmt.Fprintln(p.Stdout, "Deliveries are not held.")
					return err
				}
				if discard {
					if err := discardDeliveries(ctx, db, c.EventsWebhookURL != "", p.Stdout); err != nil {
						return err
					}
				}
				if err := db.ReleaseDeliveries(ctx); err != nil {
					return err
				}
				_, err = fmt.Fprintf(p.Stdout, "Deliveries are released: servers with workers go on within %s.\n", store.NoticeHold)
				return err
			})
		})
	release.Flags().BoolVar(&discard, "discard", false, "drop what waits")
	return release
}

// discardDeliveries drops what waits to be sent. Invitations are told first: a process that dies in between leaves jobs, which
// the command finds when it is run again. Events that have no position yet, such as those of a restored database, get theirs
// first: sends says whether there is a webhook for them.
func discardDeliveries(ctx context.Context, db *store.Store, sends bool, output io.Writer) error {
	events := &lifecycle.Service{Store: db.Lifecycle()}
	for found := true; found; { // a server may be at it, too
		var err error
		if found, err = events.AssignPositions(ctx, sends); err != nil {
			return err
		}
	}
	until, err := db.Mark(ctx) // what is made from now on is sent
	if err != nil {
		return err
	}
	invitations := &invitation.Service{Store: db.Invitations()}
	waiting, err := db.WaitingInvitations(ctx, until)
	if err != nil {
		return err
	}
	for _, job := range waiting {
		if err := invitations.DiscardDelivery(ctx, job); err != nil {
			return err
		}
	}
	jobs, givenUp, err := db.CancelDeliveries(ctx, until)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(output, "%s dropped, %s given up.\n", plural(int(jobs), "job"), plural(int(givenUp), "event"))
	return err
}
