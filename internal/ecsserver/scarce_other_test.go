//go:build !unix

package ecsserver

func lowerNOFILE(int) error { panic("only Unix has a limit to lower") }
