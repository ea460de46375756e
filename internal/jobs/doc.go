// Package jobs works the job queue. A worker takes a job, asks package invitation for the message to send, sends the
// message through package mail or webhook, and records the result.
//
// The package decides when a failed job is tried again, by the database's clock. Package invitation decides whether there
// is still something to send. Only river.go knows River, the queue's library.
package jobs
