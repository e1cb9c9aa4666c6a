package refresh

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A copy that is renewed at each news is never older than what Retrieve returns.
func TestNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &sts{life: time.Hour}
		r := New(src, Options{})
		stop := running(t, r)
		defer stop()
		held, cancel := context.WithCancel(t.Context())
		cancel() // what is held, without a wait
		var copied atomic.Value
		watch, end := context.WithCancel(t.Context())
		defer end()
		go func() {
			for watch.Err() == nil {
				news := r.News()
				if c, err := r.Retrieve(held); err == nil {
					copied.Store(c.AccessKeyID)
				}
				select {
				case <-watch.Done():
				case <-news:
				}
			}
		}()
		for range 5 * 60 * 60 {
			time.Sleep(time.Second)
			synctest.Wait()
			if c, err := r.Retrieve(held); err != nil || c.AccessKeyID != copied.Load() {
				t.Fatalf("got %q, %v; the copy is %q", c.AccessKeyID, err, copied.Load())
			}
		}
		if n := src.count(); n < 8 {
			t.Errorf("%d fetches in five hours of one-hour lives", n)
		}
	})
}
