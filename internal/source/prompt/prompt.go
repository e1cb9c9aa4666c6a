// Package prompt asks a person at the terminal for an MFA code.
//
// It asks on the terminal itself, without echo, as the aws cli does (getpass). stdin and stdout
// stay untouched: they may be the command's data.
package prompt

import (
	"context"
	"errors"
	"io"
)

// ErrBackground says that we are in the background, where reading the terminal would stop us.
var ErrBackground = errors.New("in the background")

// Code asks on the terminal for the code of device, at most three times. The error is io.EOF if
// none was entered.
func Code(ctx context.Context, terminal, device string) (string, error) {
	text := "Enter MFA code for " + device + ": "
	for range 3 {
		line, err := ask(ctx, terminal, text)
		if err != nil || IsCode(line) {
			return line, err
		}
		text = "A code is six digits. Enter MFA code for " + device + ": "
	}
	return "", io.EOF
}
