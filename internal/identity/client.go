package identity

import "net/netip"

// ClientNetwork returns the addresses that count as one client where requests are limited: an IPv4 address, or the 64 bits
// of an IPv6 address that name a network, of which any host takes as many addresses as it likes. Texts that are no address
// are one client, the zero Prefix.
func ClientNetwork(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := ip.Unmap(), 64
	if ip.Is4() {
		bits = 32
	}
	network, _ := ip.Prefix(bits) // fails only for too many bits
	return network
}
