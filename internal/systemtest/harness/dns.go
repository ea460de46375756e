package harness

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// DNSZone has what a DNS server answers, by name in lower case without the last dot.
type DNSZone struct {
	TXT map[string][]string
	MX  map[string][]string // hosts, each with the last dot
	A   map[string]bool     // names that have an address
}

// Serve answers until the test ends, and returns the server's address.
func (z DNSZone) Serve(t testing.TB) string {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, peer, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer, err := z.answer(buffer[:n]); err == nil {
				_, _ = conn.WriteTo(answer, peer)
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	return conn.LocalAddr().String()
}

func (z DNSZone) answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	q := m.Questions[0]
	name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
	answer := dnsmessage.Message{
		Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: m.Questions[:1],
	}
	add := func(body dnsmessage.ResourceBody) {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
		answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: body})
	}
	if q.Type == dnsmessage.TypeTXT {
		for _, each := range z.TXT[name] {
			add(&dnsmessage.TXTResource{TXT: []string{each}})
		}
	}
	if q.Type == dnsmessage.TypeMX {
		for _, each := range z.MX[name] {
			add(&dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName(each)})
		}
	}
	if q.Type == dnsmessage.TypeA && z.A[name] {
		add(&dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
	}
	if len(answer.Answers) == 0 {
		answer.RCode = dnsmessage.RCodeNameError
	}
	return answer.Pack()
}
