// Package store holds every statement about our tables, on GORM. It satisfies the interfaces that packages directory
// and invitation declare, and has no rules of its own: those packages decide what is written.
//
// Both engines have the same schema and give the same answers; package database hides their differences. Models live
// beside their rules (directory.User, invitation.Invitation). Filters and visibility are GORM scopes. Five paths are
// SQL text, each with its reason: the caller (users.go), the page of a list with its order and count (page.go), the
// counts by state (list.go), the change of many invitations (change.go), and check (invitations.go).
package store
