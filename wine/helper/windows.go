//go:build windows

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

func line() string { return windows.UTF16PtrToString(windows.GetCommandLine()) }

func rights(path string) (string, error) {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return "", err
	}
	return sd.String(), nil
}

// console does to a process what the console's host does: a thread of its own at kernelbase's CtrlRoutine.
func console(event, pid int) error {
	routine := windows.NewLazySystemDLL("kernelbase.dll").NewProc("CtrlRoutine")
	if err := routine.Find(); err != nil {
		return err
	}
	process, err := windows.OpenProcess(windows.PROCESS_ALL_ACCESS, false, uint32(pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(process)
	start := windows.NewLazySystemDLL("kernel32.dll").NewProc("CreateRemoteThread")
	if thread, _, err := start.Call(uintptr(process), 0, 0, routine.Addr(), uintptr(event), 0, 0); thread == 0 {
		return err
	}
	return nil
}

// hold opens the file as most programs do: nobody may remove or replace it meanwhile.
func hold(variable, length string) error {
	d, err := time.ParseDuration(length)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(os.Getenv(variable))
	if err != nil {
		return err
	}
	file, err := windows.CreateFile(name, windows.GENERIC_READ, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil,
		windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(file)
	fmt.Println("held")
	time.Sleep(d)
	return nil
}

func bind(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	steal := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) {
			err = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
		})
		return err
	}}
	if _, err := steal.Listen(context.Background(), "tcp4", u.Host); err == nil {
		return fmt.Errorf("%s can be bound by two", u.Host)
	}
	return nil
}

func level() error {
	var n, flags uint32
	get := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetProcessShutdownParameters")
	if ok, _, err := get.Call(uintptr(unsafe.Pointer(&n)), uintptr(unsafe.Pointer(&flags))); ok == 0 {
		return err
	}
	fmt.Printf("%#x\n", n)
	return nil
}
