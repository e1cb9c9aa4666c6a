package identities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }

// world hands out credentials of one life to keepers that fetch when they are asked past the half.
type world struct {
	set  *Set
	life time.Duration
	slow time.Duration // how long a fetch takes
	late time.Duration // after the half of the life, when one is due
	fail map[string]error

	mu                           sync.Mutex
	made, running, calls, atOnce map[string]int
	most                         int
}

func newWorld(t *testing.T, life time.Duration, names ...string) *world {
	w := &world{life: life, fail: map[string]error{}}
	w.made, w.running, w.calls, w.atOnce = map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	var err error
	if w.set, err = New(names, w.make); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) add(m map[string]int, name string, n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	m[name] += n
	return m[name]
}

func (w *world) make(_ context.Context, name string) (Keeper, error) {
	w.add(w.made, name, 1)
	if err := w.fail[name]; err != nil {
		return nil, err
	}
	src := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		n := w.add(w.calls, name, 1)
		at := w.add(w.atOnce, "", 1)
		w.mu.Lock()
		w.most = max(w.most, at)
		w.mu.Unlock()
		time.Sleep(w.slow)
		w.add(w.atOnce, "", -1)
		return aws.Credentials{AccessKeyID: name + strconv.Itoa(n), CanExpire: true, Expires: time.Now().Add(w.life)}, nil
	})
	return &keeper{w: w, name: name, src: w.set.Limit(src), news: make(chan struct{}), asked: make(chan struct{}, 1)}, nil
}

type keeper struct {
	w     *world
	name  string
	src   aws.CredentialsProvider
	asked chan struct{}

	mu    sync.Mutex
	creds aws.Credentials
	news  chan struct{}
}

func (k *keeper) Run(ctx context.Context) error {
	if k.w.add(k.w.running, k.name, 1) > 1 {
		panic(k.name + " runs twice")
	}
	defer k.w.add(k.w.running, k.name, -1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.asked:
		}
		if !k.due() {
			continue
		}
		creds, err := k.src.Retrieve(ctx)
		k.mu.Lock()
		if err == nil {
			k.creds = creds
		}
		close(k.news)
		k.news = make(chan struct{})
		k.mu.Unlock()
	}
}

func (k *keeper) due() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Until(k.creds.Expires) < max(k.w.life/2-k.w.late, min(LeastLeft, k.w.life-time.Minute))
}

func (k *keeper) News() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.news
}

func (k *keeper) Retrieve(ctx context.Context) (aws.Credentials, error) {
	for {
		k.mu.Lock()
		creds, news := k.creds, k.news
		k.mu.Unlock()
		if k.due() {
			select {
			case k.asked <- struct{}{}:
			default:
			}
		}
		if time.Now().Before(creds.Expires) {
			return creds, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
	}
}

func (w *world) ask(t *testing.T, name string) aws.Credentials {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	creds, err := w.set.Identity(ID(name)).Retrieve(ctx)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return creds
}

// What nobody asks for is not made; what is asked for is made once, by however many.
func TestMadeAtTheFirstAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for n := range 300 {
			names = append(names, "p"+strconv.Itoa(n))
		}
		w := newWorld(t, time.Hour, names...)
		defer w.set.Close()
		w.slow = 100 * time.Millisecond
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() { w.ask(t, "p7") })
		}
		all.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.made) != 1 || w.made["p7"] != 1 || w.calls["p7"] != 1 {
			t.Errorf("made %v, calls %v", w.made, w.calls)
		}
	})
}

// At a life of an hour, an ask is told 15 minutes and more, for one call in the second half of each life.
func TestAnAnswerLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, time.Hour, "a")
		defer w.set.Close()
		w.slow = 200 * time.Millisecond
		for range 600 { // ten hours
			if left := time.Until(w.ask(t, "a").Expires); left < LeastLeft-time.Second {
				t.Fatalf("%v left", left)
			}
			time.Sleep(time.Minute)
		}
		if n := w.add(w.calls, "a", 0); n > 21 {
			t.Errorf("%d calls in ten hours", n)
		}
	})
}

// Whoever waits for a successor waits for one that is under way: the refresher doesn't fetch at the half to the second.
func TestNoAskWaitsInVain(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{12 * time.Second, 15 * time.Minute, 20 * time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const slow = 30 * time.Millisecond
				w := newWorld(t, life, "a")
				w.slow = slow
				w.late = life / 20 // package refresh's latest
				defer w.set.Close()
				for range 2000 {
					asked := time.Now()
					w.ask(t, "a")
					if took := time.Since(asked); took > slow {
						t.Fatalf("an ask took %v", took)
					}
					time.Sleep(life / 97)
				}
			})
		})
	}
}

// What is all but over is handed out to nobody, while its source hangs; what is of use is.
func TestNearlyOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ life, after time.Duration }{
		{12 * time.Second, 7500 * time.Millisecond}, {12 * time.Second, 8 * time.Second},
		{time.Hour, time.Hour - 6*time.Second}, {time.Hour, time.Hour - 5*time.Second},
	} {
		t.Run(fmt.Sprint(c.life, " after ", c.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.life, "a")
				defer w.set.Close()
				first := w.ask(t, "a")
				w.slow = c.life // hangs
				time.Sleep(c.after)
				ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
				defer cancel()
				creds, err := w.set.Identity(ID("a")).Retrieve(ctx)
				if useful := c.life-c.after-400*time.Millisecond > min(5*time.Second, c.life/3); useful != (creds.AccessKeyID == first.AccessKeyID) || useful != (err == nil) {
					t.Errorf("got %q, %v", creds.AccessKeyID, err)
				}
			})
		})
	}
}

// One that nobody has asked for during a life is forgotten: no goroutine is left of it. The next ask makes it anew.
func TestForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, time.Hour, "a")
		defer w.set.Close()
		first := w.ask(t, "a")
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if w.add(w.running, "a", 0) != 1 {
			t.Error("forgotten before the end of what was handed out")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if w.add(w.running, "a", 0) != 0 {
			t.Error("not forgotten")
		}
		if again := w.ask(t, "a"); again == first || w.add(w.made, "a", 0) != 2 {
			t.Errorf("made %d times", w.add(w.made, "a", 0))
		}
	})
}

// At most eight calls at once, the command's own included; the others wait for their turn.
func TestFewCallsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for n := range 50 {
			names = append(names, strconv.Itoa(n))
		}
		w := newWorld(t, time.Hour, names...)
		defer w.set.Close()
		w.slow = 100 * time.Millisecond
		var all sync.WaitGroup
		for _, name := range names {
			all.Go(func() { w.ask(t, name) })
		}
		all.Wait()
		if w.most != 7 {
			t.Errorf("%d calls at once; want 7", w.most)
		}
	})
}

// One that can't be made fails alone, and is tried again when its files may have changed.
func TestCannotBeMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, time.Hour, "good", "bad")
		defer w.set.Close()
		broken := errors.New("broken")
		w.fail["bad"] = broken
		for range 10 {
			if _, err := w.set.Identity(ID("bad")).Retrieve(t.Context()); !errors.Is(err, broken) {
				t.Error(err)
			}
			w.ask(t, "good")
		}
		if w.add(w.made, "bad", 0) != 1 {
			t.Errorf("tried %d times at once", w.add(w.made, "bad", 0))
		}
		delete(w.fail, "bad")
		time.Sleep(again + time.Second)
		w.ask(t, "bad")
	})
}

func TestID(t *testing.T) {
	t.Parallel()
	if id := ID("prod"); id != "e1d8151f" && len(id) != 8 {
		t.Error(id)
	}
	if _, err := New([]string{"a", "a"}, nil); err == nil {
		t.Error("two of one ID")
	}
	w := newWorld(t, time.Hour, "a")
	if w.set.Identity("nothing") != nil || !slices.Equal(w.set.Names(), []string{"a"}) {
		t.Error("Identity, Names")
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "anything at all", true}, {"prod-*", "prod-eu", true}, {"prod-*", "prod", false},
		{"p?d", "pöd", true}, {"p?d", "pd", false}, {"a.b", "axb", false}, {"[ab]", "a", false}, {"[ab]", "[ab]", true},
		{"*-eu-*", "x-eu-eu-", true}, {`a\*`, "a*", false}, {`a\*`, `a\b`, true}, {"", "", true},
	} {
		if got := Matcher(tt.pattern)(tt.name); got != tt.want {
			t.Errorf("Matcher(%q)(%q) = %v", tt.pattern, tt.name, got)
		}
		// With no other characters it is filepath.Match, but for slashes.
		if ok, err := filepath.Match(tt.pattern, tt.name); err == nil && tt.pattern != "[ab]" && tt.pattern != `a\*` && ok != tt.want {
			t.Errorf("filepath.Match(%q, %q) = %v", tt.pattern, tt.name, ok)
		}
	}
}

// After an outage in which all are refused at once, they have all the places.
func TestRefusedSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var all sync.WaitGroup
		for range 300 {
			p := s.Limit(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				if time.Since(begun) < time.Second { // the outage
					return aws.Credentials{}, errors.New("refused")
				}
				time.Sleep(100 * time.Millisecond)
				return aws.Credentials{}, nil
			}))
			if _, err := p.Retrieve(t.Context()); err == nil {
				t.Error("not refused")
			}
			all.Go(func() {
				time.Sleep(time.Second)
				p.Retrieve(t.Context())
			})
		}
		all.Wait()
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Twenty sources that hang keep no place from one that answers, once each has failed.
func TestHangingSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(p aws.CredentialsProvider) error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := p.Retrieve(ctx)
			return err
		}
		for range 20 {
			hangs := s.Limit(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				<-ctx.Done()
				return aws.Credentials{}, ctx.Err()
			}))
			go func() {
				for t.Context().Err() == nil {
					ask(hangs)
				}
			}()
		}
		time.Sleep(31 * time.Second) // each has had a place and failed
		well := s.Limit(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, nil
		}))
		for range 10 {
			begun := time.Now()
			if err := ask(well); err != nil || time.Since(begun) > time.Second {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
			time.Sleep(time.Second)
		}
	})
}
