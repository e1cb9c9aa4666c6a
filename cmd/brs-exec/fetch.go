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

	"brs-exec/internal/runner"
)

// fetchFlag is what the command's credential_process runs under --deliver
// process: one GET of the endpoint that the environment names, for SDKs that know
// credential_process and not the endpoint. It is no flag of the grammar: nothing
// goes with it, and no variable of ours may make it fail.
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
		switch {
		case err == nil:
			var text string
			if text, err = creds.text("process"); err == nil {
				_, err = io.WriteString(stdout, text)
			}
			return err
		case !again || time.Now().After(end):
			return fmt.Errorf("--fetch: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(fetchPause):
		}
	}
}

// get asks once; again says that another time it may go better.
func get(ctx context.Context, env []string) (creds *processCredentials, again bool, err error) {
	req, err := endpointRequest(ctx, env)
	if err != nil {
		return nil, false, err
	}
	client := http.Client{Timeout: fetchTimeout, Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy
	resp, err := client.Do(req)
	if err != nil {
		cause := errors.Unwrap(err) // without the URL
		return nil, false, hinted(fmt.Errorf("the endpoint does not answer: %w", cause), "it ends with the brs-exec that started this program")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, false, fmt.Errorf("the endpoint's answer: %w", err)
	}
	var a struct {
		AccessKeyID, SecretAccessKey, Token, Expiration, AccountID string
		Code, Message                                              string
	}
	switch err := json.Unmarshal(body, &a); {
	case resp.StatusCode != http.StatusOK:
		return nil, resp.StatusCode == http.StatusServiceUnavailable, fmt.Errorf("the endpoint has no credentials: %s: %s", a.Code, a.Message)
	case err != nil || a.AccessKeyID == "":
		return nil, false, errors.New("the endpoint's answer is no JSON of credentials")
	}
	return &processCredentials{1, a.AccessKeyID, a.SecretAccessKey, a.Token, earlier(a.Expiration, time.Now()), a.AccountID}, false, nil
}

// earlier tells the end a tenth of the remaining life early. Go's SDKs, which ask an
// endpoint anew five minutes before the end, use what a process said to the last
// moment, and a request signed in it comes too late.
func earlier(expiration string, now time.Time) string {
	end, err := time.Parse(time.RFC3339, expiration)
	if err != nil {
		return expiration
	}
	told := end.Add(-end.Sub(now) / 10).Truncate(time.Second)
	if told.Sub(now) < time.Second {
		return expiration // or it would be over at once
	}
	return told.UTC().Format(time.RFC3339)
}

// endpointRequest is what an SDK sends: the token from the file, else from the
// variable. Only loopback gets it.
func endpointRequest(ctx context.Context, env []string) (*http.Request, error) {
	const hint = "it is for a credential_process under brs-exec --deliver process, whose environment has it"
	full, _ := lookup(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
	u, err := url.Parse(full)
	if full == "" || err != nil || u.Hostname() != "127.0.0.1" {
		return nil, hinted(errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI names no endpoint of brs-exec"), hint)
	}
	token, _ := lookup(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file, _ := lookup(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil && token == "" {
			return nil, hinted(errors.New("the token file is gone"), "it ends with the brs-exec that started this program")
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
