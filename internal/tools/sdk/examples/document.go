package main

import (
	"fmt"
	"strings"
)

// The placeholders that the document writes where a caller has values of their own.
const (
	anyServer = "https://api.example.com"
	anyToken  = "YOUR_API_TOKEN"
	anyUUID   = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
	anyScope  = "string-value"
	anyEmail  = "alice@example.com"
	anySigned = "********"
)

var placeholders = []string{anyServer, anyToken, anyUUID, anyScope, anyEmail, anySigned}

// languages are the tabs that hold an example, with the fence that it stands in, in the document's order.
var languages = []struct{ name, fence string }{{"HTTPie", "bash"}, {"Python", "python"}, {"TypeScript", "typescript"}}

// A block is one example, as it stands in the document.
type block struct {
	operation string // the heading it stands under
	language  string
	line      int // of its first line
	code      string
}

// parse finds the examples. It refuses a document that has a code block which is none: what is not understood would
// not be run.
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
				return nil, fmt.Errorf("line %d: a code block that is no example in HTTPie, Python or TypeScript", i+1)
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

// complete refuses a document that lacks an example of an operation, has one twice, or has one of an operation that
// nobody knows.
func complete(blocks []block, operations []operation) error {
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
		return fmt.Errorf("line %d: an example of %q, which is no operation known here", line, key[0])
	}
	return nil
}

// fill puts values in for placeholders, and changes nothing else. Every value has to have a place, and no placeholder
// may stay.
func (b block) fill(values map[string]string) (string, error) {
	code := b.code
	for _, each := range placeholders {
		value, ok := values[each]
		switch there := strings.Contains(code, each); {
		case there && !ok:
			return "", fmt.Errorf("line %d: there is nothing to put in for %s", b.line, each)
		case !there && ok:
			return "", fmt.Errorf("line %d: the example does not say %s", b.line, each)
		}
		code = strings.ReplaceAll(code, each, value)
	}
	return code, nil
}
