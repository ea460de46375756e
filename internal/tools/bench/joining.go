package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"text/tabwriter"
)

const (
	groups             = "/api/user-group-invitations/"
	permissionRequests = "/api/user-permission-requests/"
)

// Numbers of owners, each with the customer of the same number, and what the customer has of the n group invitations and the n
// permission requests of a database. Other customers have the other group invitations.
const (
	ownsRequests  = iota // all requests
	ownsGroups           // 50 group invitations
	ownsPublic           // the public group invitations
	ownsSubmitted        // the group invitation that is taken up
	ownsPending          // the requests that are approved
	ownsNothing
)

const (
	asked     = 10 // group invitations by which the requests were made; half of the requests by the first
	public    = 50 // public group invitations
	submitted = asked + public
	approved  = submitted + 1
	untouched = approved + 1        // the first of the group invitations that nobody takes up
	spread    = untouched + perUser // the first of those of the other customers
	perUser   = 50                  // requests of each requester, and group invitations of ownsGroups
)

// askedCost is the cost of a request in the databases of two sizes.
type askedCost struct {
	Engine   string    `json:"engine"`
	Workload string    `json:"workload"`
	Rows     []int     `json:"requests"` // in each database, and as many group invitations
	P50      []float64 `json:"p50_ms"`
	CPU      []float64 `json:"cpu_us"`       // CPU of server and database
	Relative []float64 `json:"relative"`     // p50 by that in the first database: median of the ratios of neighboring runs
	OfCPU    []float64 `json:"cpu_relative"` // the same of CPU
}

const askedNote = `The databases of all sizes are measured in turns, by one client each. A customer's owner sees all requests of a
database, half of them by one group invitation. Every size has as many group invitations as requests, of which 50 are public and 50 of one
owner, and 50 requests of each requester. "late" is the last page.`

// askedWorkload is a kind of request about group invitations or permission requests.
type askedWorkload struct {
	name  string
	next  func(n, i int, r *rand.Rand) request // n: rows; i: number of the request
	limit int                                  // of requests in a run; 0: none
	begin []string                             // statements before each run
	end   []string                             // statements after each run
}

func get(who string, user int, path string) request {
	return request{method: http.MethodGet, path: path, key: keyOf(who, user), status: http.StatusOK}
}

func listOf(who string, user int, path, query string) func(int, int, *rand.Rand) request {
	return func(int, int, *rand.Rand) request { return get(who, user, path+query) }
}

func (d *database) askedWorkloads() []askedWorkload {
	state := func(query string) func(int, int, *rand.Rand) request {
		return listOf("owner", ownsRequests, permissionRequests, query)
	}
	clear := []string{
		fmt.Sprintf("DELETE FROM permission_requests WHERE group_invitation_uuid IN ('%s', '%s')", uuidOf(ofGroup, submitted), uuidOf(ofGroup, approved)),
		"DELETE FROM group_invitation_events", "DELETE FROM river_job",
		fmt.Sprintf("DELETE FROM memberships WHERE role_uuid = '%s'", uuidOf(ofRole, roleMember)),
	}
	return []askedWorkload{
		{name: "requests", next: state("")},
		{name: "requests, late", next: func(n, _ int, _ *rand.Rand) request {
			return get("owner", ownsRequests, fmt.Sprintf("%s?page=%d", permissionRequests, n/10))
		}},
		{name: "invitation", next: state("?invitation=" + uuidOf(ofGroup, 0).String())},
		{name: "state", next: state("?state=pending")},
		{name: "invitation, state", next: state("?state=pending&invitation=" + uuidOf(ofGroup, 0).String())},
		{name: "customer", next: state("?customer_uuid=" + uuidOf(ofCustomer, ownsRequests).String())},
		{name: "created_by", next: func(n, _ int, r *rand.Rand) request {
			return get("owner", ownsRequests, permissionRequests+"?created_by="+uuidOf(ofInvitee, r.IntN(n/perUser)%invitees).String())
		}},
		{name: "own", next: func(n, _ int, r *rand.Rand) request {
			return get("invitee", r.IntN(n/perUser)%invitees, permissionRequests)
		}},
		{name: "none", next: listOf("owner", ownsNothing, permissionRequests, "")},
		{name: "staff", next: listOf("staff", 0, permissionRequests, "")},
		{name: "staff, state", next: listOf("staff", 0, permissionRequests, "?state=pending")},
		{name: "groups", next: listOf("owner", ownsGroups, groups, "?is_active=true")},
		{name: "groups, staff", next: listOf("staff", 0, groups, "")},
		{name: "groups, none", next: listOf("owner", ownsNothing, groups, "")},
		{name: "public", next: func(int, int, *rand.Rand) request {
			return request{method: http.MethodGet, path: groups + "?is_active=true&is_public=true", status: http.StatusOK}
		}},
		{name: "submit", limit: invitees, end: clear, next: func(_, i int, _ *rand.Rand) request {
			return request{
				method: http.MethodPost, path: groups + uuidOf(ofGroup, submitted).String() + "/submit_request/",
				key: keyOf("invitee", i), status: http.StatusOK,
			}
		}},
		{name: "approve", limit: invitees, begin: []string{d.requestsTo(approved)}, end: clear, next: func(_, i int, _ *rand.Rand) request {
			return request{
				method: http.MethodPost, path: permissionRequests + uuidOf(ofPending, i).String() + "/approve/",
				key: keyOf("owner", ownsPending), status: http.StatusOK,
			}
		}},
	}
}

// seedAsked writes n group invitations and n permission requests.
func (d *database) seedAsked(ctx context.Context, n int) error {
	owner := fmt.Sprintf(`CASE WHEN i < %d THEN %d WHEN i < %d THEN %d WHEN i = %d THEN %d WHEN i = %d THEN %d WHEN i < %d THEN %d
		ELSE %d + i %% 900 END`, asked, ownsRequests, submitted, ownsPublic, submitted, ownsSubmitted, approved, ownsPending, spread, ownsGroups, owners)
	isPublic := fmt.Sprintf("i >= %d AND i < %d", asked, submitted)
	return errors.Join(d.exec(ctx,
		d.plain(fmt.Sprintf(`INSERT INTO group_invitations (uuid, version, created, is_active, is_public, role_uuid, scope_uuid, customer_uuid,
			created_by_uuid, auto_create_project, auto_approve, user_email_patterns, user_affiliations, user_identity_sources, custom_text,
			allow_multiple_requests, allow_custom_project_details)
			SELECT %s, 0, %s, i < %d OR i %% 2 = 0, %s, %s, %s, %s, %s, %s, FALSE, '[]', '[]', '[]', 'Come in.', FALSE, FALSE
			FROM (SELECT i, %s AS c FROM %s) AS numbers`,
			d.id(ofGroup, "i"), d.ago("i * 60", "i"), untouched, isPublic, quote(d, uuidOf(ofRole, roleMember)), d.id(ofProject, "c"),
			d.id(ofCustomer, "c"), d.id(ofOwner, "c"), isPublic, owner, d.series(0, n))),
		d.plain(fmt.Sprintf(`INSERT INTO permission_requests (uuid, group_invitation_uuid, state, created, created_by_uuid, reviewed_by_uuid,
			reviewed_at, review_comment, scope_uuid, customer_uuid, project_name, project_description, is_exclusive)
			SELECT %s, %s, %s, %s, %s, CASE WHEN h >= 5 THEN %s END, CASE WHEN h >= 5 THEN %s END, '', %s, %s, '', '', FALSE
			FROM (SELECT i, i * %d / 65536 %% 100 AS h FROM %s) AS numbers`,
			d.id(ofRequest, "i"), d.id(ofGroup, fmt.Sprintf("(CASE WHEN i %% 2 = 0 THEN 0 ELSE i %% %d END)", asked)),
			"CASE WHEN h < 5 THEN 'pending' WHEN h < 65 THEN 'approved' WHEN h < 90 THEN 'rejected' ELSE 'canceled' END",
			d.ago("i * 60", "i"), d.id(ofInvitee, fmt.Sprintf("(i / %d %% %d)", perUser, invitees)), quote(d, uuidOf(ofOwner, ownsRequests)),
			d.ago("0", "i"), quote(d, uuidOf(ofProject, ownsRequests)), quote(d, uuidOf(ofCustomer, ownsRequests)), scatter, d.series(0, n)))),
		d.settle(ctx))
}

// requestsTo returns SQL that inserts a pending request of each invitee by a group invitation of ownsPending.
func (d *database) requestsTo(group int) string {
	return d.plain(fmt.Sprintf(`INSERT INTO permission_requests (uuid, group_invitation_uuid, state, created, created_by_uuid, review_comment,
		scope_uuid, customer_uuid, project_name, project_description, is_exclusive)
		SELECT %s, %s, 'pending', %s, %s, '', %s, %s, '', '', TRUE FROM %s`,
		d.id(ofPending, "i"), quote(d, uuidOf(ofGroup, group)), d.ago("i", "i"), d.id(ofInvitee, "i"),
		quote(d, uuidOf(ofProject, ownsPending)), quote(d, uuidOf(ofCustomer, ownsPending)), d.series(0, invitees)))
}

// askedPlace is a database of a size with its server.
type askedPlace struct {
	rows   int
	d      *database
	server *server
}

// scaleAsked measures requests about group invitations and permission requests in databases of several sizes, in turns.
func (b *bench) scaleAsked(ctx context.Context, sizes []int, out *scaleReport, stdout io.Writer) error {
	for _, engine := range b.engines {
		fmt.Fprintf(stdout, "%s, %d permission requests\n", engine, sizes)
		if err := b.askedOn(ctx, engine, sizes, out); err != nil {
			return fmt.Errorf("%s with %d permission requests: %w", engine, sizes, err)
		}
	}
	return nil
}

func (b *bench) askedOn(ctx context.Context, engine string, sizes []int, out *scaleReport) (err error) {
	var places []askedPlace
	for _, rows := range sizes {
		rows = max(rows, 10*perUser)
		d, _, err := b.filled(ctx, engine, sizeOf(1))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.close()) }()
		if err := d.seedAsked(ctx, rows); err != nil {
			return err
		}
		s, err := b.invited(ctx, d, "INVITED_WORKERS=false")
		if err != nil {
			return err
		}
		defer s.stop()
		places = append(places, askedPlace{rows, d, s})
	}
	for _, w := range places[0].d.askedWorkloads() {
		measured, err := b.inTurns(ctx, places, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		out.Asked = append(out.Asked, measured)
	}
	return nil
}

func (b *bench) inTurns(ctx context.Context, places []askedPlace, w askedWorkload) (askedCost, error) {
	n := len(places)
	p50, used, slower, dearer := make([][]float64, n), make([][]float64, n), make([][]float64, n), make([][]float64, n)
	out := askedCost{Engine: places[0].d.engine, Workload: w.name}
	for i := range b.runs {
		for at, place := range places {
			if err := place.d.exec(ctx, w.begin...); err != nil {
				return out, err
			}
			var made atomic.Int64
			r, err := stretch(ctx, place.server, place.d, 1, b.warm, b.length, func(client int) func() (request, bool) {
				random := dice(i, client)
				return func() (request, bool) {
					number := int(made.Add(1) - 1)
					if w.limit > 0 && number >= w.limit {
						return request{}, false
					}
					return w.next(place.rows, number, random), true
				}
			})
			if err := errors.Join(err, place.d.exec(ctx, w.end...)); err != nil {
				return out, err
			}
			p50[at] = append(p50[at], float64(r.p50.Microseconds())/1000)
			used[at] = append(used[at], float64((r.server+r.database).Nanoseconds())/1000)
			slower[at] = append(slower[at], p50[at][i]/p50[0][i])
			dearer[at] = append(dearer[at], used[at][i]/max(used[0][i], 1))
		}
	}
	for at, place := range places {
		out.Rows = append(out.Rows, place.rows)
		out.P50, out.CPU = append(out.P50, median(p50[at])), append(out.CPU, median(used[at]))
		out.Relative, out.OfCPU = append(out.Relative, median(slower[at])), append(out.OfCPU, median(dearer[at]))
	}
	return out, nil
}

func printAsked(w io.Writer, all []askedCost) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "database\tworkload\trequests\tp50 ms\trelative\tCPU µs\trelative\t")
	for _, each := range all {
		for i, rows := range each.Rows {
			fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.2f\t%.0f\t%.2f\t\n",
				each.Engine, each.Workload, rows, each.P50[i], each.Relative[i], each.CPU[i], each.OfCPU[i])
		}
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\n%s\n", askedNote)
}
