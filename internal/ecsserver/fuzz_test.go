package ecsserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// FuzzHandler: 200 exactly when the rules of DESIGN §4, written down a second time, are met; else one of the refusals,
// in JSON, with nothing of the credentials or the token in it.
func FuzzHandler(f *testing.F) {
	for _, raw := range sdkRequests {
		f.Add([]byte(strings.ReplaceAll(raw, "\n", "\r\n")))
	}
	const auth = "Authorization: " + testToken + "\r\n"
	for _, raw := range []string{
		"POST /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n" + auth + "Content-Length: 3\r\n\r\nabc",
		"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"GET http://localhost/credentials?a=b HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n",
		"GET /%63redentials HTTP/1.0\r\nHost: localhost:34567\r\n" + auth + auth + "\r\n",
		"CONNECT 127.0.0.1:34567 HTTP/1.1\r\nHost: 127.0.0.1\r\n" + auth + "\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: null\r\nSec-Fetch-Mode: cors\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(raw))
	}
	h := testHandler(steady(), Options{AllowHosts: []string{"host.docker.internal"}})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return // net/http answers 400
		}
		want := entitled(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Code == 200; got != want {
			t.Fatalf("got %d %s; want 200: %v", w.Code, w.Body, want)
		}
		if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Length") != itoa(w.Body.Len()) {
			t.Fatalf("headers %v", w.Header())
		}
		if want {
			var d document
			if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || d.SecretAccessKey != "secret/1" {
				t.Fatalf("got %s, %v", w.Body, err)
			}
			return
		}
		if !slices.Contains([]int{401, 403, 404, 405}, w.Code) {
			t.Fatalf("got %d; want 401, 403, 404 or 405", w.Code)
		}
		var p map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		checkProblem(t, w, p["code"])
	})
}

func entitled(r *http.Request) bool {
	for name := range r.Header {
		if lower := strings.ToLower(name); lower == "origin" || lower == "referer" || strings.HasPrefix(lower, "sec-fetch-") {
			return false
		}
	}
	host := strings.TrimSuffix(strings.ToLower(r.Host), ":"+itoa(testPort))
	return slices.Contains([]string{"127.0.0.1", "localhost", "host.docker.internal"}, host) &&
		r.Method == "GET" && r.URL.Path == "/credentials" &&
		slices.Equal(r.Header.Values("Authorization"), []string{testToken})
}
