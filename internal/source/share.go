package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/procfs"
	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// shareSocket is the socket in the folder of another brs-exec's share. Package share has the same
// name, and rooms don't meet.
const shareSocket = "aws.sock"

// shareClient asks another brs-exec for what it serves, by the socket of its share.
//
// Whoever serves there decides who we are, so it must be ourselves or root, or the account is
// checked. The path is looked up at every request: a brs-exec that is started again makes a new
// socket.
type shareClient struct {
	s     *Source
	o     *Options
	until *deadline // the end that the other one knows
}

func (b *builder) fromShare(c *chain) error {
	c.add("share "+b.o.FromShare, false)
	c.provider = shareClient{b.s, b.o, b.newDeadline()}
	return nil
}

func (h shareClient) Retrieve(ctx context.Context) (aws.Credentials, error) {
	what := "/credentials"
	if h.o.ShareID != "" {
		what += "/" + h.o.ShareID
	}
	path, status, body, err := h.ask(ctx, what)
	var creds aws.Credentials
	if err == nil {
		creds, err = h.parse(path, status, body)
	}
	if err != nil {
		return aws.Credentials{}, h.s.explain(call{op: h.o.Names.Input(problem.FromShare).String()}, err)
	}
	return creds, nil
}

// ShareProfiles lists the further profiles that the brs-exec of Options.FromShare serves.
func ShareProfiles(ctx context.Context, o Options) ([]string, error) {
	h := shareClient{o: &o}
	path, status, body, err := h.ask(ctx, "/credentials/")
	if err != nil {
		return nil, err
	}
	var list struct{ Profiles []string }
	if status != http.StatusOK || json.Unmarshal(body, &list) != nil || len(list.Profiles) == 0 {
		return nil, problem.Bad(o.Names.Hint("give it %v there", problem.WithProfile),
			"the brs-exec at %s serves no further profiles", path)
	}
	return list.Profiles, nil
}

// ask sends one request to whoever serves, if we may trust him. path is the socket's.
func (h shareClient) ask(ctx context.Context, what string) (path string, status int, body []byte, err error) {
	if path, err = h.socket(); err != nil {
		return path, 0, nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return path, 0, nil, h.unreached(path, err)
	}
	defer conn.Close()
	if err := h.checkPeer(path, conn); err != nil {
		return path, 0, nil, err
	}
	h.notePeer(conn)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+what, nil)
	if err != nil {
		return path, 0, nil, err
	}
	status, body, err = stsapi.Get(client, r, path)
	if err != nil { // ssh accepts, and closes when the far end has nobody
		err = &problem.Error{Text: "no answer from " + path, Err: err, Verdict: problem.Passing, Hint: h.startHint()}
	}
	return path, status, body, err
}

// socket is the path to connect to, of what the user named: a folder or a socket.
func (h shareClient) socket() (string, error) {
	path := h.o.FromShare
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, shareSocket)
		info, err = os.Stat(path)
	}
	switch {
	case err != nil:
		return "", h.unreached(path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return "", problem.Bad("name the folder of a share, or the socket in it", "%s is no socket", path)
	}
	return path, nil
}

// unreached tells the ways apart in which a socket can't be opened. Where it isn't, or nobody
// listens, another brs-exec may be about to start.
func (h shareClient) unreached(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return problem.Bad(h.userHint(), "%s may not be opened by user %d", path, os.Geteuid())
	case errors.Is(err, syscall.EINVAL):
		return problem.Bad("mount or forward it to a shorter path", "%s is too long for a socket's path", path)
	case errors.Is(err, syscall.ENOTDIR):
		return problem.Bad("name the folder of a share, or the socket in it", "%s: one of its folders is a file", path)
	case errors.Is(err, fs.ErrNotExist):
		return &problem.Error{Text: "nobody serves: there is no " + path, Verdict: problem.Passing, Hint: h.startHint()}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &problem.Error{Text: "nobody serves at " + path, Verdict: problem.Passing, Hint: h.startHint()}
	}
	return &problem.Error{Text: path + ": " + awserr.Describe(err), Err: err, Verdict: problem.Passing,
		Hint: h.startHint()}
}

func (h shareClient) startHint() string {
	return "start the brs-exec that shares it; into a container mount the folder, not the socket"
}

func (h shareClient) userHint() string {
	return h.o.Names.Hint(`run as the user who shares it (docker run --user "$(id -u)"), `+
		"or share it with a group; %v ID then says whose account it must be", problem.ExpectAccount)
}

// checkPeer refuses a server that is neither ourselves nor root: he would say who we are.
func (h shareClient) checkPeer(path string, conn net.Conn) error {
	if h.o.AnyServer {
		return nil
	}
	uid, stranger, err := procfs.Stranger(conn)
	switch {
	case err != nil:
		return problem.Bad(h.userHint(), "%s: whose it is can't be seen: %v", path, err)
	case !stranger:
		return nil
	}
	hint := h.o.Names.Hint(`run as that user (docker run --user "$(id -u)"), `+
		"or %v ID says which account it must be, and STS is asked", problem.ExpectAccount)
	return problem.Bad(hint, "%s is served by user %d, who is neither you nor root", path, uid)
}

// notePeer is for people who ask who serves. A process in another PID namespace has no number here.
func (h shareClient) notePeer(conn net.Conn) {
	uid, pid, err := procfs.Peer(conn.(*net.UnixConn))
	if err != nil || h.s == nil {
		return
	}
	by := fmt.Sprintf("user %d", uid)
	if pid != 0 {
		by = fmt.Sprintf("process %d (%s) of %s", pid, cmp.Or(procfs.Comm(pid), "?"), by)
	}
	h.s.servedBy.Store(&by)
}

func (h shareClient) parse(path string, status int, body []byte) (none aws.Credentials, err error) {
	var a struct {
		AccessKeyID, SecretAccessKey, Token, AccountID string
		Expiration, RenewableUntil                     time.Time
		Message, Region                                string
	}
	err = json.Unmarshal(body, &a)
	switch {
	case status != http.StatusOK:
		return none, &awserr.StatusError{What: path, Status: status, Message: problem.Clip(a.Message)}
	case err != nil:
		return none, problem.Bad("is it a brs-exec's?", "%s answers with no JSON of credentials", path)
	case a.AccessKeyID == "" || a.SecretAccessKey == "" || a.Token == "" || a.Expiration.IsZero():
		return none, errNoKeys
	}
	h.until.set(a.RenewableUntil)
	if stsapi.IsRegion(a.Region) {
		h.s.regionTold.Store(&a.Region)
	}
	return aws.Credentials{
		AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey, SessionToken: a.Token, AccountID: a.AccountID,
		CanExpire: true, Expires: a.Expiration, Source: "share",
	}, nil
}
