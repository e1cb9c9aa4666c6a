package childenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Options of a private directory.
type Options struct {
	Places []string     // where it may be, in order of preference; see [Places]
	Token  string       // content of the token file; empty: no token file
	Config []byte       // content of the child's AWS_CONFIG_FILE; see [ChildConfig]
	Log    *slog.Logger // nil: silent
}

// Dir is the private directory of one run. All its methods may be called at the same time; none panics or waits for
// longer than the file system takes. The file names are unguessable and their paths never change: the child has them
// in its environment, which nobody can take back.
//
// While it exists, brs-exec holds a lock (flock, close-on-exec) on the directory itself. That is how [Dir.Keep] of
// another run tells a leftover, and how systemd-tmpfiles(8) tells that it must not age what is inside.
type Dir struct {
	log   *slog.Logger
	place string // its parent
	path  string // "" if there was no place
	err   error  // why there was none

	mu    sync.Mutex // guards what is below
	root  *os.Root   // nil once removed
	lock  *os.File
	files []file
}

type file struct {
	name    string
	content []byte
	stale   bool // what is on disk, if anything, is older
}

const (
	prefix      = "brs-exec-" // of the directory's name, before rand.Text()
	draftSuffix = ".new"
	keepTime    = 30 * time.Second
	sweepDelay  = time.Second
	tooYoung    = time.Minute // a younger leftover may be a run that has not locked its directory yet
)

// filePrefixes are what a file's name begins with, before rand.Text().
var filePrefixes = []string{"config-", "credentials-", "token-"}

// Places are the candidates for [Options]: TMPDIR, /tmp, /var/tmp, /dev/shm (on Windows and macOS, what the system
// offers instead). Never XDG_RUNTIME_DIR: it is removed at logout, under a job that runs on.
func Places(env []string) []string {
	e := environ{env, runtime.GOOS == "windows"}
	runtimeDir := e.get("XDG_RUNTIME_DIR")
	var places []string
	for _, p := range append([]string{e.get("TMPDIR")}, systemPlaces(e)...) {
		if p == "" || runtimeDir != "" && within(p, runtimeDir) {
			continue
		}
		places = append(places, p)
	}
	return places
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(filepath.Clean(dir), filepath.Clean(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// NewDir makes the directory and its files in the first place that will do; as root, one that every other user reaches
// goes before one that only root does. It always returns a Dir: if there is no
// writable place, one without files, of which [Dir.Err] says why; [Build] then does without.
func NewDir(o Options) *Dir {
	d := &Dir{log: o.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.files = []file{{name: filePrefixes[0] + rand.Text(), content: o.Config}, {name: filePrefixes[1] + rand.Text()}}
	if o.Token != "" {
		d.files = append(d.files, file{name: filePrefixes[2] + rand.Text(), content: []byte(o.Token)})
	}
	if errs := d.makeIn(o.Places); errs != nil {
		d.err = noPlace(errs)
	}
	return d
}

// makeIn makes the directory in the first of the places that will do: those first that everybody reaches whom a child
// may become.
func (d *Dir) makeIn(places []string) []error {
	errs := []error{} // also of no places
	var closed []string
	for _, place := range places {
		place, err := resolve(place)
		if err == nil && !reachable(place) {
			closed = append(closed, place)
			continue
		}
		if err == nil {
			err = d.make(place)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	for _, place := range closed {
		err := d.make(place)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errs
}

// resolve is done once: the child may be elsewhere, and a symlink may be turned.
func resolve(place string) (string, error) {
	place, err := filepath.Abs(place)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(place)
}

// noPlace is why none of the places would do.
type noPlace []error

func (e noPlace) Error() string { return "no place for a private directory: " + several(e).Error() }

func (e noPlace) Unwrap() []error { return e }

// Hints says what to do about it.
func (e noPlace) Hints() []string {
	return []string{"set TMPDIR to a directory that only you can write to"}
}

// make makes the directory in place, or leaves nothing there.
func (d *Dir) make(place string) error {
	d.place, d.path = place, filepath.Join(place, prefix+rand.Text())
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.create()
	for _, f := range d.files { // nobody knows the names yet: no need to make each appear whole
		if err == nil {
			if err = nameless(f, d.draft(f.name, f.content)); err != nil {
				err = fmt.Errorf("%s: %w", place, err)
			}
		}
	}
	if err != nil {
		_ = d.remove()
		d.path = ""
	}
	return err
}

// Err says why there is no directory; nil if there is one.
func (d *Dir) Err() error { return d.err }

// Files are the paths for the child's environment.
func (d *Dir) Files() Files {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.path == "" {
		return Files{}
	}
	f := Files{Config: filepath.Join(d.path, d.files[0].name), Credentials: filepath.Join(d.path, d.files[1].name)}
	if len(d.files) > 2 {
		f.Token = filepath.Join(d.path, d.files[2].name)
	}
	return f
}

// Keep looks after the directory every 30 seconds until ctx ends: it marks the files as used, for cleaners that go by
// age, and makes again what one has taken all the same. After a second, which a short command does not last, it sweeps
// what killed runs left in the same place.
// It warns once when it can't, and once when it can again.
func (d *Dir) Keep(ctx context.Context) {
	if d.path == "" {
		return
	}
	tick := time.NewTicker(keepTime)
	defer tick.Stop()
	select {
	case <-ctx.Done():
		return
	case <-time.After(sweepDelay):
		sweep(ctx, d.place)
	}
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := d.look()
		switch {
		case err != nil && !failing:
			d.log.Warn("private directory cannot be kept: new clients of the endpoint may fail", "error", err)
		case err == nil && failing:
			d.log.Warn("private directory is back", "path", d.path)
		}
		failing = err != nil
	}
}

// SetCredentials replaces the content of the credentials file, which a client may be reading just now: it sees the old
// one or the new. What was set last is what every later look makes again, also if it could not be written now. Nothing
// after Remove.
func (d *Dir) SetCredentials(content []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[1].content, d.files[1].stale = content, true
	if d.root == nil {
		return d.err
	}
	if err := d.find(); err != nil {
		return err
	}
	return d.fill()
}

// look is one look: nothing after Remove.
func (d *Dir) look() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root == nil {
		return nil
	}
	if err := d.find(); err != nil {
		return err
	}
	return d.fill()
}

// find makes sure that the directory at our path is ours, and makes it again if there is none. If there is something
// else, somebody put it there: that stays, and is an error.
func (d *Dir) find() error {
	there, err := os.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.create()
	}
	if err != nil {
		return err
	}
	ours, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	if !os.SameFile(there, ours) {
		return fmt.Errorf("%s: something else is there", d.path)
	}
	return nil
}

// create makes the directory and locks it. mkdir(2) follows no symlink and takes nothing that exists.
func (d *Dir) create() error {
	if err := trusted(d.place); err != nil {
		return err
	}
	if err := os.Mkdir(d.path, 0o700); err != nil {
		return err
	}
	root, err := openOurs(d.path)
	if err == nil {
		err = root.Chmod(".", dirMode()) // whatever the umask is
	}
	if err != nil {
		_ = rmdir(d.path)
		return err
	}
	d.close()
	d.root = root
	d.lock = tryLock(root) // nil where the file system has no locks, where no sweep gets one either
	return nil
}

// openOurs opens a directory that is ours and is no symlink.
func openOurs(path string) (*os.Root, error) {
	there, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !there.IsDir() || !ours(there) {
		return nil, fmt.Errorf("%s: not a directory of ours", path)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err != nil || !os.SameFile(there, opened) {
		root.Close()
		return nil, fmt.Errorf("%s: somebody replaced it", path)
	}
	return root, nil
}

// fill writes the files that are missing or stale and marks the others as used just now.
func (d *Dir) fill() error {
	now := time.Now()
	for i, f := range d.files {
		info, err := d.root.Lstat(f.name)
		if err == nil && info.Mode().IsRegular() && !f.stale {
			err = d.root.Chtimes(f.name, now, now)
		} else {
			err = d.write(f)
		}
		if err != nil {
			return nameless(f, err)
		}
		d.files[i].stale = false
	}
	return d.root.Chtimes(".", now, now)
}

// write makes one file appear whole: a client may open it at any moment, and half a token is a wrong one.
func (d *Dir) write(f file) error {
	draft := f.name + draftSuffix
	err := d.draft(draft, f.content)
	if err == nil {
		err = d.root.Rename(draft, f.name)
	}
	if err != nil {
		_ = d.root.Remove(draft)
	}
	return err
}

func (d *Dir) draft(name string, content []byte) error {
	const fresh = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if err := writable(len(content)); err != nil {
		return err
	}
	w, err := d.root.OpenFile(name, fresh, 0o600)
	if errors.Is(err, fs.ErrExist) { // of an earlier look that failed, or somebody's symlink
		if err := d.root.Remove(name); err != nil {
			return err
		}
		w, err = d.root.OpenFile(name, fresh, 0o600)
	}
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	if err == nil {
		err = w.Chmod(fileMode()) // whatever the umask is
	}
	return errors.Join(err, w.Close())
}

// RemoveToken removes the token file for good. It comes before the listener closes: a late grandchild that finds no
// token sends none to whoever gets the port next.
func (d *Dir) RemoveToken() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root == nil || len(d.files) < 3 {
		return nil
	}
	token := d.files[2]
	d.files = d.files[:2:2]
	return nameless(token, removeFile(d.root, token.name))
}

// Remove removes what NewDir and Keep made, and nothing else. What a child has put into the directory, or in the place
// of a file, stays there, and is the error. What can't be removed keeps nothing else.
func (d *Dir) Remove() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.remove()
}

func (d *Dir) remove() error {
	if d.root == nil {
		return nil
	}
	defer d.close()
	var errs several
	for _, f := range d.files {
		if err := removeFile(d.root, f.name); err != nil {
			errs = append(errs, nameless(f, err))
		}
	}
	d.unlock() // Windows removes no directory with an open file in it; a sweep finds this one too young
	if err := removeDir(d.root, d.path); err != nil {
		errs = append(errs, err)
	}
	if errs == nil {
		return nil
	}
	return errs
}

// removeFile removes a file of ours. What a child has put in its place stays: it may be the user's.
func removeFile(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return gone(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("something else is in its place")
	}
	return gone(root.Remove(name))
}

// removeDir removes an empty directory by its path, if that is still the directory that root is.
func removeDir(root *os.Root, path string) error {
	ours, err := root.Stat(".")
	if err != nil {
		return err
	}
	there, err := os.Lstat(path)
	if err != nil || !os.SameFile(ours, there) {
		return gone(err)
	}
	return gone(rmdir(path))
}

func (d *Dir) close() {
	if d.root != nil {
		d.root.Close()
	}
	d.unlock()
	d.root = nil
}

func (d *Dir) unlock() {
	if d.lock != nil {
		d.lock.Close()
	}
	d.lock = nil
}

// nameless takes the file's name out of an error: as root, the name is what protects the token.
func nameless(f file, err error) error {
	if err == nil {
		return nil
	}
	kind, _, _ := strings.Cut(f.name, "-")
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s file: %s: %w", kind, pathErr.Op, pathErr.Err)
	}
	if linkErr, ok := errors.AsType[*os.LinkError](err); ok {
		return fmt.Errorf("%s file: %s: %w", kind, linkErr.Op, linkErr.Err)
	}
	return fmt.Errorf("%s file: %w", kind, err)
}

// several is errors.Join on one line.
type several []error

func (e several) Error() string {
	reasons := make([]string, len(e))
	for i, err := range e {
		reasons[i] = err.Error()
	}
	return strings.Join(reasons, "; ")
}

func (e several) Unwrap() []error { return e }

// gone takes "does not exist" for done.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
