package web

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
)

const (
	msgMayNotInvite = "You may not invite there, or the place is gone."
	msgNoRole       = "There is no role of this name."
	msgNoPlace      = "There is no such place, or you may not see it."
)

// missing has the console's messages about cells that have to be there, by field.
var missing = map[string]string{"email": "The address is missing.", "role": "The role is missing.", "scope": "The place is missing."}

// consoleWords are the console's own for messages that the API gives, by all of a message.
var consoleWords = map[string]string{
	"Role and scope should belong to the same content type.": "This role is not one of this place.",
	"Control characters are not allowed.":                    "There is a character that can't be seen. Type the text again.",
	"Enter a valid email address.":                           msgNoAddress,
	fault.NotFound().Message:                                 msgMayNotInvite,
	fault.Forbidden().Message:                                msgMayNotInvite,
}

var (
	tooLong   = regexp.MustCompile(`^Ensure this field has no more than (\d+) characters\.$`)
	throttled = regexp.MustCompile(`^Request was throttled\. Expected available in (\d+) seconds?\.$`)
)

// inConsoleWords returns a message of the API about a field of a row as the console says it; the message itself where
// the console has no other words.
func inConsoleWords(field, message string) string {
	if words := consoleWords[message]; words != "" {
		return words
	}
	if found := tooLong.FindStringSubmatch(message); found != nil {
		return "At most " + found[1] + " characters."
	}
	if found := throttled.FindStringSubmatch(message); found != nil {
		seconds, _ := strconv.Atoi(found[1]) // 0: a minute, as far as inWords says
		return "Too many mails: wait " + inWords(time.Duration(seconds)*time.Second) + ", and try again."
	}
	switch {
	case message == "This field is required." && missing[field] != "":
		return missing[field]
	case field == "role" && strings.HasPrefix(message, "Object with "):
		return msgNoRole
	case field == "scope" && strings.HasPrefix(message, directory.NoScope("")):
		return msgNoPlace
	}
	return message
}

// wordsOf returns all messages about a field of a row as the console says them.
func wordsOf(errors fault.Fields, field string) (all []string) {
	for _, message := range errors[field] {
		all = append(all, inConsoleWords(field, message))
	}
	return all
}

// repeats returns, for each result of a row that repeats an earlier good one of the same table, the earlier one, by the
// index of the later one.
func (a *aimReader) repeats(results []bulk.Result) (map[int]bulk.Result, error) {
	type person struct{ email, role, scope string }
	isTwice := map[string]bool{} // folded addresses: few, so that not every row has to be looked at closely
	for _, each := range results {
		if each.Code == bulk.Duplicate {
			isTwice[directory.FoldEmail(each.Row.Email)] = true
		}
	}
	first, out := map[person]bulk.Result{}, map[int]bulk.Result{}
	for _, each := range results {
		row := each.Row
		who := person{directory.FoldEmail(row.Email), row.Role, row.Scope}
		if !isTwice[who.email] || (each.Code != bulk.Duplicate && !isGood(each.Code)) {
			continue
		}
		role, err := a.findRole(row.Role)
		if err != nil {
			return nil, err
		}
		if role.Name != "" {
			who.role = role.Name
		}
		if id, ok := scopeID(row.Scope); ok {
			who.scope = id.String()
		}
		if earlier, ok := first[who]; !ok && isGood(each.Code) {
			first[who] = each
		} else if ok {
			out[each.Index] = earlier
		}
	}
	return out, nil
}
