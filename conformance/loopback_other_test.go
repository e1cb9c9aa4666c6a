//go:build !linux

package conformance

func onlyLoopback() (done bool, status int) {
	return true, fail("CONFORMANCE_LO needs Linux's network namespaces")
}
