package roots

import (
	"crypto/tls"
	"net/http"
)

// Config returns the configuration that Transport falls back to. Only source calls it, until it takes Transport.
func Config(_, bundle string) (*tls.Config, error) {
	rt, err := Transport(&http.Transport{}, bundle)
	if err != nil {
		return nil, err
	}
	if f, ok := rt.(*fallback); ok {
		return f.system.TLSClientConfig, nil
	}
	return rt.(*http.Transport).TLSClientConfig, nil
}
