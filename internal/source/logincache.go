package source

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"brs-exec/internal/awsconfig"
)

// loginCache is the file in which `aws sso login` or `aws login` left a token. The token is renewed
// before it ends, and the new one goes into the file, since a refresh token is good once and other
// programs use it, too.
//
// The SDK's own readers of these files renew a token when it has ended, write the file in place,
// drop the fields that they don't know, and throw the new token away if the file can't be written,
// as in a container with a read-only ~/.aws. Then the login would be over.
// https://docs.aws.amazon.com/sdkref/latest/guide/understanding-sso.html
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-login-credentials.html
type loginCache struct {
	file string
	log  *slog.Logger
	// end is when the token in the file's fields ends; zero: they hold none.
	end func(fields) time.Time
	// renew buys a new token, puts it into the fields, and returns its life. errLoginOver: there is
	// nothing to buy it with.
	renew func(context.Context, fields) (time.Duration, error)

	mu     sync.Mutex  // guards the rest
	seen   string      // the file's content when it was read last
	mine   *loginToken // a new token that could not be written to the file; nil: the file's counts
	unsaid string      // the file's content when it could not
}

// fields are the file. Those that we don't know stay.
type fields map[string]json.RawMessage

// text returns a field; what is no string is as if it were missing.
func (f fields) text(name string) (s string) {
	json.Unmarshal(f[name], &s)
	return s
}

func (f fields) set(name string, value any) { f[name], _ = json.Marshal(value) }

// A loginToken is what the file holds, or will hold.
type loginToken struct {
	fields
	issued, ends time.Time
}

// stale says that it is time for a new one. The refresher asks when 45 to 55 % of a life have
// passed. A file that was copied looks younger than its token, which then is renewed a little
// later.
func (t *loginToken) stale() bool {
	return time.Until(t.ends) <= t.ends.Sub(t.issued)*6/10
}

var (
	errNoLogin   = errors.New("the login is damaged")
	errLoginOver = errors.New("the login has expired")
)

// token returns the token, a new one if it is time. With a token an error says that it could not be
// renewed: it is good until it ends.
func (c *loginCache) token(ctx context.Context) (*loginToken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.read()
	if err != nil || !t.stale() {
		return t, err
	}
	defer lockLogin(ctx, c.file)()
	if t, err = c.read(); err != nil || !t.stale() { // another brs-exec was faster
		return t, err
	}
	left := time.Until(t.ends)
	life, err := c.renew(ctx, t.fields)
	switch {
	case err == nil:
		t.issued = time.Now()
		t.ends = t.issued.Add(life)
		c.save(t)
		return t, nil
	case left <= 0:
		return nil, err
	case errors.Is(err, errLoginOver): // nobody renews it, which RenewableUntil has told
		return t, nil
	}
	return t, err
}

// read takes what the file holds, unless the token here is newer.
func (c *loginCache) read() (*loginToken, error) {
	content, err := awsconfig.Read(c.file)
	if err == nil {
		c.seen = string(content)
	}
	if c.mine != nil && (err != nil || c.seen == c.unsaid) {
		return c.mine, nil
	}
	if err != nil {
		return nil, err
	}
	t := &loginToken{}
	if json.Unmarshal(content, &t.fields) == nil {
		t.ends = c.end(t.fields)
	}
	switch {
	case !t.ends.IsZero(): // somebody has logged in, or renewed it
		c.mine = nil
	case c.mine != nil:
		return c.mine, nil
	default:
		return nil, errNoLogin
	}
	if info, err := os.Stat(c.file); err == nil {
		t.issued = info.ModTime()
	}
	return t, nil
}

// save replaces the file. Where that can't be done the token is kept here: it is the only one now.
func (c *loginCache) save(t *loginToken) {
	data, err := json.Marshal(t.fields)
	if err == nil {
		err = replaceFile(c.file, data)
	}
	if err == nil {
		c.mine = nil
		return
	}
	if c.mine == nil {
		c.log.Warn("the refreshed login can't be written: other programs have to log in anew", "file", c.file,
			"error", err)
	}
	c.mine, c.unsaid = t, c.seen
}

// changes waits until the file is another than the one that was read last. Of many programs that
// share it the first one spends the refresh token, and its result is in the file a moment later;
// one that writes in place leaves it empty for that moment.
func (c *loginCache) changes(ctx context.Context, within time.Duration) bool {
	c.mu.Lock()
	seen := c.seen
	c.mu.Unlock()
	for end := time.Now().Add(within); ; {
		if now, err := awsconfig.Read(c.file); err == nil && string(now) != seen {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
}

// lockPatience is how long a brs-exec waits for another one that renews the same login. One that
// was stopped meanwhile must not stop all.
const lockPatience = 2 * time.Second

// lockLogin keeps other brs-execs from renewing the login in file meanwhile, as far as the system
// can. The lock is on the file itself: nothing is left behind, and a read-only folder will do.
func lockLogin(ctx context.Context, file string) (unlock func()) {
	patience := lockPatience
	if end, ok := ctx.Deadline(); ok { // the call needs time, too
		patience = min(patience, time.Until(end)/2)
	}
	for end := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(end); {
		f, err := os.Open(file)
		if err != nil {
			break
		}
		locked, held := tryLock(f)
		if locked && isStill(f, file) {
			return func() { f.Close() }
		}
		f.Close()
		if !locked && !held {
			break // there are no locks here
		}
		if held {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return func() {}
}

// isStill says that name is the file f: whoever had the lock may have replaced it.
func isStill(f *os.File, name string) bool {
	mine, err1 := f.Stat()
	now, err2 := os.Stat(name)
	return err1 == nil && err2 == nil && os.SameFile(mine, now)
}

// replaceFile writes a file that no reader sees half of. It has the mode of the one before, and a
// link stays a link.
func replaceFile(name string, data []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
