package dirfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"invited/internal/directory"
)

// keySet is the set of keys that a record has in the file. A key that a record leaves out stays as it is.
type keySet uint32

// keyNames are the keys of all records that can be left out.
var keyNames = []string{
	"description", "permissions", "is_active", "full_name", "email", "civil_number", "image", "is_staff", "is_support", "kind",
	"notifications_enabled", "user_email_patterns", "is_removed", "start_date", "expiration_time",
}

func (s *keySet) add(key string) {
	if i := slices.Index(keyNames, key); i >= 0 {
		*s |= 1 << i
	}
}

func (s keySet) has(key string) bool { return s&(1<<slices.Index(keyNames, key)) != 0 }

// onto returns a role's row as the record makes it.
func (r roleRecord) onto(row directory.Role) directory.Role {
	row.Name, row.NameFolded = r.Name, r.NameFolded
	if r.given.has("description") {
		row.Description, row.DescriptionFolded = r.Description, r.DescriptionFolded
	}
	if r.given.has("permissions") {
		row.Permissions = r.Permissions
	}
	if r.given.has("is_active") {
		row.IsActive = r.IsActive
	}
	return row
}

// onto returns a user's row as the record makes it.
func (u userRecord) onto(row directory.User) directory.User {
	row.Username = u.Username
	for _, each := range []struct {
		key string
		set func()
	}{
		{"full_name", func() { row.FullName, row.FullNameFolded = u.FullName, u.FullNameFolded }},
		{"email", func() { row.Email, row.EmailFolded = u.Email, u.EmailFolded }},
		{"civil_number", func() { row.CivilNumber = u.CivilNumber }},
		{"image", func() { row.Image = u.Image }},
		{"is_staff", func() { row.IsStaff = u.IsStaff }},
		{"is_support", func() { row.IsSupport = u.IsSupport }},
		{"is_active", func() { row.IsActive = u.IsActive }},
		{"kind", func() { row.Kind = u.Kind }},
		{"notifications_enabled", func() { row.NotificationsEnabled = u.NotificationsEnabled }},
	} {
		if u.given.has(each.key) {
			each.set()
		}
	}
	return row
}

// onto returns a scope's row as the record makes it.
func (s scopeRecord) onto(row directory.Scope) directory.Scope {
	row.Type, row.Name, row.NameFolded, row.Slug = s.Type, s.Name, s.NameFolded, s.Slug
	if s.given.has("description") {
		row.Description, row.DescriptionFolded = s.Description, s.DescriptionFolded
	}
	if s.given.has("user_email_patterns") {
		row.UserEmailPatterns = s.UserEmailPatterns
	}
	if s.given.has("is_removed") {
		row.IsRemoved = s.IsRemoved
	}
	if s.given.has("start_date") {
		row.StartDate = s.StartDate
	}
	return row
}

// FieldChange is one field that Apply changes of a record that exists, or would change. It holds no secret: of API tokens there
// is only a number.
type FieldChange struct {
	Record        string // such as "user anna"
	Field         string
	Before, After string
}

// String returns the change on one line.
func (c FieldChange) String() string {
	return c.Record + ": " + c.Field + ": " + c.Before + " → " + c.After
}

// maxFieldChanges is the number of field changes that Apply returns.
const maxFieldChanges = 1_000

// noteChange notes a field of an existing record, if it changes.
func (p *planner) noteChange(record, field, before, after string) {
	if before == after {
		return
	}
	if p.changes.report.More > 0 || len(p.changes.report.Fields) == maxFieldChanges {
		p.changes.report.More++
		return
	}
	p.changes.report.Fields = append(p.changes.report.Fields, FieldChange{record, field, before, after})
}

// noteKeptStaff notes that a user stays staff or support because the record leaves the key out.
func (p *planner) noteKeptStaff(u userRecord, row directory.User) {
	for _, each := range []struct {
		key, word string
		kept      bool
	}{{"is_staff", "staff", row.IsStaff}, {"is_support", "support", row.IsSupport}} {
		if kept := &p.changes.report.KeptStaff; each.kept && !u.given.has(each.key) && len(*kept) < maxFieldChanges {
			*kept = append(*kept, Problem{u.path(each.key), u.line, fmt.Sprintf("%s stays %s: write %s: false to take it away",
				directory.Excerpt(u.Username), each.word, each.key)})
		}
	}
}

func (p *planner) noteRole(row, want directory.Role) {
	record := "role " + directory.Excerpt(row.Name)
	p.noteChange(record, "name", shown(row.Name), shown(want.Name))
	p.noteChange(record, "description", shown(row.Description), shown(want.Description))
	p.noteChange(record, "permissions", shownList(row.Permissions), shownList(want.Permissions))
	p.noteChange(record, "is_active", strconv.FormatBool(row.IsActive), strconv.FormatBool(want.IsActive))
}

func (p *planner) noteUser(row, want directory.User) {
	record := "user " + directory.Excerpt(row.Username)
	p.noteChange(record, "username", shown(row.Username), shown(want.Username))
	p.noteChange(record, "full_name", shown(row.FullName), shown(want.FullName))
	p.noteChange(record, "email", shown(row.Email), shown(want.Email))
	p.noteChange(record, "civil_number", shown(row.CivilNumber), shown(want.CivilNumber))
	p.noteChange(record, "image", shown(row.Image), shown(want.Image))
	p.noteChange(record, "is_staff", strconv.FormatBool(row.IsStaff), strconv.FormatBool(want.IsStaff))
	p.noteChange(record, "is_support", strconv.FormatBool(row.IsSupport), strconv.FormatBool(want.IsSupport))
	p.noteChange(record, "is_active", strconv.FormatBool(row.IsActive), strconv.FormatBool(want.IsActive))
	p.noteChange(record, "kind", shownKind(row.Kind), shownKind(want.Kind))
	p.noteChange(record, "notifications_enabled",
		strconv.FormatBool(row.NotificationsEnabled), strconv.FormatBool(want.NotificationsEnabled))
}

func (p *planner) noteScope(row, want directory.Scope) {
	record := string(row.Type) + " " + directory.Excerpt(row.Name)
	p.noteChange(record, "name", shown(row.Name), shown(want.Name))
	p.noteChange(record, "slug", shown(row.Slug), shown(want.Slug))
	p.noteChange(record, "description", shown(row.Description), shown(want.Description))
	p.noteChange(record, "start_date", shownDay(row.StartDate), shownDay(want.StartDate))
	p.noteChange(record, "user_email_patterns", shownList(row.UserEmailPatterns), shownList(want.UserEmailPatterns))
	p.noteChange(record, "is_removed", strconv.FormatBool(row.IsRemoved), strconv.FormatBool(want.IsRemoved))
}

func shown(text string) string {
	if text == "" {
		return "none"
	}
	return directory.Excerpt(text)
}

// shownList shows the first items of a list.
func shownList(items []string) string {
	const most = 20
	texts := make([]string, 0, min(len(items), most)+1)
	for _, each := range items[:min(len(items), most)] {
		texts = append(texts, directory.Excerpt(each))
	}
	if more := len(items) - most; more > 0 {
		texts = append(texts, strconv.Itoa(more)+" more")
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func shownKind(kind directory.UserKind) string {
	if kind == "" {
		return "person"
	}
	return string(kind)
}

func shownDay(day *time.Time) string {
	if day == nil {
		return "none"
	}
	return day.Format(time.DateOnly)
}

func shownTime(at *time.Time) string {
	if at == nil {
		return "none"
	}
	return at.Format(time.RFC3339)
}
