package ecsserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// This file asks the kernel whose socket is at the other end of a loopback connection: sock_diag(7), an exact
// inet_diag lookup, answered from the connection table in some ten microseconds.

// socket is what the kernel knows about the client's end.
type socket struct{ uid, inode uint32 }

// diag is a sock_diag socket, for one goroutine.
type diag struct {
	fd  int
	seq uint32
	buf [1024]byte
}

const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY, linux/sock_diag.h

	headerLen  = 16 // struct nlmsghdr
	requestLen = 56 // struct inet_diag_req_v2
	replyLen   = 72 // struct inet_diag_msg

	tcpListen = 10 // TCP_LISTEN, net/tcp_states.h
)

func openDiag() (*diag, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, syscall.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	// The kernel answers within the send; the timeout is for one that doesn't.
	timeout := syscall.Timeval{Usec: 100_000}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("sock_diag receive timeout: %w", err)
	}
	return &diag{fd: fd}, nil
}

func (d *diag) close() { syscall.Close(d.fd) }

// ask returns the socket whose own address is client and whose peer is server.
func (d *diag) ask(client, server netip.AddrPort) (socket, error) {
	d.seq++
	req := request(d.seq, client, server)
	if err := syscall.Sendto(d.fd, req, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return socket{}, fmt.Errorf("ask sock_diag: %w", err)
	}
	for {
		n, from, err := syscall.Recvfrom(d.fd, d.buf[:], 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return socket{}, fmt.Errorf("read sock_diag: %w", err)
		}
		if nl, ok := from.(*syscall.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not from the kernel
		}
		s, err := parse(d.buf[:n], d.seq, client.Port(), server.Port())
		if err != errStale {
			return s, err
		}
	}
}

// request encodes an exact lookup for IPv4 TCP. A client's IPv6 socket that is connected to ::ffff:127.0.0.1, as
// Java's are, is found by it as well.
func request(seq uint32, client, server netip.AddrPort) []byte {
	b := make([]byte, 0, headerLen+requestLen)
	b = binary.NativeEndian.AppendUint32(b, headerLen+requestLen)
	b = binary.NativeEndian.AppendUint16(b, sockDiagByFamily)
	b = binary.NativeEndian.AppendUint16(b, syscall.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)                  // nlmsg_pid: the kernel fills in ours
	b = append(b, syscall.AF_INET, syscall.IPPROTO_TCP, 0, 0)   // family, protocol, extensions, padding
	b = binary.NativeEndian.AppendUint32(b, math.MaxUint32)     // any state
	b = binary.BigEndian.AppendUint16(b, client.Port())         // from here on struct inet_diag_sockid
	b = binary.BigEndian.AppendUint16(b, server.Port())         //
	b = appendAddr(appendAddr(b, client.Addr()), server.Addr()) //
	b = binary.NativeEndian.AppendUint32(b, 0)                  // any interface
	return binary.NativeEndian.AppendUint64(b, math.MaxUint64)  // INET_DIAG_NOCOOKIE
}

func appendAddr(b []byte, a netip.Addr) []byte {
	v4 := a.Unmap().As4()
	return append(append(b, v4[:]...), make([]byte, 12)...)
}

var (
	errStale = errors.New("sock_diag: the answer to another question")
	errShort = errors.New("sock_diag: malformed answer")
	errNone  = errors.New("sock_diag: no such socket")
)

// parse decodes one message from the kernel. Lengths are checked although the kernel wrote them: a mistake here must
// not be able to do more than leave a user undetermined.
func parse(b []byte, seq uint32, clientPort, serverPort uint16) (socket, error) {
	if len(b) < headerLen {
		return socket{}, errShort
	}
	length, kind := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint16(b[4:])
	if binary.NativeEndian.Uint32(b[8:]) != seq {
		return socket{}, errStale
	}
	if length < headerLen || uint64(length) > uint64(len(b)) {
		return socket{}, errShort
	}
	switch b = b[headerLen:length]; {
	case kind == syscall.NLMSG_ERROR && len(b) >= 4:
		return socket{}, fmt.Errorf("sock_diag: %w", syscall.Errno(-int32(binary.NativeEndian.Uint32(b))))
	case kind != sockDiagByFamily || len(b) < replyLen:
		return socket{}, errShort
	}
	// Without such a connection the kernel offers a listener on the client's port, if there is one.
	if b[1] == tcpListen || binary.BigEndian.Uint16(b[4:]) != clientPort || binary.BigEndian.Uint16(b[6:]) != serverPort {
		return socket{}, errNone
	}
	s := socket{uid: binary.NativeEndian.Uint32(b[64:]), inode: binary.NativeEndian.Uint32(b[68:])}
	if s.inode == 0 {
		return socket{}, errNone // closed by its owner: the uid is then 0 and means nothing
	}
	return s, nil
}

// lookup is for the rare case.
func lookup(client, server netip.AddrPort) (socket, bool) {
	d, err := openDiag()
	if err != nil {
		return socket{}, false
	}
	defer d.close()
	s, err := d.ask(client, server)
	return s, err == nil
}

// users tells our connections from those of other users. It belongs to the accepting goroutine.
type users struct {
	diag   *diag // nil: broken says why
	broken error
	self   uint32
	told   bool
}

func openUsers() (*users, error) {
	u := &users{self: uint32(os.Geteuid())}
	u.diag, u.broken = openDiag()
	return u, nil
}

// foreign reports whether the client is known to be neither us nor root. What can't be determined (a sandbox
// without sock_diag, a client that has gone) passes: the token decides. The first such time there is a warning.
func (u *users) foreign(client, server netip.AddrPort) (foreign bool, warning error) {
	var s socket
	err := u.broken
	if u.diag != nil {
		s, err = u.diag.ask(client, server)
	}
	switch {
	case err == nil:
		return s.uid != u.self && s.uid != 0, nil
	case u.told || errors.Is(err, errNone) || errors.Is(err, syscall.ENOENT):
		return false, nil
	}
	u.told = true
	return false, err
}

func (u *users) close() {
	if u != nil && u.diag != nil {
		u.diag.close()
	}
}

// owner finds a process that has the socket open.
func owner(inode uint32) (pid int, name string, ok bool) {
	link := linkOf(inode)
	pid = sweep([]string{link}, 250*time.Millisecond)[link]
	return pid, comm(pid), pid != 0
}
