package dirfile

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"invited/internal/directory"
)

// Limits of values, in characters and items. A user's values have the limits of the same values of an invitation.
const (
	maxName         = 255
	maxFullName     = 100
	maxCivilNumber  = 50
	maxImageURL     = 2_000
	maxDescription  = 10_000
	minToken        = 20 // a token that a person chose and that is shorter can be guessed
	maxToken        = 1_000
	maxPermissions  = 1_000
	maxTokens       = 1_000
	maxEmailPattern = 500
	// maxAliased is the number of nodes that the aliases of a file can stand for, because nested aliases multiply.
	maxAliased = 1_000_000
)

// value is a YAML node with its place in the file. Its methods return the zero value, or the default, for a bad value,
// and report the problem.
type value struct {
	d    *decoder
	at   *location // record that the value belongs to; nil: the file itself
	key  string    // path in the record, such as tokens[0]; empty: the record itself
	node *yaml.Node
}

// lineNumber returns the number of the value's line in the file, from 1.
func (v value) lineNumber() int { return v.d.linesBefore + v.node.Line }

func (v value) report(format string, arguments ...any) {
	v.d.add(v.at, v.key, v.lineNumber(), format, arguments...)
}

// resolve returns the value's node, or the node that the value is an alias of. It reports false when the aliases of the
// file stand for too many nodes.
func (v value) resolve() (*yaml.Node, bool) {
	if v.node.Kind != yaml.AliasNode {
		return v.node, true
	}
	v.d.aliased += countNodes(v.node.Alias)
	if v.d.aliased > maxAliased {
		v.report("aliases stand for more than %d values", maxAliased)
		return nil, false
	}
	return v.node.Alias, true
}

// countNodes returns the number of nodes of a tree. An alias in the tree counts as one.
func countNodes(node *yaml.Node) int {
	count := 1
	for _, each := range node.Content {
		count += countNodes(each)
	}
	return count
}

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

// fields decodes a record, or the file, key by key. decodeField reports false for an unknown key. kind names the record
// in messages.
func (v value) fields(kind string, required []string, decodeField func(value) bool) {
	node, ok := v.resolve()
	if !ok {
		return
	}
	if node.Kind != yaml.MappingNode {
		v.report("must be a mapping, not %s", kindOf(node))
		return
	}
	given := make([]string, 0, 16)
	for i := 0; i+1 < len(node.Content) && !v.d.full(); i += 2 {
		key := node.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			value{v.d, v.at, "", key}.report("has a key that is no text")
		case slices.Contains(given, key.Value):
			value{v.d, v.at, key.Value, key}.report("stands twice")
		case decodeField(value{v.d, v.at, key.Value, node.Content[i+1]}):
			given = append(given, key.Value)
		default:
			value{v.d, v.at, directory.Excerpt(key.Value), key}.report("is no key of %s", kind)
		}
	}
	for _, each := range required {
		if !slices.Contains(given, each) {
			value{v.d, v.at, each, v.node}.report("is missing")
		}
	}
}

// records decodes a list of records. first is the index in the file of the list's first record: it is not 0 when the
// list is a later piece of one.
func (v value) records(first int, decodeRecord func(value)) {
	for i, node := range v.items() {
		if v.d.full() {
			return
		}
		at := &location{parent: v.at, list: v.key, index: first + i, line: v.d.linesBefore + node.Line}
		decodeRecord(value{d: v.d, at: at, node: node})
	}
}

// list decodes a list of at most limit values that are no records.
func (v value) list(limit int, decodeItem func(value)) {
	nodes := v.items()
	if len(nodes) > limit {
		v.report("has more than %d items", limit)
		return
	}
	for i, node := range nodes {
		if v.d.full() {
			return
		}
		decodeItem(value{v.d, v.at, itemPath(v.key, i), node})
	}
}

func (v value) items() []*yaml.Node {
	node, ok := v.resolve()
	switch {
	case !ok || isNull(node):
		return nil
	case node.Kind != yaml.SequenceNode:
		v.report("must be a list, not %s", kindOf(node))
		return nil
	}
	return node.Content
}

// scalar returns the text of a scalar as it is written, and "" for an empty value. A number, a truth value or a date is
// text too.
func (v value) scalar() (string, bool) {
	node, ok := v.resolve()
	switch {
	case !ok:
		return "", false
	case isNull(node):
		return "", true
	case node.Kind != yaml.ScalarNode:
		v.report("must be text, not %s", kindOf(node))
		return "", false
	}
	switch node.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge":
		return node.Value, true
	}
	v.report("has a tag that is not read: %s", directory.Excerpt(node.Tag))
	return "", false
}

// text returns a text of at most limit characters, without what is blank around it. The only control characters that
// it can have are those allowed.
func (v value) text(limit int, allowed string) (string, bool) {
	text, ok := v.scalar()
	text = directory.Trim(text)
	forbidden := func(r rune) bool {
		return (unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp)) && !strings.ContainsRune(allowed, r)
	}
	switch {
	case !ok:
	case !utf8.ValidString(text):
		v.report("is not UTF-8")
	case strings.IndexFunc(text, forbidden) >= 0:
		v.report("has a control character")
	case utf8.RuneCountInString(text) > limit:
		v.report("has more than %d characters", limit)
	default:
		return text, true
	}
	return "", false
}

// singleLine returns a text on one line.
func (v value) singleLine(limit int) string {
	text, _ := v.text(limit, "")
	return text
}

// description returns a text on any number of lines.
func (v value) description() string {
	text, _ := v.text(maxDescription, "\n\t")
	return text
}

func (v value) name() string { return v.nonEmpty(maxName) }

// permission returns the name of a permission. Roles may carry any name, and one that nothing knows is a warning.
func (v value) permission() string {
	name := v.name()
	if name == "" || v.d.file.warnings.full() {
		return name
	}
	switch nearest := directory.NearestPermission(name); nearest {
	case name:
	case "":
		v.d.file.warnings.add(v.at, v.key, v.lineNumber(), "nothing knows the permission %s", directory.Excerpt(name))
	default:
		v.d.file.warnings.add(v.at, v.key, v.lineNumber(), "nothing knows the permission %s: did you mean %s?",
			directory.Excerpt(name), nearest)
	}
	return name
}

// username returns the name of a user, which must not look like the name of another one.
func (v value) username() string {
	text := v.name()
	if directory.HasInvisible(text) {
		v.report("has an invisible character: %s", directory.Excerpt(text))
	}
	return text
}

// civilNumber returns a civil number, which is compared with those of invitations.
func (v value) civilNumber() string {
	text := v.singleLine(maxCivilNumber)
	if directory.HasBlank(text) {
		v.report("has white space or an invisible character: %s", directory.Excerpt(text))
	}
	return text
}

// nonEmpty returns a text on one line that is not empty.
func (v value) nonEmpty(limit int) string {
	text, ok := v.text(limit, "")
	if ok && text == "" {
		v.report("must not be empty")
	}
	return text
}

func (v value) flag(byDefault bool) bool {
	node, ok := v.resolve()
	if !ok || isNull(node) {
		return byDefault
	}
	return v.truth(node)
}

// access returns whether a user can do anything, or a member has the role. null takes a value away elsewhere, and giving
// access for it would be a surprise: it is reported.
func (v value) access() bool {
	node, ok := v.resolve()
	switch {
	case !ok:
		return false
	case isNull(node):
		v.report("can't be null: write true to give access, false to take it away")
		return false
	}
	return v.truth(node)
}

func (v value) truth(node *yaml.Node) bool {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!bool" {
		switch node.Value {
		case "true", "True", "TRUE":
			return true
		case "false", "False", "FALSE":
			return false
		}
	}
	v.report("must be true or false")
	return false
}

// uuid returns the uuid of a record, which is unique among the records of its kind. It returns uuid.Nil for an empty
// value.
func (v value) uuid(kind string) uuid.UUID {
	text, ok := v.scalar()
	if !ok || text == "" {
		return uuid.Nil
	}
	id, ok := directory.ParseUUID(text)
	if !ok || id == uuid.Nil {
		v.report("is not a uuid: %s", directory.Excerpt(text))
		return uuid.Nil
	}
	record := recordID{kind, id}
	if first, exists := v.d.ids[record]; exists {
		v.report("is the same as that of %s", first.path(""))
		return uuid.Nil
	}
	v.d.ids[record] = v.at
	return id
}

func (v value) scopeType(allowed []directory.ScopeType) directory.ScopeType {
	text, ok := v.scalar()
	if !ok {
		return ""
	}
	if kind := directory.ScopeType(text); slices.Contains(allowed, kind) {
		return kind
	}
	names := make([]string, len(allowed))
	for i, each := range allowed {
		names[i] = string(each)
	}
	v.report("must be one of %s, not %s", strings.Join(names, ", "), directory.Excerpt(text))
	return ""
}

func (v value) userKind() directory.UserKind {
	text, ok := v.scalar()
	switch {
	case ok && text == string(directory.ServiceUser):
		return directory.ServiceUser
	case ok && text != "person" && text != "":
		v.report("must be person or service, not %s", directory.Excerpt(text))
	}
	return ""
}

func (v value) email() string {
	text := v.singleLine(directory.MaxEmailLength)
	if text != "" && !directory.ValidEmail(text) {
		v.report("is not an e-mail address: %s", directory.Excerpt(text))
	}
	return text
}

func (v value) imageURL() string {
	text := v.singleLine(maxImageURL)
	if text == "" {
		return ""
	}
	address, err := url.Parse(text)
	if err != nil || (address.Scheme != "http" && address.Scheme != "https") || address.Host == "" {
		v.report("is not an http or https URL: %s", directory.Excerpt(text))
	}
	return text
}

// apiToken returns an API token. The token is a secret, so no message has it.
func (v value) apiToken() string {
	text, ok := v.scalar()
	forbidden := func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }
	switch {
	case !ok:
	case text == "":
		v.report("must not be empty")
	case strings.IndexFunc(text, forbidden) >= 0:
		v.report("has a space or a control character")
	case utf8.RuneCountInString(text) > maxToken:
		v.report("has more than %d characters", maxToken)
	default:
		if utf8.RuneCountInString(text) < minToken {
			v.d.file.shortTokens.add(v.at, v.key, v.lineNumber(), "is shorter than %d characters, so that it can be guessed: "+
				"take what `openssl rand -hex 20` prints", minToken)
		}
		return text
	}
	return ""
}

// patternCost is a result of directory.EmailPatternCost.
type patternCost struct {
	cost int
	err  error
}

// emailPatterns returns the e-mail patterns of a scope. Many scopes have the same patterns, so each pattern is compiled
// once for the file.
func (v value) emailPatterns() []string {
	patterns, total := []string{}, 0
	v.list(directory.MaxEmailPatterns, func(v value) {
		pattern := v.nonEmpty(maxEmailPattern)
		patterns = append(patterns, pattern)
		if pattern == "" {
			return
		}
		checked, known := v.d.patternCost[pattern]
		if !known {
			checked.cost, checked.err = directory.EmailPatternCost(pattern)
			v.d.patternCost[pattern] = checked
		}
		if checked.err != nil {
			v.report("%s", checked.err)
		}
		total += checked.cost
	})
	if total > directory.MaxEmailPatternsCost {
		v.report("take too long to be matched together: there must be fewer, or shorter ones")
	}
	return patterns
}

// date returns the start of a day in UTC, and nil for an empty value.
func (v value) date() *time.Time {
	text, ok := v.scalar()
	if !ok || text == "" {
		return nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1 {
		v.report("must be a day like 2027-01-31, not %s", directory.Excerpt(text))
		return nil
	}
	return &day
}

// timestamp returns a time in UTC and whole microseconds, as the database has it, and nil for an empty value.
func (v value) timestamp() *time.Time {
	text, ok := v.scalar()
	if !ok || text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	at = at.UTC().Truncate(time.Microsecond)
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		v.report("must be a time like 2027-01-31T12:00:00Z, not %s", directory.Excerpt(text))
		return nil
	}
	return &at
}
