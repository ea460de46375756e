package dirfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"invited/internal/memory"
)

const (
	// maxFileSize is the size in bytes of the largest file that Decode accepts: about two million users.
	maxFileSize = 256 << 20
	// pieceSize is the approximate size in bytes of the pieces that a file is split into. A larger piece has a larger
	// tree in memory, and a smaller piece costs more time per record.
	pieceSize = 256 << 10
	// largeTreeSize is the size in bytes from which a file that can't be split is decoded with a busier garbage
	// collector.
	largeTreeSize = 4 << 20
)

// Decode reads a directory file of at most 256 MiB. It returns an *Error when the file is too large or no YAML, or a
// record in it is bad, and the reader's own error when reading fails.
func Decode(r io.Reader) (*File, error) { return decode(r, maxFileSize) }

// decode is Decode with another limit, in bytes.
func decode(r io.Reader, limit int64) (*File, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &Error{Problems: []Problem{{Message: fmt.Sprintf("is larger than %d MiB", limit>>20)}}}
	}
	return decodeBytes(data, pieceSize)
}

// decodeBytes decodes a file piece by piece when split can split it, and as a whole otherwise.
func decodeBytes(data []byte, pieceSize int) (*File, error) {
	if pieces, ok := split(data, pieceSize); ok {
		d := newDecoder()
		if d.pieces(pieces) {
			return d.file, d.err()
		}
	}
	if len(data) > largeTreeSize {
		// The garbage collector waits until the garbage is as large as the live memory, which the tree is part of. FreeOSMemory
		// collects the tree afterwards.
		defer debug.FreeOSMemory()
		defer memory.Economize(20)()
	}
	d := newDecoder()
	d.whole(data)
	return d.file, d.err()
}

// pieces decodes the pieces of a file. It reports false when a piece is no YAML list with as many items as split counted.
func (d *decoder) pieces(all []piece) bool {
	for _, each := range all {
		root, err := parseYAML(each.text)
		if err != nil || root == nil || root.Kind != yaml.SequenceNode || len(root.Content) != each.items {
			return false
		}
		d.linesBefore = each.linesBefore
		d.top(value{d: d, key: each.list, node: root})
	}
	return true
}

// whole decodes a file that was not split.
func (d *decoder) whole(data []byte) {
	root, err := parseYAML(data)
	switch {
	case err != nil:
		line, message := syntaxProblem(err)
		d.add(nil, "", line, "%s", message)
	case root != nil && !isNull(root):
		value{d: d, node: root}.fields("the file", nil, d.top)
	}
}

// parseYAML returns the root of a text's only YAML document, and nil when there is no document.
func parseYAML(data []byte) (root *yaml.Node, err error) {
	// The library doesn't panic on purpose, but has panics that ask to be reported as bugs.
	defer func() {
		if recovered := recover(); recovered != nil {
			root, err = nil, fmt.Errorf("can't be read: %v", recovered)
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

// syntaxProblem returns the line and the message of an error of parseYAML. The line is 0 when the error has none.
func syntaxProblem(err error) (line int, message string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if found := syntaxLine.FindStringSubmatch(text); found != nil {
		line, _ = strconv.Atoi(found[1]) // 0 when the number is too large for an int
		text = text[len(found[0]):]
	}
	return line, "is not YAML that can be read: " + text
}
