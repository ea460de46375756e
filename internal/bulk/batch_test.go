package bulk_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
	"invited/internal/storetest"
)

// projectURL returns a URL of a project.
func projectURL(id string) string { return "https://any.example/api/projects/" + id + "/" }

// everyKind has rows of every kind. An open invitation of early@ and an expired one of late@ were made before.
func everyKind() []bulk.Row {
	var rows []bulk.Row
	add := func(email, role, scope string, change ...func(*bulk.Row)) {
		row := bulk.Row{Email: email, Role: role, Scope: scope}
		for _, each := range change {
			each(&row)
		}
		rows = append(rows, row)
	}
	add("ada@university.example", member, projectURL(apollo))
	add("ADA@University.example", "PROJECT.MEMBER", apollo) // the same
	add("ada@university.example", "PROJECT.ADMIN", apollo)
	add("ada@university.example", "CUSTOMER.OWNER", acme)
	add("ben@university.example", member, projectURL(borea))
	add("eve@elsewhere.example", member, projectURL(closed))
	add("cat@university.example", member, projectURL(closed))
	add("cat@university.example", member, projectURL(closed))
	add("dan@university.example", member, projectURL(gone))
	add("dan@university.example", member, projectURL(foreign))
	add("dan@university.example", member, projectURL(nothing))
	add("dan@university.example", member, nothing)
	add("dan@university.example", member, "https://any.example/api/customers/"+apollo+"/") // of another type
	add("dan@university.example", nothing, projectURL(apollo))
	add("dan@university.example", nothing, projectURL(nothing))
	add("dan@university.example", retired, projectURL(apollo))
	add("dan@university.example", member, acme) // a role of projects
	add("dan@university.example", "PROJECT.MANAGER", managed)
	add("dan@university.example", "PROJECT.MANAGER", apollo)
	add("max@university.example", member, projectURL(apollo)) // an inactive member
	add("early@university.example", member, projectURL(apollo))
	add("early@university.example", member, projectURL(apollo))
	add("late@university.example", member, projectURL(apollo))
	add("civil@university.example", member, projectURL(apollo), func(r *bulk.Row) { r.CivilNumber = "1 2" })
	add("civil@university.example", nothing, projectURL(nothing), func(r *bulk.Row) { r.CivilNumber = "1 2" })
	add("full@university.example", member, projectURL(apollo), func(r *bulk.Row) {
		r.FullName, r.CivilNumber, r.ExtraInvitationText, r.JobTitle = "Full \"Name\"", "123", "We\nstart.", "Ünna"
		r.NativeName, r.PhoneNumber, r.Organization = "N", "+372", "Ö"
		r.Expires, r.MembershipExpires = "2026-12-01T10:00:00Z", "2027-01-01T10:00:00.123456789+02:00"
	})
	add("short@university.example", member, projectURL(apollo), func(r *bulk.Row) { r.Expires = "2026-11-23T09:31:00Z" })
	for i := range 12 {
		add(fmt.Sprintf("many%d@university.example", i%5), member, projectURL([]string{apollo, managed, borea}[i%3]))
	}
	return rows
}

// single does what a row asks for with Create.
func (e *env) single(caller directory.Actor, row bulk.Row) error {
	e.Helper()
	d := invitation.Draft{
		Email: row.Email, ScopeURL: row.Scope, FullName: row.FullName, NativeName: row.NativeName, PhoneNumber: row.PhoneNumber,
		Organization: row.Organization, JobTitle: row.JobTitle, CivilNumber: row.CivilNumber,
		ExtraInvitationText: row.ExtraInvitationText, Expires: parse(e, row.Expires), MembershipExpires: parse(e, row.MembershipExpires),
	}
	if id, isUUID := directory.ParseUUID(row.Scope); isUUID && id.String() != nothing {
		d.ScopeURL = projectURL(row.Scope)
		if row.Scope == acme {
			d.ScopeURL = "/api/customers/" + acme + "/"
		}
	}
	id, isUUID := directory.ParseUUID(row.Role)
	if !isUUID {
		require.NoError(e, e.db.FileStore().Read(e.Context(), func(tx directory.FileTx) error {
			found, err := tx.FindRoles(nil, []string{row.Role})
			require.Len(e, found, 1)
			id = found[0].UUID
			return err
		}))
	}
	d.Role = id
	_, err := e.invitations.Create(e.Context(), caller, d)
	return err
}

func parse(e *env, text string) *time.Time {
	if text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(e, err)
	at = at.UTC().Truncate(time.Microsecond)
	return &at
}

// prepare makes what everyKind finds.
func (e *env) prepare() {
	e.Helper()
	sam := e.user("sam")
	require.NoError(e, e.single(sam, bulk.Row{Email: "late@university.example", Role: member, Scope: projectURL(apollo)}))
	e.clock.Advance(8 * 24 * time.Hour)
	require.NoError(e, e.single(sam, bulk.Row{Email: "Early@university.example", Role: member, Scope: projectURL(apollo)}))
}

// rows returns what is stored of all invitations and events, without what is random.
func (e *env) rows() (found []string) {
	e.Helper()
	require.NoError(e, e.db.Bulk().Read(e.Context(), func(tx bulk.Tx) error {
		all, total, err := tx.List(invitation.Query{Visible: directory.Visibility{ScopeSet: directory.ScopeSet{All: true}}, Window: directory.Window{Limit: 300}})
		require.Len(e, all, total)
		for _, each := range all {
			id := each.UUID
			each.UUID, each.LinkUUID = uuid.Nil, nil
			events, _, err := tx.ListEvents(id, directory.Window{Limit: 10})
			require.NoError(e, err)
			line := fmt.Sprintf("%s %s %s %s", each.Email, each.Role.Name, each.Scope.Name, encode(e, each))
			for _, event := range events {
				event.ID, event.InvitationUUID = 0, uuid.Nil
				line += "\n\t" + encode(e, event)
			}
			found = append(found, line)
		}
		return err
	}))
	slices.Sort(found)
	return found
}

// A batch decides about each row as Create does about the same rows one after the other, in the same words, and writes the same.
func TestBatchDecidesAsCreate(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]func(*invitation.Policy){
		"by default":        func(*invitation.Policy) {},
		"one manager":       func(p *invitation.Policy) { p.OneProjectManager = true },
		"ceiling":           func(p *invitation.Policy) { p.RoleCeiling, p.LinkSecret = true, true },
		"approval":          func(p *invitation.Policy) { p.OnlyStaffCanInvite = true },
		"recipient's limit": func(p *invitation.Policy) { p.LimitRecipient = invitation.Limit{Count: 2, Per: time.Hour} },
		"inviter's limit":   func(p *invitation.Policy) { p.LimitInviter = invitation.Limit{Count: 5, Per: time.Hour} },
		"fewer fields":      func(p *invitation.Policy) { p.AllowedFields = nil },
	} {
		for _, username := range []string{"olivia", "sam", "mona"} {
			t.Run(name+" "+username, func(t *testing.T) {
				t.Parallel()
				storetest.Each(t, func(t *testing.T, engine storetest.Engine) {
					one, many := newEnv(t, engine, policy), newEnv(t, engine, policy)
					one.prepare()
					many.prepare()
					rows := everyKind()
					dry, err := many.bulk.DryRun(t.Context(), many.user(username), bulk.Submission{Rows: rows, OnDuplicate: bulk.Skip})
					require.NoError(t, err)
					report, err := many.bulk.Do(t.Context(), many.user(username), bulk.Submission{Rows: rows, OnDuplicate: bulk.Skip})
					require.NoError(t, err)
					require.Len(t, report.Results, len(rows))
					caller := one.user(username)
					for i, got := range report.Results {
						err := one.single(caller, rows[i])
						want := bulk.Result{Index: i, Row: rows[i], Code: bulk.Created}
						var refusal *fault.Error
						switch {
						case err == nil:
							require.NotNil(t, got.UUID)
						case errors.As(err, &refusal) && refusal.Kind == fault.KindInvalid:
							want.Code, want.Errors = got.Code, refusal.Fields
							require.NotEqual(t, bulk.Created, got.Code, err)
						case refusal != nil && len(rows[i].Check()) > 0: // what is wrong with the row alone comes first, as in the API
							want.Code, want.Errors = bulk.Invalid, rows[i].Check()
						case refusal != nil:
							want.Code, want.Errors = bulk.Refused, fault.Fields{fault.NonField: {refusal.Message}}
						}
						if strings.Contains(fmt.Sprint(want.Errors), "Pending invitation already exists") {
							want.Code = bulk.Duplicate
							require.NotNil(t, got.UUID)
						}
						want.UUID = got.UUID
						require.Equal(t, want, got, "row %d", i)
						got.UUID, dry.Results[i].UUID = nil, nil
						require.Equal(t, got, dry.Results[i], "row %d of the dry run", i)
					}
					require.Equal(t, report.Counts, dry.Counts)
					wantRows, gotRows := one.rows(), many.rows()
					require.Len(t, gotRows, len(wantRows))
					for i := range wantRows {
						require.Equal(t, wantRows[i], gotRows[i])
					}
					require.Len(t, storetest.Jobs(t, many.db, "deliver_invitation"), len(storetest.Jobs(t, one.db, "deliver_invitation")))
					require.Len(t, storetest.Jobs(t, many.db, "notify_user"), len(storetest.Jobs(t, one.db, "notify_user")))
				})
			})
		}
	}
}
