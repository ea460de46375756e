// Package bulk invites many people at once: up to MaxRows rows, each with the rules, limits, mails and events of
// invitation.Service.Create. A row that can't be invited keeps no other row from it.
//
// Up to DirectRows rows are done in the request. More are stored, and a job of the queue does them in batches: what a batch
// does and the results of its rows are written in one transaction, so that a process that dies leaves no row done twice and
// none lost.
//
// The package reads tables of text (ReadCSV) and writes results as such tables (WriteCSV). It knows neither HTTP nor HTML.
package bulk
