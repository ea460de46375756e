package bulk_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
)

func read(table string) ([]bulk.Row, error) {
	return bulk.ReadCSV([]byte(table), bulk.TableOptions{})
}

// Programs write tables in many ways.
func TestReadCSV(t *testing.T) {
	t.Parallel()
	ada := bulk.Row{Line: 2, Email: "ada@example.com", FullName: "Ada Example", Organization: "Übung"}
	for name, table := range map[string]string{
		"comma":                "email,full_name,organization\nada@example.com,Ada Example,Übung\n",
		"semicolon":            "email;full_name;organization\nada@example.com;Ada Example;Übung\n",
		"tab":                  "email\tfull_name\torganization\nada@example.com\tAda Example\tÜbung\n",
		"CRLF":                 "email,full_name,organization\r\nada@example.com,Ada Example,Übung\r\n",
		"CR":                   "email,full_name,organization\rada@example.com,Ada Example,Übung\r",
		"no last line end":     "email,full_name,organization\nada@example.com,Ada Example,Übung",
		"mark":                 "\ufeffemail,full_name,organization\nada@example.com,Ada Example,Übung\n",
		"quotes":               "\"email\",\"full_name\",\"organization\"\n\"ada@example.com\",\"Ada Example\",\"Übung\"\n",
		"order and case":       " Organization , EMAIL,Full_Name\nÜbung, ada@example.com ,Ada Example\n",
		"unknown columns":      "shoe size,email,full_name,organization,result,reason,uuid,line\n42,ada@example.com,Ada Example,Übung,invalid,x,y,7\n",
		"unnamed columns":      "email,,full_name,,organization\nada@example.com,1,Ada Example,2,Übung\n",
		"empty lines":          "email,full_name,organization\nada@example.com,Ada Example,Übung\n\n,,\n  \n",
		"empty cells too many": "email,full_name,organization\nada@example.com,Ada Example,Übung,,,\n",
		"as text":              "email,full_name,organization\n'ada@example.com,Ada Example,Übung\n",
	} {
		rows, err := read(table)
		require.NoError(t, err, name)
		want := ada
		if name == "as text" { // an apostrophe that stands before no formula stays
			want.Email = "'ada@example.com"
		}
		require.Equal(t, []bulk.Row{want}, rows, name)
	}
	few, err := read("email,full_name\nada@example.com\n")
	require.NoError(t, err)
	require.Equal(t, []bulk.Row{{Line: 2, Email: "ada@example.com"}}, few)
}

func TestReadCSVLines(t *testing.T) {
	t.Parallel()
	rows, err := read("\nemail;extra_invitation_text\r\na@example.com;\"Two\r\nlines; \"\"quoted\"\"\"\r\n\r\nb@example.com;\"x\ny\"\nc@example.com\n")
	require.NoError(t, err)
	require.Equal(t, []bulk.Row{
		{Line: 3, Email: "a@example.com", ExtraInvitationText: "Two\nlines; \"quoted\""},
		{Line: 6, Email: "b@example.com", ExtraInvitationText: "x\ny"},
		{Line: 8, Email: "c@example.com"},
	}, rows)
}

func TestReadCSVCharacterSets(t *testing.T) {
	t.Parallel()
	const table = "email,full_name,organization\nada@example.com,Ada “Łucja” €,Übung\n"
	const western = "email,full_name\nada@example.com,Ada Müller – “€”\n"
	windows, err := charmap.Windows1252.NewEncoder().String(western)
	require.NoError(t, err)
	for _, each := range []struct{ name, table, charset, want string }{
		{"told UTF-8", table, "UTF-8", "Ada “Łucja” €"},
		{"found UTF-8", table, "", "Ada “Łucja” €"},
		{"found Windows-1252", windows, "", "Ada Müller – “€”"},
		{"told Windows-1252", windows, "windows-1252", "Ada Müller – “€”"},
		{"told ISO-8859-1", windows, "ISO-8859-1", "Ada Müller – “€”"},
		{"UTF-8 that was told to be Windows-1252", "email,full_name\na@example.com,Ü\n", "windows-1252", "Ãœ"},
		{"the mark decides", "\ufeffemail,full_name\na@example.com,Ü\n", "windows-1252", "Ü"},
	} {
		rows, err := bulk.ReadCSV([]byte(each.table), bulk.TableOptions{Charset: each.charset})
		require.NoError(t, err, each.name)
		require.Equal(t, each.want, rows[0].FullName, each.name)
	}
	for _, order := range []unicode.Endianness{unicode.LittleEndian, unicode.BigEndian} {
		wide, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(strings.ReplaceAll(table, ",", "\t"))
		require.NoError(t, err)
		rows, err := read(wide)
		require.NoError(t, err)
		require.Equal(t, "Ada “Łucja” €", rows[0].FullName)
	}
}

// Each table that can't be read gets one message, with the line.
func TestReadCSVRefuses(t *testing.T) {
	t.Parallel()
	const head = "email,full_name\na@example.com,A\n"
	for table, want := range map[string]string{
		"":                      "The table is empty: it needs a line with the names of the columns, and a line for each person.",
		"\ufeff":                "The table is empty: it needs a line with the names of the columns, and a line for each person.",
		" \r\n\n":               "The table is empty: it needs a line with the names of the columns, and a line for each person.",
		"email,full_name\n,\n":  "The table has no rows below the names of the columns.",
		head + "b@x\x00y,B\n":   "Line 3: there is a NUL character. Save the table as CSV in UTF-8.",
		"e\x00m\x00a\x00i\x00l": "Line 1: there is a NUL character. Save the table as CSV in UTF-8.",
		head + "\"b@example.com,B\nc@example.com,C\n":               "Line 3: the quote that begins here does not end.",
		head + "\"b@example.com\"x,B\n":                             "Line 3: there is text behind the end of a quote. A quote inside of quotes is written twice.",
		head + "b@example.com,B \"Bee\" B\n":                        "Line 3: there is a quote inside of a cell. Put quotes around the cell, and write that one twice.",
		head + "b@example.com,B,B\n":                                "Line 3: there are 3 cells, but 2 columns.",
		head + "b@example.com," + strings.Repeat("x", 1<<20) + "\n": `Line 3: column "full_name" has more than 10000 characters.`,
		"email,EMAIL \na@example.com,A\n":                           `Line 1: two columns have the name "email".`,
		"email,shoe,shoe\na@example.com,A\n":                        `Line 1: two columns have the name "shoe".`,
		"\nName;Mail\nA;a@example.com\n":                            `Line 2: no column has the name "email". The names found are "name", "mail".`,
		"a@example.com\nb@example.com\n":                            `Line 1: no column has the name "email". The names found are "a@example.com".`,
		"PK\x03\x04\x14\x00\x06\x00":                                "This is the file of a spreadsheet program. Save the table as CSV, and send that.",
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":                          "This is the file of a spreadsheet program. Save the table as CSV, and send that.",
		head + "b@example.com,\x81\n":                               "Line 3: there is a character that can't be read. Save the table as CSV in UTF-8.",
		"\xff\xfee\x00m\x00\x00\xd8":                                "Line 1: there is a character that can't be read. Save the table as CSV in UTF-8.",
		"\ufeff" + head + "b@example.com,\xfc\n":                    "Line 3: there is a character that is not UTF-8.",
		head + strings.Repeat(",", 8<<20-len(head)):                 "Line 3: there are 8388577 cells; a line has at most 100.",
		strings.Repeat("\x80", 8<<20):                               "The table is larger than 8 MiB in UTF-8.",
		"email\n" + strings.Repeat("a@example.com\n", 10_001):       "Line 10002: this is row 10001; a table has at most 10000.",
	} {
		rows, err := read(table)
		var refused *fault.Error
		require.ErrorAs(t, err, &refused, "%.80q", table)
		require.Equal(t, map[string][]string{fault.NonField: {want}}, refused.Fields, "%.80q", table)
		require.Empty(t, rows)
	}
	_, err := bulk.ReadCSV([]byte(head), bulk.TableOptions{Charset: "koi8-r"})
	require.EqualError(t, err, `non_field_errors: There is no reading the character set "koi8-r". Save the table as CSV in UTF-8.`)
	_, err = bulk.ReadCSV([]byte(head+"b@example.com,\xfc\n"), bulk.TableOptions{Charset: "utf-8"})
	require.EqualError(t, err, "non_field_errors: Line 3: there is a character that is not UTF-8.")
	rows, err := read("email\n" + strings.Repeat("a@example.com\n", 10_000))
	require.NoError(t, err)
	require.Len(t, rows, 10_000)
}

func TestReadCSVDefaults(t *testing.T) {
	t.Parallel()
	rows, err := bulk.ReadCSV([]byte("email,role\na@example.com,\nb@example.com,PROJECT.ADMIN\n"), bulk.TableOptions{
		Defaults: bulk.Row{Role: "PROJECT.MEMBER", Scope: "s"},
	})
	require.NoError(t, err)
	require.Equal(t, []bulk.Row{
		{Line: 2, Email: "a@example.com", Role: "PROJECT.MEMBER", Scope: "s"},
		{Line: 3, Email: "b@example.com", Role: "PROJECT.ADMIN", Scope: "s"},
	}, rows)
}

func write(t testing.TB, results []bulk.Result) string {
	t.Helper()
	var table bytes.Buffer
	require.NoError(t, bulk.WriteCSV(&table, results))
	return table.String()
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11")
	require.Equal(t, "\ufeffemail,full_name,phone_number,result,reason,uuid,line\n"+
		"ada@example.com,,'+372 555 0100,created,,0f5a9f2e-7a55-4c7e-9f0a-6b3a6a0c6a11,\n"+
		"'=cmd|' /C calc'!A0,\"A \"\"B\"\", C\",,invalid,Nobody. email: Enter a valid email address. role: One. Two.,,12\n",
		write(t, []bulk.Result{
			{Row: bulk.Row{Email: "ada@example.com", PhoneNumber: "+372 555 0100"}, Code: bulk.Created, UUID: &id},
			{Row: bulk.Row{Email: "=cmd|' /C calc'!A0", FullName: `A "B", C`, Line: 12}, Code: bulk.Invalid, Errors: fault.Fields{
				"role": {"One.", "Two."}, "email": {"Enter a valid email address."}, fault.NonField: {"Nobody."},
			}},
		}))
	require.Equal(t, "\ufeffemail,result,reason,uuid,line\n", write(t, nil))
}

// A cell begins with no character that begins a formula, for programs that separate cells by a comma, a semicolon or a tab.
func TestWriteCSVFormulas(t *testing.T) {
	t.Parallel()
	for _, formula := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"} {
		for _, before := range []string{"", "x;", "x\t", "x\n", "x\r", "x;;", "'", "x;'"} {
			table := write(t, []bulk.Result{{Row: bulk.Row{Email: before + formula, FullName: before + formula}}})
			cells := strings.FieldsFunc(table, func(r rune) bool { return strings.ContainsRune(",;\t\r\n", r) })
			for _, cell := range cells {
				require.False(t, strings.HasPrefix(strings.TrimLeft(cell, `"`), formula), "%q", table)
			}
		}
	}
}

// Whoever sends a table of results again sends the same rows.
func TestCSVRoundTrip(t *testing.T) {
	t.Parallel()
	alphabet := []string{"a", "Ü", "'", "'", "=", "+", "-", "@", "\t", "\n", "\r", ";", ",", `"`, " ", "x\uff1d", `\.`, "\u00a0"}
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range random.IntN(8) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		return directory.Trim(b.String())
	}
	for range 5000 {
		var results []bulk.Result
		for range 1 + random.IntN(4) {
			results = append(results, bulk.Result{Row: bulk.Row{
				Email: "e" + text(), FullName: text(), Scope: text(), PhoneNumber: text(), ExtraInvitationText: text(),
			}, Errors: fault.Fields{"email": {text()}}})
		}
		requireRoundTrip(t, results)
	}
}

func requireRoundTrip(t *testing.T, results []bulk.Result) {
	t.Helper()
	table := write(t, results)
	rows, err := read(table)
	require.NoError(t, err, "%q", table)
	require.Len(t, rows, len(results), "%q", table)
	for i, row := range rows {
		want := results[i].Row
		for _, field := range []*string{
			&want.Email, &want.Role, &want.Scope, &want.FullName, &want.NativeName, &want.PhoneNumber, &want.Organization,
			&want.JobTitle, &want.CivilNumber, &want.ExtraInvitationText, &want.Expires, &want.MembershipExpires,
		} {
			*field = strings.ReplaceAll(*field, "\r\n", "\n")
		}
		want.Line = row.Line
		require.Equal(t, want, row, "%q", table)
	}
}

// Any text is refused with one message, or has rows, which can be written and read again.
func FuzzReadCSV(f *testing.F) {
	for _, seed := range []string{
		"email,full_name\na@example.com,A\n", "\ufeffemail;role\r\n\"a@example.com\";'+x\r\n", "\xff\xfee\x00m\x00", "email\n\"a\nb\"\n",
		"email\ta\rb\tc\r", "PK\x03\x04", "email\n\xfc\n", "\"\n", "email,email\n", ",,,\nemail,a\n'=x,''\n",
	} {
		f.Add([]byte(seed), "")
		f.Add([]byte(seed), "windows-1252")
	}
	f.Fuzz(func(t *testing.T, table []byte, charset string) {
		sent := bytes.Clone(table)
		rows, err := bulk.ReadCSV(table, bulk.TableOptions{Charset: charset})
		require.Equal(t, sent, table)
		if err != nil {
			require.True(t, fault.Is(err, fault.KindInvalid), "%v", err)
			require.Less(t, len(err.Error()), 1000)
			return
		}
		var results []bulk.Result
		last := 1
		for i, row := range rows {
			require.Greater(t, row.Line, last)
			last = row.Line
			row.Check()
			results = append(results, bulk.Result{Index: i, Row: row, Code: bulk.Invalid})
		}
		requireRoundTrip(t, results)
	})
}
