//go:build profile

package main

import (
	"net/http"
	_ "net/http/pprof" //nolint:gosec // G108: to be asked is what this file is for, on the loopback of who built it so
	"time"
)

// profileAddress is where a program that was built to be profiled says where its time and memory go. The one that is
// shipped has none of it.
var profileAddress = "127.0.0.1:16060"

func init() {
	go func() {
		panic((&http.Server{Addr: profileAddress, ReadHeaderTimeout: time.Minute}).ListenAndServe())
	}()
}
