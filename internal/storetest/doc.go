// Package storetest provides real databases for tests: each test gets a migrated database of its own on SQLite or on
// PostgreSQL, a clock that the test moves, and a record of the statements that it sends. Only tests import the package.
package storetest
