// Package jobs runs what was enqueued: it takes a job from the queue, lets package invitation say what is to be
// sent, has package mail send it, and reports how that went. When a job is tried again is decided here, by how
// long its letter can wait; whether there is still something to send is not.
package jobs
