package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A YAML library makes a tree of a whole document, which for a hundred thousand users takes some 300 MB. So a file
// is cut into pieces of whole records, where it has the shape that people and programs give it: the top-level keys
// stand alone at the start of a line, and below each is a list with each item on a line of its own.
//
// The pieces together mean what the file means. A cut stands before a line that begins a top-level key, or an
// item's dash in the column of the list's first item. What was open there, in the scanner of the whole file, is
// either closed by such a line, as it stands no deeper than the list (plain and block scalars, and every nested
// collection), or goes on whatever the column (quoted scalars and flow collections); and then the piece before the
// cut ends within it, and is no YAML. So is a piece with an alias whose anchor stands in another. When any piece is
// no YAML, or not exactly the items that were counted, the file is read whole instead, and that alone says what is
// wrong with it.

// pieceSize is about how many bytes a piece has: few enough for its tree to be small, enough for it to be worth it.
const pieceSize = 256 << 10

// A piece is some items of one list of the file.
type piece struct {
	list  string
	line  int // how many lines of the file stand before it
	items int
	text  []byte
}

var (
	listKey  = regexp.MustCompile(`^(roles|users|customers): *(?: #.*)?$`)
	document = regexp.MustCompile(`^--- *$`)
)

// cut cuts a file into pieces; false where it has not the shape for it.
func cut(data []byte, size int) ([]piece, bool) {
	var (
		pieces  []piece
		seen    = map[string]bool{}
		list    string // that stands open
		column  = -1   // of its items; -1: none yet
		started bool   // a document marker or a key was read
		begin   int    // of the current piece
		current piece
	)
	end := func(at int) {
		if current.items > 0 {
			current.text = data[begin:at]
			pieces = append(pieces, current)
		}
		begin = at
	}
	for at, number := 0, 0; at < len(data); number++ {
		next := len(data)
		if length := bytes.IndexByte(data[at:], '\n'); length >= 0 {
			next = at + length + 1
		}
		line := bytes.TrimRight(data[at:next], "\r\n")
		indent := len(line) - len(bytes.TrimLeft(line, " "))
		rest := line[indent:]
		item := list != "" && isItem(rest) && (column == indent || column < 0)
		switch {
		case column < 0 && !printable(line):
			return nil, false
		case len(rest) == 0 || rest[0] == '#':
		case item:
			if current.items > 0 && at-begin >= size {
				end(at)
				current = piece{list: list, line: number}
			}
			column = indent
			current.items++
		case indent > 0:
			if column < 0 || indent <= column {
				return nil, false
			}
		case !started && document.Match(line):
			started = true
		default:
			key := listKey.FindSubmatch(line)
			if key == nil || seen[string(key[1])] || !printable(line) {
				return nil, false
			}
			end(at)
			started, list, column = true, string(key[1]), -1
			seen[list] = true
			begin, current = next, piece{list: list, line: number + 1}
		}
		at = next
	}
	end(len(data))
	return pieces, true
}

func isItem(text []byte) bool {
	return len(text) > 0 && text[0] == '-' && (len(text) == 1 || text[1] == ' ')
}

// printable tells of a line that stands in no piece that the YAML library would not refuse it.
func printable(line []byte) bool {
	return utf8.Valid(line) && bytes.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// pieces decodes all pieces; false where one of them is not what was counted.
func (d *decoder) pieces(all []piece) bool {
	for _, each := range all {
		root, err := tree(each.text)
		if err != nil || root == nil || root.Kind != yaml.SequenceNode || len(root.Content) != each.items {
			return false
		}
		d.skipped = each.line
		d.top(each.list, root)
	}
	return true
}

// whole decodes the file from one tree.
func (d *decoder) whole(data []byte) {
	root, err := tree(data)
	if err != nil {
		line, message := unreadable(err)
		d.add(nil, "", line, "%s", message)
		return
	}
	if root == nil {
		return
	}
	if isNull(root) {
		return
	}
	d.mapping(nil, root, "the file", nil, d.top)
}

// tree reads one YAML document; nil where there is none.
func tree(data []byte) (root *yaml.Node, err error) {
	// The library means to panic on nothing, but says "please report" in some of its panics.
	defer func() {
		if caught := recover(); caught != nil {
			root, err = nil, fmt.Errorf("can't be read: %v", caught)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, fmt.Errorf("line %d: a second document begins; the file must be one", second.Line)
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return document.Content[0], nil
}

var syntaxLine = regexp.MustCompile(`^line (\d+): `)

// unreadable takes the line out of an error of the YAML library.
func unreadable(err error) (line int, message string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if found := syntaxLine.FindStringSubmatch(text); found != nil {
		line, _ = strconv.Atoi(found[1]) // digits; one too large is not known
		text = text[len(found[0]):]
	}
	return line, "is not YAML that can be read: " + text
}
