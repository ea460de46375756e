package bulk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"invited/internal/directory"
	"invited/internal/fault"
)

const (
	// maxCell is the length of the longest cell of a table, in characters. The longest valid value has 2000.
	maxCell = 10_000
	// maxColumns is the number of columns that a table has at most.
	maxColumns = 100
	// maxTable is the size of the largest table in UTF-8, in bytes.
	maxTable = 8 << 20
)

// resultColumns are the columns that WriteCSV adds, and that ReadCSV ignores.
var resultColumns = []string{"result", "reason", "uuid", "line"}

// TableOptions are what somebody says of a table beside its text.
type TableOptions struct {
	Charset  string // as in a content type; empty: as found
	Defaults Row
}

// ReadCSV returns the rows of a table. The first line has the names of fields, in any order and case; columns with other
// names are ignored. A comma, a semicolon or a tab separates cells. Lines without text are left out. The text is UTF-8, with
// or without a byte order mark, UTF-16 with one, or Windows-1252.
//
// ReadCSV returns fault.KindInvalid for a text that is no such table: the one message says on which line. What is wrong with
// a value is for Check to say.
func ReadCSV(table []byte, options TableOptions) ([]Row, error) {
	text, err := decode(table, options.Charset)
	if err != nil {
		return nil, err
	}
	text = endLines(text)
	if len(bytes.TrimFunc(text, directory.IsBlank)) == 0 {
		return nil, refuse("The table is empty: it needs a line with the names of the columns, and a line for each person.")
	}
	if at := bytes.IndexByte(text, 0); at >= 0 {
		return nil, refuseLine(lineOf(text, at), "there is a NUL character. Save the table as CSV in UTF-8.")
	}
	separator := separatorOf(text)
	for line, n := range separators(text, separator) {
		if n >= maxColumns { // before the line takes many times its size of the memory
			return nil, refuseLine(line, fmt.Sprintf("there are %d cells; a line has at most %d.", n+1, maxColumns))
		}
	}
	t := tableReader{text: text, csv: newCSV(text, separator)}
	if err := t.readHeader(); err != nil {
		return nil, err
	}
	rows, err := t.readRows(options.Defaults)
	if err == nil && len(rows) == 0 {
		err = refuse("The table has no rows below the names of the columns.")
	}
	return rows, err
}

func refuse(message string) error { return fault.Field(fault.NonField, message) }

func refuseLine(line int, message string) error {
	return refuse(fmt.Sprintf("Line %d: %s", line, message))
}

// lineOf returns the number of the line that has the byte at an offset.
func lineOf(text []byte, offset int) int { return 1 + bytes.Count(text[:offset], []byte{'\n'}) }

// magic has the first bytes of the files of spreadsheets: XLSX and ODS, which are ZIP files, and XLS.
var magic = [][]byte{[]byte("PK\x03\x04"), {0xd0, 0xcf, 0x11, 0xe0}}

// Byte order marks.
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
)

// decode returns a table in UTF-8 without a byte order mark, which goes before what charset says.
func decode(table []byte, charset string) ([]byte, error) {
	hasMark := func(mark string) bool { return bytes.HasPrefix(table, []byte(mark)) }
	isUTF16 := hasMark(markUTF16LE) || hasMark(markUTF16BE)
	charset = strings.ToLower(charset)
	switch {
	case slices.ContainsFunc(magic, func(m []byte) bool { return bytes.HasPrefix(table, m) }):
		return nil, refuse("This is the file of a spreadsheet program. Save the table as CSV, and send that.")
	case isUTF16:
		return decodeWith(unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), table)
	case hasMark(markUTF8):
		table = table[len(markUTF8):]
		charset = "utf-8"
	}
	switch charset {
	case "", "utf-8", "utf8", "us-ascii":
		if at := invalidUTF8(table); at >= 0 && charset != "" {
			return nil, refuseLine(lineOf(table, at), "there is a character that is not "+strings.ToUpper(charset)+".")
		} else if at < 0 {
			return table, nil
		}
	case "windows-1252", "cp1252", "iso-8859-1", "latin1":
	default:
		return nil, refuse(fmt.Sprintf("There is no reading the character set %.40q. Save the table as CSV in UTF-8.", charset))
	}
	return decodeWith(charmap.Windows1252, table)
}

func decodeWith(from encoding.Encoding, table []byte) ([]byte, error) {
	var decoded bytes.Buffer
	decoded.Grow(min(len(table)*9/8, maxTable) + bytes.MinRead)
	_, err := decoded.ReadFrom(io.LimitReader(from.NewDecoder().Reader(bytes.NewReader(table)), maxTable+1))
	if err != nil {
		return nil, refuse("The characters of the table can't be read. Save the table as CSV in UTF-8.")
	}
	text := decoded.Bytes()
	if len(text) > maxTable {
		return nil, refuse(fmt.Sprintf("The table is larger than %d MiB in UTF-8.", maxTable>>20))
	}
	if at := bytes.IndexRune(text, utf8.RuneError); at >= 0 {
		return nil, refuseLine(lineOf(text, at), "there is a character that can't be read. Save the table as CSV in UTF-8.")
	}
	return text, nil
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8; a negative number where all are.
func invalidUTF8(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// endLines returns a text with a line feed for each carriage return that ends a line: one that stands alone, outside quotes.
func endLines(text []byte) []byte {
	isCopy, isQuoted := false, false
	for i, b := range text {
		switch {
		case b == '"':
			isQuoted = !isQuoted
		case b == '\r' && !isQuoted && (i+1 == len(text) || text[i+1] != '\n'):
			if !isCopy {
				text, isCopy = bytes.Clone(text), true
			}
			text[i] = '\n'
		}
	}
	return text
}

// separatorOf returns the separator that the first line with text has most often, outside quotes.
func separatorOf(text []byte) rune {
	separator, most := ',', 0
	for _, each := range ",;\t" {
		for _, n := range separators(bytes.TrimLeft(text, " \t\r\n"), each) {
			if n > most {
				separator, most = each, n
			}
			break
		}
	}
	return separator
}

// separators yields, for each line of a text, the line's number, and how often the line has a separator outside quotes. A
// line goes on where a quote has a line break.
func separators(text []byte, separator rune) iter.Seq2[int, int] {
	return func(yield func(line, n int) bool) {
		line, next, n, isQuoted := 1, 1, 0, false
		for _, b := range text {
			switch {
			case b == '"':
				isQuoted = !isQuoted
			case rune(b) == separator && !isQuoted: // a separator is ASCII
				n++
			case b == '\n':
				if next++; isQuoted {
					continue
				}
				if !yield(line, n) {
					return
				}
				line, n = next, 0
			}
		}
		yield(line, n)
	}
}

func newCSV(text []byte, separator rune) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator, -1, true
	return r
}

// A tableReader reads a table in UTF-8.
type tableReader struct {
	text  []byte
	csv   *csv.Reader
	names []string // of the columns
}

// read returns the next line that has text; nil at the end.
func (t *tableReader) read() ([]string, error) {
	for {
		start := t.csv.InputOffset()
		cells, err := t.csv.Read()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		var malformed *csv.ParseError
		if errors.As(err, &malformed) {
			return nil, t.refuseQuote(malformed, start)
		}
		if err != nil {
			return nil, fmt.Errorf("bulk: reading a table: %w", err)
		}
		line, _ := t.csv.FieldPos(0)
		isEmpty := true
		for column, cell := range cells {
			if isEmpty = isEmpty && directory.Trim(cell) == ""; len(cell) > maxCell && utf8.RuneCountInString(cell) > maxCell {
				return nil, refuseLine(line, fmt.Sprintf("%s has more than %d characters.", t.column(column), maxCell))
			}
		}
		if !isEmpty {
			return cells, nil
		}
	}
}

// refuseQuote returns the message about a quote that is out of place in the line that begins at an offset.
func (t *tableReader) refuseQuote(malformed *csv.ParseError, start int64) error {
	switch {
	case errors.Is(malformed.Err, csv.ErrQuote) && bytes.Count(t.text[start:], []byte{'"'})%2 == 1:
		return refuseLine(malformed.StartLine, "the quote that begins here does not end.")
	case errors.Is(malformed.Err, csv.ErrQuote):
		return refuseLine(malformed.Line, "there is text behind the end of a quote. A quote inside of quotes is written twice.")
	default:
		return refuseLine(malformed.Line, "there is a quote inside of a cell. Put quotes around the cell, and write that one twice.")
	}
}

// column returns a column in words.
func (t *tableReader) column(at int) string {
	if at < len(t.names) && t.names[at] != "" {
		return fmt.Sprintf("column %.40q", t.names[at])
	}
	return fmt.Sprintf("column %d", at+1)
}

func (t *tableReader) readHeader() error {
	cells, err := t.read()
	if err != nil {
		return err
	}
	line, _ := t.csv.FieldPos(0)
	for _, cell := range cells {
		name := strings.ToLower(directory.Trim(cell))
		if name != "" && slices.Contains(t.names, name) {
			return refuseLine(line, fmt.Sprintf("two columns have the name %.40q.", name))
		}
		t.names = append(t.names, name)
	}
	if !slices.Contains(t.names, "email") {
		found := make([]string, 0, len(t.names))
		for _, name := range t.names[:min(len(t.names), 10)] {
			found = append(found, fmt.Sprintf("%.40q", name))
		}
		return refuseLine(line, `no column has the name "email". The names found are `+strings.Join(found, ", ")+".")
	}
	return nil
}

func (t *tableReader) readRows(defaults Row) ([]Row, error) {
	rows := make([]Row, 0, min(bytes.Count(t.text, []byte{'\n'}), MaxRows))
	for {
		cells, err := t.read()
		if err != nil {
			return nil, err
		}
		if cells == nil {
			return rows, nil
		}
		line, _ := t.csv.FieldPos(0)
		if len(rows) == MaxRows {
			return nil, refuseLine(line, fmt.Sprintf("this is row %d; a table has at most %d.", MaxRows+1, MaxRows))
		}
		row := Row{Line: line}
		for i, cell := range cells {
			value := directory.Trim(unescape(directory.Trim(cell)))
			if i >= len(t.names) {
				if value != "" {
					return nil, refuseLine(line, fmt.Sprintf("there are %d cells, but %d columns.", len(cells), len(t.names)))
				}
				continue
			}
			if field := row.Field(t.names[i]); field != nil {
				*field = value
			}
		}
		row.FillIn(&defaults)
		rows = append(rows, row)
	}
}

// Spreadsheet programs take a cell that begins with one of some characters for a formula. A program that separates cells by
// something else than the table does sees a cell begin in the middle of another one, behind a separator or a line break. So
// an apostrophe stands before such a character there too. (OWASP, "CSV Injection".)
var (
	formula = regexp.MustCompile("(^|[;\\t\\r\\n])('*[=+\\-@\uff1d\uff0b\uff0d\uff20])")
	escaped = regexp.MustCompile("(^|[;\\t\\r\\n])'('*[=+\\-@\uff1d\uff0b\uff0d\uff20])")
)

// escape returns the cell of a trimmed value that a spreadsheet program shows as it is.
func escape(value string) string { return formula.ReplaceAllString(value, "$1'$2") }

// unescape returns the value of which escape made a cell. Somebody's own table may have such an apostrophe too: it is how
// people tell a spreadsheet program that a telephone number is a text.
func unescape(cell string) string { return escaped.ReplaceAllString(cell, "$1$2") }

// WriteCSV writes results as a table in UTF-8 with a byte order mark, which Excel needs: the rows with the columns that any
// of them has a value in, the outcome of each, and the line of the table that it comes from. ReadCSV reads the same rows, with
// line feeds for line breaks of any kind. WriteCSV returns the errors of the writer.
func WriteCSV(to io.Writer, results []Result) error {
	used := usedFields{}
	used.add(results)
	return writeTable(to, used, func(yield func([]Result, error) bool) { yield(results, nil) })
}

// usedFields has the names of the fields that any row of a table has a value in.
type usedFields map[string]bool

func (u usedFields) add(results []Result) {
	for _, r := range results {
		for _, field := range rowFields {
			if *field.of(&r.Row) != "" {
				u[field.name] = true
			}
		}
	}
}

// writeTable is WriteCSV for results that come in pages, with columns for some fields. It returns the error of a page too.
func writeTable(to io.Writer, used usedFields, pages iter.Seq2[[]Result, error]) error {
	if _, err := io.WriteString(to, markUTF8); err != nil {
		return err
	}
	table := csv.NewWriter(to)
	var columns []rowField
	var line []string
	for _, field := range rowFields {
		if field.name == "email" || used[field.name] {
			columns, line = append(columns, field), append(line, field.name)
		}
	}
	if err := table.Write(append(line, resultColumns...)); err != nil {
		return err
	}
	for results, err := range pages {
		if err != nil {
			return err
		}
		for _, r := range results {
			line = line[:0]
			for _, column := range columns {
				line = append(line, escape(*column.of(&r.Row)))
			}
			id := ""
			if r.UUID != nil {
				id = r.UUID.String()
			}
			at := ""
			if r.Row.Line > 0 {
				at = strconv.Itoa(r.Row.Line)
			}
			if err := table.Write(append(line, string(r.Code), escape(reason(r.Errors)), id, at)); err != nil {
				return err
			}
		}
	}
	table.Flush()
	return table.Error()
}

// reason returns messages by field as one text.
func reason(messages fault.Fields) string {
	parts := slices.Clone(messages[fault.NonField])
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		if name != fault.NonField {
			parts = append(parts, name+": "+strings.Join(messages[name], " "))
		}
	}
	return strings.Join(parts, " ")
}
