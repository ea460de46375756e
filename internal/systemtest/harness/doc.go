// Package harness runs the built program for tests: it starts processes on a database of their own, sends them HTTP
// requests, and stands in for the mail server and the webhook endpoint. It asserts nothing about invitations.
//
// Every wait in it has a limit, and whatever it starts ends with the test.
package harness
