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
	place  [2]int     // a pair of sockets; the first holds one of the user's places
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
	place, ok := takePlace()
	if !ok {
		return nil
	}
	w := &Watch{fd: -1, place: place, files: map[int32]string{}}
	var err error
	if w.fd, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		w.Close()
		return nil
	}
	w.leaveToKernel()
	for _, file := range files {
		if id, err := unix.InotifyAddWatch(w.fd, file, unix.IN_OPEN); err == nil {
			w.files[int32(id)] = file
		}
	}
	return w
}

// takePlace binds one of the names in the abstract namespace (unix(7)). The kernel gives it back
// when the socket is closed, however we end.
func takePlace() (place [2]int, ok bool) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return pair, false
	}
	for i := range places {
		name := fmt.Sprintf("@brs-exec-watch-%d-%d", os.Getuid(), (os.Getpid()+i)%places)
		if unix.Bind(pair[0], &unix.SockaddrUnix{Name: name}) == nil {
			return pair, true
		}
	}
	unix.Close(pair[0])
	unix.Close(pair[1])
	return pair, false
}

// leaveToKernel spares our user the closing of the instance. Whoever closes it for good waits until
// the kernel has forgotten the watches (synchronize_srcu), 5 to 16 ms, also at exit. So it lies in
// the queue of a socket that lies there as well: when both are closed, the kernel's collector of
// such loops does the rest in a thread of its own (before Linux 6.9 it is us who wait). The place
// is given back no sooner, or short runs would pile up instances.
func (w *Watch) leaveToKernel() {
	unix.Sendmsg(w.place[1], []byte{0}, unix.UnixRights(w.fd, w.place[0]), nil, unix.MSG_DONTWAIT)
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
	// The last one calls the collector. At exit they are closed in the order of their numbers: so
	// it is the last one there, too.
	fds := []int{w.fd, w.place[0], w.place[1]}
	w.fd, w.place = -1, [2]int{-1, -1}
	w.mu.Unlock()
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
