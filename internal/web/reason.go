package web

import (
	"strconv"

	"invited/internal/invitation"
)

// reasonTooLong is the problem of a form whose reason is too long.
var reasonTooLong = "The reason can have at most " + strconv.Itoa(invitation.MaxReason) + " characters."
