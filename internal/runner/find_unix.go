//go:build unix

package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec/internal/hint"
)

// defaultPath is where execvp(3) looks if there is no PATH: glibc's confstr(_CS_PATH).
const defaultPath = "/bin:/usr/bin"

// Find returns the file that execvp(3) would run for argv in the environment env, or the status and
// the error that say why there is none.
//
// It is not exec.LookPath, which refuses what it finds by way of "." and forgets why the other
// places of PATH failed.
func Find(argv, env []string) (path string, s Status, err error) {
	name := argv[0]
	if strings.Contains(name, "/") {
		path, err = name, runnable(name)
	} else {
		path, err = search(name, getenv(env))
	}
	if err != nil {
		return "", statusOf(err), startError(name, err)
	}
	return path, 0, nil
}

// statusOf is coreutils' mapping of what execve(2) answers.
func statusOf(err error) Status {
	if errors.Is(err, syscall.ENOENT) {
		return NotFound
	}
	return NotExecutable
}

func getenv(env []string) string {
	for _, kv := range env { // the first one counts, as in getenv(3)
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			return v
		}
	}
	return defaultPath
}

// search walks PATH with the rules of glibc's execvpe: a place that refuses (EACCES) is remembered,
// one that lacks the file is passed over, anything else ends the walk. An empty place is the
// working directory.
func search(name, path string) (string, error) {
	if name == "" {
		return "", syscall.ENOENT
	}
	var last error = syscall.ENOENT
	denied := false
	for dir := range strings.SplitSeq(path, ":") {
		file := name
		if dir != "" {
			file = dir + "/" + name
		}
		last = runnable(file)
		switch {
		case last == nil:
			return file, nil
		case errors.Is(last, syscall.EACCES):
			denied = true
		case !passesOver(last):
			return "", last
		}
	}
	if denied {
		return "", syscall.EACCES
	}
	return "", last
}

func passesOver(err error) bool {
	switch errno, _ := errors.AsType[syscall.Errno](err); errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE, syscall.ENODEV, syscall.ETIMEDOUT:
		return true
	}
	return false
}

// runnable is what execve(2) would say about file, as far as that can be known without running it.
func runnable(file string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(file, &st); err != nil {
		return err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return syscall.EACCES // execve's answer for a directory, a device, a socket
	}
	if err := unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS); err != nil {
		return err
	}
	return interpreted(file)
}

// interpreted looks at the interpreter that a script names: its absence is the script's ENOENT,
// which puzzles everybody who meets it.
func interpreted(file string) error {
	interp := interpreterOf(file)
	if interp == "" {
		return nil
	}
	_, err := os.Stat(interp)
	switch {
	case err == nil:
		return nil
	case strings.HasSuffix(interp, "\r"):
		return fmt.Errorf("interpreter %q: %w: the first line has a Windows line end, "+
			"which sed -i 's/\\r$//' %s takes off", interp, errors.Unwrap(err), file)
	}
	return fmt.Errorf("interpreter %s: %w", interp, errors.Unwrap(err))
}

// interpreterOf is the interpreter that a script names, by the rules of Linux (fs/binfmt_script.c).
// "" leaves the answer to execve(2): the file can't be read, or names none, or one that is cut off,
// which is ENOEXEC: the file is for /bin/sh.
func interpreterOf(file string) string {
	const readByKernel = 256 // BINPRM_BUF_SIZE
	f, err := os.Open(file)
	if err != nil {
		return "" // executable though not readable
	}
	defer f.Close()
	head := make([]byte, readByKernel)
	n, _ := io.ReadFull(f, head)
	text, ok := strings.CutPrefix(string(head[:n]), "#!")
	if !ok {
		return ""
	}
	line, _, ended := strings.Cut(text, "\n")
	line = strings.TrimLeft(line, " \t")
	if end := strings.IndexAny(line, " \t\x00"); end >= 0 {
		return line[:end]
	}
	if !ended && n == readByKernel {
		return ""
	}
	return line
}

// startError says which command could not be started, and to somebody who quoted a whole command
// line what to type.
func startError(name string, err error) error {
	told := ""
	if errors.Is(err, syscall.ENOENT) && strings.ContainsAny(name, " \t") {
		told = "the command and its arguments are separate words; for a line of shell: " +
			"brs-exec -- sh -c " + quote(name)
	}
	return hint.Errorf(told, "%s: %w", name, err)
}

func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
