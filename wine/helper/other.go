//go:build !windows

package main

import "errors"

func line() string { return "" }

func rights(string) (string, error) { return "", errors.ErrUnsupported }

func console(int, int) error { return errors.ErrUnsupported }

func hold(string, string) error { return errors.ErrUnsupported }

func bind(string) error { return errors.ErrUnsupported }

func level() error { return errors.ErrUnsupported }
