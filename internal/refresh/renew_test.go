package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Renew makes one attempt at once, also of a refresher that is lazy, and returns at its end, however
// that is; what is held stays when it fails.
func TestRenew(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &sts{life: time.Hour, fault: func(_ context.Context, n int) error {
				time.Sleep(sec)
				if n == 3 {
					return context.DeadlineExceeded
				}
				return nil
			}}
			r := New(s, Options{Lazy: lazy})
			stop := running(t, r)
			time.Sleep(time.Minute)
			began := time.Now()
			r.Renew(t.Context())
			if took := time.Since(began); took != sec || s.count() != 2 || r.Stats().Rotations != 2 {
				t.Errorf("%v, %d calls, %+v", took, s.count(), r.Stats())
			}
			end := r.State().Expires
			r.Renew(t.Context())
			if st := r.State(); st.Err == nil || !st.Expires.Equal(end) || s.count() != 3 {
				t.Errorf("after a failure: %+v, %d calls", st, s.count())
			}
			stop()
			ctx, cancel := context.WithTimeout(t.Context(), sec)
			defer cancel()
			r.Renew(ctx) // nobody runs
		})
	}
}
