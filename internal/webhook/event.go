package webhook

// Event is the JSON body of a request that says what happened to an invitation.
type Event struct {
	Type      string    `json:"type"`
	Timestamp Time      `json:"timestamp"` // of the event
	Data      EventData `json:"data"`
}

// EventData is the event as the API's feed has it: LifecycleEvent in the contract. It holds no link.
type EventData struct {
	ID             int64  `json:"id"`
	Type           string `json:"type"`
	InvitationUUID string `json:"invitation_uuid"`
	ScopeUUID      string `json:"scope_uuid,omitempty"`
	CustomerUUID   string `json:"customer_uuid,omitempty"`
	Created        Time   `json:"created"`
	EventType      string `json:"event_type"`
	UserUUID       string `json:"user_uuid,omitempty"`
	UserUsername   string `json:"user_username"`
	UserFullName   string `json:"user_full_name"`
	FromState      string `json:"from_state,omitempty"`
	ToState        string `json:"to_state,omitempty"`
	Email          string `json:"email"`
	RoleUUID       string `json:"role_uuid"`
	RoleName       string `json:"role_name"`
	ExecutionState string `json:"execution_state"`
	ErrorMessage   string `json:"error_message"`
	Notice         string `json:"notice,omitempty"`
	Channel        string `json:"channel,omitempty"`
	Recipient      string `json:"recipient"`
	RequestID      string `json:"request_id"`
	Reason         string `json:"reason"`
}
