package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// patience is how long a client waits: longer than any SDK, so that what is late is told apart from what never comes.
const patience = 10 * time.Second

// client is one of the many; what it does depends on its number only.
func (r *result) client(ctx context.Context, i int, w *wrapper) {
	c := &asker{result: r, wrapper: w, local: w.socket != "" && i/10%2 == 1}
	transport := &http.Transport{DisableKeepAlives: i%10 >= 5, DialContext: c.dial}
	defer transport.CloseIdleConnections()
	c.http = &http.Client{Transport: transport, Timeout: patience}
	pause, ask := time.Second, c.get
	switch {
	case i == 0:
		ask = c.sign
	case i%10 == 6:
		ask = c.control
	case i%10 == 7:
		ask = c.leave
	case i%10 == 8:
		ask, pause = c.dribble, 3*time.Second
	case i%10 == 9:
		ask = c.forget
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
		ask(ctx) // the pause comes first: they don't start all at once
	}
}

// asker is a client with what it needs.
type asker struct {
	*result
	*wrapper
	http  *http.Client
	local bool // it comes by the socket
}

// dial connects to brs-exec by the way of this client; the servers of this process have but one.
func (c *asker) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.local && strings.Contains(c.url, addr) {
		network, addr = "unix", c.socket
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// answer is what a GET brings.
type answer struct {
	AccessKeyId, SecretAccessKey, Token string
	Expiration                          time.Time
	Code                                string
}

// ask sends one GET and returns what came; took counts to the last byte.
func (c *asker) ask(ctx context.Context, token string) (status int, a answer, begun time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", c.url, nil)
	if err != nil {
		return 0, a, begun, err
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	begun = time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, a, begun, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	return resp.StatusCode, a, begun, err
}

// get is a client as it should be. It finishes what it began when the time is over.
func (c *asker) get(context.Context) { c.good() }

func (c *asker) good() (answer, bool) {
	status, a, begun, err := c.ask(context.Background(), c.token)
	c.judge(status, a, begun, time.Now(), err)
	return a, status == http.StatusOK && err == nil
}

// sign uses what it got: STS refuses what has expired or is not its own.
func (c *asker) sign(ctx context.Context) {
	a, ok := c.good()
	if !ok {
		return
	}
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &c.sts.URL, HTTPClient: c.http, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: a.AccessKeyId, SecretAccessKey: a.SecretAccessKey, SessionToken: a.Token}, nil
		})})
	_, err := client.GetCallerIdentity(ctx, nil)
	switch {
	case err == nil:
		c.count("signed calls that STS took")
	case ctx.Err() != nil:
	case !time.Now().Before(a.Expiration): // which was ahead when it was asked for
		c.count("signed calls that reached STS too late (this process was slow)")
	default:
		c.unexpected(fmt.Errorf("sign with an answer good until %v: %w", a.Expiration, err))
	}
}

// leave hangs up while it is being answered, or before.
func (c *asker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, rand.N(2*time.Millisecond))
	defer cancel()
	c.ask(ctx, c.token)
	c.count("clients that left mid-request")
}

// control asks a fixed-body server in this process, on a new connection: what that takes is the machine's doing.
func (c *asker) control(context.Context) {
	begun := time.Now()
	resp, err := c.http.Get(c.fixed.URL)
	if err != nil {
		c.unexpected(fmt.Errorf("control server: %w", err))
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		c.unexpected(fmt.Errorf("control server: %w", err))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.controls.add(time.Since(begun))
}

// forget is an SDK that sends no token.
func (c *asker) forget(context.Context) {
	status, a, begun, err := c.ask(context.Background(), "")
	if c.local { // where none is asked for
		c.judge(status, a, begun, time.Now(), err)
		return
	}
	if err != nil || status != http.StatusUnauthorized {
		c.unexpected(fmt.Errorf("without a token: %d (%v)", status, err))
		return
	}
	c.count("401 without a token (expected)")
}

// dribble sends its request in pieces, over a second or so; it is answered all the same. Every third stops half way.
func (c *asker) dribble(ctx context.Context) {
	u, err := url.Parse(c.url)
	if err != nil {
		c.unexpected(err)
		return
	}
	conn, err := c.dial(ctx, "tcp", u.Host)
	if err != nil {
		c.unexpected(err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nConnection: close\r\n\r\n", u.Path, u.Host, c.token)
	if rand.IntN(3) == 0 {
		io.WriteString(conn, text[:len(text)/2])
		time.Sleep(time.Second)
		c.count("clients that stopped half way")
		return
	}
	for ; len(text) > 16; text = text[16:] {
		io.WriteString(conn, text[:16])
		time.Sleep(100 * time.Millisecond)
	}
	begun := time.Now()
	io.WriteString(conn, text)
	answer := make([]byte, 12)
	if _, err := io.ReadFull(conn, answer); err != nil {
		c.unexpected(fmt.Errorf("slow client: %w", err))
		return
	}
	c.slow(string(answer), begun)
}

// slow judges what a slow client was answered, by the status line alone.
func (c *asker) slow(line string, begun time.Time) {
	switch {
	case line == "HTTP/1.1 200":
		c.count("slow clients answered")
	case line == "HTTP/1.1 503" && c.sts.excused(begun, time.Now()):
		c.count("503 in an outage beyond expiry (expected)")
	default:
		c.unexpected(fmt.Errorf("slow client: %s", line))
	}
}
