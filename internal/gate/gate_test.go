package gate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	ours   = "111111111111"
	theirs = "222222222222"
)

func roleARN(account, role, session string) string {
	return "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + session
}

// answer is what the source gives, who it says that it is, and who it is.
type answer struct {
	key     string
	claim   string // AccountID
	expires time.Time
	said    string // the ARN that STS gave with it
	owner   string // by GetCallerIdentity; "": STS is down
	err     error
}

// scene is a source that gives one answer after the other, and the STS that knows the owners.
type scene struct {
	answers   []answer
	next      int
	retrieved int
	asked     int
}

func (s *scene) Retrieve(context.Context) (aws.Credentials, error) {
	a := s.answers[s.next]
	s.retrieved++
	if a.err != nil {
		return aws.Credentials{}, a.err
	}
	c := aws.Credentials{AccessKeyID: a.key, AccountID: a.claim, CanExpire: !a.expires.IsZero(), Expires: a.expires}
	if a.key != "" {
		c.SecretAccessKey = "hush"
	}
	return c, nil
}

func (s *scene) said(c aws.Credentials) string {
	for _, a := range s.answers {
		if a.key == c.AccessKeyID {
			return a.said
		}
	}
	return ""
}

var errDown = errors.New("sts is down")

func (s *scene) ask(_ context.Context, c aws.Credentials) (string, error) {
	s.asked++
	for _, a := range s.answers {
		if a.key == c.AccessKeyID && a.owner != "" {
			return a.owner, nil
		}
	}
	return "", errDown
}

func (s *scene) gate(o Options) *Gate {
	o.Said, o.Ask = s.said, s.ask
	return New(s, o)
}

func TestAccountIsWhatSTSSays(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		pass   bool
		asked  int
	}{
		{"STS gave the role", answer{key: "A", said: roleARN(ours, "etl", "x")}, true, 0},
		{"STS gave another account's role", answer{key: "A", said: roleARN(theirs, "etl", "x")}, false, 0},
		{"a claim that is true", answer{key: "A", claim: ours, owner: "arn:aws:iam::" + ours + ":user/me"}, true, 1},
		{"a claim that is a lie", answer{key: "A", claim: ours, owner: "arn:aws:iam::" + theirs + ":user/me"}, false, 1},
		{"no claim", answer{key: "A", owner: "arn:aws:iam::" + ours + ":root"}, true, 1},
		{"a claim that is a lie to its harm", answer{key: "A", claim: theirs, owner: "arn:aws:iam::" + ours + ":user/me"}, true, 1},
		{"an ARN that is none, and a claim", answer{key: "A", claim: ours, owner: "nonsense"}, false, 1},
		{"STS gave an ARN that is none, and a claim", answer{key: "A", claim: ours, said: "nonsense"}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &scene{answers: []answer{tt.answer}}
			_, err := s.gate(Options{Account: ours}).Retrieve(t.Context())
			if _, refused := errors.AsType[*AccountError](err); refused == tt.pass || (err == nil) != tt.pass {
				t.Errorf("got %v; want it to pass: %v", err, tt.pass)
			}
			if err != nil && !Permanent(err) {
				t.Errorf("%v is not permanent", err)
			}
			if s.asked != tt.asked {
				t.Errorf("STS was asked %d times; want %d", s.asked, tt.asked)
			}
		})
	}
}

// Once per new credential is enough.
func TestAskedOnceForEachKey(t *testing.T) {
	owner := "arn:aws:iam::" + ours + ":user/me"
	s := &scene{answers: []answer{{key: "A", owner: owner}, {key: "B", owner: owner}}}
	g := s.gate(Options{Account: ours})
	for range 3 {
		if _, err := g.Retrieve(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.next = 1
	if _, err := g.Retrieve(t.Context()); err != nil || s.asked != 2 {
		t.Errorf("asked %d times, %v; want 2", s.asked, err)
	}
}

// While STS can't be asked nothing passes, and what the source gave is not thrown away.
func TestCredentialsWaitForSTS(t *testing.T) {
	s := &scene{answers: []answer{{key: "A", expires: time.Now().Add(time.Hour)}}}
	g := s.gate(Options{Account: ours})
	for range 2 {
		if _, err := g.Retrieve(t.Context()); !errors.Is(err, errDown) || Permanent(err) {
			t.Fatalf("got %v; want %v, for a while", err, errDown)
		}
	}
	s.answers[0].owner = roleARN(ours, "etl", "x")
	creds, err := g.Retrieve(t.Context())
	if err != nil || creds.AccessKeyID != "A" || s.retrieved != 1 || s.asked != 3 {
		t.Errorf("got %q, %v after %d answers and %d questions; want A, nil, 1, 3", creds.AccessKeyID, err, s.retrieved, s.asked)
	}
}

// Keys that STS refuses make way for others.
func TestRefusedKeysDontWait(t *testing.T) {
	s := &scene{answers: []answer{{key: "A"}, {key: "B", owner: roleARN(ours, "etl", "x")}}}
	g := s.gate(Options{Account: ours, Refused: func(err error) bool { return errors.Is(err, errDown) }})
	if _, err := g.Retrieve(t.Context()); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	s.next = 1
	if creds, err := g.Retrieve(t.Context()); err != nil || creds.AccessKeyID != "B" {
		t.Errorf("got %q, %v; want B", creds.AccessKeyID, err)
	}
}

// What has expired while it waited is asked for anew.
func TestExpiredWhileWaiting(t *testing.T) {
	now := time.Now()
	s := &scene{answers: []answer{{key: "A", expires: now.Add(time.Minute)}, {key: "B", expires: now.Add(time.Hour), owner: roleARN(ours, "etl", "x")}}}
	g := s.gate(Options{Account: ours, Now: func() time.Time { return now }})
	if _, err := g.Retrieve(t.Context()); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	now, s.next = now.Add(2*time.Minute), 1
	if creds, err := g.Retrieve(t.Context()); err != nil || creds.AccessKeyID != "B" {
		t.Errorf("got %q, %v; want B", creds.AccessKeyID, err)
	}
}

func TestPrincipalStays(t *testing.T) {
	for _, tt := range []struct {
		name        string
		first, then answer
		pass        bool
	}{
		{"the same", answer{said: roleARN(ours, "etl", "x")}, answer{said: roleARN(ours, "etl", "x")}, true},
		{"a new session name", answer{said: roleARN(ours, "etl", "x")}, answer{said: roleARN(ours, "etl", "y")}, true},
		{"another role", answer{said: roleARN(ours, "etl", "x")}, answer{said: roleARN(ours, "admin", "x")}, false},
		{"another account", answer{said: roleARN(ours, "etl", "x")}, answer{said: roleARN(theirs, "etl", "x")}, false},
		{"another user", answer{said: "arn:aws:iam::" + ours + ":user/a"}, answer{said: "arn:aws:iam::" + ours + ":user/b"}, false},
		{"another account by its own word", answer{claim: ours}, answer{claim: theirs}, false},
		{"the account is not said any more", answer{claim: ours}, answer{}, true},
		{"the account is said later", answer{}, answer{claim: ours}, true},
		{"a role, then a claim of another account", answer{said: roleARN(ours, "etl", "x")}, answer{claim: theirs}, false},
	} {
		for _, allow := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				tt.first.key, tt.then.key = "A", "B"
				s := &scene{answers: []answer{tt.first, tt.then}}
				g := s.gate(Options{AllowChange: allow})
				if _, err := g.Retrieve(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.next = 1
				_, err := g.Retrieve(t.Context())
				if pass := tt.pass || allow; (err == nil) != pass || !pass && !Permanent(err) {
					t.Errorf("allowed: %v; got %v; want it to pass: %v", allow, err, pass)
				}
				if s.asked != 0 {
					t.Error("STS was asked, though no account was asked for")
				}
			})
		}
	}
}

// What the second answer doesn't tell, the third is still held to.
func TestEvidenceIsKept(t *testing.T) {
	s := &scene{answers: []answer{{key: "A", claim: ours}, {key: "B"}, {key: "C", claim: theirs}}}
	g := s.gate(Options{})
	for want := range 3 {
		s.next = want
		if _, err := g.Retrieve(t.Context()); (err != nil) != (want == 2) {
			t.Errorf("answer %d: %v", want, err)
		}
	}
}

func TestUnusable(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		answer answer
		want   error
	}{
		{"no keys", answer{}, &UnusableError{}},
		{"no keys, with a life", answer{expires: now.Add(time.Hour)}, &UnusableError{}},
		{"expired", answer{key: "A", expires: now.Add(-time.Nanosecond)}, &UnusableError{Expired: now.Add(-time.Nanosecond)}},
		{"expires now", answer{key: "A", expires: now}, &UnusableError{Expired: now}},
		{"a line break", answer{key: "A\nB=C", expires: now.Add(time.Hour)}, &UnusableError{Control: true}},
		{"a control character", answer{key: "A\x01"}, &UnusableError{Control: true}},
		{"a moment left", answer{key: "A", expires: now.Add(time.Nanosecond)}, nil},
		{"no end", answer{key: "A"}, nil},
		{"the source's own error", answer{err: errDown}, errDown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &scene{answers: []answer{tt.answer}}
			creds, err := s.gate(Options{Now: func() time.Time { return now }}).Retrieve(t.Context())
			if tt.want == nil && err != nil || tt.want != nil && (err == nil || err.Error() != tt.want.Error()) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
			if err != nil && creds != (aws.Credentials{}) {
				t.Error("credentials came with the error")
			}
			if unusable, ok := tt.want.(*UnusableError); Permanent(err) != (ok && unusable.Control) {
				t.Errorf("a retry may heal it: got %v", !Permanent(err))
			}
		})
	}
}
