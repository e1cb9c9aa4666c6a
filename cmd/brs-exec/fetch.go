package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/credformat"
	"brs-exec/internal/message"
	"brs-exec/internal/runner"
)

// fetchFlag is what the command's credential_process runs under --deliver process: one GET of the
// endpoint that the environment names, for SDKs that know credential_process and not the endpoint.
// It is no flag of cli: nothing goes with it, and no variable of ours may make it fail.
const fetchFlag = "--fetch"

const (
	fetchPatience = 3 * time.Second // with an endpoint that has nothing just now; what SDKs have
	fetchTimeout  = 2 * time.Second // of one GET, which is answered within 0.6 s
	fetchPause    = 250 * time.Millisecond
)

// fetchOnce prints the endpoint's credentials as a credential_process does.
func fetchOnce(ctx context.Context, env []string, stdout io.Writer) error {
	if runner.StdoutClosed() {
		return errors.New("--fetch: stdout is closed")
	}
	for end := time.Now().Add(fetchPatience); ; {
		creds, again, err := get(ctx, env)
		if err == nil {
			return printProcess(stdout, creds)
		}
		if !again || time.Now().After(end) {
			return fmt.Errorf("--fetch: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(fetchPause):
		}
	}
}

func printProcess(w io.Writer, creds aws.Credentials) error {
	text, err := credformat.Process(creds)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return err
}

// get asks once; again says that another time it may go better.
func get(ctx context.Context, env []string) (creds aws.Credentials, again bool, err error) {
	req, err := endpointRequest(ctx, env)
	if err != nil {
		return aws.Credentials{}, false, err
	}
	// A new transport has no proxy: what loopback answers is not asked through one.
	client := http.Client{Timeout: fetchTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		err = fmt.Errorf("the endpoint does not answer: %w", errors.Unwrap(err)) // without the URL
		return aws.Credentials{}, false, message.WithHint(err, endsWithRun)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return aws.Credentials{}, false, fmt.Errorf("the endpoint's answer: %w", err)
	}
	creds, err = readAnswer(resp.StatusCode, body, time.Now())
	return creds, resp.StatusCode == http.StatusServiceUnavailable, err
}

const endsWithRun = "it ends with the brs-exec that started this program"

func readAnswer(status int, body []byte, now time.Time) (aws.Credentials, error) {
	var a struct {
		AccessKeyID, SecretAccessKey, Token, AccountID string
		Expiration                                     time.Time
		Code, Message                                  string
	}
	err := json.Unmarshal(body, &a)
	switch {
	case status != http.StatusOK:
		return aws.Credentials{}, fmt.Errorf("the endpoint has no credentials: %s: %s", a.Code, a.Message)
	case err != nil || a.AccessKeyID == "":
		return aws.Credentials{}, errors.New("the endpoint's answer is no JSON of credentials")
	}
	return aws.Credentials{
		AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey, SessionToken: a.Token, AccountID: a.AccountID,
		CanExpire: !a.Expiration.IsZero(), Expires: earlier(a.Expiration, now),
	}, nil
}

// earlier tells the end a tenth of the remaining life early. Go's SDKs, which ask an endpoint anew
// five minutes before the end, use what a process said to the last moment, and a request signed in
// it comes too late.
func earlier(end, now time.Time) time.Time {
	told := end.Add(-end.Sub(now) / 10).Truncate(time.Second)
	if told.Sub(now) < time.Second {
		return end // or it would be over at once
	}
	return told
}

// endpointRequest is what an SDK sends: the token from the file, else from the variable. Only
// loopback gets it.
func endpointRequest(ctx context.Context, env []string) (*http.Request, error) {
	const hint = "it is for a credential_process under brs-exec --deliver process, whose environment has it"
	full := getenv(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
	u, err := url.Parse(full)
	if full == "" || err != nil || u.Hostname() != "127.0.0.1" {
		return nil, message.WithHint(errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI names no endpoint of brs-exec"), hint)
	}
	token := getenv(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file := getenv(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil && token == "" {
			return nil, message.WithHint(errors.New("the token file is gone"), endsWithRun)
		}
		if err == nil {
			token = string(b)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, full, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", token)
	return req, nil
}
