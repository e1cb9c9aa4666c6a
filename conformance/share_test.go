package conformance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"brs-exec/need"
)

// shareLives are how long a loop by a share or --listen goes on.
func shareLives() (lives int, life time.Duration) {
	lives = 3
	if os.Getenv("REPEAT") != "" {
		lives = 6
	}
	return lives, within(10 * time.Second)
}

// outer starts a brs-exec that serves the role from a folder, and waits for its credentials.
func (w *world) outer(flags ...string) (kill func()) {
	w.t.Helper()
	w.share = filepath.Join(w.dir, "share")
	args := slices.Concat(w.asRole(), []string{"--serve", "--share", w.share}, flags)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stderr = w.env, w.dir, os.Stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	kill = sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	w.t.Cleanup(kill)
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(w.share, "env")); err == nil {
			return kill
		}
	}
	w.t.Fatal("no share")
	return nil
}

// fromShare: a loop under brs-exec --from-share, while the outer one is killed and started again; and it is the outer's
// role in a trap: in one, or with REPEAT in all.
func fromShare(t *testing.T, c *client) {
	need.Asked(t, full, "CONFORMANCE=full")
	lives, life := shareLives()
	t.Run("rotation", func(t *testing.T) {
		defer take(waits)()
		w := newWorld(t, life, nil)
		kill := w.outer()
		restart := time.AfterFunc(time.Duration(lives)*life/2, func() { kill(); w.outer() })
		defer restart.Stop()
		w.seen()
		_, _, keys := runLoop(t, c, w, time.Duration(lives)*life)
		if keys < lives {
			t.Errorf("%d keys in %d lives", keys, lives)
		}
		told("%-17s by --from-share, %d lives of %v, the outer killed: %d keys, none failed", c.name, lives, life, keys)
	})
	for i, trap := range traps {
		if trap.java && c.language != "Java" || c.except[trap.name] != "" ||
			os.Getenv("REPEAT") == "" && i != slices.Index(namesProfiles, c.name) {
			continue
		}
		t.Run(trap.name, func(t *testing.T) {
			defer take(works)()
			set := trap.set
			trap.set = func(w *world) { w.outer(); set(w) }
			oneTrap(t, c, trap)
		})
	}
}

// atListen: a loop without any brs-exec around it, in the environment of the share's env, which names another address.
func atListen(t *testing.T, c *client) {
	need.Asked(t, full, "CONFORMANCE=full") // that makes the namespace in which the address is nobody's
	if !onlyLo {
		skip(t, errors.New("an address of ECS: needs a namespace with nothing but loopback"))
	}
	defer take(waits)()
	if err := ecsAddress(); err != nil {
		t.Fatal(err)
	}
	lives, life := shareLives()
	w := newWorld(t, life, nil)
	w.outer("--listen", "169.254.170.2")
	length := time.Duration(lives) * life
	script := `set -a; . "$1"; set +a; shift; exec "$@"`
	argv := append([]string{"sh", "-c", script, "sh", filepath.Join(w.share, "env")}, c.command(w, "loop", fmt.Sprint(length.Seconds()))...)
	w.seen()
	_, _, keys := holds(t, w, w.run(length+within(limit), argv))
	if keys < lives {
		t.Errorf("%d keys in %d lives", keys, lives)
	}
	told("%-17s by --listen, %d lives of %v: %d keys, none failed", c.name, lives, life, keys)
}

// ecsAddress is the address of a container network's gateway, which the namespace has on its lo.
var ecsAddress = sync.OnceValue(func() error {
	out, err := exec.Command("ip", "addr", "add", "169.254.170.2/24", "dev", "lo").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})
