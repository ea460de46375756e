// Package postgres starts throw-away PostgreSQL servers for tests, from the PostgreSQL that is installed, and stops,
// pauses and starts them again. What is in them is not its business.
package postgres
