package conformance

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

const (
	longLength = 30 * time.Minute
	longLife   = 15 * time.Minute // the least that STS gives
	longPause  = time.Second
)

// longRows is what TestLong found, for the document.
var longRows struct {
	sync.Mutex
	text map[string]string // by client
}

// TestLong is half an hour of the main clients, side by side, with the shortest
// credentials that AWS gives and a call a second: none may fail.
func TestLong(t *testing.T) {
	need.Asked(t, long, "CONFORMANCE=long") // half an hour
	for _, c := range clients {
		if !c.main {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.prepare(); err != nil {
				skip(t, err)
			}
			longRun(t, c)
		})
	}
}

func longRun(t *testing.T, c *client) {
	var assumed atomic.Int64
	w := newWorld(t, 0, func(call sandbox.Call) error {
		if call.Action == "AssumeRole" {
			assumed.Add(1)
		}
		return nil
	})
	w.set(fmt.Sprintf("BRS_EXEC_DURATION_SECONDS=%d", int(longLife.Seconds())))
	l, o, keys := runLoop(t, c, w, longLength, fmt.Sprint(longPause.Seconds()))
	if n := assumed.Load(); n < 4 || n > 5 { // one at the start, then one each 45 to 55 % of a life
		t.Errorf("%d STS calls; want 4 or 5", n)
	}
	// An SDK that keeps its credential to the end meets every second one.
	if least := int(longLength / longPause / 2); l.Calls < least || keys < 3 {
		t.Errorf("%d calls with %d keys; want %d with 3 at least", l.Calls, keys, least)
	}
	longRows.Lock()
	defer longRows.Unlock()
	if longRows.text == nil {
		longRows.text = make(map[string]string)
	}
	longRows.text[c.name] = fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d |\n",
		c.name, l.Version, l.Calls, len(l.Errors), keys-1, o.gets, assumed.Load())
}

const longPreamble = `Written by ` + "`CONFORMANCE=long go test ./conformance -run TestLong -timeout 45m -update`" + `: the main clients side by side, each one
process with one client object for 30 minutes, the role's session of 15 minutes (` + "`--duration-seconds 900`" + `, the least that STS
gives), a call a second. *STS calls* are brs-exec's, the first one included; boto3 and the aws cli ask the endpoint at each call while less
than 15 minutes are left ([botocore](https://github.com/boto/botocore/blob/develop/botocore/credentials.py), ` + "`_advisory_refresh_timeout`" + `),
which is always with such a life, and are answered from memory. Calls short of 1800 are the machine's doing: it was that busy.

| client | version | calls | failed | rotations seen | endpoint GETs | STS calls |
|---|---|---|---|---|---|---|
`

func longMarkdown() string {
	var b strings.Builder
	b.WriteString(longPreamble)
	for _, c := range clients {
		b.WriteString(longRows.text[c.name])
	}
	return b.String()
}
