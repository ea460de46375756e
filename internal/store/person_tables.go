package store

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
	"invited/internal/identity"
	"invited/internal/person"
)

// columnKind says what a column keeps of a person, and so what an export shows and what becomes of it when the person is erased.
type columnKind int

const (
	noPerson     columnKind = iota // a time, a number, a state, a key, a setting, or the uuid of something
	ofUser                         // the uuid of the user whom the row is about. It stays: the row of the user says no more who that was
	byUser                         // the uuid of a user who made the row; likewise
	anAddress                      // one e-mail address, as typed or folded. It is replaced, where it is the whole value
	aUsername                      // the username of the user in another column. It is replaced; that of others, where the whole is the address
	aName                          // the full name of the user in another column. It is emptied
	aDetail                        // about the person whom the row is about. It is emptied
	freeText                       // what somebody wrote, also JSON and patterns. The address in it is replaced
	derived                        // computed from another column, and again when that one changes
	secret                         // a digest, a key, or encrypted. No export shows it
	bulkContent                    // the JSON of a bulk.Row. The row keeps no more than where it leads
	queueFailure                   // why attempts at a job failed: forgotten where the address is in it
)

// A personColumn says which kind of text a column keeps.
type personColumn struct {
	kind columnKind
	of   string              // the column with the user of aUsername and aName, and the source of derived
	fold func(string) string // of derived
}

// personTable is a table with all its columns.
type personTable struct {
	name string
	// key has the columns of the primary key, and their types on PostgreSQL. A table without a key has no person in it.
	key, keyTypes []string
	columns       map[string]personColumn
	// virtual columns are computed as a row is read.
	virtual map[string]string
	// invitee is the address of the invitation that the row is about, as an expression; "": the row names none. The uuid of an
	// invitation can be its link, which no export shows to anybody else.
	invitee string
	// row is the column with the UUID that the address is computed from that stands for the erased one; "": the key.
	row string
	// isDropped: a row about the person is deleted. Otherwise it stays, without the person.
	isDropped bool
	// version is a column that counts the changes of the row; "": none.
	version string
	// rewrite changes what the kinds of columns don't say; nil: nothing.
	rewrite func(p person.Person, row person.Row, about bool, erasedEmail string, set func(column, value string))
}

// columnsOf returns columns of the same kind.
func columnsOf(kind columnKind, names string) map[string]personColumn {
	columns := map[string]personColumn{}
	for name := range strings.FieldsSeq(names) {
		columns[name] = personColumn{kind: kind}
	}
	return columns
}

// together returns the columns of several lists.
func together(lists ...map[string]personColumn) map[string]personColumn {
	all := map[string]personColumn{}
	for _, list := range lists {
		for name, column := range list {
			all[name] = column
		}
	}
	return all
}

// userNames returns the columns with the names of the user in the column user_uuid.
func userNames() map[string]personColumn {
	return map[string]personColumn{
		"user_username": {kind: aUsername, of: "user_uuid"}, "user_full_name": {kind: aName, of: "user_uuid"},
	}
}

// foldedFrom returns a column with the folded form of another one.
func foldedFrom(column string) personColumn {
	return personColumn{kind: derived, of: column, fold: directory.Fold}
}

// inviteeName is the name that invitee has in a row.
const inviteeName = "invitee"

// inviteeOfRow is the address of the invitation in the column invitation_uuid.
const inviteeOfRow = "(SELECT i.email_folded FROM invitations AS i WHERE i.uuid = invitation_uuid)"

var uuidKey, numberKey = []string{"uuid"}, []string{"bigint"}

// personTables are all tables of both engines with all their columns. A test compares them with the schema. They are in the
// order in which an export has them and a person is erased: rows of bulk invitations make invitations, and come first.
var personTables = []personTable{
	{
		name: "bulk_invitation_rows", key: []string{"bulk_invitation_uuid", "position"}, keyTypes: []string{"uuid", "bigint"},
		row: "invitation_uuid", invitee: inviteeOfRow,
		columns: together(columnsOf(noPerson, "bulk_invitation_uuid position result invitation_uuid"),
			columnsOf(bulkContent, "content"), columnsOf(freeText, "errors")),
		rewrite: rewriteBulkRow,
	},
	{
		name: "users", key: uuidKey, keyTypes: uuidKey,
		columns: together(
			columnsOf(noPerson, "is_staff is_support is_active notifications_enabled created kind made_by_sign_in"),
			columnsOf(ofUser, "uuid"), columnsOf(anAddress, "email email_folded"), columnsOf(aDetail, "full_name civil_number image"),
			map[string]personColumn{"username": {kind: aUsername, of: "uuid"}, "full_name_folded": foldedFrom("full_name")}),
	},
	{
		name: "identities", key: []string{"issuer", "subject"}, keyTypes: []string{"text", "text"}, isDropped: true,
		columns: together(columnsOf(noPerson, "issuer created last_used gives_staff"), columnsOf(ofUser, "user_uuid"), columnsOf(anAddress, "subject")),
	},
	{
		name: "sessions", key: []string{"digest"}, keyTypes: []string{"text"}, isDropped: true,
		columns: together(columnsOf(noPerson, "created last_used issuer"), columnsOf(secret, "digest"), columnsOf(ofUser, "user_uuid"),
			columnsOf(aDetail, "client")),
	},
	{
		name: "sign_in_tickets", key: []string{"digest"}, keyTypes: []string{"text"}, isDropped: true,
		columns: together(columnsOf(noPerson, "created"), columnsOf(secret, "digest"), columnsOf(ofUser, "user_uuid")),
	},
	{
		name: "sign_in_codes", key: uuidKey, keyTypes: uuidKey, isDropped: true,
		columns: together(columnsOf(noPerson, "created tries used"), columnsOf(secret, "uuid browser"),
			columnsOf(anAddress, "email email_folded"), columnsOf(aDetail, "client")),
	},
	{
		name: "sign_in_events", key: []string{"id"}, keyTypes: numberKey, isDropped: true,
		columns: together(columnsOf(noPerson, "id created event_type issuer request_id"), columnsOf(ofUser, "user_uuid"),
			columnsOf(anAddress, "subject"), columnsOf(aDetail, "client"), columnsOf(freeText, "detail"),
			map[string]personColumn{"username": {kind: aUsername, of: "user_uuid"}}),
	},
	{
		name: "api_tokens", key: uuidKey, keyTypes: uuidKey, isDropped: true,
		columns: together(columnsOf(noPerson, "uuid created expires last_used scopes signed_in"), columnsOf(secret, "digest"),
			columnsOf(ofUser, "user_uuid"), columnsOf(byUser, "issued_by_uuid"), columnsOf(freeText, "name")),
	},
	{
		name: "memberships", key: uuidKey, keyTypes: uuidKey,
		columns: together(columnsOf(noPerson, "uuid role_uuid scope_uuid created expires revoked modified"), columnsOf(ofUser, "user_uuid"),
			columnsOf(byUser, "created_by_uuid")),
	},
	{
		name: "idempotency_keys", key: []string{"user_uuid", "digest"}, keyTypes: []string{"uuid", "text"}, isDropped: true,
		columns: together(columnsOf(noPerson, "created size"), columnsOf(secret, "digest answer"), columnsOf(ofUser, "user_uuid")),
	},
	{
		name: "request_notices", key: []string{"user_uuid", "invitation_uuid"}, keyTypes: []string{"uuid", "uuid"}, isDropped: true,
		invitee: inviteeOfRow,
		columns: together(columnsOf(noPerson, "invitation_uuid delivery"), columnsOf(ofUser, "user_uuid")),
	},
	{
		name: "request_mails", key: []string{"user_uuid"}, keyTypes: uuidKey, isDropped: true,
		columns: together(columnsOf(noPerson, "begun"), columnsOf(ofUser, "user_uuid")),
	},
	{
		name: "invitations", key: uuidKey, keyTypes: uuidKey, row: "uuid", invitee: "email_folded",
		columns: together(
			columnsOf(noPerson, "uuid state created first_created delivery execution_state reminded inviter_notified role_uuid scope_uuid"+
				" customer_uuid declined_at renewal_asked_at expires_at membership_expires"),
			columnsOf(secret, "link_uuid"), columnsOf(byUser, "created_by_uuid offered_by_uuid"), columnsOf(anAddress, "email email_folded"),
			columnsOf(aDetail, "full_name native_name phone_number organization job_title civil_number extra_invitation_text"),
			columnsOf(freeText, "error_message decline_reason"),
			map[string]personColumn{"full_name_folded": foldedFrom("full_name"), "native_name_folded": foldedFrom("native_name")}),
	},
	{
		name: "permission_requests", key: uuidKey, keyTypes: uuidKey,
		columns: together(
			columnsOf(noPerson, "uuid group_invitation_uuid state created reviewed_at scope_uuid customer_uuid membership_uuid is_exclusive"),
			columnsOf(ofUser, "created_by_uuid"), columnsOf(byUser, "reviewed_by_uuid"),
			columnsOf(aDetail, "review_comment project_name project_description")),
	},
	{
		name: "invitation_events", key: []string{"id"}, keyTypes: numberKey, row: "invitation_uuid", invitee: inviteeOfRow,
		columns: together(
			columnsOf(noPerson, "id invitation_uuid created event_type from_state to_state role_uuid execution_state notice channel"+
				" request_id scope_uuid customer_uuid position"),
			columnsOf(ofUser, "user_uuid"), columnsOf(anAddress, "email recipient mail_to"), columnsOf(freeText, "error_message reason role_name"),
			userNames()),
	},
	{
		name: "group_invitation_events", key: []string{"id"}, keyTypes: numberKey, row: "group_invitation_uuid",
		columns: together(
			columnsOf(noPerson, "id group_invitation_uuid permission_request_uuid created event_type from_state to_state scope_uuid role_uuid request_id"),
			columnsOf(ofUser, "user_uuid"), columnsOf(anAddress, "recipient"),
			columnsOf(freeText, "error_message message comment scope_name role_name"), userNames()),
		virtual: map[string]string{
			"requester_uuid": "(SELECT r.created_by_uuid FROM permission_requests AS r WHERE r.uuid = permission_request_uuid)",
		},
		rewrite: rewriteGroupEvent,
	},
	{
		name: "group_invitations", key: uuidKey, keyTypes: uuidKey, version: "version",
		columns: together(
			columnsOf(noPerson, "uuid version created expires is_active is_public role_uuid scope_uuid customer_uuid auto_create_project"+
				" project_role_uuid auto_approve allow_multiple_requests allow_custom_project_details"),
			columnsOf(byUser, "created_by_uuid offered_by_uuid"),
			columnsOf(freeText, "project_name_template user_email_patterns user_affiliations user_identity_sources custom_text")),
	},
	{
		name: "bulk_invitations", key: uuidKey, keyTypes: uuidKey,
		columns: together(columnsOf(noPerson, "uuid created request_id on_duplicate total size counts finished is_canceled"),
			columnsOf(byUser, "created_by_uuid")),
	},
	{
		name: "scopes", key: uuidKey, keyTypes: uuidKey,
		columns: together(
			columnsOf(noPerson, "uuid type customer_uuid start_date is_removed created modified group_invitation_uuid"), columnsOf(byUser, "made_for_uuid"),
			columnsOf(freeText, "name description user_email_patterns"),
			map[string]personColumn{
				"name_folded": foldedFrom("name"), "description_folded": foldedFrom("description"),
				"slug": {kind: derived, of: "name", fold: directory.Slug},
			}),
	},
	{
		name: "roles", key: uuidKey, keyTypes: uuidKey,
		columns: together(columnsOf(noPerson, "uuid scope_type permissions is_active"), columnsOf(freeText, "name description"),
			map[string]personColumn{"name_folded": foldedFrom("name"), "description_folded": foldedFrom("description")}),
	},
	// A job has ids. The failures of attempts are sentences that can quote the mail server.
	{
		name: "river_job", key: []string{"id"}, keyTypes: numberKey,
		columns: together(
			columnsOf(noPerson, "id args attempt attempted_at attempted_by created_at finalized_at kind max_attempts metadata priority queue state"+
				" scheduled_at tags unique_key unique_states"),
			columnsOf(queueFailure, "errors")),
	},
	{name: "event_feed", columns: columnsOf(noPerson, "id position deleted")},
	{name: "event_deliveries", columns: columnsOf(noPerson, "position invitation_uuid state failures first_failed ended")},
	{name: "invitation_counts", columns: columnsOf(noPerson, "shard project requested rejected pending accepted canceled expired")},
	{name: "goose_db_version", columns: columnsOf(noPerson, "id version_id is_applied tstamp")},
	{name: "river_client", columns: columnsOf(noPerson, "id created_at metadata paused_at updated_at")},
	{
		name:    "river_client_queue",
		columns: columnsOf(noPerson, "river_client_id name created_at max_workers metadata num_jobs_completed num_jobs_running updated_at"),
	},
	{name: "river_leader", columns: columnsOf(noPerson, "elected_at expires_at leader_id name")},
	{name: "river_migration", columns: columnsOf(noPerson, "line version created_at")},
	{name: "river_queue", columns: columnsOf(noPerson, "name created_at metadata paused_at updated_at")},
}

// isAbout reports whether a row is about the person.
func (t personTable) isAbout(p person.Person, row person.Row) bool {
	for name, column := range t.columns {
		value := asText(row[name])
		switch column.kind {
		case ofUser:
			if _, is := p.User(value); is {
				return true
			}
		case anAddress:
			if p.Address.Is(value) {
				return true
			}
		case bulkContent:
			var content bulk.Row
			if json.Unmarshal([]byte(value), &content) == nil && p.Address.Is(content.Email) {
				return true
			}
		default: // says nothing of whom the row is about
		}
	}
	if t.name == "sign_in_events" && row["user_uuid"] == nil && p.Address.Has(asText(row["detail"])) {
		return true // somebody who tried to sign in with the address
	}
	_, is := p.User(asText(row["requester_uuid"]))
	return is
}

// isMadeBy reports whether a user of the person made a row.
func (t personTable) isMadeBy(p person.Person, row person.Row) bool {
	for name, column := range t.columns {
		if _, is := p.User(asText(row[name])); is && column.kind == byUser {
			return true
		}
	}
	return false
}

// mentions reports whether the address is in a column.
func (c personColumn) mentions(p person.Person, value string) bool {
	switch c.kind {
	case anAddress, aUsername:
		return p.Address.Is(value)
	case aDetail, freeText, bulkContent, queueFailure:
		return p.Address.Has(value)
	default:
		return false
	}
}

// shown returns what an export shows of a row; nil: nothing.
func (t personTable) shown(p person.Person, row person.Row) person.Row {
	about, made := t.isAbout(p, row), t.isMadeBy(p, row)
	shown := person.Row{}
	isShown := about || made
	for name, column := range t.columns {
		value := row[name]
		mentioned := column.mentions(p, asText(value))
		isShown = isShown || mentioned
		show := mentioned
		switch column.kind {
		case noPerson, ofUser, byUser:
			show = about || made
		case aUsername, aName:
			_, isOwn := p.User(asText(row[column.of]))
			show = show || isOwn
		case aDetail, freeText, bulkContent, derived:
			show = show || about
		default: // secrets, and the addresses of others
		}
		if show && value != nil && value != "" {
			shown[name] = value
		}
	}
	if !isShown {
		return nil
	}
	for _, name := range t.key {
		if t.columns[name].kind != secret {
			shown[name] = row[name]
		}
	}
	if t.invitee != "" && !p.Address.Is(asText(row[inviteeName])) {
		delete(shown, "invitation_uuid")
		if t.name == "invitations" {
			delete(shown, "uuid")
		}
	}
	return shown
}

// without returns the columns of a row that change when the person is erased, and whether the row is deleted instead.
func (t personTable) without(p person.Person, row person.Row) (changes map[string]string, isDropped bool) {
	about := t.isAbout(p, row)
	if about && t.isDropped {
		// What was recorded of this, or of an attempt at it before, stays.
		return nil, t.name != "sign_in_events" || asText(row["event_type"]) != string(identity.EventErased)
	}
	changes = map[string]string{}
	set := func(column, value string) {
		if row[column] != nil && asText(row[column]) != value {
			changes[column] = value
		}
	}
	erased := t.erasedEmail(row)
	for name, column := range t.columns {
		value := asText(row[name])
		switch user, isOwn := p.User(asText(row[column.of])); column.kind {
		case anAddress:
			if p.Address.Is(value) {
				set(name, erased)
			}
		case aUsername:
			if isOwn {
				set(name, directory.ErasedUsername(user.UUID))
			} else if id, err := uuid.Parse(asText(row[column.of])); err == nil && p.Address.Is(value) {
				set(name, directory.ErasedUsername(id))
			} else if p.Address.Is(value) {
				set(name, erased)
			}
		case aName:
			if isOwn {
				set(name, "")
			} else {
				set(name, p.Address.Replace(value, erased))
			}
		case aDetail:
			if about {
				set(name, "")
			} else {
				set(name, p.Address.Replace(value, erased))
			}
		case freeText, bulkContent:
			set(name, p.Address.Replace(value, erased))
		default: // stays, or follows from another column
		}
	}
	if t.rewrite != nil {
		t.rewrite(p, row, about, erased, set)
	}
	for name, column := range t.columns {
		if source, changed := changes[column.of]; changed && column.kind == derived {
			set(name, column.fold(source))
		}
	}
	return changes, false
}

// erasedEmail returns the address that stands for the person's in a row.
func (t personTable) erasedEmail(row person.Row) string {
	if id, err := uuid.Parse(asText(row[t.row])); err == nil {
		return directory.ErasedEmail(id)
	}
	key := t.name
	for _, name := range t.key {
		key += " " + asText(row[name])
	}
	return directory.ErasedText(key)
}

// rewriteBulkRow takes everything out of a row of a bulk invitation but where it leads. A row that is not done yet becomes an
// invalid one.
func rewriteBulkRow(p person.Person, row person.Row, about bool, erasedEmail string, set func(column, value string)) {
	var content bulk.Row
	if !about || json.Unmarshal([]byte(asText(row["content"])), &content) != nil {
		return
	}
	left := bulk.Row{
		Line: content.Line, Email: erasedEmail, Role: content.Role, Scope: content.Scope,
		Expires: content.Expires, MembershipExpires: content.MembershipExpires,
	}
	if row["result"] == nil {
		left.Wrong = fault.Fields{"email": {"This person was erased."}}
	}
	encoded, err := json.Marshal(left)
	if err == nil {
		set("content", p.Address.Replace(string(encoded), left.Email))
	}
}

// rewriteGroupEvent replaces the person's usernames in the sentence of an event, and what a reviewer wrote to the person.
func rewriteGroupEvent(p person.Person, row person.Row, about bool, erasedEmail string, set func(column, value string)) {
	if !about {
		return
	}
	message := asText(row["message"])
	for _, user := range p.Users {
		erased := directory.ErasedUsername(user.UUID)
		for _, around := range [][2]string{{"request of ", " for "}, {" by ", "."}, {" by ", ":"}} {
			message = strings.ReplaceAll(message, around[0]+user.Username+around[1], around[0]+erased+around[1])
		}
	}
	set("message", p.Address.Replace(message, erasedEmail))
	if _, is := p.User(asText(row["requester_uuid"])); is {
		set("comment", "")
	}
}

// invitationDetails returns the columns of an invitation that are emptied when its invitee is erased, beside those of a Change.
func invitationDetails() map[string]any {
	emptied := map[string]any{}
	for name, column := range findPersonTable("invitations").columns {
		if column.kind == aDetail || column.kind == derived {
			emptied[name] = ""
		}
	}
	return emptied
}

// findPersonTable returns the table with a name that has one.
func findPersonTable(name string) personTable {
	return personTables[slices.IndexFunc(personTables, func(t personTable) bool { return t.name == name })]
}
