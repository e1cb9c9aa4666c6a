//go:build !windows

package main

import "errors"

func line() string { return "" }

func rights(string) (string, error) { return "", errors.ErrUnsupported }
