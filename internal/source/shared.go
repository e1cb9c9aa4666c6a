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

// shareHTTP returns the client that goes with a bundle.
func (b *builder) shareHTTP(bundle string) *stsapi.HTTP {
	s := b.o.Shared
	if s == nil {
		return stsapi.NewHTTP(bundle, b.o.ConnectTimeout, b.o.ReadTimeout)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.https[bundle] == nil {
		s.https[bundle] = stsapi.NewHTTP(bundle, b.o.ConnectTimeout, b.o.ReadTimeout)
	}
	return s.https[bundle]
}

// shareBase has the profile that c has come to asked once for all whose source_profile it is.
// Options that change the sessions on the way make a chain that is nobody else's.
func (b *builder) shareBase(c *chain, profile string) {
	s := b.o.Shared
	own := len(forRoles(b.o)) + len(forAnyRole(b.o)) + len(forCodes(b.o))
	if _, keys := c.provider.(*profileKeys); keys || s == nil || own > 0 {
		return
	}
	// How STS is reached is the settings' of the profile on top; the identity changes with the
	// files.
	key := fmt.Sprint(profile, "\n", b.s.STS(), "\n", b.http.Bundle, "\n", b.o.UseFIPSEndpoint,
		b.o.UseDualstackEndpoint,
		b.shared.UseFIPSEndpoint, b.shared.UseDualStackEndpoint, fmt.Sprintf("%p", b.identity))
	s.mu.Lock()
	defer s.mu.Unlock()
	base := s.bases[key]
	if base == nil {
		base = &sharedBase{src: c.provider, turn: make(chan struct{}, 1)}
		b.share(func() { s.bases[key] = base })
	}
	c.provider = base
}

// share has something shared once the source is made: what belongs to one that can't be made is
// unfinished.
func (b *builder) share(add func()) { b.toShare = append(b.toShare, add) }

func (b *builder) shareAll() {
	if s := b.o.Shared; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, add := range b.toShare {
			add()
		}
	}
}

// shareLogin returns the cache of a login that is made already: a refresh token is good once, and
// where the file can't be written the new one is in memory alone.
func (b *builder) shareLogin(c *loginCache) *loginCache {
	s := b.o.Shared
	if s == nil {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.logins[c.file]; other != nil {
		return other
	}
	b.share(func() { s.logins[c.file] = c })
	return c
}

// A sharedBase hands out what it has got until half of its life.
type sharedBase struct {
	src  aws.CredentialsProvider
	turn chan struct{} // of one: it guards the rest
	held aws.Credentials
	half time.Time
}

func (p *sharedBase) Retrieve(ctx context.Context) (aws.Credentials, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return aws.Credentials{}, context.Cause(ctx)
	}
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

// sharedMFA returns the one that has been made for the device and the keys, if there is one.
func (b *builder) sharedMFA(key mfaKey) *mfa {
	s := b.o.Shared
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mfas[key]
}

func (b *builder) shareMFA(key mfaKey, m *mfa) {
	if s := b.o.Shared; s != nil {
		b.share(func() { s.mfas[key] = m })
	}
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
