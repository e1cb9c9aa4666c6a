//go:build !race && linux && (amd64 || arm64)

package runner

const raceEnabled = false
