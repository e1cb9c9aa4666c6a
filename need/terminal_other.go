//go:build !unix

package need

func toTerminal(string) {}
