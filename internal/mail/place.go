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

// placed gives an error in a kind's HTML the file and line that html/template
// leaves out or gets wrong where the trouble is not at an action: at a quote, a
// tag or a comment that is not closed, say. Other errors it returns as they are.
func placed(err error, kind Kind, sources map[string]string) error {
	var bad *htmltemplate.Error
	if !errors.As(err, &bad) || bad.Node != nil {
		return err
	}
	set, again := parseHTML(kind, sources)
	if again != nil {
		return err
	}
	p := placer{set: set}
	file, pos := p.place(set.Lookup(string(kind) + htmlSuffix).Tree)
	at := 1 + strings.Count(sources[file][:pos], "\n")
	return fmt.Errorf("%s:%d: the HTML goes wrong from here on: %s", file, at, bad.Description)
}

// placer tries parts of templates, each as if it were a whole document: a part
// that is good begins and ends outside of tags.
type placer struct {
	set  *htmltemplate.Template // only clones of it are run, since that changes them
	seen []string
}

// place returns the file and offset at which a block goes wrong that is not good:
// in a block it calls, or else where its longest good beginning ends.
func (p *placer) place(block *parse.Tree) (file string, pos parse.Pos) {
	p.seen = append(p.seen, block.Name)
	calls := block.Root.String()
	called := slices.SortedFunc(slices.Values(p.set.Templates()), func(a, b *htmltemplate.Template) int {
		return cmp.Compare(a.Name(), b.Name())
	})
	for _, inner := range called {
		isCalled := inner.Tree != nil && strings.Contains(calls, "{{template "+strconv.Quote(inner.Name()))
		if isCalled && !slices.Contains(p.seen, inner.Name()) && !p.good(inner.Tree.Root) {
			return p.place(inner.Tree)
		}
	}
	for i, node := range slices.Backward(block.Root.Nodes) {
		beginning := block.Root.CopyList()
		beginning.Nodes = beginning.Nodes[:i+1]
		if text, ok := beginning.Nodes[i].(*parse.TextNode); ok {
			for lines := strings.SplitAfter(string(text.Text), "\n"); len(lines) > 1; {
				lines = lines[:len(lines)-1]
				text.Text = []byte(strings.Join(lines, ""))
				if p.good(beginning) {
					return block.ParseName, text.Pos + parse.Pos(len(text.Text))
				}
			}
		}
		beginning.Nodes = beginning.Nodes[:i]
		if p.good(beginning) {
			return block.ParseName, node.Position()
		}
	}
	return block.ParseName, 0
}

func (p *placer) good(part *parse.ListNode) bool {
	set, err := p.set.Clone()
	if err != nil {
		return true
	}
	const alone = "" // no file and no block has this name
	set, err = set.AddParseTree(alone, &parse.Tree{Name: alone, Root: part.CopyList()})
	if err != nil {
		return true
	}
	var bad *htmltemplate.Error
	return !errors.As(set.Execute(io.Discard, nil), &bad)
}
