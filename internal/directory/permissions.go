package directory

import (
	"slices"
	"strings"
	"sync"
)

// otherPermissions are permissions that roles of Waldur carry and that this program ignores, by the part before the dot.
var otherPermissions = map[string]string{
	"ACCESS_SUBNET": "CREATE UPDATE DELETE",
	"CALL": "APPROVE_AND_REJECT_PROPOSALS CLOSE_ROUNDS CREATE CREATE_MATRIX_ROOM DELETE_PERMISSION LIST MANAGE UPDATE " +
		"UPDATE_PERMISSION VIEW_TEAM",
	"CUSTOMER": "CREATE DELETE DELETE_PERMISSION LIST_PERMISSION_REVIEWS LIST_USERS UPDATE UPDATE_PERMISSION VIEW_TEAM " +
		"CREATE_MATRIX_ROOM",
	"LEXIS_LINK": "CREATE DELETE",
	"OFFERING": "ACCEPT_CALL_REQUEST ADD_ENDPOINT ARCHIVE ARCHIVE_PLAN CREATE CREATE_PLAN CREATE_SCREENSHOT CREATE_USER DELETE " +
		"DELETE_ENDPOINT DELETE_PERMISSION DELETE_SCREENSHOT DELETE_USER DRY_RUN_SCRIPT MANAGE_BACKEND_RESOURCES " +
		"MANAGE_CAMPAIGN MANAGE_USER_GROUP MANAGE_USER_ROLE PAUSE UNPAUSE UPDATE UPDATE_ATTRIBUTES UPDATE_COMPONENTS " +
		"UPDATE_DESCRIPTION UPDATE_INTEGRATION UPDATE_LOCATION UPDATE_OPTIONS UPDATE_PERMISSION UPDATE_PLAN " +
		"UPDATE_SCREENSHOT UPDATE_THUMBNAIL UPDATE_USER VIEW_TEAM",
	"OFFERINGUSER": "UPDATE_RESTRICTION",
	"ORDER":        "APPROVE APPROVE_PRIVATE CANCEL CREATE DESTROY LIST REJECT",
	"PROJECT":      "CREATE DELETE DELETE_PERMISSION LIST UPDATE UPDATE_PERMISSION VIEW_TEAM CREATE_MATRIX_ROOM",
	"PROPOSAL":     "DELETE_PERMISSION LIST MANAGE_REVIEW UPDATE_PERMISSION VIEW_TEAM",
	"RESOURCE": "ACCEPT_BOOKING_REQUEST CONSUMPTION_LIMITATION CREATE_ROBOT_ACCOUNT DELETE_ROBOT_ACCOUNT LIST LIST_IMPORTABLE " +
		"MANAGE_USERS REJECT_BOOKING_REQUEST SET_BACKEND_ID SET_BACKEND_METADATA SET_END_DATE SET_LIMITS SET_PLAN SET_STATE " +
		"SET_USAGE SUBMIT_REPORT TERMINATE UPDATE_OPTIONS UPDATE_ROBOT_ACCOUNT",
	"ROUND":           "LIST",
	"SERVICE_ACCOUNT": "MANAGE",
	"SERVICE_PROVIDER": "GENERATE_API_SECRET_CODE GET_API_SECRET_CODE GET_REVENUE GET_ROBOT_ACCOUNT_CUSTOMERS " +
		"GET_ROBOT_ACCOUNT_PROJECTS GET_STATISTICS LIST_CUSTOMERS LIST_CUSTOMER_PROJECTS LIST_KEYS LIST_PROJECTS " +
		"LIST_PROJECT_PERMISSIONS LIST_USERS LIST_USER_CUSTOMERS OPENSTACK_IMAGE_MANAGEMENT REGISTER SET_OFFERINGS_USERNAME",
}

// NearestPermission returns the known permission whose name is nearest to a name: the name itself where it is known, and an
// empty text where no known name is near.
func NearestPermission(name string) string {
	const longest = 60 // no known name is as long
	if len(name) > longest {
		return ""
	}
	known := knownPermissions()
	if _, found := slices.BinarySearch(known, name); found {
		return name
	}
	nearest, least := "", len(name)/3+1
	for _, each := range known {
		if distance := editDistance(strings.ToUpper(name), each); distance < least {
			nearest, least = each, distance
		}
	}
	return nearest
}

// knownPermissions returns the names of all permissions that are known, in order.
var knownPermissions = sync.OnceValue(func() []string {
	known := []string{InvitationList}
	for _, kind := range ScopeTypes {
		known = append(known, kind.CreatePermission())
	}
	for group, names := range otherPermissions {
		for _, each := range strings.Fields(names) {
			known = append(known, group+"."+each)
		}
	}
	slices.Sort(known)
	return known
})

// editDistance returns the number of bytes to insert, delete or replace that make one text of the other.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
