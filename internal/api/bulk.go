package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"

	"invited/gen/server"
	"invited/internal/bulk"
)

const bulkPath = "user-invitations/bulk"

func (h handlers) UserInvitationsBulkList(
	ctx context.Context, request server.UserInvitationsBulkListRequestObject,
) (server.UserInvitationsBulkListResponseObject, error) {
	page := pageOf(request.Params.Page, request.Params.PageSize)
	found, err := h.Bulk.List(ctx, caller(ctx), page.number, page.size)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsBulkList200JSONResponse{
		Body: convertAll(found.Bulks, h.bulk),
		Headers: server.UserInvitationsBulkList200ResponseHeaders{
			Link: h.linkHeader(ctx, bulkPath, page, found.Total), XResultCount: found.Total,
		},
	}, nil
}

func (h handlers) UserInvitationsBulkCount(
	ctx context.Context, _ server.UserInvitationsBulkCountRequestObject,
) (server.UserInvitationsBulkCountResponseObject, error) {
	total, err := h.Bulk.Count(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsBulkCount200Response{
		Headers: server.UserInvitationsBulkCount200ResponseHeaders{XResultCount: total},
	}, nil
}

func (h handlers) UserInvitationsBulkCreate(
	ctx context.Context, request server.UserInvitationsBulkCreateRequestObject,
) (server.UserInvitationsBulkCreateResponseObject, error) {
	held := bulkRequestOf(ctx)
	defer held.release()
	submission := bulk.Submission{Rows: held.rows, OnDuplicate: bulk.Skip}
	if request.Params.OnDuplicate != nil {
		submission.OnDuplicate = bulk.OnDuplicate(*request.Params.OnDuplicate)
	}
	isDryRun := isTrue(request.Params.DryRun)
	if isDryRun || len(submission.Rows) <= bulk.DirectRows {
		do := h.Bulk.Do
		if isDryRun {
			do = h.Bulk.DryRun
		}
		report, err := do(ctx, caller(ctx), submission)
		if err != nil {
			return nil, err
		}
		return bulkReport{report, isDryRun}, nil
	}
	taken, err := h.Bulk.Submit(ctx, caller(ctx), submission)
	if err != nil {
		return nil, err
	}
	return server.UserInvitationsBulkCreate202JSONResponse{
		Body:    h.bulk(taken),
		Headers: server.UserInvitationsBulkCreate202ResponseHeaders{Location: h.bulkURL(taken.UUID)},
	}, nil
}

func (h handlers) UserInvitationsBulkRetrieve(
	ctx context.Context, request server.UserInvitationsBulkRetrieveRequestObject,
) (server.UserInvitationsBulkRetrieveResponseObject, error) {
	page := pageOf(request.Params.Page, request.Params.PageSize)
	found, err := h.Bulk.Retrieve(ctx, caller(ctx), request.UUID, codes(request.Params.Result), page.number, page.size)
	if err != nil {
		return nil, err
	}
	b := h.bulk(found.Bulk)
	return server.UserInvitationsBulkRetrieve200JSONResponse{
		Body: server.BulkInvitationDetails{
			UUID: b.UUID, URL: b.URL, State: b.State, OnDuplicate: b.OnDuplicate, Created: b.Created, Finished: b.Finished,
			CreatedByUUID: b.CreatedByUUID, CreatedByUsername: b.CreatedByUsername, CreatedByFullName: b.CreatedByFullName,
			Total: b.Total, Done: b.Done, Counts: b.Counts, Results: convertAll(found.Results, bulkResult),
		},
		Headers: server.UserInvitationsBulkRetrieve200ResponseHeaders{
			Link: h.linkHeader(ctx, bulkPath+"/"+found.UUID.String(), page, found.Matches), XResultCount: found.Matches,
		},
	}, nil
}

func (h handlers) UserInvitationsBulkCsvRetrieve(
	ctx context.Context, request server.UserInvitationsBulkCsvRetrieveRequestObject,
) (server.UserInvitationsBulkCsvRetrieveResponseObject, error) {
	write, err := h.Bulk.Table(ctx, caller(ctx), request.UUID, codes(request.Params.Result))
	if err != nil {
		return nil, err
	}
	return bulkTable{request.UUID, write}, nil
}

func (h handlers) UserInvitationsBulkCancel(
	ctx context.Context, request server.UserInvitationsBulkCancelRequestObject,
) (server.UserInvitationsBulkCancelResponseObject, error) {
	if err := h.Bulk.Cancel(ctx, caller(ctx), request.UUID); err != nil {
		return nil, err
	}
	return server.UserInvitationsBulkCancel200JSONResponse{
		Body: server.Detail{Detail: "Bulk invitation has been canceled."},
	}, nil
}

func (h handlers) bulkURL(id uuid.UUID) string {
	return h.PublicURL + "api/" + bulkPath + "/" + id.String() + "/"
}

func (h handlers) bulk(b bulk.Bulk) server.BulkInvitation {
	creator := creatorOf(b.CreatedBy)
	out := server.BulkInvitation{
		UUID: b.UUID, URL: h.bulkURL(b.UUID), State: server.BulkInvitationState(b.State),
		OnDuplicate: server.BulkInvitationOnDuplicate(b.OnDuplicate), Created: timestamp(b.Created),
		CreatedByUUID: b.CreatedByUUID, CreatedByUsername: creator.Username, CreatedByFullName: creator.FullName,
		Total: b.Total, Done: b.Done(), Counts: bulkCounts(b.Counts),
	}
	if b.Finished != nil {
		finished := timestamp(*b.Finished)
		out.Finished = &finished
	}
	return out
}

func bulkCounts(c bulk.Counts) server.BulkInvitationCounts {
	return server.BulkInvitationCounts{
		Created: c[bulk.Created], Sent: c[bulk.Sent], Duplicate: c[bulk.Duplicate], Member: c[bulk.Member],
		Invalid: c[bulk.Invalid], Refused: c[bulk.Refused], Canceled: c[bulk.Canceled],
	}
}

func bulkResult(r bulk.Result) server.BulkInvitationResult {
	out := server.BulkInvitationResult{
		Index: r.Index, Email: r.Row.Email, Result: server.BulkInvitationResultCode(r.Code), UUID: r.UUID,
		Errors: server.BulkInvitationErrors(r.Errors),
	}
	if out.Errors == nil {
		out.Errors = server.BulkInvitationErrors{}
	}
	if r.Row.Line > 0 {
		out.Line = &r.Row.Line
	}
	return out
}

// codes converts the parameter `result`, which the validator has checked.
func codes(filter *server.BulkInvitationFilterResult) []bulk.Code {
	return convertAll(optionalList(filter), func(code server.BulkInvitationResultCode) bulk.Code { return bulk.Code(code) })
}

// A bulkReport is a server.BulkInvitationReport that is written row by row: the messages about 10,000 rows may repeat a long
// value in each.
type bulkReport struct {
	report   bulk.Report
	isDryRun bool
}

// VisitUserInvitationsBulkCreateResponse writes the response.
func (b bulkReport) VisitUserInvitationsBulkCreateResponse(w http.ResponseWriter) error {
	counts, err := json.Marshal(bulkCounts(b.report.Counts))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	out := bufio.NewWriter(w)
	if _, err := fmt.Fprintf(out, `{"dry_run":%t,"total":%d,"counts":%s,"results":[`, b.isDryRun, len(b.report.Results), counts); err != nil {
		return err
	}
	rows := json.NewEncoder(out)
	for i, result := range b.report.Results {
		if i > 0 {
			if err := out.WriteByte(','); err != nil {
				return err
			}
		}
		if err := rows.Encode(bulkResult(result)); err != nil {
			return err
		}
	}
	if _, err := out.WriteString("]}\n"); err != nil {
		return err
	}
	return out.Flush()
}

// A bulkTable is a table of results.
type bulkTable struct {
	id    uuid.UUID
	write func(io.Writer) error
}

// VisitUserInvitationsBulkCsvRetrieveResponse writes the response. Where the rest of the table can't be read, the connection
// ends: the client must not take a part for the whole.
func (b bulkTable) VisitUserInvitationsBulkCsvRetrieveResponse(w http.ResponseWriter) error {
	header := w.Header()
	header.Set("Content-Type", mimeCSV+"; charset=utf-8")
	header.Set("Content-Disposition", `attachment; filename="invitations-`+b.id.String()+`.csv"`)
	w.WriteHeader(http.StatusOK)
	if b.write(w) != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}
