package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"invited/internal/database"
	"invited/internal/directory"
	"invited/internal/storetest"
	"invited/internal/token"
)

// Each read of the directory is one statement, beside the one that looks up the caller, whatever the number of rows.
func TestReadingTheDirectoryTakesOneStatement(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		statements := &storetest.Statements{}
		db := statements.Open(t, e.Fresh(t), database.Options{
			Clock: storetest.NewClock(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)).Now,
		})
		for _, many := range []int{1, 40} {
			var file strings.Builder
			file.WriteString("users: [{username: ann, full_name: Ann, tokens: [ann-key]}]\nroles:\n")
			for i := range many {
				fmt.Fprintf(&file, "- {name: ROLE.%d, scope_type: project, permissions: [PROJECT.CREATE_PERMISSION]}\n", i)
			}
			file.WriteString("customers:\n")
			for i := range many {
				fmt.Fprintf(&file, "- {name: C%d, projects: [{name: P%d, members: [{user: ann, role: ROLE.%d}]}]}\n", i, i, i)
			}
			applyFile(t, db, file.String())

			statements.Take()
			found, err := db.Credential(t.Context(), token.Digest("ann-key"))
			ann := found.Actor
			require.NoError(t, err)
			require.Len(t, statements.Take(), 1)
			reader := &directory.Reader{Store: db.ReadStore()}
			projects, total, err := reader.Scopes(t.Context(), ann, directory.ScopeQuery{Type: directory.Project}, 1, 300)
			require.NoError(t, err)
			require.Len(t, projects, many)
			require.Equal(t, many, total)
			roles, _, err := reader.Roles(t.Context(), ann, directory.RoleQuery{}, 1, 300)
			require.NoError(t, err)
			require.Len(t, roles, many)
			for name, read := range map[string]func() error{
				"scopes": func() error {
					_, _, err := reader.Scopes(t.Context(), ann, directory.ScopeQuery{Type: directory.Customer, Any: "c"}, 1, 300)
					return err
				},
				"scope": func() error {
					_, err := reader.Scope(t.Context(), ann, directory.Project, projects[0].UUID)
					return err
				},
				"customers with counts": func() error {
					found, _, err := reader.Scopes(t.Context(), ann,
						directory.ScopeQuery{Type: directory.Customer, WithCounts: true, WithPatterns: true}, 1, 300)
					require.Len(t, found, many)
					require.Equal(t, 1, found[0].ProjectsCount)
					return err
				},
				"scope with details": func() error {
					_, err := reader.ScopeWithDetails(t.Context(), ann, directory.Customer, projects[0].CustomerUUID)
					return err
				},
				"roles with counts": func() error {
					staff := directory.Actor{User: directory.User{IsStaff: true}}
					found, _, err := reader.Roles(t.Context(), staff, directory.RoleQuery{CountUsers: true}, 1, 300)
					require.Equal(t, 1, *found[0].UsersCount)
					return err
				},
				"count of scopes": func() error {
					_, err := reader.CountScopes(t.Context(), ann, directory.ScopeQuery{Type: directory.Project})
					return err
				},
				"roles": func() error {
					_, _, err := reader.Roles(t.Context(), ann, directory.RoleQuery{Name: "role"}, 1, 300)
					return err
				},
				"role": func() error {
					_, err := reader.Role(t.Context(), ann, roles[0].UUID)
					return err
				},
				"permissions": func() error {
					found, _, err := reader.Permissions(t.Context(), ann, directory.PermissionQuery{FullName: "ANN"}, 1, 300)
					require.Len(t, found, many)
					return err
				},
				"own": func() error {
					found, err := reader.Own(t.Context(), ann)
					require.Len(t, found, many)
					require.NotEqual(t, uuid.Nil, found[0].Scope.Customer.UUID)
					return err
				},
			} {
				statements.Take()
				require.NoError(t, read(), name)
				require.Len(t, statements.Take(), 1, "%s of %d", name, many)
			}
		}
	})
}
