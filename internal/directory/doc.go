// Package directory owns users, roles, scopes and memberships. Pure rules decide what a user sees and manages.
// Authenticate finds the user of an API key, and IssueToken makes a key. Package dirfile, below this one, reads and
// writes the YAML file in which an operator keeps the directory.
//
// The package knows permissions that concern invitations, but no invitation.
package directory
