package waldur

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"invited/internal/directory"
	"invited/internal/invitation"
	"invited/internal/joining"
	"invited/internal/token"
)

// Limits of texts, in characters: those of the API and of the directory file, which has to read what it exports.
const (
	maxName               = 255
	maxUserName           = 100 // of a person
	maxDescription        = 10_000
	maxPhone              = 255
	maxOrganization       = 255
	maxJobTitle           = 120
	maxCivilNumber        = 50
	maxInvitationText     = 2_000
	maxError              = 1_000
	maxCustomText         = 500
	maxComment            = 2_000
	maxProjectDescription = 2_000
	maxPermissions        = 1_000
)

// Why a row is left.
const (
	leftNoUUID       = "has no uuid"
	leftUsername     = "the username is empty or has invisible characters"
	leftUsernameUsed = "another user here has the username"
	leftErased       = "was erased here"
	leftAddress      = "the address is not one that mail can be sent to"
	leftUser         = "its user was left"
	leftRole         = "its role was left"
	leftScope        = "its scope was left"
	leftNoScope      = "its scope is gone"
	leftCustomer     = "its organization is gone, or was left"
	leftState        = "its state is not known here"
	leftMisfit       = "its role is not one of its type of scope"
	leftGroup        = "its group invitation was left"
	leftHeldTwice    = "the user holds the role in the scope by another row"
	leftRoleType     = "another role here has the name, for another type of scope"
	leftScopeType    = "another type of scope here has the uuid"
	leftMoved        = "it belongs to another organization here, and can't be moved"
	leftTokenExpired = "the token has expired"
	leftTokenUser    = "the token's user is not active"
	leftTokenUsed    = "another user here has the token"
	leftTokenRevoked = "the token was revoked here"
	leftPersonal     = "it is limited to Waldur's permissions: make a token here"
	leftChanged      = "it was changed here, and stays as it is"
	leftDeleted      = "it was deleted here"
	leftRevoked      = "the role was revoked here"
)

// leftType is the reason that a row is left whose scope is of a type that there is none of here.
func leftType(model string) string { return "invited has no scopes of the type " + model }

// What is to be known of a row that is imported: most are altered.
const (
	alteredText        = "a text is too long, or has control characters: shortened or cleaned"
	alteredNoAddress   = "the user's address is not one that mail can be sent to: imported without"
	alteredShared      = "another active user has the address: nobody can sign in by it"
	alteredCivilNumber = "the civil number has white space: removed"
	alteredRoleName    = "another role has the name: the name has the beginning of the uuid behind it"
	alteredRoleHere    = "a role here has the name: that role is used, with its own permissions"
	alteredPattern     = "an e-mail pattern can't be used here: it matches nobody"
	alteredRestricted  = "it restricts who may join by more than e-mail patterns, which invited does not do: "
	alteredNoApproval  = "it does not approve by itself any more, because of its restriction: "
	alteredExpired     = "its time is over: expired"
	alteredDuplicate   = "a newer invitation of the address to the role in the scope is open: canceled"
	alteredRemoved     = "its scope was removed: canceled"
	alteredNotSent     = "Waldur had not sent it: has to be sent again"
	alteredCreator     = "who made it was left: imported without"
	alteredTokenEnded  = "a token of the user was replaced or deleted in Waldur: revoked"
	alteredNotAlone    = "another request of the user in the scope is pending too"
)

// A text is read from a row, and reports whether it had to be altered.
type cleaner struct{ altered bool }

// line returns a text on one line of at most limit characters.
func (c *cleaner) line(text string, limit int) string { return c.clean(text, limit, "") }

// lines returns a text on any number of lines, of at most limit characters.
func (c *cleaner) lines(text string, limit int) string {
	return c.clean(strings.ReplaceAll(text, "\r\n", "\n"), limit, "\n\t")
}

func (c *cleaner) clean(text string, limit int, allowed string) string {
	text = directory.Trim(text)
	isControl := func(r rune) bool {
		return (unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp)) && !strings.ContainsRune(allowed, r)
	}
	if strings.ContainsFunc(text, isControl) {
		c.altered = true
		text = strings.Map(func(r rune) rune {
			if isControl(r) {
				return ' '
			}
			return r
		}, text)
	}
	if utf8.RuneCountInString(text) > limit {
		c.altered = true
		text = directory.Trim(string([]rune(text)[:limit]))
	}
	return text
}

// notes returns how a row was altered.
func (c *cleaner) notes() []string {
	if c.altered {
		return []string{alteredText}
	}
	return nil
}

// withoutBlanks returns a text that identifies somebody without white space and invisible characters.
func withoutBlanks(text string) string {
	return strings.Map(func(r rune) rune {
		if directory.HasBlank(string(r)) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

// civilNumber returns a civil number as those of users and invitations are compared.
func civilNumber(text string) (number string, notes []string) {
	trimmed := directory.Trim(text)
	number = withoutBlanks(trimmed)
	if number != trimmed {
		notes = append(notes, alteredCivilNumber)
	}
	if utf8.RuneCountInString(number) > maxCivilNumber { // Waldur's column holds no longer one
		number = string([]rune(number)[:maxCivilNumber])
	}
	return number, notes
}

// mapRole returns the role of a row, or why the row is left.
func mapRole(r roleRow) (role directory.Role, notes []string, left string) {
	var c cleaner
	role = directory.Role{
		UUID: r.id, Name: c.line(r.name, maxName), Description: c.lines(r.description, maxDescription), ScopeType: scopeType(r.model),
		Permissions: r.permissions[:min(len(r.permissions), maxPermissions)], IsActive: r.isActive,
	}
	role.NameFolded, role.DescriptionFolded = directory.Fold(role.Name), directory.Fold(role.Description)
	switch {
	case r.id == uuid.Nil || role.Name == "":
		left = leftNoUUID
	case role.ScopeType == "":
		left = leftType(r.model)
	}
	return role, c.notes(), left
}

// renamed returns a role with a name of its own.
func renamed(role directory.Role) directory.Role {
	var c cleaner
	suffix := " (" + role.UUID.String()[:8] + ")"
	role.Name = c.line(role.Name, maxName-len(suffix)) + suffix
	role.NameFolded = directory.Fold(role.Name)
	return role
}

// mapUser returns the user of a row, or why the row is left.
func mapUser(r userRow) (user directory.User, notes []string, left string) {
	var c cleaner
	user = directory.User{
		UUID: r.id, Username: directory.Trim(r.username), FullName: c.line(r.fullName, maxUserName),
		IsStaff: r.isStaff, IsSupport: r.isSupport, IsActive: r.isActive, NotificationsEnabled: r.getsNotices, Created: r.joined,
	}
	user.FullNameFolded = directory.Fold(user.FullName)
	notes = c.notes()
	var more []string
	user.CivilNumber, more = civilNumber(r.civilNumber)
	notes = append(notes, more...)
	if user.Email = directory.Trim(r.email); user.Email != "" && !directory.ValidEmail(user.Email) {
		user.Email = ""
		notes = append(notes, alteredNoAddress)
	} else if r.sharesEmail {
		notes = append(notes, alteredShared)
	}
	user.EmailFolded = directory.FoldEmail(user.Email)
	switch {
	case r.id == uuid.Nil:
		left = leftNoUUID
	case user.Username == "" || utf8.RuneCountInString(user.Username) > maxName || directory.HasInvisible(user.Username) ||
		strings.ContainsFunc(user.Username, unicode.IsControl):
		left = leftUsername
	}
	return user, notes, left
}

// tokenSpace is the namespace of the ids of imported API tokens.
var tokenSpace = uuid.MustParse("6f1d6f6c-2a5e-4f0b-9a52-1d6f5f8f2b3e")

// tokenName is the name of imported API tokens.
const tokenName = "Waldur"

// tokenID returns the uuid that a token has here if an import made it.
func tokenID(digest string) uuid.UUID { return uuid.NewSHA1(tokenSpace, []byte(digest)) }

// mapToken returns the API token of a user's row, or why the token is left. The row has a token. The id of the token depends on
// the token alone: who revoked it here has revoked the one of the next import too.
func mapToken(r userRow, now time.Time) (made directory.APIToken, left string) {
	digest := token.Digest(r.token)
	made = directory.APIToken{
		Digest: digest, UUID: tokenID(digest), UserUUID: r.id, Name: tokenName, Created: r.tokenCreated,
	}
	if r.tokenLifetime > 0 { // Waldur counts from the last use, which it writes into created
		made.Expires = new(r.tokenCreated.Add(r.tokenLifetime))
	}
	switch {
	case !r.isActive:
		left = leftTokenUser
	case !made.WorksAt(now):
		left = leftTokenExpired
	}
	return made, left
}

// matchesNobody is an e-mail pattern that matches no address.
const matchesNobody = `[^\x00-\x{10FFFF}]`

// mapPatterns returns e-mail patterns. One that can't be used matches nobody: without it, a scope could admit everybody.
func mapPatterns(rows []string) (patterns []string, notes []string) {
	patterns, total := []string{}, 0
	for _, each := range rows {
		pattern := directory.Trim(each)
		if pattern == "" {
			continue
		}
		cost, err := directory.EmailPatternCost(pattern)
		total += cost
		if err != nil || utf8.RuneCountInString(pattern) > maxPattern || total > directory.MaxEmailPatternsCost ||
			len(patterns) >= directory.MaxEmailPatterns {
			notes, pattern = []string{alteredPattern}, matchesNobody
		}
		if pattern != matchesNobody || !slices.Contains(patterns, matchesNobody) {
			patterns = append(patterns, pattern)
		}
	}
	return patterns, notes
}

// maxPattern is the length of the longest e-mail pattern in the directory file.
const maxPattern = 500

// mapScope returns the scope of a row, or why the row is left.
func mapScope(r scopeRow) (scope directory.Scope, notes []string, left string) {
	var c cleaner
	scope = directory.Scope{
		UUID: r.id, Type: r.kind, Name: c.line(r.name, maxName), Description: c.lines(r.description, maxDescription),
		CustomerUUID: r.customer, StartDate: r.startDate, IsRemoved: r.isRemoved, Created: r.created,
	}
	scope.NameFolded, scope.DescriptionFolded = directory.Fold(scope.Name), directory.Fold(scope.Description)
	scope.Slug = directory.Slug(scope.Name)
	notes = c.notes()
	var more []string
	scope.UserEmailPatterns, more = mapPatterns(r.patterns)
	notes = append(notes, more...)
	if by := strings.TrimSpace(r.restrictedBy); by != "" && !r.isRemoved {
		notes = append(notes, alteredRestricted+by)
	}
	switch {
	case r.id == uuid.Nil || scope.Name == "":
		left = leftNoUUID
	case r.customer == uuid.Nil:
		left = leftCustomer
	}
	return scope, notes, left
}

// states of the deliveries of Waldur that have not ended.
var unsent = []string{string(invitation.Scheduled), string(invitation.Processing)}

const msgNotSent = "Waldur had not sent this invitation before it was imported. Send it again."

// mapInvitation returns the invitation of a row with its role and scope, or why the row is left. scope has the type, the
// customer and the start date of the scope.
func (i Import) mapInvitation(
	r invitationRow, role directory.Role, scope directory.Scope, now time.Time,
) (made invitation.Invitation, notes []string, left string) {
	var c cleaner
	made = invitation.Invitation{
		UUID: r.id, StoredState: invitation.State(r.state), Created: r.created, ExecutionState: invitation.ExecutionState(r.executionState),
		ErrorMessage: c.lines(r.errorMessage, maxError), RoleUUID: role.UUID, Role: role, ScopeUUID: scope.UUID, Scope: scope,
		CustomerUUID: scope.CustomerUUID, Email: directory.Trim(r.email),
		FullName: c.line(r.fullName, maxUserName), NativeName: c.line(r.nativeName, maxUserName),
		PhoneNumber: c.line(r.phone, maxPhone), Organization: c.line(r.organization, maxOrganization),
		JobTitle: c.line(r.jobTitle, maxJobTitle), ExtraInvitationText: c.lines(r.text, maxInvitationText),
	}
	made.EmailFolded = directory.FoldEmail(made.Email)
	notes = c.notes()
	var more []string
	made.CivilNumber, more = civilNumber(r.civilNumber)
	notes = append(notes, more...)
	switch {
	case r.id == uuid.Nil:
		return made, nil, leftNoUUID
	case !slices.Contains(invitation.States, made.StoredState):
		return made, nil, leftState
	case !directory.ValidEmail(made.Email):
		return made, nil, leftAddress
	case role.ScopeType != scope.Type:
		return made, nil, leftMisfit
	}
	notes = append(notes, i.mapLife(&made, r, now)...)
	return made, notes, ""
}

// mapLife sets the state, the end and the delivery of an invitation, so that nothing has to be mailed of what is past.
func (i Import) mapLife(made *invitation.Invitation, r invitationRow, now time.Time) (notes []string) {
	end := made.Expires(i.WaldurLifetime)
	canExpire := made.StoredState == invitation.Pending || made.StoredState == invitation.Requested
	switch {
	case canExpire && !now.Before(end): // a sweep would end it, and tell its creator
		made.StoredState = invitation.Expired
		notes = append(notes, alteredExpired)
	case isOpen(*made) && r.isRemoved: // likewise
		made.StoredState = invitation.Canceled
		notes = append(notes, alteredRemoved)
	case canExpire && i.WaldurLifetime != i.Lifetime:
		made.ExpiresAt = &end
	}
	made.Reminded = made.StoredState == invitation.Pending && !now.Before(end.Add(-invitation.ReminderPeriod))
	switch {
	case r.executionState == "": // a version of Waldur that did not record it
		made.ExecutionState = invitation.OK
	case !slices.Contains(invitation.ExecutionStates, made.ExecutionState):
		made.ExecutionState = invitation.OK
	case made.StoredState == invitation.Pending && slices.Contains(unsent, r.executionState):
		made.ExecutionState, made.ErrorMessage = invitation.Erred, msgNotSent
		notes = append(notes, alteredNotSent)
	}
	if made.ExecutionState != invitation.Erred {
		made.ErrorMessage = ""
	}
	if made.StoredState == invitation.Requested || made.StoredState == invitation.Project {
		made.ExecutionState, made.ErrorMessage = invitation.Scheduled, ""
	}
	return notes
}

// mapGroup returns the group invitation of a row with its roles and scope, or why the row is left. projectRole is nil where the
// row has none.
func mapGroup(
	r groupRow, role directory.Role, projectRole *directory.Role, scope directory.Scope,
) (made joining.GroupInvitation, notes []string, left string) {
	var c cleaner
	made = joining.GroupInvitation{
		UUID: r.id, Version: 1, Created: r.created, NotCanceled: r.isActive && !r.isRemoved, IsPublic: r.isPublic,
		RoleUUID: role.UUID, ScopeUUID: scope.UUID, CustomerUUID: scope.CustomerUUID,
		MakesProjects: r.makesProjects && scope.Type == directory.Customer, CustomDetails: r.ownDetail, AutoApprove: r.autoApprove,
		MultipleRequests: r.multiple, Affiliations: r.affiliations, IdentitySources: r.sources,
		CustomText: c.lines(r.customText, maxCustomText),
	}
	if projectRole != nil {
		made.ProjectRoleUUID = &projectRole.UUID
	}
	if template := c.line(r.nameTemplate, maxName); template != "" {
		made.NameTemplate = &template
	}
	notes = c.notes()
	var more []string
	made.EmailPatterns, more = mapPatterns(r.patterns)
	notes = append(notes, more...)
	if by := strings.TrimSpace(r.restrictedBy); by != "" {
		note := alteredRestricted
		if made.AutoApprove { // it would approve people whom Waldur refuses
			made.AutoApprove, note = false, alteredNoApproval
		}
		notes = append(notes, note+by)
	}
	switch {
	case r.id == uuid.Nil:
		left = leftNoUUID
	case role.ScopeType != scope.Type && (!made.MakesProjects || role.ScopeType != directory.Project):
		left = leftMisfit
	}
	return made, notes, left
}

// requestStates are the states of permission requests, by Waldur's numbers.
var requestStates = map[int]joining.State{
	1: joining.Draft, 2: joining.Pending, 3: joining.Approved, 4: joining.Rejected, 5: joining.Canceled,
}

// mapRequest returns the permission request of a row by a group invitation, or why the row is left.
func mapRequest(r requestRow, group joining.GroupInvitation) (made joining.Request, notes []string, left string) {
	var c cleaner
	made = joining.Request{
		UUID: r.id, GroupInvitationUUID: group.UUID, State: requestStates[r.state], Created: r.created, CreatedByUUID: r.createdBy,
		ReviewedAt: r.reviewedAt, ReviewComment: c.lines(r.comment, maxComment), ScopeUUID: group.ScopeUUID,
		CustomerUUID: group.CustomerUUID, ProjectName: c.line(r.projectName, maxName),
		ProjectDescription: c.lines(r.projectDescription, maxProjectDescription), IsExclusive: !group.MultipleRequests,
	}
	switch {
	case r.id == uuid.Nil:
		left = leftNoUUID
	case made.State == "":
		left = leftState
	}
	return made, c.notes(), left
}
