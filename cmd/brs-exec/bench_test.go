package main

import (
	"io"
	"testing"
)

// BenchmarkParse: the command line is a part of what a user waits for.
func BenchmarkParse(b *testing.B) {
	args := []string{"--role-arn", "arn:aws:iam::123456789012:role/etl", "--", "true"}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parse(args, nil, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
