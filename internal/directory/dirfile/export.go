package dirfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"invited/internal/directory"
)

// Numbers of rows that are read and kept in memory at once. A customer is read with all its scopes and memberships.
const (
	exportUsersSize     = 5_000
	exportCustomersSize = 200
)

// Export writes the directory as a file that Decode reads. The file has every role, user and scope with its uuid, and the
// active memberships. It leaves out values that are the default, and all tokens. The order of the records depends only on
// their names and uuids. Apply of the file to the same database changes nothing. Export returns fault.KindUnavailable
// when the database is busy or can't be reached, and the writer's own error when writing fails.
func Export(ctx context.Context, store directory.FileStore, w io.Writer) error {
	out := bufio.NewWriter(w)
	err := store.Read(ctx, func(tx directory.FileTx) error {
		for _, export := range []func(directory.FileTx, *section) error{exportRoles, exportUsers, exportCustomers} {
			if err := export(tx, &section{out: out}); err != nil {
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

// section writes one of the file's lists record by record, because the YAML library would keep the whole list in memory.
type section struct {
	out     *bufio.Writer
	started bool
}

func (s *section) write(list string, record any) error {
	var text bytes.Buffer // with s.out, the encoder would turn the writer's error into another one
	if !s.started {
		s.started = true
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

// The records as the file has them. A nil pointer leaves a value out.
type (
	roleYAML struct {
		UUID        string              `yaml:"uuid"`
		Name        string              `yaml:"name"`
		Description string              `yaml:"description,omitempty"`
		ScopeType   directory.ScopeType `yaml:"scope_type"`
		Permissions []string            `yaml:"permissions,flow,omitempty"`
		IsActive    *bool               `yaml:"is_active,omitempty"`
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

		Kind directory.UserKind `yaml:"kind,omitempty"`
	}
	scopeYAML struct {
		UUID              string              `yaml:"uuid"`
		Type              directory.ScopeType `yaml:"type,omitempty"`
		Name              string              `yaml:"name"`
		Description       string              `yaml:"description,omitempty"`
		StartDate         *date               `yaml:"start_date,omitempty"`
		UserEmailPatterns []string            `yaml:"user_email_patterns,omitempty"`
		IsRemoved         bool                `yaml:"is_removed,omitempty"`
		Members           []memberYAML        `yaml:"members,omitempty"`
		Projects          []scopeYAML         `yaml:"projects,omitempty"`
		Scopes            []scopeYAML         `yaml:"scopes,omitempty"`
	}
	memberYAML struct {
		User           string     `yaml:"user"`
		Role           string     `yaml:"role"`
		ExpirationTime *timestamp `yaml:"expiration_time,omitempty"`
	}
)

type (
	date      time.Time // written without the time of day
	timestamp time.Time // written in UTC, whichever zone the database driver returns
)

func (d date) MarshalYAML() (any, error) {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: time.Time(d).UTC().Format(time.DateOnly)}, nil
}

func (t timestamp) MarshalYAML() (any, error) { return time.Time(t).UTC(), nil }

// unlessTrue returns nil for true, which is the default of some flags.
func unlessTrue(flag bool) *bool {
	if flag {
		return nil
	}
	return &flag
}

func exportRoles(tx directory.FileTx, s *section) error {
	roles, err := tx.AllRoles()
	if err != nil {
		return err
	}
	for _, each := range roles {
		if err := s.write("roles", roleYAML{
			UUID: each.UUID.String(), Name: each.Name, Description: each.Description, ScopeType: each.ScopeType,
			Permissions: each.Permissions, IsActive: unlessTrue(each.IsActive),
		}); err != nil {
			return err
		}
	}
	return nil
}

func exportUsers(tx directory.FileTx, s *section) error {
	for last := ""; ; {
		users, err := tx.UsersAfter(last, exportUsersSize)
		if err != nil || len(users) == 0 {
			return err
		}
		for _, each := range users {
			if err := s.write("users", userYAML{
				UUID: each.UUID.String(), Username: each.Username, Email: each.Email, FullName: each.FullName,
				CivilNumber: each.CivilNumber, Image: each.Image, IsStaff: each.IsStaff, IsSupport: each.IsSupport,
				IsActive:             unlessTrue(each.IsActive),
				NotificationsEnabled: unlessTrue(each.NotificationsEnabled),
				Kind:                 each.Kind,
			}); err != nil {
				return err
			}
		}
		last = users[len(users)-1].Username
	}
}

func exportCustomers(tx directory.FileTx, s *section) error {
	for name, id := "", uuid.Nil; ; {
		customers, err := tx.CustomersAfter(name, id, exportCustomersSize)
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
				memberYAML{User: each.Username, Role: each.RoleName, ExpirationTime: (*timestamp)(each.Expires)})
		}
		projects, others := map[uuid.UUID][]scopeYAML{}, map[uuid.UUID][]scopeYAML{}
		for _, each := range scopes {
			written := newScopeYAML(each, members)
			if each.Type == directory.Project {
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

func newScopeYAML(s directory.Scope, members map[uuid.UUID][]memberYAML) scopeYAML {
	return scopeYAML{
		UUID: s.UUID.String(), Name: s.Name, Description: s.Description, StartDate: (*date)(s.StartDate),
		UserEmailPatterns: s.UserEmailPatterns, IsRemoved: s.IsRemoved, Members: members[s.UUID],
	}
}
