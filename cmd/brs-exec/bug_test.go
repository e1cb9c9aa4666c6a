package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/childenv"
	"brs-exec/internal/refresh"
)

// buggy is brs-exec with a bug: the first that needs something random panics. The script bug.txtar
// runs it.
func buggy() {
	rand.Reader = panicking{}
	main()
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("as told") }

// isBug checks that an error tells of a panic, and where it was.
func isBug(t *testing.T, err error) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), "bug: ") || !strings.Contains(err.Error(), ".go:") {
		t.Errorf("got %v; want a bug, and its place", err)
	}
}

// TestBugOfSource: a refresh that panics has failed.
func TestBugOfSource(t *testing.T) {
	_, err := guarded(nil, "", false, func(err error) error { return err }).Retrieve(t.Context())
	isBug(t, err)
}

// TestBugInBackground: a panic beside the command is told to whoever waits for the command.
func TestBugInBackground(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	src := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, nil })
	s := &session{flags: newCLI(), log: log, creds: refresh.New(src, refresh.Options{Log: log})}
	dir := childenv.NewDir(childenv.Options{Places: []string{t.TempDir()}, Log: log})
	e := &equipment{dir: dir, file: new(keyFile), cleared: make(chan struct{})}
	failed := make(chan error, 1)
	stop := s.background(e, nil, func(err error) { failed <- err })
	defer stop()
	isBug(t, <-failed)
}
