package web

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
)

// manyPath is the path of the form that invites the people of a table, and of the list of those that were sent.
const manyPath = "/console/bulk/"

const (
	// maxTableForm is the size of the largest form with a table, in bytes.
	maxTableForm = 8 << 20
	// maxCarried is the size of the rows that a form carries along, in bytes, before they are compressed.
	maxCarried = 12 << 20
	// maxEncoded is the size of what such a form carries, in bytes. The rest of maxTableForm has room for corrections.
	maxEncoded = maxTableForm / 4 * 3
	// byRow stands in place of a scope where each row of a table names its own.
	byRow = "rows"
	// earlierSize is the number of bulk invitations that a page of the list has.
	earlierSize = 5
)

// The fields of the forms.
const (
	fieldTable = "table" // that was pasted
	fieldFile  = "file"
	fieldRole  = "role"
)

// manyStart is the content of the page on which a user chooses a scope for a table, beside the scopes.
type manyStart struct {
	Earlier             []bulkView // a page of those that were sent before
	Total               int
	Previous, Following string // URLs of the other pages; empty: none
}

// manyForm is the content of the form that takes a table of people.
type manyForm struct {
	target            // for rows that name none; Scope is nil where each row names its own
	Role       string // the name of the role of rows that name none
	SendsAgain bool   // to whom an invitation is open already
	Table      string
	Problems   map[string]string // by field; "" has what is wrong with none of them
}

// ScopeName returns the scope as requests name it.
func (f manyForm) ScopeName() string {
	if f.Scope == nil {
		return byRow
	}
	return f.target.ScopeName()
}

// Path returns the path of the form, below the base.
func (f manyForm) Path() string { return strings.TrimPrefix(manyPath, "/") }

// MaxRows returns the number of rows that a table has at most.
func (f manyForm) MaxRows() int { return bulk.MaxRows }

// MaxBytes returns the size of the largest file, in bytes: the form has a few other fields.
func (f manyForm) MaxBytes() int { return maxTableForm - maxTextForm }

// Wrong returns the first field in which something is wrong; empty: none.
func (f manyForm) Wrong() string {
	for _, field := range []string{fieldRole, fieldFile, fieldTable} {
		if f.Problems[field] != "" {
			return field
		}
	}
	return ""
}

// askMany is the page on which a user chooses a scope, and then fills in the form.
func (p *pages) askMany(r *request) error {
	if r.FormValue("scope") != "" && r.mayInvite() {
		form, err := p.manyForm(r)
		if err != nil {
			return err
		}
		return r.render(http.StatusOK, "many", manyTitle, form)
	}
	page := r.pageNumber()
	earlier, err := p.Bulk.List(r.Context(), r.user.Actor, page, earlierSize)
	if fault.Is(err, fault.KindNotFound) && page > 1 {
		return r.redirect(manyPath)
	} else if err != nil {
		return err
	}
	choices, err := p.scopeChoices(r)
	if err != nil {
		return err
	}
	choices.ForMany = &manyStart{Total: earlier.Total}
	aims := p.aimReader(r)
	for _, each := range earlier.Bulks {
		common, _, err := aims.of(each.UUID)
		if err != nil && !fault.Is(err, fault.KindNotFound) { // deleted meanwhile
			return err
		}
		choices.ForMany.Earlier = append(choices.ForMany.Earlier, bulkView{each, common})
	}
	choices.ForMany.Previous, choices.ForMany.Following = r.pageLinksOf(earlierSize, strings.TrimPrefix(manyPath, "/"), url.Values{}, page, earlier.Total)
	return r.render(http.StatusOK, "choose", manyTitle, choices)
}

const manyTitle = "Invite many people"

// manyForm returns the form, as the request has filled it in.
func (p *pages) manyForm(r *request) (form manyForm, err error) {
	form = manyForm{
		Role: r.PostFormValue(fieldRole), SendsAgain: r.PostFormValue("again") != "", Table: r.PostFormValue(fieldTable), Problems: map[string]string{},
	}
	if r.FormValue("scope") != byRow {
		form.target, err = p.target(r)
	}
	return form, err
}

// checkMany does the step that a form asks for.
func (p *pages) checkMany(r *request) error {
	switch {
	case !r.mayInvite():
		return fault.NotFound()
	case r.tooLarge || !r.PostForm.Has(fieldRows):
		return p.readTable(r)
	}
	step, err := readStep(r)
	if err != nil {
		return err
	}
	if r.PostFormValue("step") == "send" && !step.isChanged { // what was corrected since is checked first, and seen
		return p.sendMany(r, step)
	}
	report, err := p.Bulk.DryRun(r.Context(), r.user.Actor, step.submission())
	if err != nil {
		return err
	}
	if r.PostFormValue("step") == "download" {
		rest := slices.DeleteFunc(report.Results, func(each bulk.Result) bool { return isGood(each.Code) })
		return r.download("not-invited.csv", rest)
	}
	return p.renderStep(r, http.StatusOK, step, report, checkPage{NotYet: r.PostFormValue("step") == "send"})
}

// readTable reads the table of the form, and shows what would become of each row.
func (p *pages) readTable(r *request) error {
	form, err := p.manyForm(r)
	if err != nil {
		return err
	}
	step, err := form.read(r)
	if err == nil {
		var report bulk.Report
		if field, problem := form.missing(step.rows); problem != "" {
			if field == "" {
				field = form.source(r)
			}
			form.Problems[field] = problem
			return r.render(http.StatusBadRequest, "many", manyTitle, form)
		}
		if report, err = p.Bulk.DryRun(r.Context(), r.user.Actor, step.submission()); err == nil {
			return p.renderStep(r, http.StatusOK, step, report, checkPage{})
		}
	}
	if problem := refusal(err); problem != "" {
		form.Problems[form.source(r)] = problem
		return r.render(http.StatusBadRequest, "many", manyTitle, form)
	}
	return err
}

// source returns the field that the table of the form is in.
func (f manyForm) source(r *request) string {
	if r.tooLarge || (r.MultipartForm != nil && len(r.MultipartForm.File[fieldFile]) > 0 && r.MultipartForm.File[fieldFile][0].Filename != "") {
		return fieldFile
	}
	return fieldTable
}

// read returns the rows of the form's table. It returns fault.KindInvalid where there is no table, or none that can be read.
func (f manyForm) read(r *request) (step manyStep, err error) {
	refuse := func(message string) (manyStep, error) { return manyStep{}, fault.Field(fault.NonField, message) }
	if r.tooLarge {
		return refuse("The table is larger than 8 MB. Split it, and send the parts one after the other.")
	}
	table := []byte(r.PostForm.Get(fieldTable))
	if f.source(r) == fieldFile {
		if directory.Trim(f.Table) != "" {
			return refuse("You chose a file and pasted a table. Send one of them, then the other.")
		}
		file, err := r.MultipartForm.File[fieldFile][0].Open()
		if err != nil {
			return manyStep{}, err
		}
		defer func() { _ = file.Close() }()
		if table, err = io.ReadAll(file); err != nil {
			return manyStep{}, err
		}
	} else if directory.Trim(f.Table) == "" {
		return refuse("Choose a file, or paste a table.")
	}
	defaults := bulk.Row{Role: directory.Trim(f.Role)}
	if f.Scope != nil {
		defaults.Scope = strings.TrimSuffix(r.page.PublicURL.String(), "/") + directory.ScopePath(*f.Scope)
	}
	step.onDuplicate = bulk.Skip
	if f.SendsAgain {
		step.onDuplicate = bulk.Send
	}
	step.rows, err = bulk.ReadCSV(table, bulk.TableOptions{Defaults: defaults})
	return step, err
}

// missing returns what no row has, and what to do. field is the form's field for it; empty: the form has none.
func (f manyForm) missing(rows []bulk.Row) (field, problem string) {
	noRole := !slices.ContainsFunc(rows, func(row bulk.Row) bool { return row.Role != "" })
	noScope := !slices.ContainsFunc(rows, func(row bulk.Row) bool { return row.Scope != "" })
	switch {
	case noRole && f.Scope != nil:
		return fieldRole, "Choose a role, or add a column role."
	case noRole && noScope:
		return "", "Add the columns role and scope, or choose one place for all."
	case noScope:
		return "", "Add a column scope, or choose one place for all."
	case noRole:
		return "", "Add a column role, or choose one place and one role for all."
	}
	return "", ""
}

// manyStep holds the rows that a form carries along to the next step, with the corrections so far. The server keeps nothing of a
// step, and each step checks all rows again.
type manyStep struct {
	rows        []bulk.Row
	onDuplicate bulk.OnDuplicate
	before      int  // rows that were sent before these, of the same table
	isChanged   bool // cells were corrected just now
}

func (s manyStep) submission() bulk.Submission {
	return bulk.Submission{Rows: s.rows, OnDuplicate: s.onDuplicate}
}

// fieldRows is the field that carries the rows along.
const fieldRows = "rows"

// encodeRows returns rows for fieldRows.
func encodeRows(rows []bulk.Row) (string, error) {
	var text strings.Builder
	encoded := base64.NewEncoder(base64.RawURLEncoding, &text) // what a form sends as it is
	compressed := gzip.NewWriter(encoded)
	var size byteCounter
	lines := json.NewEncoder(io.MultiWriter(compressed, &size))
	lines.SetEscapeHTML(false)
	err := errors.Join(lines.Encode(rows), compressed.Close(), encoded.Close())
	if err == nil && (size > maxCarried || text.Len() > maxEncoded) {
		err = fault.Rejected("The table is too large to be corrected here. Split it, and send the parts one after the other.")
	}
	return text.String(), err
}

// byteCounter counts what is written to it.
type byteCounter int

// Write implements io.Writer.
func (n *byteCounter) Write(p []byte) (int, error) {
	*n += byteCounter(len(p))
	return len(p), nil
}

// decodeRows returns the rows of fieldRows. It reads no more than there can be: a few bytes can stand for millions of rows.
func decodeRows(text string) (rows []bulk.Row, err error) {
	compressed, err := gzip.NewReader(base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(text)))
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(io.LimitReader(compressed, maxCarried))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return nil, errors.Join(errBadForm, err)
	}
	for decoder.More() {
		var each struct {
			bulk.Row
			Wrong struct{} `json:"wrong"` // is left out: of a table, no row has any
		}
		if err := decoder.Decode(&each); err != nil {
			return nil, err
		}
		if rows = append(rows, each.Row); len(rows) > bulk.MaxRows {
			return nil, errBadForm
		}
	}
	if _, err = decoder.Token(); err == nil && len(rows) == 0 {
		err = errBadForm
	}
	return rows, err
}

// readStep returns what a form carries along, with the cells that were corrected.
func readStep(r *request) (manyStep, error) {
	rows, err := decodeRows(r.PostForm.Get(fieldRows))
	if err != nil {
		return manyStep{}, errBadForm
	}
	isChanged := false
	for name := range r.PostForm {
		index, field, ok := cutCellName(name)
		if !ok || index >= len(rows) {
			continue
		}
		value := directory.Trim(r.PostForm.Get(name))
		if cell := rows[index].Field(field); cell != nil && !sameLines(*cell, value) {
			*cell, isChanged = value, true
		}
	}
	step := manyStep{rows: rows, onDuplicate: bulk.Skip, isChanged: isChanged}
	if step.before, _ = strconv.Atoi(r.PostFormValue("before")); step.before < 0 || step.before > bulk.MaxRows {
		step.before = 0 // it is told, and nothing follows from it
	}
	if r.PostFormValue("again") != "" {
		step.onDuplicate = bulk.Send
	}
	return step, nil
}

// sameLines reports whether texts are the same but for how their lines end: browsers send line breaks in a form of their
// own.
func sameLines(a, b string) bool {
	lines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	return lines.Replace(a) == lines.Replace(b)
}

// cellName returns the name of the form's field for a cell.
func cellName(index int, field string) string { return "row-" + strconv.Itoa(index) + "-" + field }

// cutCellName returns the cell of a name that cellName returned.
func cutCellName(name string) (index int, field string, ok bool) {
	rest, isCell := strings.CutPrefix(name, "row-")
	number, field, hasField := strings.Cut(rest, "-")
	index, err := strconv.Atoi(number)
	return index, field, isCell && hasField && err == nil && index >= 0
}

// sendMany invites the people of the rows. Rows that can't be invited stay on the page, with the reason.
func (p *pages) sendMany(r *request, step manyStep) error {
	if len(step.rows) > bulk.DirectRows {
		made, err := p.Bulk.Submit(r.Context(), r.user.Actor, step.submission())
		if err == nil {
			return r.redirect(manyPath + made.UUID.String() + "/")
		}
		return p.sendRefused(r, step, err)
	}
	report, err := p.Bulk.Do(r.Context(), r.user.Actor, step.submission())
	if err != nil {
		return p.sendRefused(r, step, err)
	}
	repeated, err := p.aimReader(r).repeats(report.Results)
	if err != nil {
		return err
	}
	out := checkPage{HasSent: true, repeated: map[int]bulk.Result{}}
	left := bulk.Report{Counts: maps.Clone(report.Counts)}
	step.rows = nil
	for _, each := range report.Results {
		if isGood(each.Code) {
			out.Sent = append(out.Sent, each)
			continue
		}
		if earlier, ok := repeated[each.Index]; ok {
			out.repeated[len(step.rows)] = earlier
		}
		each.Index = len(step.rows)
		left.Results, step.rows = append(left.Results, each), append(step.rows, each.Row)
	}
	left.Counts[bulk.Created], left.Counts[bulk.Sent] = 0, 0
	return p.renderStep(r, http.StatusOK, step, left, out)
}

// sendRefused shows the rows once more where none of them was sent.
func (p *pages) sendRefused(r *request, step manyStep, err error) error {
	problem := refusal(err)
	if f := (*fault.Error)(nil); errors.As(err, &f) && f.Kind == fault.KindThrottled { // the use case says what to wait for
		problem = f.Message
	}
	if problem == "" {
		return err
	}
	report, err := p.Bulk.DryRun(r.Context(), r.user.Actor, step.submission())
	if err != nil {
		return err
	}
	return p.renderStep(r, http.StatusBadRequest, step, report, checkPage{Problem: problem})
}

// checkPage is the content of the page that says what would become of each row, and takes corrections.
type checkPage struct {
	Rows                string // all of them, for fieldRows
	SendsAgain          bool
	Aim                 aim              // of most rows
	Roles               []directory.Role // that corrections can name, as far as they can be listed
	Total, Good         int
	Kinds               []resultKind
	Shown               []manyRow
	Previous, Following string // values of the buttons that lead to the other pages; empty: none
	First, Last, Of     int    // of the rows of this kind, those that are shown
	SentBefore          int    // rows of the same table
	NotYet              bool   // corrections came with the order to send: they were checked, and nothing was sent
	HasSent             bool   // rows were sent just now:
	Sent                []bulk.Result
	Problem             string // why nothing was sent
	repeated            map[int]bulk.Result
}

// Bad returns the number of rows that can't be invited.
func (c checkPage) Bad() int { return c.Total - c.Good }

// Heading returns the heading of the page.
func (c checkPage) Heading() string {
	if c.HasSent {
		return number(len(c.Sent)) + " of " + number(c.Before()) + " invited"
	}
	return number(c.Good) + " of " + number(c.Total) + " can be invited"
}

// Before returns the number of rows that there were before some were sent.
func (c checkPage) Before() int { return c.Total + len(c.Sent) }

// Direct reports whether the rows are done while the browser waits.
func (c checkPage) Direct() bool { return c.Total <= bulk.DirectRows }

// renderStep answers with the page of a step.
func (p *pages) renderStep(r *request, status int, step manyStep, report bulk.Report, out checkPage) (err error) {
	if out.Rows, err = encodeRows(step.rows); err != nil {
		return err
	}
	out.SendsAgain, out.Total = step.onDuplicate == bulk.Send, len(step.rows)
	out.Good = report.Counts[bulk.Created] + report.Counts[bulk.Sent]
	out.SentBefore = step.before
	aims := p.aimReader(r)
	if out.repeated == nil {
		if out.repeated, err = aims.repeats(report.Results); err != nil {
			return err
		}
	}
	chosen, page := readPlace(r.PostFormValue("go"), report.Counts)
	out.Kinds = resultKinds(report.Counts, chosen, true)
	for i, kind := range out.Kinds {
		if kind.Name == string(bulk.Duplicate) && len(out.repeated) > 0 {
			out.Kinds[i].Word = wordTwice
			if len(out.repeated) < kind.Count {
				out.Kinds[i].Word = "Twice, or invited already"
			}
		}
	}
	found := slices.DeleteFunc(slices.Clone(report.Results), func(each bulk.Result) bool { return !chosen.has(each.Code) })
	slices.SortStableFunc(found, func(a, b bulk.Result) int { return chosen.place(a.Code) - chosen.place(b.Code) })
	first := min((page-1)*consolePageSize, max(0, len(found)-1)/consolePageSize*consolePageSize)
	page = first/consolePageSize + 1
	last := min(first+consolePageSize, len(found))
	for _, each := range found[first:last] {
		row := newCheckRow(each)
		if earlier, ok := out.repeated[each.Index]; ok {
			row.Earlier = &earlier
		}
		out.Shown = append(out.Shown, row)
	}
	if out.Aim, err = aims.common(step.rows); err == nil {
		err = aims.fillIn(out.Shown, out.Aim)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(out.Shown, func(row manyRow) bool {
		return slices.ContainsFunc(row.Cells, func(c cell) bool { return c.IsRole })
	}) {
		out.Roles = aims.active
	}
	out.First, out.Last, out.Of = first+1, last, len(found)
	if page > 1 {
		out.Previous = chosen.Name + ":" + strconv.Itoa(page-1)
	}
	if last < len(found) {
		out.Following = chosen.Name + ":" + strconv.Itoa(page+1)
	}
	return r.render(status, "many-check", out.Heading(), out)
}

// readPlace returns the kind and the page of a button that leads to other rows; the first page of what to look at else.
func readPlace(text string, counts bulk.Counts) (kind resultFilter, page int) {
	name, number, _ := strings.Cut(text, ":")
	if page, _ = strconv.Atoi(number); page < 1 || page > bulk.MaxRows {
		page = 1
	}
	kind, ok := filterOf(name)
	if !ok {
		kind = filterRest
		if counts[bulk.Created]+counts[bulk.Sent] > 0 && !slices.ContainsFunc(filterRest.Codes, func(c bulk.Code) bool { return counts[c] > 0 }) {
			kind = filterAll
		}
	}
	return kind, page
}

// cell is a cell of a row that can be corrected.
type cell struct {
	Name, Label, Value, Problem string
	IsLong                      bool // the text can have several lines
	IsRole                      bool
}

// newCheckRow returns a row with the cells to correct: the address, each in which something is wrong, and the role and
// the place where the row as a whole is refused.
func newCheckRow(result bulk.Result) manyRow {
	out := manyRow{Result: result, Before: true}
	if isGood(result.Code) {
		return out
	}
	isRefused := result.Code == bulk.Refused || len(result.Errors[fault.NonField]) > 0
	isWrong := result.Code != bulk.Duplicate && result.Code != bulk.Member // of both, Reasons speaks
	for _, field := range cellLabels {
		problem := ""
		if isWrong {
			problem = strings.Join(wordsOf(result.Errors, field.Name), " ")
		}
		isAsked := field.Name == "email" || (isRefused && (field.Name == fieldRole || field.Name == "scope"))
		if problem == "" && !isAsked {
			continue
		}
		out.Cells = append(out.Cells, cell{
			Name: cellName(result.Index, field.Name), Label: field.Value, Value: *result.Row.Field(field.Name), Problem: problem,
			IsLong: field.Name == "extra_invitation_text", IsRole: field.Name == fieldRole,
		})
	}
	return out
}

// cellLabels has what people call the fields of a row, in the order in which they are asked for.
var cellLabels = []field{
	{"email", "E-mail address"},
	{"role", "Role"},
	{"scope", "Place"},
	{"full_name", "Name"},
	{"native_name", "Name in their own script"},
	{"organization", "Organization"},
	{"job_title", "Job title"},
	{"phone_number", "Phone"},
	{"civil_number", "Civil number"},
	{"extra_invitation_text", "Personal text"},
	{"expires", "Invitation ends"},
	{"membership_expires", "Membership ends"},
}

// download answers with results as a table.
func (r *request) download(name string, results []bulk.Result) error {
	var table bytes.Buffer
	if err := bulk.WriteCSV(&table, results); err != nil {
		return err
	}
	r.leavePlace()
	r.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	r.w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = r.w.Write(table.Bytes()) // the browser may have left
	return nil
}
