package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/childenv"
	"brs-exec/internal/credformat"
	"brs-exec/internal/hint"
	"brs-exec/internal/procfs"
	"brs-exec/internal/refresh"
	"brs-exec/internal/runner"
	"brs-exec/internal/share"
)

// delivery is --deliver: the ways in which the command gets its credentials. SDKs prefer each of
// the others to the endpoint, so whoever adds one gives up some of what the endpoint is:
// docs/DELIVER.md.
//
// json is for others than the command, which has the endpoint beside it unless another way is
// named.
type delivery struct{ endpoint, process, file, env, json bool }

var ways = []string{"endpoint", "process", "file", "env", "json"}

// parseDelivery reads the list; none is the endpoint. given is how the user gave it.
func parseDelivery(given string, list []string) (d delivery, err error) {
	if len(list) == 0 {
		return delivery{endpoint: true}, nil
	}
	chosen := []*bool{&d.endpoint, &d.process, &d.file, &d.env, &d.json} // as ways
	for name := range strings.SplitSeq(strings.Join(list, ","), ",") {
		switch i := slices.Index(ways, name); {
		case i < 0:
			return d, hint.Errorf("one of "+strings.Join(ways, ", ")+", or several with commas",
				"%s: there is no %q", given, name)
		case *chosen[i]:
			return d, hint.Errorf("drop one", "%s: %s is there twice", given, name)
		default:
			*chosen[i] = true
		}
	}
	d.endpoint = d.endpoint || d == delivery{json: true}
	return d, nil
}

// served says whether the command is to know the endpoint: its credential_process asks it, too.
func (d delivery) served() bool { return d.endpoint || d.process }

// envOnly says whether nothing will ever renew the keys that the command has.
func (d delivery) envOnly() bool {
	return d == delivery{env: true} || d == delivery{env: true, json: true}
}

func (c *cli) deliverList() string { return strings.Join(c.deliver, ",") }

// deliveryRules refuse what can't go together with --deliver.
func (c *cli) deliveryRules() []rule {
	d, given := c.delivery, c.given("deliver")+" "+c.deliverList()
	return []rule{
		{c.export && c.setBy["deliver"] == "--deliver", "--deliver is for a command, and --export prints the keys",
			"drop --deliver; --format env prints them as variables"},
		{c.source.NoSession && c.deliver != nil,
			c.given("no-session") + " says itself how keys are delivered: as variables",
			"drop --deliver, or --no-session"},
		{c.child.NoIsolation && (d.process || d.file),
			given + " writes the command's AWS files, which --no-isolation leaves alone",
			"drop --no-isolation, or --deliver endpoint"},
		{c.startEarly && (d.file || d.env), given + " needs the credentials before the command starts",
			"drop --start-early"},
		{c.server.MaxTTL != 0 && d == delivery{file: true} && c.share == "",
			c.given("max-ttl") + " is for those who are told when keys end, and a credentials file tells no end",
			"drop it, or --deliver file,process"},
		{d.json && c.share == "", given + " writes into the folder of a share", "add --share DIR"},
		{c.onRotation != "" && !d.file && !d.json,
			c.given("on-rotation") + " is for a command that reads its keys from a file",
			"add --deliver file"},
		{c.onRotation != "" && !procfs.Supported,
			c.given("on-rotation") + ": this system doesn't tell what a program catches",
			"leave it out"},
		{c.refresh.Lazy && (d.file || d.json),
			c.given("lazy") + " fetches what is asked for, and a file asks for nothing",
			"drop --lazy"},
	}
}

// keyFile is a file that holds the credentials: that of --deliver file, or of --deliver json.
type keyFile struct {
	creds   *refresh.Refresher
	way     string // of --deliver
	name    string // in messages
	encode  func(aws.Credentials) ([]byte, error)
	put     func([]byte) error
	rotated func() // it holds new ones

	mu      sync.Mutex      // guards the rest: under --start-early two may write
	written aws.Credentials // what it holds
}

const (
	fileRetry = 5 * time.Second
	fileLook  = 30 * time.Second // as often as the refresher looks at the clocks
)

// sharedFile is the command's credentials file, in which the keys stand under the name of profile,
// too.
func (s *session) sharedFile(profile string, dir *childenv.Dir) *keyFile {
	encode := func(c aws.Credentials) ([]byte, error) { return credformat.SharedCredentials(c, profile) }
	return &keyFile{creds: s.creds, way: "file", name: "credentials file", encode: encode, put: dir.SetCredentials}
}

// jsonFile is what a credential_process of another machine's program prints (cat FILE), where
// neither the endpoint nor a socket crosses.
func (s *session) jsonFile(folder *share.Folder) *keyFile {
	encode := func(c aws.Credentials) ([]byte, error) {
		if c.CanExpire {
			c.Expires = earlier(c.Expires, time.Now(), 0)
		}
		text, err := credformat.Process(c)
		return []byte(text), err
	}
	put := func(content []byte) error { return s.shareError(folder.Put(share.JSON, content)) }
	return &keyFile{creds: s.creds, way: "json", name: share.JSON, encode: encode, put: put}
}

// firstWrite comes before there is anybody to read.
func (f *keyFile) firstWrite() error {
	if err := f.update(context.Background()); err != nil {
		return hint.Errorf("--deliver endpoint needs no file", "--deliver %s: %w", f.way, err)
	}
	return nil
}

// keep writes each new credential to the file until ctx ends.
//
// One that has expired stays there while STS gives no other. A program that finds no keys looks
// elsewhere, and may find an instance's role; with these it fails, and the error names the reason
// (ExpiredToken).
func (f *keyFile) keep(ctx context.Context, log *slog.Logger) {
	failing := false
	for ctx.Err() == nil {
		news, wait := f.creds.News(), fileLook
		err := f.update(ctx)
		switch {
		case err != nil && !failing:
			log.Warn(f.name+" cannot be written: programs that read it have the old keys", "error", err)
		case err == nil && failing:
			log.Warn(f.name + " is written again")
		}
		if failing = err != nil; failing {
			wait = fileRetry
		}
		select {
		case <-ctx.Done():
		case <-news:
		case <-time.After(wait):
		}
	}
}

// update brings the file up to date, if there is something newer.
func (f *keyFile) update(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	cancel() // what is held now, without a wait
	creds, err := f.creds.Retrieve(ctx)
	if err != nil || creds.SessionToken == f.written.SessionToken && creds.AccessKeyID == f.written.AccessKeyID &&
		creds.Expires.Equal(f.written.Expires) {
		return nil // the refresher tells
	}
	content, err := f.encode(creds)
	if err == nil {
		err = f.put(content)
	}
	if err != nil {
		return err
	}
	isFirst := !f.written.HasKeys()
	if f.written = creds; !isFirst && f.rotated != nil {
		f.rotated()
	}
	return nil
}

// announceRotations has the command told, by the signal of --on-rotation, that its file holds new
// keys, if it catches that signal: HUP ends a program that doesn't. started is to be called with
// its process id.
func (s *session) announceRotations(e *equipment, run *runner.Command) (started func(pid int)) {
	signal := s.flags.onRotation
	file := cmp.Or(e.file, e.json)
	if signal == "" || file == nil {
		return func(int) {}
	}
	send := make(chan string, 1)
	run.Send = send
	var command atomic.Int64 // 0: it will read the new ones
	warned := false
	file.rotated = func() {
		pid := int(command.Load())
		switch catches := pid != 0 && procfs.Catches(pid, signal); {
		case catches:
			select {
			case send <- signal:
			default: // it has not taken the last one yet
			}
		case pid != 0 && !warned:
			warned = true
			s.log.Warn(s.flags.given("on-rotation") + ": the command does not catch " + signal + ", and is not sent it")
		}
	}
	return func(pid int) { command.Store(int64(pid)) }
}

// fetchCommand returns a credential_process of the command: this program, for the flag by, which
// errors name.
func fetchCommand(by string) (string, error) {
	self, err := os.Executable()
	if err == nil {
		_, err = os.Stat(self) // it may have been removed since it was started
	}
	if err != nil {
		return "", hint.Errorf("start it by a path that stays", "%s: find brs-exec itself: %w", by, err)
	}
	command, err := credformat.ProcessCommand(plainPath(self), fetchFlag)
	if err != nil {
		return "", hint.Errorf("put brs-exec elsewhere", "%s: %w", by, err)
	}
	return command, nil
}
