package joining

import "slices"

// State is a state in the life of a permission request.
type State string

// The states, as the API names them.
const (
	Draft    State = "draft" // Waldur's; no request of this server is in it
	Pending  State = "pending"
	Approved State = "approved"
	Rejected State = "rejected"
	Canceled State = "canceled"
)

// States lists every state.
var States = []State{Draft, Pending, Approved, Rejected, Canceled}

// Action is something that a person does to a permission request and that changes its state.
type Action string

// The actions.
const (
	ActionSubmit  Action = "submit"
	ActionApprove Action = "approve"
	ActionReject  Action = "reject"
	ActionCancel  Action = "cancel"
)

// Transition lists the states to which an action can lead from a state.
type Transition struct {
	Action Action
	From   State // empty: there was no request
	To     []State
}

// Transitions lists the actions that are possible in each state, and the states that they lead to. An action without a row
// for a state is refused in that state.
var Transitions = []Transition{
	{ActionSubmit, "", []State{Pending, Approved}},
	{ActionApprove, Pending, []State{Approved}},
	{ActionReject, Pending, []State{Rejected}},
	{ActionCancel, Pending, []State{Canceled}},
	{ActionCancel, Draft, []State{Canceled}},
}

// CanDo reports whether an action is possible in a state.
func CanDo(action Action, state State) bool {
	return slices.ContainsFunc(Transitions, func(t Transition) bool { return t.Action == action && t.From == state })
}
