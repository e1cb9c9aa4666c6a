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
	"slices"
	"sync"
	"time"

	"brs-exec/internal/hint"
)

// Options of a private directory.
type Options struct {
	Places []string     // where it may be, in order of preference; see [Places]
	Token  string       // content of the token file; empty: no token file
	Config []byte       // content of the child's AWS_CONFIG_FILE; see [ChildConfig]
	Log    *slog.Logger // nil: silent
}

// Dir is the private directory of one run. All its methods may be called at the same time; none
// panics or waits for longer than the file system takes. The file names are unguessable and their
// paths never change: the child has them in its environment, which nobody can take back.
//
// While it exists, brs-exec holds a lock (flock, close-on-exec) on the directory itself. That is
// how [Dir.Keep] of another run tells a leftover, and how systemd-tmpfiles(8) tells that it must
// not age what is inside.
type Dir struct {
	log   *slog.Logger
	place string // its parent
	path  string // "" if there was no place
	err   error  // why there was none
	paths Files  // in path

	mu    sync.Mutex // guards what is below
	root  *os.Root   // nil once removed
	lock  *os.File   // nil where the file system has no locks
	files []file     // config, credentials, and perhaps the token's
}

type file struct {
	name    string
	content []byte
	stale   bool // what is on disk, if anything, is older
}

// What Dir.files[i] is, and what its name begins with.
const (
	configAt = iota
	credentialsAt
	tokenAt
)

var filePrefixes = [...]string{"config-", "credentials-", "token-"}

const (
	dirPrefix   = "brs-exec-"
	draftSuffix = ".new"
	keepTime    = 30 * time.Second
	sweepDelay  = time.Second
	tooYoung    = time.Minute // a younger leftover may be a run that has not locked its directory yet
)

// Places are the candidates for [Options]: TMPDIR, /tmp, /var/tmp, /dev/shm (on Windows, what the
// system offers instead). Never XDG_RUNTIME_DIR: it is removed at logout, under a job that runs
// on.
func Places(env []string) []string {
	e := environ{env, runtime.GOOS == "windows"}
	runtimeDir := e.get("XDG_RUNTIME_DIR")
	var places []string
	for _, p := range append([]string{e.get("TMPDIR")}, systemPlaces(e)...) {
		if p != "" && (runtimeDir == "" || !within(p, runtimeDir)) {
			places = append(places, p)
		}
	}
	return places
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// NewDir makes the directory and its files in the first place that will do; as root, one that
// every other user reaches goes before one that only root does. It always returns a Dir: if there
// is no writable place, one without files, of which [Dir.Err] says why; [Build] then does without.
func NewDir(o Options) *Dir {
	d := &Dir{log: o.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	contents := [][]byte{o.Config, nil}
	if o.Token != "" {
		contents = append(contents, []byte(o.Token))
	}
	for i, content := range contents {
		d.files = append(d.files, file{name: filePrefixes[i] + rand.Text(), content: content})
	}
	d.err = d.makeInOneOf(o.Places)
	return d
}

func (d *Dir) makeInOneOf(places []string) error {
	var reasons error
	var open, closed []string
	for _, place := range places {
		switch place, err := resolve(place); {
		case err != nil:
			reasons = join(reasons, err)
		case reachable(place):
			open = append(open, place)
		default:
			closed = append(closed, place)
		}
	}
	for _, place := range append(open, closed...) {
		err := d.make(place)
		if err == nil {
			return nil
		}
		reasons = join(reasons, err)
	}
	err := errors.New("no place for a private directory")
	if reasons != nil {
		err = fmt.Errorf("%w: %w", err, reasons)
	}
	return hint.Errorf("set "+placeVariable+" to a directory that only you can write to", "%w", err)
}

// resolve is done once: the child may be elsewhere, and a symlink may be turned.
func resolve(place string) (string, error) {
	place, err := filepath.Abs(place)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(place)
}

// make makes the directory in place, or leaves nothing there. Nobody else has d yet.
func (d *Dir) make(place string) error {
	d.place, d.path = place, filepath.Join(place, dirPrefix+rand.Text())
	err := d.create()
	if err == nil {
		if err = d.fill(); err != nil {
			err = fmt.Errorf("%s: %w", place, err)
		}
	}
	if err != nil {
		_ = d.remove()
		d.path = ""
		return err
	}
	var paths [len(filePrefixes)]string
	for i, f := range d.files {
		paths[i] = filepath.Join(d.path, f.name)
	}
	d.paths = Files{Config: paths[configAt], Credentials: paths[credentialsAt], Token: paths[tokenAt]}
	return nil
}

// Err says why there is no directory; nil if there is one.
func (d *Dir) Err() error { return d.err }

// Files are the paths for the child's environment.
func (d *Dir) Files() Files { return d.paths }

// Keep looks after the directory every 30 seconds until ctx ends: it marks the files as used, for
// cleaners that go by age, and makes again what one has taken all the same. It warns once when it
// can't, and once when it can again. After a second, which a short command does not last, it
// sweeps what killed runs left in the same place.
func (d *Dir) Keep(ctx context.Context) {
	if d.path == "" {
		return
	}
	tick := time.NewTicker(keepTime)
	defer tick.Stop()
	sweepNow := time.After(sweepDelay)
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweepNow:
			sweep(ctx, d.place)
			continue
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

// SetCredentials replaces the content of the credentials file, which a client may be reading just
// now: it sees the old one or the new. If it can't be written now, Keep writes it later. After
// Remove nothing is written.
func (d *Dir) SetCredentials(content []byte) error {
	if d.err != nil {
		return d.err
	}
	d.mu.Lock()
	d.files[credentialsAt].content, d.files[credentialsAt].stale = content, true
	d.mu.Unlock()
	return d.look()
}

// look brings directory and files to what they should be. It does nothing after Remove.
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

// find makes sure that the directory at our path is ours, and makes it again if there is none. If
// there is something else, somebody put it there: that stays, and is an error.
func (d *Dir) find() error {
	there, err := os.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.create()
	}
	if err != nil {
		return err
	}
	return sameDirectory(d.root, d.path, there)
}

// create makes the directory and locks it. mkdir(2) follows no symlink and takes nothing that
// exists.
func (d *Dir) create() error {
	if err := trusted(d.place); err != nil {
		return err
	}
	if err := makeFolder(d.path); err != nil {
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
	d.root, d.lock = root, tryLock(root) // where there are no locks, no sweep gets one either
	return nil
}

// fill writes the files that are missing or stale and marks the others as used just now.
func (d *Dir) fill() error {
	now := time.Now()
	for i, f := range d.files {
		info, err := d.root.Lstat(f.name)
		if err == nil && info.Mode().IsRegular() && !f.stale {
			err = d.root.Chtimes(f.name, now, now)
		} else {
			err = writeWhole(d.root, f)
		}
		if err != nil {
			return nameless(f, err)
		}
		d.files[i].stale = false
	}
	return d.root.Chtimes(".", now, now)
}

// RemoveToken removes the token file for good. It comes before the listener closes: a late
// grandchild that finds no token sends none to whoever gets the port next.
func (d *Dir) RemoveToken() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root == nil || len(d.files) <= tokenAt {
		return nil
	}
	token := d.files[tokenAt]
	err := removeFile(d.root, token.name)
	if inUse(err) { // Remove tries again
		return nil
	}
	d.files = d.files[:tokenAt:tokenAt]
	return nameless(token, err)
}

// Remove removes what NewDir and Keep made, and nothing else. What a child has put into the
// directory or in the place of a file stays there, and is an error. One file that can't be removed
// keeps no other.
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
	var errs error
	left := slices.Clone(d.files)
	busy := patiently(removePatience, func() (busy error) {
		left = slices.DeleteFunc(left, func(f file) bool {
			err := removeFile(d.root, f.name)
			if inUse(err) {
				if busy == nil || errors.Is(busy, errInUse) {
					busy = nameless(f, err)
				}
				return false
			}
			errs = join(errs, nameless(f, err))
			return true
		})
		return busy
	})
	d.unlock() // Windows removes no directory with an open file in it; a sweep finds this one too young
	switch {
	case errors.Is(busy, errInUse): // a later run sweeps it away
		return errs
	case busy != nil:
		return join(errs, busy)
	}
	return join(errs, removeDir(d.root, d.path))
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
