//go:build unix

package ecsserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Further identities are served at paths of their own; one that has nothing harms no other.
func TestNamed(t *testing.T) {
	var log logged
	own, _ := steady().Retrieve(t.Context())
	broken := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("broken")
	})
	providers := map[string]aws.CredentialsProvider{
		"0000000a": aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			c, err := steady().Retrieve(ctx)
			c.AccessKeyID = "ASIAOTHER"
			return c, err
		}),
		"0000000b": broken,
	}
	s, local := socketServer(t, 100, Options{
		Log: log.logger(), Names: []string{"a b", "broken"},
		Named: func(id string) (Named, bool) {
			p, ok := providers[id]
			return Named{Name: "profile " + id, Provider: p}, ok
		},
	})
	for _, tt := range []struct {
		path   string
		status int
		has    string
		socket string // what the socket's client gets, where that differs
	}{
		{"/credentials", 200, own.AccessKeyID, ""},
		{"/credentials/0000000a", 200, "ASIAOTHER", ""},
		{"/credentials/0000000b", 503, "CredentialsUnavailable", ""},
		{"/credentials/0000000c", 404, "NotFound", ""},
		{"/credentials/0000000a/", 404, "NotFound", ""},
		{"/credentials/", 404, "NotFound", `{"Profiles":["a b","broken"]}`},
	} {
		request := strings.Replace(s.request(), " "+path+" ", " "+tt.path+" ", 1)
		c := local()
		io.WriteString(c, request)
		status, _, body := response(t, bufio.NewReader(c))
		want, has := tt.status, tt.has
		if tt.socket != "" {
			want, has = 200, tt.socket
		}
		if status != want || !strings.Contains(body, has) {
			t.Errorf("socket, %s: got %d %s", tt.path, status, body)
		}
		port := dial(t, s)
		io.WriteString(port, request)
		if status, _, body = response(t, bufio.NewReader(port)); status != tt.status || !strings.Contains(body, tt.has) {
			t.Errorf("port, %s: got %d %s", tt.path, status, body)
		}
		if without := strings.Replace(request, s.Token(), "wrong", 1); tt.socket == "" {
			port := dial(t, s)
			io.WriteString(port, without)
			if status, _, _ := response(t, bufio.NewReader(port)); status != 401 {
				t.Errorf("%s without the token: %d", tt.path, status)
			}
		}
	}
	if text := log.String(); !strings.Contains(text, `profile="profile 0000000b"`) ||
		!strings.Contains(text, `profile="profile 0000000a"`) {
		t.Error(text)
	}
	if n := strings.Count(log.String(), "level=WARN msg=\"no valid"); n != 0 {
		t.Errorf("told %d times that one is broken: %s", n, log.String())
	}
}
