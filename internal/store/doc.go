// Package store is both databases behind one door: SQLite, inside the process, and PostgreSQL. It opens and
// migrates them, runs transactions, turns queries into SQL, and enqueues jobs in the same commit as rows. It has
// no rules of its own: what it writes was decided by packages invitation and directory.
//
// Statements that requests wait for go to PostgreSQL by its driver, as few messages as can be; GORM has the rest, and shares
// the connections with them and with the job queue. The two engines have the same schema and give the same answers;
// where their SQL differs, the difference is a method of dialect.
package store
