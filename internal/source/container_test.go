package source

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"brs-exec/internal/procfs"
	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// sessions are credentials of the sandbox that a container or instance is handed, new each time.
func sessions(t *testing.T, sts *testSTS) func() aws.Credentials {
	t.Helper()
	base := mustNew(t, Options{Base: credentialsOf(sts), STSEndpointURL: os.Getenv("AWS_ENDPOINT_URL_STS"), RoleARNs: []string{"arn:aws:iam::222222222222:role/host"}, RoleSessionName: "i-1"})
	return func() aws.Credentials {
		c, err := base.Retrieve(t.Context())
		if err != nil {
			t.Error(err)
		}
		return c
	}
}

const hostARN = "arn:aws:sts::222222222222:assumed-role/host/i-1"

func credentialsOf(s *testSTS) aws.CredentialsProvider {
	return credentials.StaticCredentialsProvider{Value: s.BaseCredentials()}
}

// EKS Pod Identity: a token file that rotates, a header that is checked; ECS: a token in the
// environment.
func TestContainer(t *testing.T) {
	sts := newSandbox(t, sandbox.Options{})
	next := sessions(t, sts)
	token := "token-0"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != token || r.URL.Path != "/v1/credentials" {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"code":"AccessDenied","message":"token is stale"}`)
			return
		}
		c := next()
		fmt.Fprintf(w, `{"AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q,"AccountId":"222222222222"}`, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.Format(time.RFC3339))
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	rotate := func(i int) {
		token = fmt.Sprint("token-", i)
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", srv.URL+"/v1/credentials")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)
	rotate(9)
	s := mustNew(t, Options{})
	refreshThrice(t, s, hostARN, rotate)
	if c := mustRetrieve(t, s); c.AccountID != "222222222222" || s.Describe() != "container endpoint" {
		t.Errorf("account %q, %s", c.AccountID, s.Describe())
	}
	t.Run("as base of a role", func(t *testing.T) {
		refreshThrice(t, mustNew(t, Options{RoleARNs: []string{testRole}, RoleSessionName: "me"}), meARN, rotate)
	})
	t.Run("EcsContainer", func(t *testing.T) {
		writeConfig(t, "[profile e]\nrole_arn="+testRole+"\ncredential_source=EcsContainer\nrole_session_name=me\n", "")
		refreshThrice(t, mustNew(t, Options{Profile: "e"}), meARN, rotate)
	})
	t.Run("refused", func(t *testing.T) {
		token = "another"
		_, err := s.Retrieve(t.Context())
		if err == nil || err.Error() != "container credentials: AccessDenied: token is stale" || !Permanent(err) || hintOf(err) == "" {
			t.Errorf("%v; hint %q", err, hintOf(err))
		}
	})
	t.Run("newline", func(t *testing.T) {
		if err := os.WriteFile(file, []byte("a\nb"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Retrieve(t.Context()); err == nil || !Permanent(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("no file", func(t *testing.T) {
		os.Remove(file)
		if _, err := s.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), file) || !Permanent(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("token in the environment", func(t *testing.T) {
		token = "plain"
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)
		refreshThrice(t, mustNew(t, Options{}), hostARN, nil)
	})
}

// What an endpoint answers says whether to ask again.
// aws fails where the variable is there without a value; nothing else is asked in its place.
func TestContainerVariableIsEmpty(t *testing.T) {
	for _, name := range []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x")
			t.Setenv(name, "")
			if _, err := newSource(t, Options{}); err == nil || !strings.Contains(err.Error(), name+" is empty") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestContainerFailures(t *testing.T) {
	for _, c := range []struct {
		status              int
		permanent, throttle bool
	}{{503, false, false}, {500, false, false}, {429, false, true}, {403, true, false}, {404, true, false}} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.status)
			io.WriteString(w, `{"code":"Outer","message":"sorry"}`)
		}))
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", srv.URL)
		_, err := mustNew(t, Options{}).Retrieve(t.Context())
		if err == nil || Permanent(err) != c.permanent || Throttled(err) != c.throttle || !strings.Contains(err.Error(), "Outer: sorry") {
			t.Errorf("%d: %v, permanent %v, throttled %v", c.status, err, Permanent(err), Throttled(err))
		}
		srv.Close()
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x")
	if _, err := mustNew(t, Options{}).Retrieve(t.Context()); err == nil || Permanent(err) || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "/x") {
		t.Errorf("refused connection: %v", err)
	}
}

// imdsServer is the metadata service, version 2 only: it checks the token's header and that a token
// has been fetched.
func imdsServer(t *testing.T, roles string, next func() aws.Credentials) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const path = "/latest/meta-data/iam/security-credentials/"
		switch {
		case r.Method == "PUT" && r.URL.Path == "/latest/api/token" && r.Header.Get("x-aws-ec2-metadata-token-ttl-seconds") != "":
			w.Header().Set("x-aws-ec2-metadata-token-ttl-seconds", r.Header.Get("x-aws-ec2-metadata-token-ttl-seconds"))
			io.WriteString(w, "imds-token")
		case r.Method != "GET" || r.Header.Get("x-aws-ec2-metadata-token") != "imds-token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == path && roles != "":
			io.WriteString(w, roles)
		case r.URL.Path == path+"host":
			c := next()
			json.NewEncoder(w).Encode(map[string]string{
				"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "Token": c.SessionToken,
				"Expiration": c.Expires.Format(time.RFC3339),
			})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", srv.URL)
}

func TestInstance(t *testing.T) {
	sts := newSandbox(t, sandbox.Options{})
	next := sessions(t, sts)
	imdsServer(t, "host", next)
	s := mustNew(t, Options{})
	refreshThrice(t, s, hostARN, nil)
	if s.Describe() != "instance metadata" {
		t.Errorf("Describe() = %q", s.Describe())
	}
	refreshThrice(t, mustNew(t, Options{RoleARNs: []string{testRole}, RoleSessionName: "me"}), meARN, nil)
	_, err := newSource(t, Options{RoleARNs: []string{testRole}, Duration: 2 * time.Hour})
	if err == nil || !strings.Contains(err.Error(), "one hour") {
		t.Errorf("two hours with an instance's role below: %v", err)
	}
	t.Run("true expiry", func(t *testing.T) {
		end := time.Now().Add(6 * time.Hour).Truncate(time.Second)
		imdsServer(t, "host", func() aws.Credentials {
			return aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", Expires: end}
		})
		if c := mustRetrieve(t, mustNew(t, Options{})); !c.Expires.Equal(end) {
			t.Errorf("expires %v; want what IMDS says, %v", c.Expires, end)
		}
	})
	t.Run("no role", func(t *testing.T) {
		imdsServer(t, "", next)
		_, err := mustNew(t, Options{}).Retrieve(t.Context())
		if err == nil || !strings.Contains(err.Error(), "this instance has no role") || !Permanent(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("no instance", func(t *testing.T) {
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
		_, err := mustNew(t, Options{}).Retrieve(t.Context())
		if err == nil || !strings.Contains(err.Error(), "no AWS credentials: none in the environment") || !strings.Contains(err.Error(), "no EC2 instance") || !Permanent(err) {
			t.Errorf("%v", err)
		}
	})
}

// The hint about hops is for answers that don't arrive: no other case is cured by it.
func TestInstanceHints(t *testing.T) {
	for _, c := range []struct {
		name, credentials string
		token, status     int // of the answers; a token of 0 is none in time
		hint              string
	}{
		{name: "no token", token: 0, status: 401, hint: "http-put-response-hop-limit 2"},
		{name: "no token, version 1 off", token: 403, status: 401, hint: "http-put-response-hop-limit 2"},
		{name: "nothing in it", token: 200, status: 200, credentials: "{}", hint: "another program answers in its place"},
		{name: "no JSON", token: 200, status: 200, credentials: "<html>", hint: "another program answers in its place"},
		{name: "an empty key", token: 200, status: 200, credentials: `{"Code":"Success","AccessKeyId":""}`, hint: "is it the right endpoint"},
		{name: "not trusted", token: 200, status: 200, credentials: `{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role"}`, hint: "must trust ec2.amazonaws.com"},
		{name: "down", token: 200, status: 500, hint: "another program answers in its place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := make(chan struct{})
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == "PUT" && c.token == 0:
					<-done
				case r.Method == "PUT":
					w.Header().Set("x-aws-ec2-metadata-token-ttl-seconds", "60")
					w.WriteHeader(c.token)
					io.WriteString(w, "imds-token")
				case strings.HasSuffix(r.URL.Path, "/"):
					if c.status != 200 {
						w.WriteHeader(c.status)
					}
					io.WriteString(w, "host")
				default:
					io.WriteString(w, c.credentials)
				}
			}))
			defer srv.Close()
			defer close(done)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", srv.URL)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := mustNew(t, Options{}).Retrieve(ctx)
			if hint := hintOf(err); !strings.Contains(hint, c.hint) || strings.Contains(hint, "hop") != strings.Contains(c.hint, "hop") {
				t.Errorf("%v: hint %q; want %q in it", err, hint, c.hint)
			}
		})
	}
}

// A server that listens no more as soon as it has us may have been anybody's: it is asked again,
// and isn't sent the token.
func TestContainerServerGone(t *testing.T) {
	need.Place(t, procfs.Supported, "Linux")
	newSandbox(t, sandbox.Options{})
	for range 50 { // times in which it may be asked about before it is gone
		sent, err := retrieveFromGone(t)
		if sent {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "nobody listens there any more") || Permanent(err) {
			t.Errorf("got %v, permanent %v; want one that may pass", err, Permanent(err))
		}
		return
	}
	t.Error("the token was sent each time")
}

func retrieveFromGone(t *testing.T) (sent bool, err error) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://"+ln.Addr().String()+"/x")
	s := mustNew(t, Options{})
	got := make(chan bool)
	go func() {
		c, err := ln.Accept()
		ln.Close()
		if err == nil {
			n, _ := c.Read(make([]byte, 1))
			c.Close()
			got <- n > 0
		}
		close(got)
	}()
	_, err = s.Retrieve(t.Context())
	return <-got, err
}
