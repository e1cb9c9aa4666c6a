//go:build windows

package main

import "golang.org/x/sys/windows"

func line() string { return windows.UTF16PtrToString(windows.GetCommandLine()) }

func rights(path string) (string, error) {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return "", err
	}
	return sd.String(), nil
}
