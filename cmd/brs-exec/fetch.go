package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/smithy-go"

	"brs-exec/internal/credformat"
	"brs-exec/internal/hint"
	"brs-exec/internal/procfs"
)

// fetchFlag is what a credential_process of the command's runs: one GET of the endpoint that the
// environment names. Alone it is for SDKs that know credential_process and not the endpoint
// (--deliver process). With an ID and a number of seconds it is for one profile of --with-profile,
// whose first credentials may take so long. It is no flag of cli: nothing else goes with it, and no
// variable of ours may make it fail.
const fetchFlag = "--fetch"

// A wanted is what --fetch is to bring.
type wanted struct {
	path     string // below the endpoint's; "": its own
	patience time.Duration
	early    time.Duration // how early the end is told at most; 0: a tenth of what is left
}

// parseFetch reads the words behind --fetch.
func parseFetch(args []string) (w wanted, err error) {
	switch len(args) {
	case 0:
		return wanted{patience: fetchPatience}, nil
	case 2:
		seconds, err := strconv.ParseUint(args[1], 10, 16)
		if id, notHex := hex.DecodeString(args[0]); err == nil && notHex == nil && len(id) == 4 {
			return wanted{"/" + args[0], time.Duration(seconds) * time.Second, time.Minute}, nil
		}
	}
	return w, hint.Errorf("brs-exec itself writes it into the command's config file", "%s ID SECONDS", fetchFlag)
}

const (
	fetchPatience = 3 * time.Second // with an endpoint that has nothing just now; what SDKs have
	fetchTimeout  = 2 * time.Second // of one GET, which is answered within 0.6 s
	fetchPause    = 250 * time.Millisecond
)

// fetchOnce prints the endpoint's credentials as a credential_process does.
func fetchOnce(ctx context.Context, args, env []string, stdout io.Writer) error {
	want, err := parseFetch(args)
	if err != nil {
		return err
	}
	for end := time.Now().Add(want.patience); ; {
		creds, again, err := get(ctx, want, env)
		if err == nil {
			text, err := credformat.Process(creds)
			if err == nil {
				_, err = io.WriteString(stdout, text)
			}
			return err
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

// get asks once, as an SDK does; again says that a later try may succeed.
func get(ctx context.Context, want wanted, env []string) (creds aws.Credentials, again bool, err error) {
	endpoint := getenv(env, endpointVariable)
	u, err := url.Parse(endpoint)
	if endpoint == "" || err != nil || !speaksPlainly(u.Hostname()) {
		return creds, false, hint.Errorf(
			"it is for a credential_process under brs-exec --deliver process, whose environment has it",
			endpointVariable+" names no endpoint of brs-exec")
	}
	token, err := endpointToken(env)
	if err != nil {
		return creds, false, err
	}
	provider := endpointcreds.New(endpoint+want.path, func(o *endpointcreds.Options) {
		o.AuthorizationToken, o.Retryer = token, aws.NopRetryer{}
		// A transport of one's own has no proxy.
		t := &http.Transport{DisableKeepAlives: true, DialContext: dialOurs}
		o.HTTPClient = &http.Client{Timeout: fetchTimeout, Transport: t}
	})
	creds, err = provider.Retrieve(ctx)
	if err == nil && creds.HasKeys() {
		creds.Expires = earlier(creds.Expires, time.Now(), want.early)
		return creds, false, nil
	}
	var refusal interface {
		smithy.APIError
		HTTPStatusCode() int
	}
	switch noAnswer, failed := errors.AsType[*url.Error](err); {
	case failed:
		return creds, false, hint.Errorf(endsWithRun, "the endpoint does not answer: %w", noAnswer.Err)
	case errors.As(err, &refusal):
		err = fmt.Errorf("the endpoint has no credentials: %s: %s", refusal.ErrorCode(), refusal.ErrorMessage())
		return creds, refusal.HTTPStatusCode() == http.StatusServiceUnavailable, err
	}
	return creds, false, errors.New("the endpoint's answer is no JSON of credentials")
}

// speaksPlainly says that SDKs send the token to this host, too: ours, or one of --listen.
func speaksPlainly(host string) bool {
	return host == "127.0.0.1" || slices.Contains(listenable, host) || "["+host+"]" == listenable[2]
}

// dialOurs refuses another user's server, which would be sent the token and hand out keys of his
// own: the environment of a run that has ended may have been copied.
func dialOurs(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	uid, stranger, err := procfs.Stranger(c)
	switch {
	case stranger:
		err = fmt.Errorf("the user with uid %d listens there, who is neither we nor root", uid)
	case !errors.Is(err, procfs.ErrNoSocket):
		return c, nil // ours, or it can't be told
	}
	c.Close()
	return nil, err
}

const endsWithRun = "it ends with the brs-exec that started this program"

// endpointToken is what SDKs send: the file's token, else the variable's.
func endpointToken(env []string) (string, error) {
	token := getenv(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
	file := getenv(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
	if file == "" {
		return token, nil
	}
	b, err := os.ReadFile(file)
	switch {
	case err == nil:
		return string(b), nil
	case token == "":
		return "", hint.Errorf(endsWithRun, "the token file is gone")
	}
	return token, nil
}

// earlier tells the end a tenth of the remaining life early, or most, if that is less. Go's SDKs,
// which ask an endpoint anew five minutes before the end, use what a process said to the last
// moment, and a request signed in it comes too late.
func earlier(end, now time.Time, most time.Duration) time.Time {
	early := end.Sub(now) / 10
	if most > 0 {
		early = min(early, most)
	}
	told := end.Add(-early).Truncate(time.Second)
	if told.Sub(now) < time.Second {
		return end // or it would be over at once
	}
	return told
}
