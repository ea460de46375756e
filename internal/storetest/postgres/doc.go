// Package postgres finds or installs PostgreSQL, and starts, stops, pauses and restarts throw-away servers for tests. It
// knows nothing of their contents.
package postgres
