package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"brs-exec/internal/childenv"
)

// delivery is --deliver: the ways in which the command gets its credentials. SDKs
// prefer each of the others to the endpoint, so whoever adds one gives up some of
// what the endpoint is: docs/DELIVER.md.
type delivery struct{ endpoint, process, file, env bool }

var ways = []string{"endpoint", "process", "file", "env"}

// parseDelivery reads the list; none is the endpoint.
func parseDelivery(list []string) (d delivery, err error) {
	if len(list) == 0 {
		return delivery{endpoint: true}, nil
	}
	flags := []*bool{&d.endpoint, &d.process, &d.file, &d.env} // as ways
	for name := range strings.SplitSeq(strings.Join(list, ","), ",") {
		switch i := slices.Index(ways, name); {
		case i < 0:
			return d, hinted(fmt.Errorf("--deliver: there is no %q", name), "one of "+strings.Join(ways, ", ")+", or several with commas")
		case *flags[i]:
			return d, hinted(fmt.Errorf("--deliver: %s is there twice", name), "drop one")
		default:
			*flags[i] = true
		}
	}
	return d, nil
}

// served says whether the command is to know the endpoint: the process asks it, too.
func (d delivery) served() bool { return d.endpoint || d.process }

// checkDelivery refuses what can't go together.
func (c *cli) checkDelivery() error {
	d, list := c.delivery, strings.Join(c.Deliver, ",")
	switch {
	case c.NoSession && c.Deliver != nil:
		return hinted(errors.New("--no-session says itself how keys are delivered: as variables"), "drop --deliver, or --no-session")
	case c.NoIsolation && (d.process || d.file):
		return hinted(fmt.Errorf("--deliver %s writes the command's AWS files, which --no-isolation leaves alone", list), "drop --no-isolation, or --deliver endpoint")
	case c.StartEarly && (d.file || d.env):
		return hinted(fmt.Errorf("--deliver %s needs the credentials before the command starts", list), "drop --start-early")
	case c.Lazy && d.file:
		return hinted(errors.New("--lazy fetches what is asked for, and a file asks for nothing"), "drop --lazy")
	}
	return nil
}

// deliver prepares what is not the endpoint, once the first credentials are there.
func (s *session) deliver(dir *childenv.Dir) error {
	switch err := dir.Err(); {
	case err != nil && (s.delivery.process || s.delivery.file):
		return hinted(fmt.Errorf("--deliver %s: %w", strings.Join(s.Deliver, ","), err), hintOf(err))
	case err != nil:
		s.log.Warn(err.Error())
	}
	if s.delivery.file {
		if err := s.writeFile(context.Background(), dir); err != nil {
			return hinted(fmt.Errorf("--deliver file: %w", err), "--deliver endpoint needs no file")
		}
	}
	return s.takeKeys()
}

// takeKeys are the keys for variables: with --deliver env, and where --no-session
// found long-term keys, since SDKs demand a session token of an endpoint.
func (s *session) takeKeys() error {
	if !s.delivery.env && !s.NoSession {
		return nil
	}
	keys, err := s.creds.Retrieve(context.Background())
	switch {
	case err != nil:
		return err
	case s.delivery.env && keys.CanExpire:
		s.log.Warn("the command has its keys as variables, which nothing can renew there", "expires", keys.Expires)
	case s.delivery.env:
		s.log.Warn("the command has its keys as variables, which nothing can renew there; when they end is not known")
	case keys.SessionToken != "":
		return nil
	}
	s.keys = keys
	return nil
}

// unserved: the keys are long-term ones, which the endpoint can't hand out.
func (s *session) unserved() bool { return s.NoSession && s.keys.HasKeys() }

const (
	fileRetry = 5 * time.Second
	fileLook  = 30 * time.Second // as often as the refresher looks at the clocks
)

// keepFile writes each new credential to the credentials file until ctx ends.
//
// One that has expired stays there while STS gives no other. A program that finds
// no keys looks elsewhere, and may find an instance's role; with these it fails,
// and the error names the reason (ExpiredToken).
func (s *session) keepFile(ctx context.Context, dir *childenv.Dir) {
	failing := false
	for ctx.Err() == nil {
		news, wait := s.creds.News(), fileLook
		err := s.writeFile(ctx, dir)
		switch {
		case err != nil && !failing:
			s.log.Warn("credentials file cannot be written: programs that read it have the old keys", "error", err)
		case err == nil && failing:
			s.log.Warn("credentials file is written again")
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

// writeFile brings the credentials file up to date, if there is something newer.
func (s *session) writeFile(ctx context.Context, dir *childenv.Dir) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel() // what is held now, without a wait
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return nil // the refresher tells
	}
	content, err := childenv.SharedCredentials(creds, s.profile)
	if err != nil || bytes.Equal(content, s.file) {
		return err
	}
	if err := dir.SetCredentials(content); err != nil {
		return err
	}
	s.file = content
	return nil
}

// fetchCommand is the credential_process of the command: this program.
func fetchCommand() (string, error) {
	self, err := os.Executable()
	if err == nil {
		_, err = os.Stat(self) // it may have been removed since it was started
	}
	if err != nil {
		return "", hinted(fmt.Errorf("--deliver process: find brs-exec itself: %w", err), "start it by a path that stays")
	}
	command, err := childenv.ProcessCommand(self, fetchFlag)
	if err != nil {
		return "", hinted(fmt.Errorf("--deliver process: %w", err), "put brs-exec elsewhere")
	}
	return command, nil
}
