package share

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec/need"
)

const nobody = 65534

// asNobody calls do on a thread of another user, which ends with it.
func asNobody(do func()) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread is not used again
		for _, call := range []uintptr{unix.SYS_SETGROUPS, unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			args := [3]uintptr{nobody, nobody, nobody}
			if call == unix.SYS_SETGROUPS {
				args = [3]uintptr{}
			}
			if _, _, errno := syscall.RawSyscall(call, args[0], args[1], args[2]); errno != 0 {
				panic(errno)
			}
		}
		do()
	}()
	return done
}

func connect(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

// Another user, who sees the folder, never gets through to a socket, not at the moment of its birth
// either: 2,000 births with REPEAT=1, whatever the umask is. He can open no other file.
func TestStrangerNeverConnects(t *testing.T) {
	need.Place(t, os.Geteuid() == 0, "root, who can be another user, too")
	births := 50
	if os.Getenv("REPEAT") != "" {
		births = 1000
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o755, os.ModeSetgid | 0o750} { // a group's folder is closed to him
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		old := unix.Umask(0)
		defer unix.Umask(old)
		var through, refused, missing atomic.Int64
		var over atomic.Bool
		attacks := asNobody(func() {
			for !over.Load() {
				switch err := connect(filepath.Join(dir, Socket)); {
				case errors.Is(err, unix.EACCES):
					refused.Add(1)
				case errors.Is(err, unix.ENOENT):
					missing.Add(1)
				default:
					through.Add(1) // also ECONNREFUSED: it could have been opened
				}
				for _, name := range []string{Token, Env} {
					if fd, err := unix.Open(filepath.Join(dir, name), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
						unix.Close(fd)
						through.Add(1)
					}
				}
			}
		})
		for range births {
			f, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			ln, err := f.Listen()
			if err != nil {
				t.Fatal(err)
			}
			err = errors.Join(f.Put(Token, nil), f.Put(Env, nil), f.Withdraw(false), ln.Close(), f.Close())
			if err != nil {
				t.Fatal(err)
			}
		}
		over.Store(true)
		<-attacks
		if through.Load() > 0 || refused.Load() == 0 {
			t.Errorf("%v: %d times through, %d refused, %d too early or late", mode,
				through.Load(), refused.Load(), missing.Load())
		}
		t.Logf("%v: %d times refused, %d too early or late", mode, refused.Load(), missing.Load())
	}
}
