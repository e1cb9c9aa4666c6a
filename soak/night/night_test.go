package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"brs-exec/soak/svgtest"
)

func readLog(t *testing.T) *night {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := read(f)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The last run of a shared file, its outage from the first failure to health, 503s apart from what was refused.
func TestRead(t *testing.T) {
	want := &night{
		source:   "environment variables → <etl>",
		end:      20,
		lives:    []life{{0, 4, 8}, {4, 15, 12}, {15, 20, 23}},
		failures: []float64{8, 13},
		outages:  []span{{7.9, 15}},
		served:   []int{0, 2},
		denied:   []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
	}
	if got := readLog(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

func TestReadBad(t *testing.T) {
	for name, log := range map[string]string{
		"empty":         "",
		"text":          "brs-exec: new credentials\n",
		"no rotation":   `{"time":"2026-11-24T01:00:00Z","event":"served","wrapper":1}` + "\n",
		"no expiration": `{"time":"2026-11-24T01:00:00Z","event":"rotated","wrapper":1}` + "\n",
	} {
		if n, err := read(strings.NewReader(log)); err == nil {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// What is drawn: three jumps, 3 s with nothing, one outage, two attempts, two seconds with GETs.
func TestPicture(t *testing.T) {
	picture := string(readLog(t).picture())
	svgtest.Check(t, []byte(picture))
	for text, times := range map[string]int{
		"<title>20s under brs-exec: 3 credentials, 2 failed attempts in 1 outages, 2 GETs served, 1 answered 503</title>": 1,
		`<rect class="bare" x="552.8" y="218" width="124.2" height="4"/>`:                                                 1,
		`<rect class="outage" x="383.1" y="70" width="293.9" height="280"/>`:                                              1,
		`v-8M`:          1,
		"&lt;etl&gt;":   1,
		`class="served`: 2, // with the legend
	} {
		if got := strings.Count(picture, text); got != times {
			t.Errorf("%d times %s; want %d in\n%s", got, text, times, picture)
		}
	}
}

// docs/evidence/night.svg is small, and stands alone; docs/evidence/FRESH.md says of it what it says itself.
func TestDocument(t *testing.T) {
	docs := filepath.Join("..", "..", "docs", "evidence")
	picture, err := os.ReadFile(filepath.Join(docs, "night.svg"))
	if err != nil {
		t.Fatal(err)
	}
	svgtest.Check(t, picture)
	if len(picture) > 60<<10 {
		t.Errorf("%d bytes", len(picture))
	}
	_, title, _ := bytes.Cut(picture, []byte("<title>"))
	title, _, _ = bytes.Cut(title, []byte("</title>"))
	page, err := os.ReadFile(filepath.Join(docs, "FRESH.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "![" + string(title) + "](night.svg)"; !strings.Contains(string(page), want) {
		t.Errorf("docs/evidence/FRESH.md has not %s", want)
	}
}
