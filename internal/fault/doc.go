// Package fault defines the ways in which a request can be refused. An [*Error] is such a refusal: it has a [Kind], and
// texts that the client reads.
//
// The code that knows a rule returns the fault. Only package api turns it into a status and a body:
//
//	Kind                 made by                 status  body
//	KindInvalid          Field, Fields.Err       400     {"email": ["This field is required."]}
//	KindRejected         Rejected                400     ["User already has role within this scope."]
//	KindUnauthenticated  Unauthorized            401     {"detail": "Invalid token."}
//	KindForbidden        Forbidden               403     {"detail": "You do not have permission to …"}
//	KindNotFound         NotFound, PageNotFound  404     {"detail": "Not found."}
//	KindContradiction    Contradiction           422     {"detail": "This Idempotency-Key was used for …"}
//	KindUnavailable      Unavailable             503     {"detail": "Service temporarily unavailable."}
//	KindThrottled        Throttled               429     {"detail": "Request was throttled. Expected available in …"}
//
// A fault stays a fault when it is wrapped with %w. Every other error is an internal one: api logs it and answers
// with a 500 that says nothing about it.
//
// The package knows nothing of HTTP: jobs and commands call the same rules, and look at the kind with [Is].
package fault
