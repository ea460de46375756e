// Package jobs runs what was enqueued: it takes a job from the queue, lets package invitation say what is to be
// sent, has package mail or webhook send it, and reports how that went. When a job is tried again is decided here, by
// the database's clock; whether there is still something to send is not.
package jobs
