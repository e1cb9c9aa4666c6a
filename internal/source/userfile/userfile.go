// Package userfile reads the files that a user names on the command line or in a variable: tokens,
// policies, certificates.
//
// Such a file may be a pipe (a shell's <(command)), so it is opened once and read to its end. It
// may also be a device that has no end, a FIFO that nobody writes to, or a disk image by mistake:
// what is read is bounded by a size and by a context.
package userfile

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// Limit is beyond any file that is meant: the longest are chains of certificates.
const Limit = 1 << 20

// Read returns what the file holds. A read that ctx ends stays behind until the process does.
func Read(ctx context.Context, path string) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := read(path)
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("read %s: nobody wrote to it in time", path)
	}
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, Limit+1))
	if err == nil && len(data) > Limit {
		err = fmt.Errorf("read %s: it is larger than 1 MiB", path)
	}
	return data, err
}

// ReadsAgain says that a second Read brings what is in the file then: a pipe brings nothing, or
// never ends. What isn't there may yet come.
func ReadsAgain(path string) bool {
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular()
}

// Check refuses what Read would not have read to its end, for a file that somebody else reads:
// devices, FIFOs, and files beyond any bundle of certificates. Pipes by their descriptor, as a
// shell hands them over, pass.
func Check(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // or a FIFO would wait for a writer
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(path, "/dev/fd/"), strings.HasPrefix(path, "/proc/self/fd/"):
		return nil
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: not a regular file", path)
	case info.Size() > 4*Limit:
		return fmt.Errorf("%s: larger than 4 MiB", path)
	}
	return nil
}
