// Package directory owns users, roles, scopes and memberships: what they are, who can see and manage what as
// pure rules, how a caller is known by an API key, and the YAML file that an operator keeps them in, which
// is read by Parse, brought into a database by Apply and written by Export. It knows of permissions that concern
// invitations, but not of invitations.
package directory
