//go:build !linux

package roots

// systemBundle is "": the platform verifies (macOS, Windows), or crypto/x509 (the others).
func systemBundle() string { return "" }
