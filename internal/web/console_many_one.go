package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"invited/internal/bulk"
	"invited/internal/directory"
	"invited/internal/fault"
)

// resultFilter is a kind of results that a page shows.
type resultFilter struct {
	Name  string
	Codes []bulk.Code
}

// correctable are the codes of rows that can be sent after they were corrected, or as they are. Whoever is invited, or a
// member, already stays that.
var correctable = []bulk.Code{bulk.Invalid, bulk.Refused, bulk.Canceled}

var (
	filterRest = resultFilter{"rest", append(slices.Clone(correctable), bulk.Duplicate, bulk.Member)}
	filterAll  = resultFilter{"all", bulk.Codes}
)

// filterOf returns the filter of a name.
func filterOf(name string) (resultFilter, bool) {
	switch {
	case name == filterRest.Name:
		return filterRest, true
	case name == filterAll.Name:
		return filterAll, true
	case slices.Contains(bulk.Codes, bulk.Code(name)):
		return resultFilter{name, []bulk.Code{bulk.Code(name)}}, true
	}
	return resultFilter{}, false
}

func (f resultFilter) has(code bulk.Code) bool { return slices.Contains(f.Codes, code) }

// place returns where a result stands among those of the filter. All of them stand in the order of the rows.
func (f resultFilter) place(code bulk.Code) int {
	if f.Name == filterAll.Name {
		return 0
	}
	return slices.Index(f.Codes, code)
}

func isGood(code bulk.Code) bool { return code == bulk.Created || code == bulk.Sent }

// resultKind is a number of results that a page can show.
type resultKind struct {
	Name, Word string
	Count      int
	IsChosen   bool
}

// resultKinds returns the kinds of results that there are: all, those that need a look, and each code.
func resultKinds(counts bulk.Counts, chosen resultFilter, before bool) (kinds []resultKind) {
	add := func(f resultFilter, word string) {
		count := 0
		for _, code := range f.Codes {
			count += counts[code]
		}
		if count > 0 {
			kinds = append(kinds, resultKind{f.Name, word, count, f.Name == chosen.Name})
		}
	}
	add(filterAll, "All rows")
	if before {
		add(filterRest, "To look at")
	} else {
		add(filterRest, "Not sent")
	}
	for _, code := range bulk.Codes {
		add(resultFilter{string(code), []bulk.Code{code}}, codeWord(code, before))
	}
	return kinds
}

// codeWord returns a code as people call it, before or after the rows are sent.
func codeWord(code bulk.Code, before bool) string {
	if before && isGood(code) {
		return map[bulk.Code]string{bulk.Created: "Can be invited", bulk.Sent: "Can be sent again"}[code]
	}
	return codeWords[code]
}

var codeWords = map[bulk.Code]string{
	bulk.Created:   "Invited",
	bulk.Sent:      "Sent again",
	bulk.Duplicate: "Invited already",
	bulk.Member:    "Member already",
	bulk.Invalid:   "Has a mistake",
	bulk.Refused:   "Not allowed",
	bulk.Canceled:  "Not reached",
}

// manyRow is the result of a row as a page shows it.
type manyRow struct {
	bulk.Result
	Before bool // it was not sent yet
	Cells  []cell
	// What is another than for most rows; empty: it is not.
	OwnRole, OwnPlace string
	Earlier           *bulk.Result // of the row in the same table that this one repeats; nil: there is none
}

// Word returns the code as people call it.
func (m manyRow) Word() string {
	if m.Earlier != nil {
		return wordTwice
	}
	return codeWord(m.Code, m.Before)
}

const wordTwice = "Twice in the table"

// NeedsNothing reports whether the row was not sent and nothing is wrong with it.
func (m manyRow) NeedsNothing() bool { return m.Code == bulk.Duplicate || m.Code == bulk.Member }

// IsGood reports whether the row was invited, or can be.
func (m manyRow) IsGood() bool { return isGood(m.Code) }

// Number returns the line of the row, or its place where it comes from no table.
func (m manyRow) Number() int {
	if m.Line() > 0 {
		return m.Line()
	}
	return m.Index + 1
}

// Line returns the line of the table on which the row begins; 0: the row comes from no table.
func (m manyRow) Line() int { return m.Row.Line }

// Reasons returns why the row was not invited, in words, without what stands at the cells.
func (m manyRow) Reasons() (all []string) {
	switch {
	case m.Earlier != nil && m.Earlier.Row.Line > 0:
		return []string{"Line " + strconv.Itoa(m.Earlier.Row.Line) + " has the same person."}
	case m.Earlier != nil || (m.Code == bulk.Duplicate && m.UUID == nil):
		return []string{"An earlier row has the same person."}
	case m.Code == bulk.Duplicate:
		return []string{"This address has an open invitation to this role."}
	case m.Code == bulk.Member:
		return []string{"Somebody with this address has this role."}
	}
	all = wordsOf(m.Errors, fault.NonField)
	for _, each := range cellLabels {
		messages := wordsOf(m.Errors, each.Name)
		isShown := slices.ContainsFunc(m.Cells, func(c cell) bool { return c.Label == each.Value })
		if len(messages) > 0 && !isShown {
			all = append(all, each.Value+": "+strings.Join(messages, " "))
		}
	}
	return all
}

// bulkStates are the states of a bulk invitation as people call them.
var bulkStates = map[bulk.State]string{
	bulk.Queued:  "Waits for its turn",
	bulk.Running: "Being sent",
	bulk.Done:    "Done",
	bulk.Stopped: "Stopped",
}

// bulkView is a bulk invitation as a page shows it.
type bulkView struct {
	bulk.Bulk
	Aim *aim // of most rows; nil: it is not known yet
}

// StateWord returns the state as people call it.
func (b bulkView) StateWord() string { return bulkStates[b.State] }

// IsRunning reports whether rows are left to do.
func (b bulkView) IsRunning() bool { return b.State == bulk.Queued || b.State == bulk.Running }

// Tenths returns how many of the rows have a result, in percent, rounded down to tens.
func (b bulkView) Tenths() int { return b.Done() * 10 / max(1, b.Total) * 10 }

// Invited returns the number of rows that were invited, or sent again.
func (b bulkView) Invited() int { return b.Counts[bulk.Created] + b.Counts[bulk.Sent] }

// Rest returns the number of rows that were not.
func (b bulkView) Rest() int { return b.Done() - b.Invited() }

// Correctable returns the number of rows that were not, and can be sent after they were corrected, or as they are.
func (b bulkView) Correctable() (n int) {
	for _, code := range correctable {
		n += b.Counts[code]
	}
	return n
}

// IsStopped reports whether it was stopped before all rows were done.
func (b bulkView) IsStopped() bool { return b.Counts[bulk.Canceled] > 0 }

// manyOne is the content of the page of one bulk invitation.
type manyOne struct {
	bulkView
	Rows                []manyRow
	Kinds               []resultKind
	Chosen              string // the name of the filter
	First, Last, Of     int    // of the results of this kind, those that are shown
	Previous, Following string // URLs of the other pages; empty: none
	MayInvite           bool   // somewhere
	Problem             string // why the last action was refused
}

// Heading returns the heading of the page.
func (m manyOne) Heading() string {
	if m.IsRunning() {
		return "Inviting " + number(m.Total) + " people"
	}
	return number(m.Invited()) + " of " + number(m.Total) + " invited"
}

// IsShort reports whether it began and ended in the same minute, as pages write times.
func (m manyOne) IsShort() bool {
	return m.Finished != nil && m.Finished.UTC().Truncate(time.Minute).Equal(m.Created.UTC().Truncate(time.Minute))
}

// findMany returns the bulk invitation that a path names.
func findMany(r *request) (uuid.UUID, error) {
	id, ok := directory.ParseUUID(r.PathValue("uuid"))
	if !ok {
		return uuid.Nil, fault.NotFound()
	}
	return id, nil
}

// oneMany is the page of one bulk invitation: its progress, then its results.
func (p *pages) oneMany(r *request) error {
	id, err := findMany(r)
	if err != nil {
		return err
	}
	return p.showMany(r, http.StatusOK, id, "")
}

func (p *pages) showMany(r *request, status int, id uuid.UUID, problem string) error {
	page := r.pageNumber()
	aims := p.aimReader(r)
	common, begun, err := aims.of(id)
	if err != nil {
		return err
	}
	byDefault := filterAll
	if now := (bulkView{Bulk: begun}); !now.IsRunning() && now.Rest() > 0 {
		byDefault = filterRest
	}
	chosen, ok := filterOf(r.FormValue("result"))
	if !ok {
		chosen = byDefault
	}
	found, err := p.Bulk.Retrieve(r.Context(), r.user.Actor, id, chosen.Codes, page, consolePageSize)
	path := strings.TrimPrefix(manyPath, "/") + id.String() + "/"
	if fault.Is(err, fault.KindNotFound) && page > 1 {
		return r.redirect(path)
	} else if err != nil {
		return err
	}
	out := manyOne{
		bulkView: bulkView{found.Bulk, common}, Chosen: chosen.Name, Kinds: resultKinds(found.Counts, chosen, false), MayInvite: r.mayInvite(),
		First: (page-1)*consolePageSize + 1, Last: (page-1)*consolePageSize + len(found.Results), Of: found.Matches,
		Problem: problem,
	}
	for _, each := range found.Results {
		out.Rows = append(out.Rows, manyRow{Result: each})
	}
	if common != nil {
		if err := aims.fillIn(out.Rows, *common); err != nil {
			return err
		}
	}
	values := url.Values{}
	if chosen.Name != byDefault.Name {
		values.Set("result", chosen.Name)
	}
	out.Previous, out.Following = r.pageLinks(path, values, page, found.Matches)
	return r.render(status, "many-one", out.Heading(), out)
}

// restOfMany is the page on which the rows of a bulk invitation that were not invited are corrected and sent again.
func (p *pages) restOfMany(r *request) error {
	id, err := findMany(r)
	if err != nil {
		return err
	}
	if err := r.takePlace(); err != nil {
		return err
	}
	made, err := p.Bulk.Retrieve(r.Context(), r.user.Actor, id, correctable, 1, 1)
	if err != nil {
		return err
	}
	results, err := p.Bulk.Results(r.Context(), r.user.Actor, id, correctable)
	if err != nil {
		return err
	}
	if !r.mayInvite() || len(results) == 0 {
		return r.redirect(manyPath + id.String() + "/")
	}
	step := manyStep{onDuplicate: made.OnDuplicate, before: bulkView{Bulk: made.Bulk}.Invited()}
	for _, each := range results {
		each.Row.Wrong = nil
		step.rows = append(step.rows, each.Row)
	}
	report, err := p.Bulk.DryRun(r.Context(), r.user.Actor, step.submission())
	if err != nil {
		return err
	}
	return p.renderStep(r, http.StatusOK, step, report, checkPage{})
}

// downloadMany answers with the results of a bulk invitation as a table.
func (p *pages) downloadMany(r *request) error {
	id, err := findMany(r)
	if err != nil {
		return err
	}
	chosen, ok := filterOf(r.FormValue("result"))
	if !ok {
		chosen = filterAll
	}
	results, err := p.Bulk.Results(r.Context(), r.user.Actor, id, chosen.Codes)
	if err != nil {
		return err
	}
	return r.download("invitations-"+id.String()+".csv", results)
}

// cancelMany stops a bulk invitation.
func (p *pages) cancelMany(r *request) error {
	id, err := findMany(r)
	if err != nil {
		return err
	}
	err = p.Bulk.Cancel(r.Context(), r.user.Actor, id)
	if fault.Is(err, fault.KindRejected) || fault.Is(err, fault.KindConflict) {
		return p.showMany(r, http.StatusBadRequest, id, "All rows are done, or it was stopped before. Nothing was changed.")
	} else if err != nil {
		return err
	}
	return r.redirect(manyPath + id.String() + "/")
}

// number writes a number for people: with a comma between thousands.
func number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
