package bypass

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Watch sees the opening of files.
type Watch struct {
	mu     sync.Mutex // guards the rest
	fd     int        // of inotify; -1: closed
	place  int        // a socket that holds one of the user's places
	files  map[int32]string
	opened string
}

// places is how many brs-exec of one user may watch at the same time. The system gives a user 128
// instances of inotify in all (/proc/sys/fs/inotify/max_user_instances), and an editor needs one.
const places = 16

// Start begins to watch. It returns nil where there is nothing to watch, and where the system or
// the other brs-exec of this user leave no room: a missing warning is better than a failed run. All
// methods may be called on nil.
func Start(files []string) *Watch {
	if len(files) == 0 {
		return nil
	}
	place := takePlace()
	if place < 0 {
		return nil
	}
	w := &Watch{fd: -1, place: place, files: map[int32]string{}}
	var err error
	if w.fd, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		w.Close()
		return nil
	}
	for _, file := range files {
		if id, err := unix.InotifyAddWatch(w.fd, file, unix.IN_OPEN); err == nil {
			w.files[int32(id)] = file
		}
	}
	return w
}

// takePlace binds one of the names in the abstract namespace (unix(7)). The kernel gives it back
// when the socket is closed, however we end.
func takePlace() int {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	for i := range places {
		name := fmt.Sprintf("@brs-exec-watch-%d-%d", os.Getuid(), (os.Getpid()+i)%places)
		if unix.Bind(s, &unix.SockaddrUnix{Name: name}) == nil {
			return s
		}
	}
	unix.Close(s)
	return -1
}

// Opened returns the first file that was opened, "" if none was.
func (w *Watch) Opened() string {
	if w == nil {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if file := w.read(); w.opened == "" {
		w.opened = file
	}
	return w.opened
}

// Without calls f. Files that are opened meanwhile don't count: it is for our own reading of them.
func (w *Watch) Without(f func()) {
	if w == nil {
		f()
		return
	}
	w.Opened()
	f()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read()
}

// read empties the queue. It returns the first file in it.
func (w *Watch) read() (file string) {
	if w.fd < 0 {
		return ""
	}
	var b [64 * unix.SizeofInotifyEvent]byte // events of files have no name
	for {
		n, err := unix.Read(w.fd, b[:])
		if err != nil || n < unix.SizeofInotifyEvent {
			return file
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n && file == ""; at += unix.SizeofInotifyEvent {
			id := int32(binary.NativeEndian.Uint32(b[at:]))
			file = w.files[id]
		}
	}
}

// Close gives back what the watch holds. What has been opened before is still told.
func (w *Watch) Close() {
	if w == nil {
		return
	}
	w.Opened()
	w.mu.Lock()
	fds := []int{w.fd, w.place}
	w.fd, w.place = -1, -1
	w.mu.Unlock()
	for _, fd := range fds { // it waits for the kernel to forget the watches (synchronize_srcu): 10 ms and more
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
