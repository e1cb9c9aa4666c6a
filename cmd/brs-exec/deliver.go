package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"brs-exec/internal/childenv"
	"brs-exec/internal/credformat"
	"brs-exec/internal/message"
	"brs-exec/internal/refresh"
)

// delivery is --deliver: the ways in which the command gets its credentials. SDKs prefer each of
// the others to the endpoint, so whoever adds one gives up some of what the endpoint is:
// docs/DELIVER.md.
type delivery struct{ endpoint, process, file, env bool }

var ways = []string{"endpoint", "process", "file", "env"}

// parseDelivery reads the list; none is the endpoint. given is how the user gave it.
func parseDelivery(given string, list []string) (d delivery, err error) {
	if len(list) == 0 {
		return delivery{endpoint: true}, nil
	}
	chosen := []*bool{&d.endpoint, &d.process, &d.file, &d.env} // as ways
	for name := range strings.SplitSeq(strings.Join(list, ","), ",") {
		switch i := slices.Index(ways, name); {
		case i < 0:
			hint := "one of " + strings.Join(ways, ", ") + ", or several with commas"
			return d, message.Errorf(hint, "%s: there is no %q", given, name)
		case *chosen[i]:
			return d, message.Errorf("drop one", "%s: %s is there twice", given, name)
		default:
			*chosen[i] = true
		}
	}
	return d, nil
}

// served says whether the command is to know the endpoint: its credential_process asks it, too.
func (d delivery) served() bool { return d.endpoint || d.process }

// envOnly says whether nothing will ever renew the keys that the command has.
func (d delivery) envOnly() bool { return d == delivery{env: true} }

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
		{c.refresh.Lazy && d.file, c.given("lazy") + " fetches what is asked for, and a file asks for nothing",
			"drop --lazy"},
	}
}

// keyFile is the credentials file of --deliver file.
type keyFile struct {
	creds   *refresh.Refresher
	profile string // under whose name the keys stand, beside [default]
	dir     *childenv.Dir
	written []byte // what it says
}

const (
	fileRetry = 5 * time.Second
	fileLook  = 30 * time.Second // as often as the refresher looks at the clocks
)

func (f *keyFile) firstWrite() error {
	if err := f.update(context.Background()); err != nil {
		return message.Errorf("--deliver endpoint needs no file", "--deliver file: %w", err)
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
			log.Warn("credentials file cannot be written: programs that read it have the old keys", "error", err)
		case err == nil && failing:
			log.Warn("credentials file is written again")
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
	ctx, cancel := context.WithCancel(ctx)
	cancel() // what is held now, without a wait
	creds, err := f.creds.Retrieve(ctx)
	if err != nil {
		return nil // the refresher tells
	}
	content, err := credformat.SharedCredentials(creds, f.profile)
	if err != nil || bytes.Equal(content, f.written) {
		return err
	}
	if err := f.dir.SetCredentials(content); err != nil {
		return err
	}
	f.written = content
	return nil
}

// fetchCommand returns a credential_process of the command: this program, for the flag by, which
// errors name.
func fetchCommand(by string) (string, error) {
	self, err := os.Executable()
	if err == nil {
		_, err = os.Stat(self) // it may have been removed since it was started
	}
	if err != nil {
		return "", message.Errorf("start it by a path that stays", "%s: find brs-exec itself: %w", by, err)
	}
	command, err := credformat.ProcessCommand(self, fetchFlag)
	if err != nil {
		return "", message.Errorf("put brs-exec elsewhere", "%s: %w", by, err)
	}
	return command, nil
}
