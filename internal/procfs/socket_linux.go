package procfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lengths and numbers that golang.org/x/sys/unix lacks, from linux/inet_diag.h.
const (
	requestLen = unix.NLMSG_HDRLEN + 56 // struct inet_diag_req_v2 behind a header
	replyLen   = 72                     // struct inet_diag_msg, without a header

	inetDiagInfo = 2 // INET_DIAG_INFO, an attribute of the reply: struct tcp_info
)

var errMalformed = errors.New("sock_diag: malformed answer")

// Connection returns the open connection whose own address is local and whose peer is remote. The
// peer of a connection that we have is found by giving its addresses the other way round.
func Connection(local, remote netip.AddrPort) (Socket, error) {
	return find(local, remote, false)
}

// Listener returns the socket that takes connections to addr: the one that a packet to it would
// find, be it bound to that address, to all of them, or to all of IPv6.
func Listener(addr netip.AddrPort) (Socket, error) {
	nobody := netip.IPv4Unspecified()
	if addr.Addr().Unmap().Is6() {
		nobody = netip.IPv6Unspecified()
	}
	return find(addr, netip.AddrPortFrom(nobody, 0), true)
}

// find asks for one socket. Without such a connection the kernel offers a listener on the local
// port, if there is one.
func find(local, remote netip.AddrPort, listening bool) (Socket, error) {
	found, err := ask(requestOne(local, remote))
	if err != nil {
		return Socket{}, err
	}
	if len(found) != 1 || found[0].Listening != listening ||
		found[0].Local.Port() != local.Port() || found[0].Remote.Port() != remote.Port() {
		return Socket{}, ErrNoSocket
	}
	return found[0], nil
}

// Sockets returns all open connections and all that listens. What is being closed, by either side,
// is left out.
func Sockets() ([]Socket, error) {
	found, err := ask(requestAll(unix.AF_INET))
	if err != nil {
		return nil, err
	}
	found6, _ := ask(requestAll(unix.AF_INET6)) // a kernel without IPv6 refuses, and has none
	return append(found, found6...), nil
}

// ask sends one question and reads the whole answer.
func ask(request []byte) (found []Socket, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	defer unix.Close(fd)
	// The kernel answers within the send; the timeout is for one that doesn't.
	timeout := unix.Timeval{Usec: 100_000}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return nil, fmt.Errorf("sock_diag receive timeout: %w", err)
	}
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("ask sock_diag: %w", err)
	}
	buf := make([]byte, 32<<10) // the largest datagram that the kernel ever makes (netlink_dump)
	for {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read sock_diag: %w", err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not from the kernel
		}
		sockets, last, err := parse(buf[:n])
		found = append(found, sockets...)
		if last || err != nil {
			return found, err
		}
	}
}

// requestOne encodes an exact look-up. With addresses of IPv4 an IPv6 socket that is connected to
// ::ffff:127.0.0.1, as Java's are, is found by it as well.
func requestOne(local, remote netip.AddrPort) []byte {
	family := byte(unix.AF_INET)
	if local.Addr().Unmap().Is6() {
		family = unix.AF_INET6
	}
	b := request(family, 0, 0, math.MaxUint32)
	id := b[unix.NLMSG_HDRLEN+8:] // struct inet_diag_sockid
	binary.BigEndian.PutUint16(id, local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:], local.Addr().Unmap().AsSlice())
	copy(id[20:], remote.Addr().Unmap().AsSlice())
	binary.NativeEndian.PutUint64(id[40:], math.MaxUint64) // INET_DIAG_NOCOOKIE
	return b
}

func requestAll(family byte) []byte {
	const states = 1<<unix.BPF_TCP_ESTABLISHED | 1<<unix.BPF_TCP_SYN_SENT | 1<<unix.BPF_TCP_LISTEN
	return request(family, unix.NLM_F_DUMP, 1<<(inetDiagInfo-1), states)
}

// request encodes what all questions have, with room for the addresses.
func request(family byte, flags uint16, attributes byte, states uint32) []byte {
	b := make([]byte, requestLen)
	binary.NativeEndian.PutUint32(b, requestLen)
	binary.NativeEndian.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|flags)
	body := b[unix.NLMSG_HDRLEN:]
	body[0], body[1], body[2] = family, unix.IPPROTO_TCP, attributes
	binary.NativeEndian.PutUint32(body[4:], states)
	return b
}

// parse decodes one datagram; last reports whether the answer ends with it. Lengths are checked
// although the kernel wrote them: a mistake here must not be able to do more than leave a socket
// undetermined.
func parse(b []byte) (found []Socket, last bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		length, kind := int(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint16(b[4:])
		if length < unix.NLMSG_HDRLEN || length > len(b) {
			return found, true, errMalformed
		}
		body := b[unix.NLMSG_HDRLEN:length]
		switch {
		case kind == unix.NLMSG_DONE:
			return found, true, nil
		case kind == unix.NLMSG_ERROR && len(body) >= 4:
			return found, true, kernelError(syscall.Errno(-int32(binary.NativeEndian.Uint32(body))))
		case kind != unix.SOCK_DIAG_BY_FAMILY || len(body) < replyLen:
			return found, true, errMalformed
		}
		if s := parseSocket(body); s.Inode != 0 { // else closed by its owner: the uid is then 0 and means nothing
			found = append(found, s)
		}
		if binary.NativeEndian.Uint16(b[6:])&unix.NLM_F_MULTI == 0 {
			return found, true, nil
		}
		b = b[min(align(length), len(b)):]
	}
	if len(b) > 0 {
		return found, true, errMalformed
	}
	return found, false, nil
}

func kernelError(errno syscall.Errno) error {
	if errno == unix.ENOENT {
		return ErrNoSocket
	}
	return fmt.Errorf("sock_diag: %w", errno)
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// parseSocket reads a struct inet_diag_msg and the attributes behind it.
func parseSocket(b []byte) Socket {
	s := Socket{
		Local:     addrPort(b[0], b[8:24], b[4:6]),
		Remote:    addrPort(b[0], b[24:40], b[6:8]),
		Listening: b[1] == unix.BPF_TCP_LISTEN,
		UID:       binary.NativeEndian.Uint32(b[64:]),
		Inode:     binary.NativeEndian.Uint32(b[68:]),
	}
	for b = b[replyLen:]; len(b) >= unix.SizeofNlAttr; {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofNlAttr || length > len(b) {
			break
		}
		if binary.NativeEndian.Uint16(b[2:]) == inetDiagInfo {
			s.Sent, s.Received = traffic(b[unix.SizeofNlAttr:length])
		}
		b = b[min(align(length), len(b)):]
	}
	return s
}

func addrPort(family byte, addr, port []byte) netip.AddrPort {
	if family == unix.AF_INET {
		addr = addr[:4]
	}
	a, _ := netip.AddrFromSlice(addr) // 4 or 16 bytes are always an address
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

// traffic reads tcpi_bytes_acked and tcpi_bytes_received (Linux 4.1) from a struct tcp_info.
func traffic(info []byte) (sent, received uint64) {
	const (
		sentAt     = unsafe.Offsetof(unix.TCPInfo{}.Bytes_acked)
		receivedAt = unsafe.Offsetof(unix.TCPInfo{}.Bytes_received)
	)
	if len(info) < int(receivedAt)+8 {
		return 0, 0
	}
	return binary.NativeEndian.Uint64(info[sentAt:]), binary.NativeEndian.Uint64(info[receivedAt:])
}
