package fault_test

import (
	"errors"
	"fmt"
	"time"

	"invited/internal/fault"
)

func Example() {
	remove := func(mayManage bool) error {
		if !mayManage {
			return fault.Forbidden()
		}
		return nil
	}

	err := fmt.Errorf("removing a role: %w", remove(false))
	fmt.Println(fault.Is(err, fault.KindForbidden))
	fmt.Println(err)
	// Output:
	// true
	// removing a role: You do not have permission to perform this action.
}

// All messages about a request are collected first, so that the client learns of all of them at once.
func ExampleFields() {
	wrong := fault.Fields{}
	wrong.Add("email", "Enter a valid email address.")
	wrong.Add("role", "This field is required.")
	wrong.Add("role", "Role not found.")

	var refusal *fault.Error
	if errors.As(wrong.Err(), &refusal) {
		fmt.Println(refusal.Kind == fault.KindInvalid, refusal.Fields["role"])
	}
	fmt.Println(refusal)
	fmt.Println(fault.Fields{}.Err())
	// Output:
	// true [This field is required. Role not found.]
	// email: Enter a valid email address.; role: This field is required. Role not found.
	// <nil>
}

// The cause is for the log: the client gets the message only.
func ExampleUnavailable() {
	err := fault.Unavailable(errors.New("dial tcp 10.0.0.5:5432: connection refused"))
	fmt.Println("client:", err.Message)
	fmt.Println("log:", err)
	// Output:
	// client: Service temporarily unavailable.
	// log: Service temporarily unavailable.: dial tcp 10.0.0.5:5432: connection refused
}

// A client that comes too early is told too long a wait rather than too short a one.
func ExampleThrottled() {
	for _, wait := range []time.Duration{0, time.Second, time.Second + 1, time.Hour} {
		err := fault.Throttled(wait)
		fmt.Println(err.Wait, err)
	}
	// Output:
	// 1s Request was throttled. Expected available in 1 second.
	// 1s Request was throttled. Expected available in 1 second.
	// 2s Request was throttled. Expected available in 2 seconds.
	// 1h0m0s Request was throttled. Expected available in 3600 seconds.
}
