package conformance

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// What the SDK for JavaScript makes of the endpoint's answers; docs/TROUBLESHOOTING.md quotes it.

func jsV3(t *testing.T) (argv []string) {
	t.Helper()
	need.Asked(t, full, "CONFORMANCE=full") // npm downloads the SDK
	for _, c := range clients {
		if c.name == "js-v3" {
			dir, err := c.prepare()
			if err != nil {
				t.Fatal(err)
			}
			return append(nodeWho(dir), "who")
		}
	}
	t.Fatal("no js-v3")
	return nil
}

// An outage longer than the credentials: the reason, which the endpoint gives, is not shown.
func TestNodeHidesTheReason(t *testing.T) {
	argv := jsV3(t)
	var calls atomic.Int64
	w := newWorld(t, 4*time.Second, func(c sandbox.Call) error {
		if c.Action == "AssumeRole" && calls.Add(1) > 1 {
			return sandbox.InternalFailure
		}
		return nil
	})
	o := w.brsExec(&client{name: "js-v3"}, time.Minute, append([]string{"sh", "-c", `sleep 5; exec "$@"`, "sh"}, argv...)...)
	sdk, _, _ := strings.Cut(o.stderr, " brs-exec: ") // after the time
	if o.status == 0 || !strings.Contains(sdk, "Could not load credentials from any providers") || strings.Contains(sdk, "InternalFailure") {
		t.Errorf("status %d, stderr %s", o.status, o.stderr)
	}
	if !strings.Contains(o.stderr, "brs-exec: warning: credentials have expired and can't be refreshed") || !strings.Contains(o.stderr, "InternalFailure") {
		t.Errorf("brs-exec does not say why: %s", o.stderr)
	}
}

// Two lines for the token that is given twice, none where it is given once.
func TestNodeWarnsOfTheToken(t *testing.T) {
	argv := jsV3(t)
	w := newWorld(t, time.Minute, nil)
	warnings := []string{"you have set both awsContainerAuthorizationToken and awsContainerAuthorizationTokenFile", "awsContainerAuthorizationTokenFile will take precedence"}
	for _, in := range []string{"both", "env"} {
		w.set("BRS_EXEC_TOKEN_IN=" + in)
		o := w.brsExec(&client{name: "js-v3"}, time.Minute, argv...)
		if o.status != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("%s: status %d, stdout %q, stderr %s", in, o.status, o.stdout, o.stderr)
		}
		for _, text := range warnings {
			if strings.Contains(o.stderr, text) != (in == "both") {
				t.Errorf("%s: stderr %s", in, o.stderr)
			}
		}
	}
}
