package main

import (
	"fmt"
	"strings"
)

// The document's placeholders for values of the caller.
const (
	anyServer = "https://api.example.com"
	anyToken  = "YOUR_API_TOKEN"
	anyUUID   = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
	anyScope  = "string-value"
	anyEmail  = "alice@example.com"
	anySigned = "********"
)

var placeholders = []string{anyServer, anyToken, anyUUID, anyScope, anyEmail, anySigned}

// languages are the names of the document's tabs with an example, in its order, and the info string of the example's fence.
var languages = []struct{ name, fence string }{{"HTTPie", "bash"}, {"Python", "python"}, {"TypeScript", "typescript"}}

// A block is one example, unchanged from the document.
type block struct {
	operation string // the heading above the example
	language  string
	line      int // number of the first line of the code
	code      string
}

// parse returns the examples of a document. It returns an error where a code block is not an example: the block would never be
// run, and nobody would notice.
func parse(document string) ([]block, error) {
	var found []block
	var operation, language string
	var open *block
	indent := ""
	for i, line := range strings.Split(document, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case open != nil && line == indent+"```":
			found = append(found, *open)
			open = nil
		case open != nil:
			code, ok := strings.CutPrefix(line, indent)
			if !ok && strings.TrimSpace(line) != "" {
				return nil, fmt.Errorf("line %d: the code block that begins on line %d is not indented like its fence", i+1, open.line)
			}
			open.code += code + "\n"
		case strings.HasPrefix(trimmed, "```"):
			indent = line[:len(line)-len(trimmed)]
			if language == "" || strings.TrimPrefix(trimmed, "```") != fence(language) {
				return nil, fmt.Errorf("line %d: a code block that is not an example in HTTPie, Python or TypeScript", i+1)
			}
			open = &block{operation: operation, language: language, line: i + 2}
		case strings.HasPrefix(line, "#"):
			operation, language = strings.TrimSpace(strings.TrimLeft(line, "#")), ""
		case strings.HasPrefix(line, `=== "`):
			language = strings.TrimSuffix(strings.TrimPrefix(line, `=== "`), `"`)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("the code block that begins on line %d has no end", open.line)
	}
	return found, nil
}

func fence(language string) string {
	for _, each := range languages {
		if each.name == language {
			return each.fence
		}
	}
	return "no fence"
}

// checkComplete returns an error where an operation has no example in some language or two, or where an example belongs to an
// unknown operation.
func checkComplete(blocks []block, operations []operation) error {
	seen := map[[2]string]int{}
	for _, b := range blocks {
		key := [2]string{b.operation, b.language}
		if seen[key] != 0 {
			return fmt.Errorf("line %d: %s has an example in %s already, on line %d", b.line, b.operation, b.language, seen[key])
		}
		seen[key] = b.line
	}
	for _, o := range operations {
		for _, l := range languages {
			key := [2]string{o.heading, l.name}
			if seen[key] == 0 {
				return fmt.Errorf("%s has no example in %s", o.heading, l.name)
			}
			delete(seen, key)
		}
	}
	for key, line := range seen {
		return fmt.Errorf("line %d: an example of %q, which is an unknown operation", line, key[0])
	}
	return nil
}

// fill replaces placeholders by values, and changes nothing else. It returns an error where a value has no placeholder in the
// example, or a placeholder has no value.
func (b block) fill(values map[string]string) (string, error) {
	code := b.code
	for _, each := range placeholders {
		value, ok := values[each]
		switch found := strings.Contains(code, each); {
		case found && !ok:
			return "", fmt.Errorf("line %d: there is no value for %s", b.line, each)
		case !found && ok:
			return "", fmt.Errorf("line %d: the example does not have %s", b.line, each)
		}
		code = strings.ReplaceAll(code, each, value)
	}
	return code, nil
}
