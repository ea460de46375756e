package directory

import (
	"net/url"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
)

// Limits of a directory file, in characters and items. Those of a person are the ones that an invitation has.
const (
	maxName        = 255
	maxFullName    = 100
	maxCivilNumber = 50
	maxImage       = 2_000
	maxDescription = 10_000
	maxToken       = 1_000
	maxPermissions = 1_000
	maxTokens      = 1_000
	maxPatterns    = 10_000
	maxPattern     = 500
	// maxPatternSize is about how many instructions a pattern is compiled to: repetitions multiply.
	maxPatternSize = 10_000
	// maxPatternsSize is that of all patterns of a scope: to compile them, when an invitation is created or accepted, takes
	// up to about a microsecond for each.
	maxPatternsSize = 2_000_000
	// maxAliased is how many values aliases may stand for, all together: they multiply, too.
	maxAliased = 1_000_000
)

// resolve returns the node that a value is, behind an alias where it is one; false where there are too many.
func (d *decoder) resolve(w *where, key string, value *yaml.Node) (*yaml.Node, bool) {
	if value.Kind != yaml.AliasNode {
		return value, true
	}
	d.aliased += size(value.Alias)
	if d.aliased > maxAliased {
		d.add(w, key, d.lineOf(value), "aliases stand for more than %d values", maxAliased)
		return nil, false
	}
	return value.Alias, true
}

// size counts the nodes of a tree; an alias in it is one.
func size(node *yaml.Node) int {
	count := 1
	for _, each := range node.Content {
		count += size(each)
	}
	return count
}

func (d *decoder) lineOf(node *yaml.Node) int { return d.skipped + node.Line }

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

func kindOf(node *yaml.Node) string {
	switch {
	case isNull(node):
		return "empty"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	default:
		return "text"
	}
}

// shown makes a text from the file fit for a message: on one line, and not too long.
func shown(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' }) >= 0 {
		return strconv.Quote(text)
	}
	return text
}

// scalar returns a text as it is written; empty where the value is. What YAML takes for a number or a date is as
// good a text as any.
func (d *decoder) scalar(w *where, key string, value *yaml.Node) (string, bool) {
	node, ok := d.resolve(w, key, value)
	switch {
	case !ok:
		return "", false
	case isNull(node):
		return "", true
	case node.Kind != yaml.ScalarNode:
		d.add(w, key, d.lineOf(value), "must be text, not %s", kindOf(node))
		return "", false
	}
	switch node.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge":
		return node.Value, true
	}
	d.add(w, key, d.lineOf(value), "has a tag that is not read: %s", shown(node.Tag))
	return "", false
}

// text returns a text on one line, trimmed.
func (d *decoder) text(w *where, key string, value *yaml.Node, most int) string {
	return d.characters(w, key, value, most, "")
}

// paragraphs returns a text on any number of lines, trimmed.
func (d *decoder) paragraphs(w *where, key string, value *yaml.Node) string {
	return d.characters(w, key, value, maxDescription, "\n\t")
}

// characters returns a trimmed text without control characters but those allowed.
func (d *decoder) characters(w *where, key string, value *yaml.Node, most int, allowed string) string {
	text, ok := d.scalar(w, key, value)
	text = strings.TrimSpace(text)
	control := func(r rune) bool {
		return (unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp)) && !strings.ContainsRune(allowed, r)
	}
	switch {
	case !ok:
	case !utf8.ValidString(text):
		d.add(w, key, d.lineOf(value), "is not UTF-8")
	case strings.IndexFunc(text, control) >= 0:
		d.add(w, key, d.lineOf(value), "has a control character")
	case utf8.RuneCountInString(text) > most:
		d.add(w, key, d.lineOf(value), "has more than %d characters", most)
	default:
		return text
	}
	return ""
}

// name returns a name, which must not be empty.
func (d *decoder) name(w *where, key string, value *yaml.Node) string {
	return d.some(w, key, value, maxName)
}

// some is text that must not be empty.
func (d *decoder) some(w *where, key string, value *yaml.Node, most int) string {
	before := len(d.problems)
	text := d.text(w, key, value, most)
	if text == "" && len(d.problems) == before {
		d.add(w, key, d.lineOf(value), "must not be empty")
	}
	return text
}

func (d *decoder) flag(w *where, key string, value *yaml.Node, otherwise bool) bool {
	node, ok := d.resolve(w, key, value)
	switch {
	case !ok || isNull(node):
		return otherwise
	case node.Kind == yaml.ScalarNode && node.Tag == "!!bool":
		switch node.Value {
		case "true", "True", "TRUE":
			return true
		case "false", "False", "FALSE":
			return false
		}
	}
	d.add(w, key, d.lineOf(value), "must be true or false")
	return otherwise
}

// id returns the uuid of a record, which no other of its kind has; uuid.Nil where the value is empty.
func (d *decoder) id(w *where, key string, value *yaml.Node, of string) uuid.UUID {
	text, ok := d.scalar(w, key, value)
	if !ok || text == "" {
		return uuid.Nil
	}
	id, ok := ParseUUID(text)
	if !ok || id == uuid.Nil {
		d.add(w, key, d.lineOf(value), "is not a uuid: %s", shown(text))
		return uuid.Nil
	}
	this := identity{of, id}
	if first, taken := d.ids[this]; taken {
		d.add(w, key, d.lineOf(value), "is the same as that of %s", first.path(""))
		return uuid.Nil
	}
	d.ids[this] = w
	return id
}

func (d *decoder) scopeType(w *where, key string, value *yaml.Node, all []ScopeType) ScopeType {
	text, ok := d.scalar(w, key, value)
	if !ok {
		return ""
	}
	if kind := ScopeType(text); slices.Contains(all, kind) {
		return kind
	}
	names := make([]string, len(all))
	for i, each := range all {
		names[i] = string(each)
	}
	d.add(w, key, d.lineOf(value), "must be one of %s, not %s", strings.Join(names, ", "), shown(text))
	return ""
}

func (d *decoder) email(w *where, key string, value *yaml.Node) string {
	text := d.text(w, key, value, maxEmail)
	if text != "" && !ValidEmail(text) {
		d.add(w, key, d.lineOf(value), "is not an e-mail address: %s", shown(text))
	}
	return text
}

func (d *decoder) image(w *where, key string, value *yaml.Node) string {
	text := d.text(w, key, value, maxImage)
	if text == "" {
		return ""
	}
	address, err := url.Parse(text)
	if err != nil || (address.Scheme != "http" && address.Scheme != "https") || address.Host == "" {
		d.add(w, key, d.lineOf(value), "is not an http or https URL: %s", shown(text))
	}
	return text
}

// token returns an API token. It is a secret: no message shows it.
func (d *decoder) token(w *where, key string, value *yaml.Node) string {
	text, ok := d.scalar(w, key, value)
	forbidden := func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }
	switch {
	case !ok:
	case text == "":
		d.add(w, key, d.lineOf(value), "must not be empty")
	case strings.IndexFunc(text, forbidden) >= 0:
		d.add(w, key, d.lineOf(value), "has a space or a control character")
	case utf8.RuneCountInString(text) > maxToken:
		d.add(w, key, d.lineOf(value), "has more than %d characters", maxToken)
	default:
		return text
	}
	return ""
}

// emailPatterns decodes the e-mail patterns of a scope.
func (d *decoder) emailPatterns(w *where, key string, value *yaml.Node) []string {
	all, size := []string{}, 0
	d.list(w, key, value, maxPatterns, func(key string, v *yaml.Node) {
		text := d.some(w, key, v, maxPattern)
		all = append(all, text)
		if text == "" {
			return
		}
		checked, known := d.patterns[text]
		if !known {
			checked = checkPattern(text)
			d.patterns[text] = checked
		}
		if checked.problem != "" {
			d.add(w, key, d.lineOf(v), "%s", checked.problem)
		}
		size += checked.size
	})
	if size > maxPatternsSize {
		d.add(w, key, d.lineOf(value), "take too long to be matched together: there must be fewer, or shorter ones")
	}
	return all
}

// checkedPattern is what is known of an e-mail pattern.
type checkedPattern struct {
	problem string // what is wrong with it; empty: nothing
	size    int
}

func checkPattern(pattern string) checkedPattern {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err == nil {
		if size := patternSize(parsed); size > maxPatternSize {
			return checkedPattern{problem: "repeats too much to be matched fast"}
		} else if _, err = emailPattern(pattern); err == nil {
			return checkedPattern{size: size}
		}
	}
	return checkedPattern{problem: "is not a regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
}

// patternSize is about how many instructions a pattern is compiled to.
func patternSize(pattern *syntax.Regexp) int {
	total := 1 + len(pattern.Rune)
	for _, each := range pattern.Sub {
		total += patternSize(each)
	}
	if pattern.Op == syntax.OpRepeat {
		total *= max(1, pattern.Min, pattern.Max)
	}
	return total
}

func (d *decoder) day(w *where, key string, value *yaml.Node) *time.Time {
	text, ok := d.scalar(w, key, value)
	if !ok || text == "" {
		return nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1 {
		d.add(w, key, d.lineOf(value), "must be a day like 2027-01-31, not %s", shown(text))
		return nil
	}
	return &day
}

// moment returns a time in UTC and whole microseconds, as the database keeps it.
func (d *decoder) moment(w *where, key string, value *yaml.Node) *time.Time {
	text, ok := d.scalar(w, key, value)
	if !ok || text == "" {
		return nil
	}
	moment, err := time.Parse(time.RFC3339, text)
	moment = moment.UTC().Truncate(time.Microsecond)
	if err != nil || moment.Year() < 1 || moment.Year() > 9999 {
		d.add(w, key, d.lineOf(value), "must be a time like 2027-01-31T12:00:00Z, not %s", shown(text))
		return nil
	}
	return &moment
}
