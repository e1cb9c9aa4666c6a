//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package source

import (
	"context"
	"errors"
)

const ttyName = ""

var errBackground = errors.New("in the background")

func ask(context.Context, string, string) (string, error) { return "", errors.ErrUnsupported }

func hasTTY(string) bool { return false }
