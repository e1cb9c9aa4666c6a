package main

import (
	"context"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/credformat"
	"brs-exec/internal/hint"
)

// export gets the credentials as a command would, and prints them once, in the formats of `aws
// configure export-credentials --format`.
func (s *session) export(ctx context.Context, w io.Writer) error {
	if err := s.firstCredentials(ctx); err != nil {
		return err
	}
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return err
	}
	creds = endBy(creds, s.flags.server.MaxTTL, time.Now())
	var text string
	if s.flags.format == "process" {
		text, err = credformat.Process(creds)
	} else {
		text, err = credformat.Shell(creds, s.flags.format)
	}
	if err != nil {
		return hint.Errorf("--format process can say everything", "--export: %w", err)
	}
	if _, err := io.WriteString(w, text); err != nil { // at once: half of it would say something odd
		return hint.Errorf("whoever runs it must read what it prints", "--export: %w", err)
	}
	return nil
}

// endBy moves the end of the credentials to most from now, if that is earlier; 0 is no limit.
func endBy(creds aws.Credentials, most time.Duration, now time.Time) aws.Credentials {
	if end := now.Add(most); most != 0 && (!creds.CanExpire || end.Before(creds.Expires)) {
		creds.CanExpire, creds.Expires = true, end
	}
	return creds
}
