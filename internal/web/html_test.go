package web_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/net/html"
)

// htmlProblems returns what is wrong with a page: elements that are not closed or stand where a browser moves them, ids that
// are there twice, fields without a label, headings that skip a level, and whatever the content security policy forbids.
func htmlProblems(body string) (problems []string) {
	note := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	written := writtenElements(body, note)
	tree, err := html.Parse(strings.NewReader(body))
	if err != nil {
		return append(problems, err.Error())
	}
	var read []string
	for n := range tree.Descendants() {
		if n.Type == html.ElementNode {
			depth := 0
			for range n.Ancestors() {
				depth++
			}
			read = append(read, fmt.Sprint(depth-1, " ", n.Data))
		}
	}
	if !slices.Equal(written, read) {
		note("browsers move elements: written %q, read %q", written, read)
	}
	if !strings.HasPrefix(body, "<!DOCTYPE html>") {
		note("no doctype")
	}

	ids, count := map[string]*html.Node{}, map[string]int{}
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		count[n.Data]++
		if id := attribute(n, "id"); id != "" {
			if ids[id] != nil {
				note("two elements have the id %q", id)
			}
			ids[id] = n
		}
		if hasAttribute(n, "autofocus") {
			count["autofocus"]++
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				note("%s has %s, which the policy forbids", n.Data, a.Key)
			}
			if (a.Key == "src" || (a.Key == "href" && n.Data == "link")) && !strings.HasPrefix(a.Val, "/") && a.Val != "data:," {
				note("%s loads %s", n.Data, a.Val)
			}
		}
	}
	for name, want := range map[string]int{"h1": 1, "main": 1, "title": 1, "style": 0} {
		if count[name] != want {
			note("%d of %s", count[name], name)
		}
	}
	if count["autofocus"] > 1 {
		note("%d elements want the focus", count["autofocus"])
	}

	level := 0
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, name := range []string{"aria-describedby", "aria-labelledby", "for"} {
			for _, id := range strings.Fields(attribute(n, name)) {
				if ids[id] == nil {
					note("%s of %s leads to no %q", name, n.Data, id)
				}
			}
		}
		switch n.Data {
		case "html":
			if attribute(n, "lang") == "" {
				note("no language")
			}
		case "h1", "h2", "h3", "h4":
			if next := int(n.Data[1] - '0'); next > level+1 {
				note("%s follows h%d", n.Data, level)
			} else {
				level = next
			}
		case "label":
			if id := attribute(n, "for"); id != "" && ids[id] != nil && !slices.Contains([]string{"input", "select", "textarea"}, ids[id].Data) {
				note("a label is for a %s", ids[id].Data)
			}
		case "input", "select", "textarea":
			if attribute(n, "type") != "hidden" && !isLabelled(n, tree) {
				note("%s %q has no label", n.Data, attribute(n, "name"))
			}
			if hasAttribute(n, "aria-invalid") && attribute(n, "aria-describedby") == "" {
				note("%s %q is wrong and does not say why", n.Data, attribute(n, "name"))
			}
		case "button", "a", "h5", "th":
			if strings.TrimSpace(textOf(n)) == "" && attribute(n, "aria-label") == "" {
				note("%s has no text", n.Data)
			}
		case "script":
			if attribute(n, "src") == "" {
				note("an inline script, which the policy forbids")
			}
		}
	}
	return problems
}

var voidElements = []string{"br", "input", "link", "meta", "img", "hr"}

// writtenElements returns the elements of a page as they are written, each with its depth.
func writtenElements(body string, note func(string, ...any)) (all []string) {
	var open []string
	for tokens := html.NewTokenizer(strings.NewReader(body)); ; {
		kind := tokens.Next()
		token := tokens.Token()
		switch kind {
		case html.ErrorToken:
			if len(open) > 0 {
				note("not closed: %q", open)
			}
			return all
		case html.StartTagToken, html.SelfClosingTagToken:
			all = append(all, fmt.Sprint(len(open), " ", token.Data))
			if !slices.Contains(voidElements, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				note("</%s> closes %q", token.Data, open)
				return all
			}
			open = open[:len(open)-1]
		default: // text
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func isLabelled(field, tree *html.Node) bool {
	if attribute(field, "aria-label") != "" || within(field, "label") {
		return true
	}
	for n := range tree.Descendants() {
		if n.Data == "label" && attribute(n, "for") == attribute(field, "id") && attribute(field, "id") != "" {
			return true
		}
	}
	return false
}

func textOf(n *html.Node) string {
	var text strings.Builder
	for each := range n.Descendants() {
		if each.Type == html.TextNode {
			text.WriteString(each.Data)
		}
	}
	return text.String()
}

// Every page that the tests of this package get passes htmlProblems. These don't.
func TestHTMLProblemsAreFound(t *testing.T) {
	t.Parallel()
	page := func(main string) string {
		return `<!DOCTYPE html><html lang="en"><head><title>x</title></head><body><main><h1>x</h1>` + main + `</main></body></html>`
	}
	assert.Empty(t, htmlProblems(page(`<p>x<br>y</p><label for="a">A</label><input id="a"><label>B<input></label>`)))
	for main, problem := range map[string]string{
		`<p>x`:                                       "closes",
		`<b><p>x</b></p>`:                            "closes",
		`<p><ul><li>x</li></ul></p>`:                 "browsers move elements",
		`<table><tr><td>x</td></tr></table>`:         "browsers move elements",
		`<i id="a">x</i><i id="a">x</i>`:             "two elements",
		`<input name="n">`:                           "has no label",
		`<label for="n">N</label>`:                   "leads to no",
		`<p id="n">x</p><label for="n">N</label>`:    "a label is for a p",
		`<input aria-label="x" aria-invalid="true">`: "does not say why",
		`<h3>x</h3>`:                                 "follows h1",
		`<h1>x</h1>`:                                 "2 of h1",
		`<p style="x">x</p>`:                         "forbids",
		`<p onclick="x">x</p>`:                       "forbids",
		`<script>x</script>`:                         "inline script",
		`<img src="https://evil.example/x">`:         "loads",
		`<button></button>`:                          "no text",
		`<p autofocus>x</p><p autofocus>y</p>`:       "want the focus",
	} {
		assert.Contains(t, strings.Join(htmlProblems(page(main)), "\n"), problem, main)
	}
}
