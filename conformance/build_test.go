package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// building: one of a kind at a time, for the two take what a machine has.
var building, buildingSlow sync.Mutex

// prepare builds the client, if the cache has it not, and returns its folder there.
// Its error is what the document shows for a client that could not be had.
func (c *client) prepare() (dir string, err error) {
	c.once.Do(func() {
		if told, ok := builds[c.name]; ok {
			if c.err = c.await(told); c.err != nil {
				return
			}
		}
		lock := &building
		if c.slow {
			lock = &buildingSlow
		}
		lock.Lock()
		defer lock.Unlock()
		begun := time.Now()
		c.dir, c.err = c.cached()
		c.took += time.Since(begun)
	})
	return c.dir, c.err
}

// alsoNeeded are clients of other tests than TestMatrix that want a network for their builds.
var alsoNeeded []*client

// needed are the clients that this run builds.
func needed() []*client {
	if full {
		return slices.Concat(clients, alsoNeeded)
	}
	return wanted()
}

// builds has what the process outside the namespace tells of each client; nil: this process builds.
var builds map[string]chan built

type built struct {
	Name, Error string
	Took        time.Duration
}

// listen reads what buildAll writes.
func listen(r io.ReadCloser) {
	builds = make(map[string]chan built)
	for _, c := range needed() {
		builds[c.name] = make(chan built, 1)
	}
	go func() {
		defer r.Close()
		for d := json.NewDecoder(r); ; {
			var b built
			if d.Decode(&b) != nil {
				break
			}
			builds[b.Name] <- b
		}
		for _, told := range builds {
			close(told)
		}
	}()
}

// await returns when the process outside has built the client.
func (c *client) await(told <-chan built) error {
	b, ok := <-told
	c.took = b.Took
	switch {
	case !ok:
		return errors.New("the process that builds has ended")
	case b.Error != "":
		return errors.New(b.Error)
	}
	return nil
}

// buildAll builds what this run needs, the slow ones beside the others, and tells of each.
func buildAll(w io.WriteCloser) {
	defer w.Close()
	var mu sync.Mutex // guards w
	build := func(slow bool) {
		for _, c := range needed() {
			if c.slow != slow {
				continue
			}
			_, err := c.prepare()
			one := built{Name: c.name, Took: c.took}
			if err != nil {
				one.Error = err.Error()
			}
			told("%-17s built in %3.0f s", c.name, c.took.Seconds())
			mu.Lock()
			json.NewEncoder(w).Encode(one) // a reader that is gone has said why
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { build(true) })
	wg.Go(func() { build(false) })
	wg.Wait()
}

func (c *client) cached() (string, error) {
	source := filepath.Join("clients", c.folder())
	key, err := hash(source)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, c.name+"-"+key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(cache, c.folder()+"-part-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	if err := os.CopyFS(part, os.DirFS(source)); err != nil {
		return "", err
	}
	if c.build != nil {
		if err := c.build(part); err != nil {
			return "", err
		}
	}
	if err := os.Rename(part, dir); err != nil {
		if _, there := os.Stat(dir); there != nil { // not another process that was faster
			return "", err
		}
	}
	return dir, nil
}

func cacheDir() (string, error) {
	if dir := os.Getenv("BRS_CONFORMANCE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "brs-exec-conformance"), err
}

// hash is that of a folder's names and texts.
func hash(dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s\x00%d\x00%s", path, len(text), text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:12], err
}

// tool runs a build step in dir, behind everything else that the machine does.
func tool(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	if nice, err := exec.LookPath("nice"); err == nil {
		cmd = exec.Command(nice, append([]string{"-n", "10", name}, args...)...)
	}
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off") // not -race, which CI sets for our own packages
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, args[0], err, tail(string(out), 600))
	}
	return nil
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

func pip(dir string) error {
	if python == "" {
		return fmt.Errorf("python3 with pip is missing")
	}
	return tool(dir, python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "lib", "-r", "requirements.txt")
}

func npm(dir string) error {
	return tool(dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
}

func goBuild(dir string) error { return tool(dir, "go", "build", "-o", "who", ".") }

// cargo builds with one job: a linker beside a compiler is what this takes at most.
func cargo(dir string) error {
	if err := tool(dir, "cargo", "build", "--quiet", "--locked", "--release", "--jobs", "1", "--target-dir", "target"); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, "target", "release", "who"), filepath.Join(dir, "who")); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, "target"))
}

func maven(dir string) error {
	if err := tool(dir, "mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies"); err != nil {
		return err
	}
	return tool(dir, "javac", "-cp", filepath.Join("lib", "*"), "-d", ".", "Who.java", "Loop.java")
}

func terraform(dir string) error {
	if _, err := exec.LookPath("terraform"); err != nil {
		return errors.New("terraform: https://developer.hashicorp.com/terraform/install")
	}
	return nil
}

// debian says whether a package is installed; a test installs nothing on the machine itself.
func debian(packages ...string) func(string) error {
	return func(dir string) error {
		for _, name := range packages {
			if err := tool(dir, "dpkg-query", "--status", name); err != nil {
				return fmt.Errorf("needs Debian's packages: apt-get install %s", strings.Join(packages, " "))
			}
		}
		return nil
	}
}
