package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/invitation"
)

// An invitation is read with every column that was written, and with its role, scope, customer and creator.
func TestFindReadsTheWholeInvitation(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		start, link := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), uuid.New()
		require.NoError(t, e.exec(`UPDATE scopes SET user_email_patterns = '["%s@.*"]', description = name`, "project"))
		require.NoError(t, e.exec(`UPDATE scopes SET user_email_patterns = '["c", "d"]' WHERE type = 'customer'`))
		require.NoError(t, e.exec(`UPDATE scopes SET start_date = '2026-11-23T00:00:00.000000Z' WHERE type = 'project'`))
		want := e.newInvitation("Ina@University.example")
		want.Created, want.Delivery, want.ExecutionState, want.ErrorMessage = start.Add(time.Microsecond), 3, invitation.Erred, `"why?" 🙂`
		want.Reminded, want.LinkUUID, want.FullName, want.NativeName = true, &link, "Ina", "Ína"
		want.PhoneNumber, want.Organization, want.JobTitle, want.CivilNumber = "+1", "O", "J", "C"
		want.ExtraInvitationText = "line\nline"
		e.insert(want)
		want.Role = directory.Role{UUID: adminRoleID, Name: "PROJECT.ADMIN", ScopeType: directory.Project, IsActive: true}
		want.Scope = directory.Scope{
			UUID: projectID, Type: directory.Project, Name: "Apollo", Description: "Apollo", StartDate: &start, CustomerUUID: customerID,
			Customer: &directory.Scope{UUID: customerID, Type: directory.Customer, Name: "Acme", CustomerUUID: customerID},
		}
		want.CreatedBy = &directory.User{UUID: oliviaID, Username: "olivia", Email: "olivia@acme.example", IsActive: true}
		e.read(func(tx invitation.Tx) {
			found, err := tx.Find(want.UUID)
			require.NoError(t, err)
			require.Equal(t, want, found)
			open, err := tx.FindOpen("ina@university.example", adminRoleID, projectID)
			require.NoError(t, err)
			require.Equal(t, want, open)
			rows, total, err := tx.List(invitation.Query{Visible: everything, Window: directory.Window{Limit: 1}})
			require.NoError(t, err)
			listed := want
			listed.FirstCreated = want.Created
			require.Equal(t, []invitation.Invitation{listed}, rows)
			require.Equal(t, 1, total)
			linked, err := tx.FindByLink(link)
			require.NoError(t, err)
			require.Equal(t, want.UUID, linked)

			checked, err := tx.FindForCheck(want.UUID)
			require.NoError(t, err)
			require.Equal(t, invitation.Invitation{
				UUID: want.UUID, StoredState: want.StoredState, Created: want.Created, Email: want.Email, EmailFolded: want.EmailFolded,
				CivilNumber: want.CivilNumber, LinkUUID: want.LinkUUID,
				Scope: directory.Scope{Type: directory.Project, StartDate: &start, Customer: &directory.Scope{}},
			}, checked)

			changed, err := tx.FindForChange(want.UUID)
			require.NoError(t, err)
			want.Scope.UserEmailPatterns, want.Scope.Customer.UserEmailPatterns = []string{"project@.*"}, []string{"c", "d"}
			require.Equal(t, want, changed)
		})

		require.NoError(t, e.exec("DELETE FROM users"))
		found := e.mustFind(want.UUID)
		require.Nil(t, found.CreatedBy)
		require.Nil(t, found.CreatedByUUID)
		require.NoError(t, e.exec("UPDATE invitations SET state = 'canceled'"))
		e.read(func(tx invitation.Tx) {
			_, err := tx.FindOpen("ina@university.example", adminRoleID, projectID)
			require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
		})
	})
}

// Each method that finds one row returns fault.KindNotFound where the row is missing.
func TestFindReturnsNotFound(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		e.insert(e.newInvitation("ina@university.example"))
		id := uuid.New()
		for name, find := range map[string]func(tx invitation.Tx) error{
			"Find":          func(tx invitation.Tx) error { _, err := tx.Find(id); return err },
			"FindForChange": func(tx invitation.Tx) error { _, err := tx.FindForChange(id); return err },
			"FindForCheck":  func(tx invitation.Tx) error { _, err := tx.FindForCheck(id); return err },
			"FindByLink":    func(tx invitation.Tx) error { _, err := tx.FindByLink(id); return err },
			"FindOpen by e-mail": func(tx invitation.Tx) error {
				_, err := tx.FindOpen("una@university.example", adminRoleID, projectID)
				return err
			},
			"FindOpen by role": func(tx invitation.Tx) error {
				_, err := tx.FindOpen("ina@university.example", memberRoleID, projectID)
				return err
			},
			"FindOpen by scope": func(tx invitation.Tx) error {
				_, err := tx.FindOpen("ina@university.example", adminRoleID, customerID)
				return err
			},
			"FindActor": func(tx invitation.Tx) error { _, err := tx.FindActor(id); return err },
			"FindStaff": func(tx invitation.Tx) error { _, err := tx.FindStaff(id); return err },
			"FindRole":  func(tx invitation.Tx) error { _, err := tx.FindRole(id); return err },
		} {
			e.read(func(tx invitation.Tx) {
				err := find(tx)
				require.True(t, fault.Is(err, fault.KindNotFound), "%s: %v", name, err)
			})
		}
		err := e.db.Invitations().Change(t.Context(), func(tx invitation.Tx) ([]invitation.Change, error) {
			return nil, tx.LockScope(id)
		})
		require.True(t, fault.Is(err, fault.KindNotFound), "%v", err)
	})
}

func TestFindOpenAllMatchesPairs(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		insert := func(email string, role, scope uuid.UUID, state invitation.State) uuid.UUID {
			i := e.newInvitation(email)
			i.RoleUUID, i.ScopeUUID, i.StoredState = role, scope, state
			return e.insert(i)
		}
		ina := insert("Ina@x.example", adminRoleID, projectID, invitation.Pending)
		una := insert("una@x.example", memberRoleID, projectID, invitation.Project)
		ona := insert("ona@x.example", memberRoleID, projectID, invitation.Requested)
		insert("una@x.example", adminRoleID, projectID, invitation.Pending)
		insert("ina@x.example", adminRoleID, customerID, invitation.Pending)
		insert("eva@x.example", adminRoleID, projectID, invitation.Expired)
		pairs := []invitation.Pair{
			{Email: "ina@x.example", Role: adminRoleID},
			{Email: "una@x.example", Role: memberRoleID},
			{Email: "ona@x.example", Role: memberRoleID},
			{Email: "eva@x.example", Role: adminRoleID},
			{Email: `nobody'"@x.example`, Role: adminRoleID},
		}
		for len(pairs) < 40_000 { // each pair would be two arguments, of which PostgreSQL allows 65,535
			pairs = append(pairs, invitation.Pair{Email: uuid.NewString(), Role: adminRoleID})
		}
		e.read(func(tx invitation.Tx) {
			found, err := tx.FindOpenAll(projectID, pairs)
			require.NoError(t, err)
			ids := []uuid.UUID{}
			for _, each := range found {
				ids = append(ids, each.UUID)
				whole := e.mustFind(each.UUID)
				require.Equal(t, invitation.Invitation{
					UUID: whole.UUID, StoredState: whole.StoredState, Created: whole.Created, EmailFolded: whole.EmailFolded, RoleUUID: whole.RoleUUID,
				}, inUTC(each))
			}
			require.ElementsMatch(t, []uuid.UUID{ina, una, ona}, ids)
			found, err = tx.FindOpenAll(projectID, nil)
			require.NoError(t, err)
			require.Empty(t, found)
		})
	})
}

// inUTC returns an invitation with its time in UTC.
func inUTC(i invitation.Invitation) invitation.Invitation {
	i.Created = i.Created.UTC()
	return i
}

// A target that is missing has no UUID, and so has a scope that is removed or whose customer is.
func TestFindTarget(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		require.NoError(t, e.exec(`UPDATE scopes SET user_email_patterns = '["' || type || '"]'`))
		project := directory.Scope{
			UUID: projectID, Type: directory.Project, Name: "Apollo", CustomerUUID: customerID, UserEmailPatterns: []string{"project"},
			Customer: &directory.Scope{
				UUID: customerID, Type: directory.Customer, Name: "Acme", CustomerUUID: customerID, UserEmailPatterns: []string{"customer"},
			},
		}
		role := directory.Role{UUID: adminRoleID, Name: "PROJECT.ADMIN", ScopeType: directory.Project, IsActive: true}
		find := func(kind directory.ScopeType, scopeID, roleID uuid.UUID) (scope directory.Scope, found directory.Role) {
			e.read(func(tx invitation.Tx) {
				var err error
				scope, found, err = tx.FindTarget(kind, scopeID, roleID)
				require.NoError(t, err)
			})
			return scope, found
		}
		for name, each := range map[string]struct {
			kind        directory.ScopeType
			scope, role uuid.UUID
			wantScope   directory.Scope
			wantRole    directory.Role
		}{
			"both":         {directory.Project, projectID, adminRoleID, project, role},
			"another type": {directory.Offering, projectID, adminRoleID, directory.Scope{}, role},
			"no scope":     {directory.Project, uuid.New(), adminRoleID, directory.Scope{}, role},
			"no role":      {directory.Project, projectID, uuid.New(), project, directory.Role{}},
			"neither":      {directory.Project, uuid.New(), uuid.New(), directory.Scope{}, directory.Role{}},
		} {
			scope, found := find(each.kind, each.scope, each.role)
			require.Equal(t, each.wantScope, scope, name)
			require.Equal(t, each.wantRole, found, name)
		}
		customer, _ := find(directory.Customer, customerID, adminRoleID)
		require.Equal(t, customerID, customer.UUID)
		for _, kind := range []string{"project", "customer"} {
			require.NoError(t, e.exec("UPDATE scopes SET is_removed = (type = '%s')", kind))
			scope, found := find(directory.Project, projectID, adminRoleID)
			require.Equal(t, directory.Scope{}, scope, "the %s is removed", kind)
			require.Equal(t, role, found)
		}
	})
}

func TestStaffAndMembers(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *env) {
		user := func(name, email string, change func(*directory.User)) uuid.UUID {
			u := directoryUser(name)
			u.Email, u.EmailFolded, u.IsStaff, u.NotificationsEnabled = email, directory.FoldEmail(email), true, true
			change(&u)
			require.NoError(t, e.db.FileStore().Write(t.Context(), func(tx directory.FileTx) error {
				return tx.SaveUsers([]directory.User{u})
			}))
			return u.UUID
		}
		staff := user("staff", "Staff@x.example", func(*directory.User) {})
		quiet := user("quiet", "quiet@x.example", func(u *directory.User) { u.NotificationsEnabled = false })
		silent := user("silent", "", func(*directory.User) {})
		inactive := user("inactive", "inactive@x.example", func(u *directory.User) { u.IsActive = false })
		support := user("support", "support@x.example", func(u *directory.User) { u.IsStaff, u.IsSupport = false, true })
		e.read(func(tx invitation.Tx) {
			found, err := tx.ListStaffToNotify()
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Equal(t, staff, found[0].UUID)
			for id, isStaff := range map[uuid.UUID]bool{staff: true, quiet: true, silent: true, inactive: false, support: false} {
				_, err := tx.FindStaff(id)
				require.Equal(t, !isStaff, fault.Is(err, fault.KindNotFound), "%v", err)
			}
			for email, want := range map[string]bool{"staff@x.example": true, "inactive@x.example": true, "nobody@x.example": false} {
				has, err := tx.HasUser(email)
				require.NoError(t, err)
				require.Equal(t, want, has, email)
			}
		})

		hasMember := func(scope uuid.UUID, role string) (has bool) {
			e.read(func(tx invitation.Tx) {
				var err error
				has, err = tx.HasMember(scope, role)
				require.NoError(t, err)
			})
			return has
		}
		require.False(t, hasMember(projectID, "PROJECT.ADMIN"))
		require.NoError(t, e.change(invitation.Change{Member: e.newMembership()}))
		require.True(t, hasMember(projectID, "PROJECT.ADMIN"))
		require.False(t, hasMember(projectID, "PROJECT.MEMBER"))
		require.False(t, hasMember(customerID, "PROJECT.ADMIN"))
		require.NoError(t, e.exec("UPDATE memberships SET expires = '2026-11-23T09:30:00.000000Z'"))
		require.False(t, hasMember(projectID, "PROJECT.ADMIN"), "the membership has expired")
		require.NoError(t, e.exec("UPDATE memberships SET expires = NULL, revoked = created"))
		require.False(t, hasMember(projectID, "PROJECT.ADMIN"), "the membership is revoked")
	})
}
