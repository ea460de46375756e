package mail

import (
	"cmp"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// locateHTMLError adds the file and line to an error in a kind's HTML. The errors of html/template have none, or a
// wrong one, unless the mistake is at an action: for example if a quote, a tag or a comment is not closed. Other
// errors are returned as they are.
func locateHTMLError(err error, kind Kind, sources map[string]string) error {
	var bad *htmltemplate.Error
	if !errors.As(err, &bad) || bad.Node != nil {
		return err
	}
	set, parseErr := parseHTML(kind, sources)
	if parseErr != nil {
		return err
	}
	l := errorLocator{set: set}
	file, offset := l.locate(set.Lookup(string(kind) + htmlSuffix).Tree)
	lineNumber := 1 + strings.Count(sources[file][:offset], "\n")
	return fmt.Errorf("%s:%d: the HTML goes wrong from here on: %s", file, lineNumber, bad.Description)
}

// errorLocator executes parts of templates, each as if it were a whole document. A well-formed part begins and ends
// outside of tags.
type errorLocator struct {
	set  *htmltemplate.Template // execution changes a set: only clones of it are executed
	seen []string               // names of the blocks that were visited; they may call each other in a circle
}

// locate returns the file and the offset at which a block stops being well-formed: inside a block that it calls, or
// else where its longest well-formed beginning ends.
func (l *errorLocator) locate(block *parse.Tree) (file string, offset parse.Pos) {
	l.seen = append(l.seen, block.Name)
	source := block.Root.String()
	candidates := slices.SortedFunc(slices.Values(l.set.Templates()), func(a, b *htmltemplate.Template) int {
		return cmp.Compare(a.Name(), b.Name())
	})
	for _, inner := range candidates {
		isCalled := inner.Tree != nil && strings.Contains(source, "{{template "+strconv.Quote(inner.Name()))
		if isCalled && !slices.Contains(l.seen, inner.Name()) && !l.isWellFormed(inner.Tree.Root) {
			return l.locate(inner.Tree)
		}
	}
	for i, node := range slices.Backward(block.Root.Nodes) {
		beginning := block.Root.CopyList()
		beginning.Nodes = beginning.Nodes[:i+1]
		if text, ok := beginning.Nodes[i].(*parse.TextNode); ok {
			for lines := strings.SplitAfter(string(text.Text), "\n"); len(lines) > 1; {
				lines = lines[:len(lines)-1]
				text.Text = []byte(strings.Join(lines, ""))
				if l.isWellFormed(beginning) {
					return block.ParseName, text.Pos + parse.Pos(len(text.Text))
				}
			}
		}
		beginning.Nodes = beginning.Nodes[:i]
		if l.isWellFormed(beginning) {
			return block.ParseName, node.Position()
		}
	}
	return block.ParseName, 0
}

func (l *errorLocator) isWellFormed(part *parse.ListNode) bool {
	set, err := l.set.Clone()
	if err != nil {
		return true
	}
	const unused = "" // no file and no block has this name
	set, err = set.AddParseTree(unused, &parse.Tree{Name: unused, Root: part.CopyList()})
	if err != nil {
		return true
	}
	var bad *htmltemplate.Error
	return !errors.As(set.Execute(io.Discard, nil), &bad)
}
