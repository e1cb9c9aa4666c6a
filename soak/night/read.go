package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// night is what one run told, by seconds since its first credential.
type night struct {
	source         string
	end            float64
	lives          []life
	failures       []float64 // attempts
	outages        []span    // from the first failure to health
	served, denied []int     // GETs by the second
}

// life is a credential: from when it came, until the next one, and its own end.
type life struct{ from, until, expires float64 }

type span struct{ from, to float64 }

// record is what is read of a line.
type record struct {
	Time    time.Time
	Event   string
	Wrapper int
	Expires any // time, or "never"
	Source  string
	Status  int
	Took    float64 // seconds
}

// read takes the events of the last run in the log.
func read(r io.Reader) (*night, error) {
	var all []record
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		var e record
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("line %d: %w (is it --log-format json?)", number, err)
		}
		if e.Event != "" {
			all = append(all, e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return tell(lastRun(all))
}

func lastRun(all []record) (run []record) {
	if len(all) == 0 {
		return nil
	}
	last := all[len(all)-1].Wrapper
	for _, e := range all {
		if e.Wrapper == last {
			run = append(run, e)
		}
	}
	return run
}

// tell makes the night of one run's events.
func tell(run []record) (*night, error) {
	n := new(night)
	var birth time.Time
	for _, e := range run {
		if birth.IsZero() {
			if e.Event != "rotated" {
				continue
			}
			birth = e.Time
		}
		n.end = e.Time.Sub(birth).Seconds()
		if err := n.add(e, birth); err != nil {
			return nil, err
		}
	}
	if len(n.lives) == 0 {
		return nil, errors.New("no rotated event: --log-level info tells of rotations, debug of fetches, too")
	}
	n.lives[len(n.lives)-1].until = n.end
	return n, nil
}

func (n *night) add(e record, birth time.Time) error {
	at := e.Time.Sub(birth).Seconds()
	switch e.Event {
	case "started":
		n.source = e.Source
	case "rotated":
		text, _ := e.Expires.(string)
		expires, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return fmt.Errorf("rotated at %v: %w", e.Time, err)
		}
		if last := len(n.lives) - 1; last >= 0 {
			n.lives[last].until = at
		}
		n.lives = append(n.lives, life{from: at, expires: expires.Sub(birth).Seconds()})
		n.heal(at)
	case "healed":
		n.heal(at)
	case "refresh_failed":
		n.failures = append(n.failures, at)
		if last := len(n.outages) - 1; last < 0 || n.outages[last].to != 0 {
			n.outages = append(n.outages, span{from: at - e.Took}) // the record comes at its end
		}
	case "served":
		count(&n.served, at)
	case "denied":
		if e.Status == 503 { // not those that were refused for what they sent
			count(&n.denied, at)
		}
	}
	return nil
}

// heal ends the outage, if there is one: a rotation comes just before the event that says so, which not all have.
func (n *night) heal(at float64) {
	if last := len(n.outages) - 1; last >= 0 && n.outages[last].to == 0 {
		n.outages[last].to = at
	}
}

func count(seconds *[]int, at float64) {
	for len(*seconds) <= int(at) {
		*seconds = append(*seconds, 0)
	}
	(*seconds)[int(at)]++
}
