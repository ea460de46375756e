package joining

// State is a state in the life of a permission request.
type State string

// The states, as the API names them.
const (
	Draft    State = "draft" // of Waldur; no request is ever seen in it
	Pending  State = "pending"
	Approved State = "approved"
	Rejected State = "rejected"
	Canceled State = "canceled"
)

// States lists every state.
var States = []State{Draft, Pending, Approved, Rejected, Canceled}
