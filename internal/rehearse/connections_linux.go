package rehearse

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// This file lists the TCP connections of processes: sock_diag(7) knows all sockets, with the bytes they have carried,
// and /proc/PID/fd whose they are. Who reached the endpoint is in our network namespace.

// socket is a connection with what tells who opened it.
type socket struct {
	Conn
	local   uint16 // port
	listens bool   // it is none, but takes them
}

// opened leaves out what came in by a port that is listened on: to be asked (a health check) is not to call AWS.
func opened(all []socket) []Conn {
	listened := make(map[uint16]bool)
	for _, s := range all {
		listened[s.local] = listened[s.local] || s.listens
	}
	var conns []Conn
	for _, s := range all {
		if !listened[s.local] {
			conns = append(conns, s.Conn)
		}
	}
	return conns
}

// connections returns those that each process opened.
func connections(pids []int) (whose map[int][]Conn, ok bool) {
	var all []socket
	for _, family := range []byte{syscall.AF_INET, syscall.AF_INET6} {
		conns, err := dump(family)
		if err != nil {
			return nil, false
		}
		all = append(all, conns...)
	}
	open := make(map[uint32]Conn, len(all))
	for _, c := range opened(all) {
		open[c.Inode] = c
	}
	whose = make(map[int][]Conn)
	for _, pid := range pids {
		for _, inode := range sockets(pid) {
			if c, ok := open[inode]; ok {
				whose[pid] = append(whose[pid], c)
			}
		}
	}
	return whose, true
}

// sockets lists the inodes of the sockets that a process has open.
func sockets(pid int) (inodes []uint32) {
	dir, err := os.Open(proc(pid, "fd"))
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		to, err := os.Readlink(dir.Name() + "/" + name)
		if err != nil {
			continue
		}
		if digits, ok := strings.CutPrefix(to, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 32); err == nil {
				inodes = append(inodes, uint32(inode))
			}
		}
	}
	return inodes
}

const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY, linux/sock_diag.h
	diagInfo         = 2  // INET_DIAG_INFO, linux/inet_diag.h: struct tcp_info

	headerLen  = 16 // struct nlmsghdr
	requestLen = 56 // struct inet_diag_req_v2
	replyLen   = 72 // struct inet_diag_msg

	established, synSent, listening = 1, 2, 10 // net/tcp_states.h

	ackedAt, receivedAt = 120, 128 // tcpi_bytes_acked, tcpi_bytes_received in struct tcp_info (Linux 4.1)
)

// dump lists all open connections of a family, and what listens; those that are closing, by either side, are none.
func dump(family byte) ([]socket, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, syscall.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	defer syscall.Close(fd)
	timeout := syscall.Timeval{Sec: 1} // the kernel answers at once
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		return nil, fmt.Errorf("sock_diag receive timeout: %w", err)
	}
	if err := syscall.Sendto(fd, request(family), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("ask sock_diag: %w", err)
	}
	var conns []socket
	buf := make([]byte, 32<<10) // NLMSG_GOODSIZE and more
	for {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read sock_diag: %w", err)
		}
		var done bool
		if conns, done = parse(buf[:n], conns); done {
			return conns, nil
		}
	}
}

func request(family byte) []byte {
	b := make([]byte, headerLen+requestLen)
	binary.NativeEndian.PutUint32(b, headerLen+requestLen)
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	b[16], b[17], b[18] = family, syscall.IPPROTO_TCP, 1<<(diagInfo-1)
	binary.NativeEndian.PutUint32(b[20:], 1<<established|1<<synSent|1<<listening)
	return b
}

// parse adds the connections of one datagram, and reports whether it was the last. Whatever is malformed ends it.
func parse(b []byte, conns []socket) (_ []socket, done bool) {
	for len(b) >= headerLen {
		length := int(binary.NativeEndian.Uint32(b))
		if length < headerLen || length > len(b) || binary.NativeEndian.Uint16(b[4:]) != sockDiagByFamily {
			return conns, true // NLMSG_DONE, NLMSG_ERROR
		}
		if c, ok := parseSocket(b[headerLen:length]); ok {
			conns = append(conns, c)
		}
		b = b[min(align(length), len(b)):]
	}
	return conns, false
}

func align(n int) int { return (n + 3) &^ 3 }

// parseSocket reads a struct inet_diag_msg and the attributes behind it.
func parseSocket(b []byte) (c socket, ok bool) {
	if len(b) < replyLen {
		return c, false
	}
	addr, ok := netip.AddrFromSlice(b[24:40])
	if b[0] == syscall.AF_INET {
		addr, ok = netip.AddrFromSlice(b[24:28])
	}
	c.Remote = netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[6:]))
	c.local, c.listens = binary.BigEndian.Uint16(b[4:]), b[1] == listening
	c.Inode = binary.NativeEndian.Uint32(b[68:])
	for b = b[replyLen:]; len(b) >= 4; {
		length := int(binary.NativeEndian.Uint16(b))
		if length < 4 || length > len(b) {
			break
		}
		if binary.NativeEndian.Uint16(b[2:]) == diagInfo && length >= 4+receivedAt+8 {
			c.Sent = binary.NativeEndian.Uint64(b[4+ackedAt:])
			c.Received = binary.NativeEndian.Uint64(b[4+receivedAt:])
		}
		b = b[min(align(length), len(b)):]
	}
	return c, ok && c.Inode != 0
}
