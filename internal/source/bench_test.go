package source

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
)

// BenchmarkNew is what the plain --role-arn way costs before its first request, beside the SDK's
// own loading.
func BenchmarkNew(b *testing.B) {
	b.Setenv("AWS_ACCESS_KEY_ID", "a")
	b.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	b.Run("source", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := New(b.Context(), Options{Env: os.Environ(), RoleARNs: []string{testRole}}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("LoadDefaultConfig", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := config.LoadDefaultConfig(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
