//go:build !unix

package share

import (
	"errors"
	"io/fs"
	"net"
	"os"
)

// Supported says that this system has no shares.
const Supported = false

const longestSocket = 107

func openFolder(string) (*os.Root, bool, error) {
	return nil, false, errors.ErrUnsupported
}

func ownFolder(string, fs.FileInfo) error { return errors.ErrUnsupported }

func unlocked(string) error { return errors.ErrUnsupported }

func (f *Folder) takeLock() error { return nil }

func oursAlone(fs.FileInfo) bool { return false }

// Adopt is never reached.
func (f *Folder) Adopt(*net.UnixListener) error { return fs.ErrInvalid }

// Listen is never reached: Open has failed.
func (f *Folder) Listen() (*net.UnixListener, error) { return nil, fs.ErrInvalid }
