package ecsserver

import "time"

// How long one look through /proc for the process that asks may take: a machine may have very many processes. Two of
// them may delay an answer, behind the wait for credentials; SDKs give up after a second.
const (
	findForLog   = 50 * time.Millisecond
	findForWatch = 400 * time.Millisecond
)
