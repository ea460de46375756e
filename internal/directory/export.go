package directory

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
)

// How many rows are read, and held, at once. A customer comes with all that belongs to it.
const (
	exportedUsers     = 5_000
	exportedCustomers = 200
)

// Export writes the directory in the form that Parse reads: every role, user and scope with its uuid, and the
// memberships in force, in an order that depends on nothing else. What has its default is left out; tokens always
// are. To apply it to the same directory changes nothing. It returns fault.KindUnavailable where the database can't be
// reached or is busy, and the writer's own error where writing fails.
func Export(ctx context.Context, store Store, w io.Writer) error {
	out := bufio.NewWriter(w)
	err := store.Read(ctx, func(tx Tx) error {
		for _, each := range []func(Tx, *section) error{exportRoles, exportUsers, exportCustomers} {
			if err := each(tx, &section{out: out}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// section is one of the lists at the top of the file, written record by record: the YAML library would hold all.
type section struct {
	out   *bufio.Writer
	begun bool
}

func (s *section) write(list string, record any) error {
	var text bytes.Buffer // the encoder makes a text of a writer's error
	if !s.begun {
		s.begun = true
		text.WriteString(list + ":\n")
	}
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := errors.Join(encoder.Encode([]any{record}), encoder.Close()); err != nil {
		return err
	}
	_, err := s.out.Write(text.Bytes())
	return err
}

// The records as they are written. A pointer is to a value that is not the default.
type (
	roleYAML struct {
		UUID        string    `yaml:"uuid"`
		Name        string    `yaml:"name"`
		Description string    `yaml:"description,omitempty"`
		ScopeType   ScopeType `yaml:"scope_type"`
		Permissions []string  `yaml:"permissions,flow,omitempty"`
		IsActive    *bool     `yaml:"is_active,omitempty"`
	}
	userYAML struct {
		UUID                 string `yaml:"uuid"`
		Username             string `yaml:"username"`
		Email                string `yaml:"email,omitempty"`
		FullName             string `yaml:"full_name,omitempty"`
		CivilNumber          string `yaml:"civil_number,omitempty"`
		Image                string `yaml:"image,omitempty"`
		IsStaff              bool   `yaml:"is_staff,omitempty"`
		IsSupport            bool   `yaml:"is_support,omitempty"`
		IsActive             *bool  `yaml:"is_active,omitempty"`
		NotificationsEnabled *bool  `yaml:"notifications_enabled,omitempty"`
	}
	scopeYAML struct {
		UUID              string       `yaml:"uuid"`
		Type              ScopeType    `yaml:"type,omitempty"`
		Name              string       `yaml:"name"`
		Description       string       `yaml:"description,omitempty"`
		StartDate         *day         `yaml:"start_date,omitempty"`
		UserEmailPatterns []string     `yaml:"user_email_patterns,omitempty"`
		IsRemoved         bool         `yaml:"is_removed,omitempty"`
		Members           []memberYAML `yaml:"members,omitempty"`
		Projects          []scopeYAML  `yaml:"projects,omitempty"`
		Scopes            []scopeYAML  `yaml:"scopes,omitempty"`
	}
	memberYAML struct {
		User           string  `yaml:"user"`
		Role           string  `yaml:"role"`
		ExpirationTime *moment `yaml:"expiration_time,omitempty"`
	}
)

type (
	day    time.Time // written without a time
	moment time.Time // written in UTC, whatever the engine returns
)

func (d day) MarshalYAML() (any, error) {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: time.Time(d).UTC().Format(time.DateOnly)}, nil
}

func (m moment) MarshalYAML() (any, error) { return time.Time(m).UTC(), nil }

// unless returns a pointer to a flag that is not the default.
func unless(otherwise, flag bool) *bool {
	if flag == otherwise {
		return nil
	}
	return &flag
}

func exportRoles(tx Tx, s *section) error {
	roles, err := tx.AllRoles()
	if err != nil {
		return err
	}
	for _, each := range roles {
		if err := s.write("roles", roleYAML{
			UUID: each.UUID.String(), Name: each.Name, Description: each.Description, ScopeType: each.ScopeType,
			Permissions: each.Permissions, IsActive: unless(true, each.IsActive),
		}); err != nil {
			return err
		}
	}
	return nil
}

func exportUsers(tx Tx, s *section) error {
	for last := ""; ; {
		users, err := tx.UsersAfter(last, exportedUsers)
		if err != nil || len(users) == 0 {
			return err
		}
		for _, each := range users {
			if err := s.write("users", userYAML{
				UUID: each.UUID.String(), Username: each.Username, Email: each.Email, FullName: each.FullName,
				CivilNumber: each.CivilNumber, Image: each.Image, IsStaff: each.IsStaff, IsSupport: each.IsSupport,
				IsActive:             unless(true, each.IsActive),
				NotificationsEnabled: unless(true, each.NotificationsEnabled),
			}); err != nil {
				return err
			}
		}
		last = users[len(users)-1].Username
	}
}

func exportCustomers(tx Tx, s *section) error {
	for name, id := "", uuid.Nil; ; {
		customers, err := tx.CustomersAfter(name, id, exportedCustomers)
		if err != nil || len(customers) == 0 {
			return err
		}
		ids := make([]uuid.UUID, len(customers))
		for i, each := range customers {
			ids[i] = each.UUID
		}
		scopes, err := tx.ScopesOf(ids)
		if err != nil {
			return err
		}
		holders, err := tx.HoldersIn(ids)
		if err != nil {
			return err
		}
		members := map[uuid.UUID][]memberYAML{}
		for _, each := range holders {
			members[each.ScopeUUID] = append(members[each.ScopeUUID],
				memberYAML{User: each.Username, Role: each.RoleName, ExpirationTime: (*moment)(each.Expires)})
		}
		projects, others := map[uuid.UUID][]scopeYAML{}, map[uuid.UUID][]scopeYAML{}
		for _, each := range scopes {
			written := newScopeYAML(each, members)
			if each.Type == Project {
				projects[each.CustomerUUID] = append(projects[each.CustomerUUID], written)
				continue
			}
			written.Type = each.Type
			others[each.CustomerUUID] = append(others[each.CustomerUUID], written)
		}
		for _, each := range customers {
			written := newScopeYAML(each, members)
			written.Projects, written.Scopes = projects[each.UUID], others[each.UUID]
			if err := s.write("customers", written); err != nil {
				return err
			}
		}
		name, id = customers[len(customers)-1].Name, ids[len(ids)-1]
	}
}

func newScopeYAML(s Scope, members map[uuid.UUID][]memberYAML) scopeYAML {
	return scopeYAML{
		UUID: s.UUID.String(), Name: s.Name, Description: s.Description, StartDate: (*day)(s.StartDate),
		UserEmailPatterns: s.UserEmailPatterns, IsRemoved: s.IsRemoved, Members: members[s.UUID],
	}
}
