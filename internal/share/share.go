// Package share keeps the folder through which one brs-exec serves what its command does not reach:
// a container, another host by ssh, a program that was there before.
//
// The folder holds
//
//	lock     whose folder it is: a flock, and the process id of who holds it. It stays.
//	token    the endpoint token; it may stay for the next run
//	aws.sock the endpoint as a unix socket: who may open it is served
//	credentials.json  the credentials themselves, if they are wanted so
//	env      what a client of the endpoint needs, a NAME=VALUE line each; comes with credentials
//
// # Race-free
//
// The folder is ours, and nobody else can write to it; else it is refused. Everything in it is made
// with the rights that it keeps: files appear by rename, the socket by bind(2) of a descriptor that
// has its mode already. Work in the folder goes through an os.Root. The lock is taken first, so
// what is done after it is done by one process at a time; it goes with that process, however that
// ends. It is on a file, since any reader of a folder can hold a flock on it, and NFS gives none.
//
// # What is not ours stays
//
// A file in one of the places is a leftover of another run if it has one link, our owner and the
// right kind, and the folder was a share before (the lock file is there). A leftover is taken over.
// Anything else (a symlink, a second link, a directory, a user's own file) is an error that names
// it. At the end each file is removed only if it is still the one that was made.
//
// # Who may read
//
// We alone: 0600. A folder that is set-group-ID and has no rights for others is a group's
// (install -d -m 2750 -g GROUP DIR): its files are 0640, its socket 0660.
//
// Methods of a [Folder] may be called at the same time. On Windows there are no shares.
package share

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"brs-exec/internal/hint"
)

// The names in a folder.
const (
	Socket = "aws.sock"
	Token  = "token"
	Env    = "env"
	JSON   = "credentials.json"

	lockName = "lock"
	draft    = ".brs-exec.new" // one at a time: the mutex and the lock see to it
)

// Folder is a share that is ours as long as it is open.
type Folder struct {
	path  string
	group bool // its group may read, and connect

	mu      sync.Mutex
	root    *os.Root
	lock    *os.File
	wasHere bool            // the folder was a share before
	made    map[string]made // by name: what we remove at the end
}

// made is a file of ours. As long as it is open (a socket: by its listener) nothing else can have
// its inode number.
type made struct {
	info fs.FileInfo
	file *os.File // nil: the socket
}

func (m made) is(info fs.FileInfo) bool { return m.info != nil && os.SameFile(m.info, info) }

func (m made) close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}

// Open makes the folder, or takes it over, and locks it. It removes what is left over, but the
// token and the socket: env is what tells that a share is ready, and old credentials are nobody's.
func Open(dir string) (*Folder, error) {
	path, err := usable(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{path: path, made: make(map[string]made)}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// Look says how a folder stands that Open would take, without taking it.
func Look(dir string) (text string, err error) {
	path, err := usable(dir)
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path + ", which would be made", nil
	case err == nil:
		err = ownFolder(path, info)
	}
	if err == nil {
		err = unlocked(path)
	}
	if err != nil {
		return "", err
	}
	return path + ", which nobody serves from", nil
}

// usable returns an absolute path, if its characters are those that need no quoting in env, for a
// shell, docker and systemd alike, and if the socket's path is not too long.
func usable(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if !Plain(path) {
		return "", hint.Errorf("letters, digits and _./:@%+,=- need no quoting in its file env: choose another path",
			"%q can't be written plainly", path)
	}
	if long := len(path) + len("/"+Socket); long > longestSocket {
		return "", hint.Errorf("choose a shorter path", "the socket's path has %d bytes, and the system takes %d",
			long, longestSocket)
	}
	return path, nil
}

// Plain says whether a value of the file env needs no quoting: of such characters and the brackets
// of an IPv6 address.
func Plain(value string) bool {
	const marks = "_./:@%+,=-[]"
	return strings.IndexFunc(value, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(marks, r))
	}) < 0
}

func (f *Folder) open() (err error) {
	if f.root, f.group, err = openFolder(f.path); err != nil {
		return err
	}
	if err := f.takeLock(); err != nil {
		return err
	}
	if err := f.removeLeftover(Env); err != nil || !f.wasHere {
		return err
	}
	return errors.Join(f.removeLeftover(JSON), f.removeLeftover(draft)) // this run may write neither
}

// Path is where a file of the folder is.
func (f *Folder) Path(name string) string { return filepath.Join(f.path, name) }

// LastToken returns the token of the run before, if nobody else can have read or changed it; else
// "".
func (f *Folder) LastToken() string {
	info, err := f.root.Lstat(Token)
	if err != nil || !f.private(info) {
		return ""
	}
	text, err := f.root.ReadFile(Token)
	_, bad := base64.RawURLEncoding.DecodeString(string(text)) // which passes over line ends
	if err != nil || bad != nil || len(text) != base64.RawURLEncoding.EncodedLen(32) {
		return ""
	}
	return string(text)
}

// private says whether a file is ours and has no rights for others.
func (f *Folder) private(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && oursAlone(info) && info.Mode().Perm()&^f.fileMode() == 0
}

func (f *Folder) fileMode() fs.FileMode {
	if f.group {
		return 0o640
	}
	return 0o600
}

// Put makes a file appear whole, in place of the one that is there if that is ours.
func (f *Folder) Put(name string, content []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.free(name, fs.FileMode.IsRegular); err != nil {
		return err
	}
	if err := f.removeLeftover(draft); err != nil {
		return err
	}
	w, err := f.root.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	info, err := f.fill(w, content)
	if err == nil {
		err = f.root.Rename(draft, name)
	}
	if err != nil {
		w.Close()
		_ = f.root.Remove(draft)
		return fmt.Errorf("%s: %w", f.Path(name), err)
	}
	old := f.made[name]
	f.made[name] = made{info, w}
	return old.close()
}

func (f *Folder) fill(w *os.File, content []byte) (fs.FileInfo, error) {
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Chmod(f.fileMode()); err != nil { // whatever the umask is
		return nil, err
	}
	return w.Stat()
}

// free says whether a name may be taken: nothing is there, or something that this run or the one
// before has made.
func (f *Folder) free(name string, kind func(fs.FileMode) bool) error {
	info, err := f.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if kind(info.Mode()) && oursAlone(info) && (f.wasHere || f.made[name].is(info)) {
		return nil
	}
	return hint.Errorf("look what it is; move it away, or choose another folder",
		"%s is there, and is no leftover of brs-exec", f.Path(name))
}

// removeLeftover removes what an earlier run has left in the place of a file.
func (f *Folder) removeLeftover(name string) error {
	if err := f.free(name, fs.FileMode.IsRegular); err != nil {
		return err
	}
	if err := f.root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Keep marks the files as used every hour until ctx ends, for cleaners that go by age. It doesn't
// make again what one has taken.
func (f *Folder) Keep(ctx context.Context) {
	for ticks := time.Tick(time.Hour); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			f.touch()
		}
	}
}

func (f *Folder) touch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for name, mine := range f.made {
		if info, err := f.root.Lstat(name); err == nil && mine.is(info) { // Chtimes would follow a symlink
			_ = f.root.Chtimes(name, now, now)
		}
	}
	_ = f.root.Chtimes(lockName, now, now)
	_ = f.root.Chtimes(".", now, now)
}

// Withdraw removes what this run has made and is still there, token perhaps excepted: who looks
// for the share finds none. It comes before the socket's listener is closed.
func (f *Folder) Withdraw(keepToken bool) (errs error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, mine := range f.made {
		info, err := f.root.Lstat(name)
		if err == nil && mine.is(info) && !(keepToken && name == Token) {
			errs = errors.Join(errs, f.root.Remove(name))
		}
		errs = errors.Join(errs, mine.close())
	}
	clear(f.made)
	return errs
}

// Close lets go of the folder.
func (f *Folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.close()
}

func (f *Folder) close() (err error) {
	for _, mine := range f.made {
		err = errors.Join(err, mine.close())
	}
	clear(f.made)
	if f.root != nil {
		err = errors.Join(err, f.root.Close())
	}
	if f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	return err
}
