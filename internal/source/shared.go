package source

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/source/stsapi"
)

// Shared is what the sources of one run have in common: many profiles begin with the same one. A
// profile that others name as their source_profile is asked once for all, keys with a device have
// one MFA session, and connections are used by all. Its methods may be called at any time.
//
// What is shared belongs to the source that needed it first: none may be closed while others use
// it.
type Shared struct {
	mu     sync.Mutex
	bases  map[string]*sharedBase
	mfas   map[mfaKey]*mfa
	https  map[string]*stsapi.HTTP
	logins map[string]*loginCache

	identity *awsconfig.Identity // what the files said when they were such
	files    [2]fileState
}

// fileState changes when a file does.
type fileState struct {
	path string
	size int64
	time time.Time
}

func stateOf(path string) fileState {
	s := fileState{path: path}
	if info, err := os.Stat(path); err == nil {
		s.size, s.time = info.Size(), info.ModTime()
	}
	return s
}

// ReadIdentity reads both files, once for all sources while they stay as they are: each source
// would keep the text of hundreds of profiles. A nil Shared reads them each time.
func (s *Shared) ReadIdentity(paths awsconfig.Paths) (*awsconfig.Identity, error) {
	if s == nil {
		return paths.ReadIdentity()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	files := [2]fileState{stateOf(paths.Config), stateOf(paths.Credentials)}
	if s.identity != nil && s.files == files {
		return s.identity, nil
	}
	identity, err := paths.ReadIdentity()
	if err == nil {
		s.identity, s.files = identity, files
	}
	return identity, err
}

// NewShared shares nothing yet.
func NewShared() *Shared {
	return &Shared{bases: map[string]*sharedBase{}, mfas: map[mfaKey]*mfa{}, https: map[string]*stsapi.HTTP{},
		logins: map[string]*loginCache{}}
}

// mfaKey are a device and the keys that it goes with, for people.
type mfaKey struct{ serial, keys string }

// sharedOr returns what the run shares under key in one of the maps of Shared, or makes it. What is
// new is shared when the whole source has been made: of one that can't be made it is unfinished.
func sharedOr[K comparable, V any](b *builder, in func(*Shared) map[K]V, key K, made func() V) V {
	s := b.o.Shared
	if s == nil {
		return made()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := in(s)[key]
	if !ok {
		v = made()
		b.toShare = append(b.toShare, func() { in(s)[key] = v })
	}
	return v
}

// shareAll shares what was made for the source, which now is.
func (b *builder) shareAll() {
	if s := b.o.Shared; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, share := range b.toShare {
			share()
		}
	}
}

// newHTTP returns the client that goes with a bundle.
func (b *builder) newHTTP(bundle string) *stsapi.HTTP {
	return sharedOr(b, func(s *Shared) map[string]*stsapi.HTTP { return s.https }, bundle,
		func() *stsapi.HTTP { return stsapi.NewHTTP(bundle, b.o.ConnectTimeout, b.o.ReadTimeout) })
}

// newLogin returns the cache of a login. A refresh token is good once, and where the file can't be
// written the new one is in memory alone: so all have the same.
func (b *builder) newLogin(c *loginCache) *loginCache {
	return sharedOr(b, func(s *Shared) map[string]*loginCache { return s.logins }, c.file,
		func() *loginCache { return c })
}

// shareBase has all profiles with the same source_profile ask it once: c has come to that one.
// Options that change the sessions on the way make a chain that is nobody else's.
func (b *builder) shareBase(c *chain, profile string) {
	own := len(forRoles(b.o)) + len(forAnyRole(b.o)) + len(forCodes(b.o))
	if _, keys := c.provider.(*profileKeys); keys || b.o.Shared == nil || own > 0 {
		return
	}
	// How STS is reached is the settings' of the profile on top; the identity changes with the
	// files.
	key := fmt.Sprint(profile, "\n", b.s.STS(), "\n", b.http.Bundle, "\n", b.o.UseFIPSEndpoint,
		b.o.UseDualstackEndpoint,
		b.shared.UseFIPSEndpoint, b.shared.UseDualStackEndpoint, fmt.Sprintf("%p", b.identity))
	c.provider = sharedOr(b, func(s *Shared) map[string]*sharedBase { return s.bases }, key,
		func() *sharedBase { return &sharedBase{src: c.provider, turn: newTurn()} })
}

// A turn is taken by one at a time. Who waits for it gives up with its context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) release() { <-t }

// A sharedBase hands out what it has got until half of its life.
type sharedBase struct {
	src  aws.CredentialsProvider
	turn turn // guards the rest
	held aws.Credentials
	half time.Time
}

func (p *sharedBase) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if err := p.turn.take(ctx); err != nil {
		return aws.Credentials{}, err
	}
	defer p.turn.release()
	now := time.Now().Round(0) // the wall clock: the other one stands still while the machine sleeps
	if now.Before(p.half) && now.Before(p.held.Expires) {
		return p.held, nil
	}
	creds, err := p.src.Retrieve(ctx)
	switch {
	case err == nil && creds.CanExpire:
		p.held, p.half = creds, now.Add(creds.Expires.Sub(now)/2)
	case err != nil && p.held.CanExpire && now.Before(p.held.Expires):
		return p.held, nil
	}
	return creds, err
}

// keysName tells keys that a device goes with; by is what people call them.
func keysName(keys aws.CredentialsProvider, by string) string {
	switch k := keys.(type) {
	case *profileKeys:
		return "profile " + k.profile
	case variableKeys:
		return "environment"
	}
	return by
}
