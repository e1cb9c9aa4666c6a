// Package pty gives a command a terminal of its own, and knows about ours.
//
// A [Relay] carries bytes between our stdin and stdout and the inner terminal. With a terminal on
// both, ours goes raw: each key, Ctrl-C and Ctrl-Z among them, is the inner terminal's affair. Else
// stdin is copied and its end becomes the inner terminal's end-of-file character, as script(1) does
// it. Ours is touched only while our process group is in its foreground.
//
// A Relay's methods belong to one goroutine. The copying has two of its own. Close ends them,
// unless one blocks in a write to stdout.
package pty
