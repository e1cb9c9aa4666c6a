package childenv

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/need"
)

// TestMain lets the test binary be a client as well: a process of its own, with the environment under test.
func TestMain(m *testing.M) {
	if profile, ok := os.LookupEnv("CHILDENV_GO_CLIENT"); ok {
		goClient(profile)
		return
	}
	os.Exit(need.Run(m))
}

func goClient(profile string) {
	var opts []func(*config.LoadOptions) error
	if profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(context.Background(), opts...)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	c, err := cfg.Credentials.Retrieve(context.Background())
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println(c.AccessKeyID, cfg.Region)
}

const pythonClient = `
import os, botocore.session
session = botocore.session.Session(profile=os.environ.get("CHILDENV_PROFILE") or None)
try:
    c = session.get_credentials()
    print(c.access_key if c else "none", session.get_config_variable("region"))
except Exception as e:
    print("error:", e)
`

// serveCredentials answers as our endpoint does, and returns its address.
func serveCredentials(t *testing.T, token string, c aws.Credentials) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != token || r.URL.Path != "/c" {
			http.Error(w, "{}", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
			c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.UTC().Format(time.RFC3339))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func serveEndpoint(t *testing.T) Endpoint {
	t.Helper()
	c := aws.Credentials{AccessKeyID: "AKIAENDPOINT", SecretAccessKey: "s", SessionToken: "t", Expires: time.Now().Add(time.Hour)}
	return Endpoint{URL: serveCredentials(t, "endpoint-token", c) + "/c", Token: "endpoint-token"}
}

// baseEnv is an environment in which only the files name an identity. None of it comes from the machine but the PATH.
func baseEnv(home string) []string {
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "PYENV_ROOT=" + os.Getenv("PYENV_ROOT"), "AWS_EC2_METADATA_DISABLED=true"}
}

// newPlace is a place that nobody else has.
func newPlace(t *testing.T) string {
	t.Helper()
	place := t.TempDir()
	if err := os.Chmod(place, 0o700); err != nil {
		t.Fatal(err)
	}
	return place
}

// leakyHome has another identity in every file that an SDK looks at.
func leakyHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	const keys = "aws_access_key_id = AKIALEAK\naws_secret_access_key = s\n"
	for name, content := range map[string]string{
		".aws/config":      parentConfig,
		".aws/credentials": "[default]\n" + keys + "[dev]\n" + keys + "[stranger]\n" + keys,
		".boto":            "[Credentials]\n" + keys,
		"token":            "web identity",
	} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// leaks are environments that name another identity, each in its own way, on top of leakyHome's files.
func leaks(home string) map[string][]string {
	return map[string][]string{
		"files":        nil,
		"boto":         {"AWS_SHARED_CREDENTIALS_FILE=/nowhere", "AWS_CONFIG_FILE=/nowhere"},
		"keys":         {"AWS_ACCESS_KEY_ID=AKIALEAK", "AWS_SECRET_ACCESS_KEY=s", "AWS_SESSION_TOKEN=t"},
		"profile":      {"AWS_PROFILE=stranger", "AWS_DEFAULT_PROFILE=stranger"},
		"web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE=" + home + "/token", "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/leak", "AWS_ENDPOINT_URL_STS=http://127.0.0.1:1"},
		"container":    {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/nowhere", "AWS_CONTAINER_AUTHORIZATION_TOKEN=leak"},
		"proxy":        {"HTTP_PROXY=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1", "ALL_PROXY=http://127.0.0.1:1"},
	}
}

func TestNothingButTheEndpointAnswers(t *testing.T) {
	needBotocore(t)
	home := leakyHome(t)
	settings := ChildConfig(identity(strings.Replace(parentConfig, "ca_bundle", "#", 1), ""), Chosen{Name: "dev", CarryOver: true}) // no such bundle here
	d := NewDir(Options{Places: []string{newPlace(t)}, Token: "endpoint-token", Config: settings})
	defer d.Remove()
	base, e := baseEnv(home), serveEndpoint(t)

	for name, leak := range leaks(home) {
		parent := append(base, leak...)
		child := Build(parent, e, d.Files())
		for client, run := range clients {
			if got, want := run(t, child, ""), "AKIAENDPOINT eu-west-1"; got != want {
				t.Errorf("%s, %s: got %q; want %q", name, client, got, want)
			}
		}
	}
	for client, run := range clients {
		child := Build(base, e, d.Files())
		for _, profile := range []string{"default", "dev"} {
			if got, want := run(t, child, profile), "AKIAENDPOINT eu-west-1"; got != want {
				t.Errorf("%s, profile %q: got %q; want %q", client, profile, got, want)
			}
		}
		if got := run(t, child, "stranger"); !strings.HasPrefix(got, "error:") {
			t.Errorf("%s, profile stranger: got %q; want an error", client, got)
		}
	}

	// Without isolation the files are the user's own: the leak that this test is about is real.
	e.NoIsolation = true
	for client, run := range clients {
		if got := run(t, Build(base, e, d.Files()), ""); !strings.HasPrefix(got, "AKIA") || strings.Contains(got, "ENDPOINT") {
			t.Errorf("%s, no isolation: got %q; want the files' identity", client, got)
		}
	}
}

// A machine without a writable place still has nothing but the endpoint.
func TestNothingButTheEndpointAnswersWithoutAPlace(t *testing.T) {
	needBotocore(t)
	e := serveEndpoint(t)
	e.Region = "eu-west-1"
	child := Build(baseEnv(leakyHome(t)), e, Files{})
	for client, run := range clients {
		if got, want := run(t, child, ""), "AKIAENDPOINT eu-west-1"; got != want {
			t.Errorf("%s: got %q; want %q", client, got, want)
		}
	}
}

var clients = map[string]func(t *testing.T, env []string, profile string) string{
	"go": func(t *testing.T, env []string, profile string) string {
		return output(t, append(env, "CHILDENV_GO_CLIENT="+profile), os.Args[0])
	},
	"botocore": func(t *testing.T, env []string, profile string) string {
		return output(t, append(env, "CHILDENV_PROFILE="+profile), "python3", "-c", pythonClient)
	},
}

func output(t *testing.T, env []string, arg ...string) string {
	t.Helper()
	cmd := exec.Command(arg[0], arg[1:]...)
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", arg[0], err)
	}
	return strings.TrimSpace(string(out))
}
