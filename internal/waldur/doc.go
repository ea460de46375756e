// Package waldur imports the database of a Waldur MasterMind: users and their tokens, roles, organizations, projects and
// other scopes, who holds which role, invitations, group invitations and permission requests.
//
// The package owns what Waldur's rows mean here: which tables and columns are read, what becomes of each row, and what can't be
// carried over. It writes through the [Store] that it declares, and knows no table of ours. Package database opens Waldur's
// database.
//
// # What a row becomes
//
// Every row keeps its uuid, so that the links that Waldur has mailed go on working. The functions of map.go are functions of
// values. A row that can't be carried over is left, with a reason; a row that is carried over otherwise than it was is altered,
// with a reason. Nothing is mailed, and no event of an invitation is written: an invitation that has events was changed here.
//
// # Again
//
// An import can be interrupted and repeated. Rows are written in batches, each in a transaction of its own, those first that
// others refer to. What is there is compared and not written again. The next import brings users, roles, scopes, memberships
// and their tokens in line with Waldur. It leaves alone what was decided here: an invitation, group invitation or request that
// was changed or deleted, a membership or a token that was revoked. What was deleted in Waldur stays.
package waldur
