package ecsserver

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// addressInUse and noRoom are Windows' own numbers: package syscall has others of these names.
var (
	addressInUse error = windows.WSAEADDRINUSE
	noRoom             = []error{windows.WSAEMFILE, windows.WSAENOBUFS, syscall.ENOMEM}
)

// freeBind is Linux's.
func freeBind(string, uintptr) error { return nil }

// reused keeps the port from a program that binds it, too, with SO_REUSEADDR: here that takes it
// from us while we listen.
// https://learn.microsoft.com/en-us/windows/win32/winsock/using-so-reuseaddr-and-so-exclusiveaddruse
func reused(fd uintptr) error {
	return os.NewSyscallError("setsockopt",
		windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, exclusiveAddrUse, 1))
}

// exclusiveAddrUse is winsock2.h's SO_EXCLUSIVEADDRUSE, which package windows lacks:
// ((int)(~SO_REUSEADDR)).
const exclusiveAddrUse = ^windows.SO_REUSEADDR

func notReused(fd uintptr) error { return reused(fd) }
