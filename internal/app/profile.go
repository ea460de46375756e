//go:build profile

package app

import (
	"net/http"
	_ "net/http/pprof" //nolint:gosec // G108: serving profiles is what this file is for, on the builder's loopback
	"time"
)

// profileAddress is the address at which a binary that is built with the tag "profile" serves its profiles. The shipped
// binary serves none.
var profileAddress = "127.0.0.1:16060"

func init() {
	go func() {
		panic((&http.Server{Addr: profileAddress, ReadHeaderTimeout: time.Minute}).ListenAndServe())
	}()
}
