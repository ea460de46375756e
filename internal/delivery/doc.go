// Package delivery says why a mail or a webhook request was not delivered. Packages mail and webhook report a [Failure],
// and package jobs acts on it. The package tells apart failures that may pass, failures for good, and failures that only
// the operator can fix. It delivers nothing.
package delivery
