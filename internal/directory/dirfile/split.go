package dirfile

import (
	"bytes"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// The YAML library builds a tree of a whole document, which takes some 300 MB for a hundred thousand users. So Decode
// splits a file into pieces of whole records when the file has the usual shape: each top-level key stands alone at the
// start of a line, and each item of the list below it begins on a line of its own.
//
// The pieces have the same meaning as the file, for this reason. A piece begins before a line with a top-level key, or
// with an item's dash in the column of the list's first item. Such a line is not indented more than the list, so it ends
// every plain scalar, block scalar and nested block collection that is open. Only a quoted scalar or a flow collection
// can go on over it; then the earlier piece ends inside that scalar or collection, and is not valid YAML. A piece with an
// alias whose anchor is in another piece is not valid YAML either. When a piece is not valid, or doesn't have the items
// that were counted in it, Decode reads the file as a whole, and only that reading reports problems.

// piece is the text of some items of one of the file's lists.
type piece struct {
	list        string
	linesBefore int // number of lines in the file before the piece
	items       int
	text        []byte
}

var (
	listKey        = regexp.MustCompile(`^(roles|users|customers): *(?: #.*)?$`)
	documentMarker = regexp.MustCompile(`^--- *$`)
)

// split splits a file into pieces of about size bytes. It reports false when the file doesn't have the usual shape.
func split(data []byte, size int) ([]piece, bool) {
	var (
		pieces  []piece
		seen    = map[string]bool{} // lists that have begun
		list    string              // current list
		column  = -1                // column of the current list's items; -1: no item yet
		started bool                // a document marker or a key has been read
		begin   int                 // offset of the current piece
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
				current = piece{list: list, linesBefore: number}
			}
			column = indent
			current.items++
		case indent > 0:
			if column < 0 || indent <= column {
				return nil, false
			}
		case !started && documentMarker.Match(line):
			started = true
		default:
			key := listKey.FindSubmatch(line)
			if key == nil || seen[string(key[1])] || !printable(line) {
				return nil, false
			}
			end(at)
			started, list, column = true, string(key[1]), -1
			seen[list] = true
			begin, current = next, piece{list: list, linesBefore: number + 1}
		}
		at = next
	}
	end(len(data))
	return pieces, true
}

func isItem(line []byte) bool {
	return len(line) > 0 && line[0] == '-' && (len(line) == 1 || line[1] == ' ')
}

// printable reports whether the YAML library would accept the characters of a line. split asks for the lines that are
// part of no piece, which the library never reads.
func printable(line []byte) bool {
	return utf8.Valid(line) && bytes.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
