// Command night draws an event log (docs/MACHINE.md) of one run of brs-exec: lives, rotations, outages, fetches.
//
//	go run ./soak -duration 4m -clients 20 -log night.jsonl
//	go run ./soak/night -o docs/evidence/night.svg night.jsonl
//
// It wants --log-format json and --log-level debug: at info there are no fetches. Of a file that several runs share the
// last one is drawn. The SVG has no fonts, scripts or pictures of others, and follows the reader's light or dark.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "night.svg", "`FILE` to write")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: night [-o FILE] LOG")
		os.Exit(2)
	}
	if err := run(*out, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "night:", err)
		os.Exit(1)
	}
}

func run(out, log string) error {
	f, err := os.Open(log)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", log, err)
	}
	return os.WriteFile(out, n.picture(), 0o644)
}
