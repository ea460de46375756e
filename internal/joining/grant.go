package joining

import "invited/internal/directory"

// GrantedRole returns the role that an approval grants, without its permissions.
func (g GroupInvitation) GrantedRole() directory.Role { return g.granted() }

// ProjectToGrant returns the name of the project in which an approval grants the role, and which it finds or makes; empty
// where the group invitation makes no projects.
func (r Request) ProjectToGrant() string {
	if !r.Group.MakesProjects {
		return ""
	}
	name, _ := projectName(r)
	return name
}
