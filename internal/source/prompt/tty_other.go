//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package prompt

import (
	"context"
	"errors"
)

// Terminal is "": there is none to ask on.
const Terminal = ""

func ask(context.Context, string, string) (string, error) { return "", errors.ErrUnsupported }

// Available says that there is no terminal.
func Available(string) bool { return false }
