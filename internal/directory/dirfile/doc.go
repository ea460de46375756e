// Package dirfile reads and writes the directory file: the YAML file in which an operator keeps users, roles, scopes and
// memberships. Decode reads a file, Apply plans and saves what differs between the file and the database, and Export
// writes the database as a file. The package owns the file's format; package directory owns what the records mean.
//
// The file is a mapping with the lists roles, users and customers. A key that a record leaves out stays as the database has
// it; a new record gets the default value, and so does a key with null, which is_active of users and members can't have. Where
// the key tokens is there, its tokens are all that the user has. Unknown keys and repeated keys are refused.
//
//	roles       uuid  name  description ""  scope_type  permissions []  is_active true
//	users       uuid  username  email ""  full_name ""  civil_number ""  image ""  is_staff false
//	            is_support false  is_active true  notifications_enabled true  tokens
//	            kind person (or service)
//	customers   uuid  name  description ""  user_email_patterns []  is_removed false
//	            members []  projects []  scopes []
//	  projects  uuid  name  description ""  user_email_patterns []  is_removed false  members []
//	            start_date (a day; none: started)
//	  scopes    uuid  name  description ""  user_email_patterns []  is_removed false  members []
//	            type (offering, call or proposal)
//	  members   user (a username)  role (a role's name)  is_active true
//	            expiration_time (RFC 3339; none: never)
//
// White space around text is dropped. Anchors and aliases are allowed, merge keys ("<<") are not.
package dirfile
