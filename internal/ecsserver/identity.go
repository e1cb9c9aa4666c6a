package ecsserver

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// identity is someone who is served: the endpoint's own, or a further one that has a name.
type identity struct {
	name     string // "": the endpoint's own
	provider aws.CredentialsProvider
	about    func() About // nil: there is no socket
	last     atomic.Pointer[answer]
	outage   atomic.Bool // there is nothing to answer with, and that has been said
}

// attrs begin what is logged of it.
func (i *identity) attrs() []slog.Attr {
	if i.name == "" {
		return nil
	}
	return []slog.Attr{slog.String("profile", i.name)}
}

// others are the further identities.
type others struct {
	find  func(id string) (Named, bool) // nil: there are none
	names []string
	known sync.Map // of *identity by ID
}

// get returns the identity of an ID, nil if there is none.
func (o *others) get(id string) *identity {
	if i, ok := o.known.Load(id); ok {
		return i.(*identity)
	}
	n, ok := o.find(id)
	if !ok {
		return nil
	}
	i, _ := o.known.LoadOrStore(id, &identity{name: n.Name, provider: n.Provider, about: n.About})
	return i.(*identity)
}

// list is what the socket's clients get at /credentials/.
func (o *others) list() []byte { return encodeJSON(struct{ Profiles []string }{o.names}) }

// whose is the identity that is served at a request's path; nil: there is none.
func (h *handler) whose(r *http.Request) *identity {
	id, further := strings.CutPrefix(r.URL.Path, path+"/")
	switch {
	case r.URL.Path == path:
		return h.own
	case further && h.others.find != nil:
		return h.others.get(id)
	}
	return nil
}

// isList says whether a client of the socket asks which further identities there are.
func isList(r *http.Request, c *conn) bool {
	return r.URL.Path == path+"/" && c != nil && c.isLocal()
}
