// Package database opens the two database engines, SQLite inside the process and PostgreSQL, and hides what differs
// between them: connection pools, migrations, transactions, the database's clock, and the errors that mean "try again
// later". It hands out GORM sessions and knows no table of ours; package store has the statements.
package database
