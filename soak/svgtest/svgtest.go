// Package svgtest checks the SVGs that the documents have.
package svgtest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"testing"
)

// Check fails a test whose SVG is not well formed, has anything from elsewhere, or nothing for dark
// pages.
func Check(t testing.TB, picture []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(picture))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, foreign := range []string{"href", "url(", "@import", "<script", "<image", "NaN", "Inf"} {
		if bytes.Contains(picture, []byte(foreign)) {
			t.Errorf("the picture has %s", foreign)
		}
	}
	if !bytes.Contains(picture, []byte("prefers-color-scheme:dark")) {
		t.Error("nothing for dark pages")
	}
}
