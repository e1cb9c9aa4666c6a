// Package notify is what a service and its manager say to each other: sd_notify(3) one way, and
// sockets that the manager has opened, sd_listen_fds(3), the other.
//
// Both are variables and descriptors, for any manager that keeps to systemd's protocol. Without
// them nothing is said and nothing is taken. Environments are arguments; functions may be called at
// any time.
package notify

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// Socket is where the manager listens. The zero value is one who wants to know nothing.
type Socket struct{ path string }

// To returns the socket that NOTIFY_SOCKET names. A first @ stands for the zero byte of an abstract
// one, as in package net.
func To(getenv func(string) string) Socket { return Socket{getenv("NOTIFY_SOCKET")} }

// Send tells states such as "READY=1", all at once. A manager that doesn't take it in a second goes
// without.
func (s Socket) Send(states ...string) error {
	if s.path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(time.Second))
	_, err = c.Write([]byte(strings.Join(states, "\n")))
	return err
}

// firstFD is SD_LISTEN_FDS_START.
const firstFD = 3

// given returns how many descriptors are meant for this process.
func given(getenv func(string) string, pid int) int {
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return 0
	}
	return n
}
