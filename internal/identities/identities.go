// Package identities keeps the further profiles that a command may use beside its own: many that
// cost nothing until they are asked for, and few calls to the outside.
//
// An [Identity] is made at its first ask: what keeps its credentials valid, and a goroutine for it.
// While somebody asks it lives; when nobody has asked until the end of what was handed out last, it
// is forgotten, and made anew at the next ask. One that can't be made, or has no credentials, fails
// alone.
//
// SDKs get these credentials from a credential process, and run it again at every call that is
// signed while less than 15 minutes are left. An ask that would be told less than a little more
// than that therefore waits for the successor; where lives are shorter, one that would be told less
// than two fifths of them. What is all but over is not handed out: such a process, and then a call
// that is signed, take their time.
// https://github.com/boto/botocore/blob/develop/botocore/credentials.py (_advisory_refresh_timeout)
//
// # Concurrency
//
// All methods may be called at any time. Close ends what is under way.
package identities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// LeastLeft is what an answer should have left: SDKs run a credential process again with less than
// 15 minutes left, and are told an end that is up to a minute early.
const LeastLeft = 16*time.Minute + 30*time.Second

const (
	// mostCalls are the calls to the outside at once, over all identities. The command's own is
	// another one, which waits for none of them.
	mostCalls = 7
	// mostHanging are how many of them may be for identities whose last call timed out: sources
	// that hang keep no place from those that answer. One that refuses does no harm, and after an
	// outage of all they are many.
	mostHanging = 3
	// worthwhile are the lives from which on LeastLeft is kept.
	worthwhile = LeastLeft + 30*time.Second
	// mostUseless is with how little left nothing is handed out; of a short life it is a third.
	mostUseless = 5 * time.Second
	// asking is more than an ask may take.
	asking = time.Minute
	// rolling is for how long credentials without an end are kept after an ask.
	rolling = time.Hour
	// again is how long the reason stands why an identity can't be made. Its files may change.
	again = 5 * time.Second
)

// A Keeper keeps one identity's credentials valid while Run is running.
type Keeper interface {
	aws.CredentialsProvider
	Run(context.Context) error
	News() <-chan struct{} // closed when an attempt begins or ends
}

// Make makes what keeps the credentials of a profile. It may read files, and asks nobody. The
// context ends with the Set.
type Make func(ctx context.Context, profile string) (Keeper, error)

// A Set holds the identities of one run.
type Set struct {
	names   []string
	byID    map[string]*Identity
	makes   Make
	slots   chan struct{} // one is taken for each call
	hanging chan struct{} // and one of these, where the last one hung

	ending context.Context
	end    context.CancelFunc
	wg     sync.WaitGroup
}

// ID is what a profile is called where its name would need quoting (an INI file, a shell, a URL):
// the same after a restart.
func ID(profile string) string {
	sum := sha256.Sum256([]byte(profile))
	return hex.EncodeToString(sum[:4])
}

// New holds the profiles, none of which is made yet.
func New(profiles []string, makeKeeper Make) (*Set, error) {
	s := &Set{
		names: profiles, byID: make(map[string]*Identity, len(profiles)), makes: makeKeeper,
		slots: make(chan struct{}, mostCalls), hanging: make(chan struct{}, mostHanging),
	}
	s.ending, s.end = context.WithCancel(context.Background())
	for _, name := range profiles {
		id := ID(name)
		if other := s.byID[id]; other != nil {
			return nil, fmt.Errorf("profiles %q and %q have one ID (%s)", other.Name, name, id)
		}
		s.byID[id] = &Identity{Name: name, set: s}
	}
	return s, nil
}

// Names are the profiles, in the order of New.
func (s *Set) Names() []string { return s.names }

// Identity is the one with this ID; nil: there is none.
func (s *Set) Identity(id string) *Identity { return s.byID[id] }

// Close forgets all, and returns when what they had begun has ended.
func (s *Set) Close() {
	s.end()
	s.wg.Wait()
}

// Limit lets p, the source of one identity, be asked only while few are asked at once.
func (s *Set) Limit(p aws.CredentialsProvider) aws.CredentialsProvider {
	var hung atomic.Bool
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		if hung.Load() {
			if err := take(ctx, s.hanging); err != nil {
				return aws.Credentials{}, err
			}
			defer func() { <-s.hanging }()
		}
		if err := take(ctx, s.slots); err != nil {
			return aws.Credentials{}, err
		}
		defer func() { <-s.slots }()
		creds, err := p.Retrieve(ctx)
		hung.Store(err != nil && ctx.Err() != nil)
		return creds, err
	})
}

// take waits for a place.
func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the identities that are asked first: %w", context.Cause(ctx))
	}
}

// An Identity is one profile; it is an aws.CredentialsProvider.
type Identity struct {
	Name string
	set  *Set

	alive sync.Mutex // held while a life is lived: the next one waits for its end
	mu    sync.Mutex // guards the rest
	life  *life      // nil: nobody has asked, or it was forgotten
	until time.Time  // it is kept until then
}

// A life lasts from an ask to when it is forgotten. keeper and err are there once made is closed.
type life struct {
	made    chan struct{}
	keeper  Keeper
	err     error
	longest time.Duration // that an answer with key had left; the identity's lock guards both
	key     string
}

var (
	errEnded      = errors.New("the run has ended")
	errNearlyOver = errors.New("no new credentials yet, and those held end")
)

// Retrieve returns valid credentials. It waits for them until ctx ends.
func (i *Identity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	l := i.asked()
	select {
	case <-l.made:
	case <-ctx.Done():
		return aws.Credentials{}, context.Cause(ctx)
	case <-i.set.ending.Done():
		return aws.Credentials{}, errEnded
	}
	if l.err != nil {
		return aws.Credentials{}, l.err
	}
	creds, err := l.keeper.Retrieve(ctx)
	if err == nil && creds.CanExpire {
		creds, err = i.lasting(ctx, l, creds)
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	i.handOut(creds)
	return creds, nil
}

// asked begins a life, if there is none. It goes on for as long as this ask may take.
func (i *Identity) asked() *life {
	i.mu.Lock()
	defer i.mu.Unlock()
	if soon := time.Now().Add(asking); i.until.Before(soon) {
		i.until = soon
	}
	if i.life == nil {
		l := &life{made: make(chan struct{})}
		i.life = l
		i.set.wg.Go(func() { i.live(l) })
	}
	return i.life
}

// live makes the keeper and runs it, until nobody asks any more.
func (i *Identity) live(l *life) {
	i.alive.Lock()
	defer i.alive.Unlock()
	ctx, end := context.WithCancel(i.set.ending)
	defer end()
	l.keeper, l.err = i.set.makes(ctx, i.Name)
	close(l.made)
	if l.err != nil {
		sleep(ctx, again)
		i.forget()
		return
	}
	var running sync.WaitGroup
	running.Go(func() { l.keeper.Run(ctx) }) // tells itself what is wrong
	for left := i.forgetIfOver(); left > 0 && sleep(ctx, left); left = i.forgetIfOver() {
	}
	end()
	running.Wait()
}

func sleep(ctx context.Context, d time.Duration) (whole bool) {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// forgetIfOver ends the life for those who ask from now on, unless it has some time left.
func (i *Identity) forgetIfOver() (left time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if left = time.Until(i.until); left <= 0 {
		i.life = nil
	}
	return left
}

func (i *Identity) forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.life = nil
}

// handOut notes until when what is handed out is of use.
func (i *Identity) handOut(creds aws.Credentials) {
	until := time.Now().Add(rolling)
	if creds.CanExpire {
		until = creds.Expires
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.until.Before(until) {
		i.until = until
	}
}

// lasting returns creds, or their successor if that is worth a wait, or an error where there is none
// and creds are of no use any more.
func (i *Identity) lasting(ctx context.Context, l *life, creds aws.Credentials) (aws.Credentials, error) {
	least, useful := i.wanted(l, creds)
	if time.Until(creds.Expires) >= least {
		return creds, nil
	}
	creds = longer(ctx, l.keeper, creds, useful)
	if left := time.Until(creds.Expires); left < useful {
		return aws.Credentials{}, fmt.Errorf("%w in %v", errNearlyOver, left.Round(time.Millisecond))
	}
	return creds, nil
}

// wanted returns two limits of what creds have left: below least their successor is waited for,
// below useful they are not handed out. Of lives that are hardly longer than LeastLeft, least is
// two fifths: the Keeper fetches at about the half, so that the successor is on its way then.
func (i *Identity) wanted(l *life, creds aws.Credentials) (least, useful time.Duration) {
	left := time.Until(creds.Expires)
	i.mu.Lock()
	defer i.mu.Unlock()
	if l.key != creds.AccessKeyID {
		l.key, l.longest = creds.AccessKeyID, left
	}
	l.longest = max(l.longest, left)
	useful = min(mostUseless, l.longest/3)
	if l.longest > worthwhile {
		return LeastLeft, useful
	}
	return l.longest * 2 / 5, useful
}

// longer waits for credentials that last longer than creds: for one attempt at most while these are
// useful, else until ctx ends.
func longer(ctx context.Context, k Keeper, creds aws.Credentials, useful time.Duration) aws.Credentials {
	for n := 0; n < 3 || time.Until(creds.Expires) < useful; n++ { // one attempt may be ending, one begins and ends
		news := k.News()
		if next, err := k.Retrieve(ctx); err == nil && next.Expires.After(creds.Expires) {
			return next
		}
		select {
		case <-news:
		case <-ctx.Done():
			return creds
		}
	}
	return creds
}

// IsPattern says whether a name stands for several.
func IsPattern(name string) bool { return strings.ContainsAny(name, "*?") }

// Matcher says of names whether they are as pattern has it: * stands for any text, ? for one
// character, and every other character for itself.
func Matcher(pattern string) func(name string) bool {
	expr := regexp.QuoteMeta(pattern)
	expr = strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(expr)
	return regexp.MustCompile(`(?s)^` + expr + `$`).MatchString
}
