// Package api serves the HTTP API that openapi.yaml describes.
//
// The package owns the wire: routing, request validation, authentication headers, status codes, error bodies, paging
// headers, the access log, the health probes and the page with the documentation. It has no rules: packages invitation,
// joining, identity and directory decide who may do what. It knows no database: use cases are called through
// [invitation.Service], [joining.Service], [directory.Reader] and identity.Service.
//
// A request passes, in this order:
//
//  1. drainBody, requestID, accessLog, recoverPanic, securityHeaders, CORS where it is on, and the time limit
//     (server.go, logging.go). They apply to every path, unknown ones included.
//  2. The router. Package gen/server registers the operations of the contract. A method that a path does not have is a
//     405 (methods.go).
//  3. The middlewares of the operation (validate.go): the Accept header (accept.go), the query's length (query.go),
//     authentication where the contract asks for it (auth.go, and the chain in package signin), the scope of an API token
//     (tokens.go), the body's size (body.go), then the body as JSON text (json.go), the query as text (query.go), and both
//     against the contract's schemas (kin-openapi). A POST with an Idempotency-Key is answered here where it was answered before
//     (idempotency.go).
//  4. The generated binding of parameters and body, then the strict handler. A handler translates the request, calls
//     one use case and translates the result (handlers.go, invitee.go, events.go, group_invitations.go, directory.go,
//     tokens.go, frontend.go).
//
// An error of any of these steps, a panic included, becomes a response in one place: errorWriter in errors.go.
package api
