package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"time"
)

// In the units of the viewBox: two panels, the life that is left above the GETs below.
const (
	width, height = 900, 400
	left, right   = 56, 884
	top, middle   = 70, 220 // of the upper panel
	sky, floor    = 262, 350
)

// Colours for light and dark; a viewer without media queries has the light ones.
const style = `<style>
text{fill:#1f2328}.dim{fill:#59636e}.grid{stroke:#d1d9e0}.life{stroke:#0969da;fill:none}.under{fill:#0969da;fill-opacity:.15}
.outage{fill:#cf222e;fill-opacity:.13}.fail{stroke:#cf222e}.bare{fill:#cf222e}.served{fill:#1a7f37}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.dim{fill:#9198a1}.grid{stroke:#3d444d}.life{stroke:#58a6ff}.under{fill:#58a6ff}
.outage{fill:#ff7b72;fill-opacity:.2}.fail{stroke:#ff7b72}.bare{fill:#ff7b72}.served{fill:#3fb950}}
</style>
`

// picture draws the night.
func (n *night) picture() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(n.words()))
	b.WriteString(style)
	n.legend(&b)
	n.axes(&b)
	n.troubles(&b)
	n.sawtooth(&b)
	n.gets(&b)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// words are the picture in one sentence.
func (n *night) words() string {
	return fmt.Sprintf("%s under brs-exec: %d credentials, %d failed attempts in %d outages, %d GETs served, %d answered 503",
		time.Duration(n.end*float64(time.Second)).Round(time.Second), len(n.lives), len(n.failures), len(n.outages), sum(n.served), sum(n.denied))
}

func sum(counts []int) (all int) {
	for _, c := range counts {
		all += c
	}
	return all
}

func (n *night) x(at float64) float64 { return left + at/max(n.end, 1)*(right-left) }

// longest is the scale of the upper panel, in seconds.
func (n *night) longest() (most float64) {
	for _, l := range n.lives {
		most = max(most, l.expires-l.from)
	}
	return most
}

func (n *night) yLife(seconds float64) float64 {
	return middle - max(seconds, 0)/n.longest()*(middle-top)
}

func (n *night) legend(b *bytes.Buffer) {
	fmt.Fprintf(b, `<text x="%d" y="18" font-size="14">%s</text>`+"\n", left, html.EscapeString(n.words()))
	x := left
	for _, l := range []struct{ mark, text string }{
		{`<path class="life" stroke-width="2" d="M%d 38h14"/>`, "life left; a jump: rotation"},
		{`<rect class="outage" x="%d" y="32" width="14" height="11"/>`, "outage"},
		{`<path class="fail" d="M%d 43v-11"/>`, "a failed attempt"},
		{`<rect class="bare" x="%d" y="32" width="10" height="11"/>`, "nothing valid: 503"},
		{`<rect class="served" x="%d" y="32" width="10" height="11"/>`, "GETs served"},
	} {
		fmt.Fprintf(b, l.mark+`<text x="%d" y="42">%s</text>`+"\n", x, x+19, l.text)
		x += 50 + 6*len(l.text)
	}
}

func (n *night) axes(b *bytes.Buffer) {
	fmt.Fprintf(b, `<path class="grid" fill="none" d="M%d %dH%dM%d %dH%dM%d %dH%d"/>`+"\n", left, top, right, left, middle, right, left, floor, right)
	label := func(x, y int, anchor, text string) {
		fmt.Fprintf(b, `<text class="dim" x="%d" y="%d" text-anchor="%s">%s</text>`+"\n", x, y, anchor, text)
	}
	label(left-6, top+4, "end", short(n.longest()))
	label(left-6, middle+4, "end", "0")
	label(left, top-8, "start", "life left of the credential that is held")
	label(left-6, floor+4, "end", "0")
	label(left-6, sky+4, "end", fmt.Sprint(n.most()))
	label(left, sky-8, "start", "GETs a second")
	step := n.step()
	for at := 0.0; at <= n.end; at += step {
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %dv5"/>`, n.x(at), floor)
		label(int(n.x(at)), floor+19, "middle", short(at))
	}
	label((left+right)/2, height-10, "middle", "since the first credential; "+html.EscapeString(n.source))
}

// step is the time between two labels: ten of them at most.
func (n *night) step() float64 {
	for _, s := range []float64{1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200} {
		if n.end/s <= 10 {
			return s
		}
	}
	return n.end / 10
}

func short(seconds float64) string {
	s := time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
	if cut, ok := strings.CutSuffix(s, "m0s"); ok {
		s = cut + "m"
	}
	if cut, ok := strings.CutSuffix(s, "h0m"); ok {
		s = cut + "h"
	}
	return s
}

func (n *night) troubles(b *bytes.Buffer) {
	for _, o := range n.outages {
		if o.to == 0 {
			o.to = n.end
		}
		fmt.Fprintf(b, `<rect class="outage" x="%.1f" y="%d" width="%.1f" height="%d"/>`+"\n", n.x(o.from), top, max(n.x(o.to)-n.x(o.from), 1), floor-top)
	}
	b.WriteString(`<path class="fail" d="`)
	for _, at := range n.failures {
		fmt.Fprintf(b, "M%.1f %dv-8", n.x(at), middle+12)
	}
	b.WriteString("\"/>\n")
}

// sawtooth is the life that is left: from each rotation down to the next, or to 0, where red says that nothing is held.
func (n *night) sawtooth(b *bytes.Buffer) {
	var line, area, bare strings.Builder
	for i, l := range n.lives {
		end := min(l.until, l.expires)
		x1, y1, x2, y2 := n.x(l.from), n.yLife(l.expires-l.from), n.x(end), n.yLife(l.expires-end)
		if i == 0 {
			fmt.Fprintf(&line, "M%.1f %.1f", x1, y1)
		} else {
			fmt.Fprintf(&line, "L%.1f %.1f", x1, y1)
		}
		fmt.Fprintf(&line, "L%.1f %.1f", x2, y2)
		fmt.Fprintf(&area, "M%.1f %dV%.1fL%.1f %.1fV%dz", x1, middle, y1, x2, y2, middle)
		if l.until > l.expires {
			fmt.Fprintf(&line, "H%.1f", n.x(l.until))
			fmt.Fprintf(&bare, `<rect class="bare" x="%.1f" y="%d" width="%.1f" height="4"/>`+"\n", x2, middle-2, max(n.x(l.until)-x2, 1))
		}
	}
	fmt.Fprintf(b, `<path class="under" d="%s"/>`+"\n"+`<path class="life" stroke-width="1.5" d="%s"/>`+"\n%s", area.String(), line.String(), bare.String())
}

// most is the scale of the lower panel.
func (n *night) most() int {
	most := 1
	for _, counts := range [][]int{n.served, n.denied} {
		for _, c := range counts {
			most = max(most, c)
		}
	}
	return most
}

// gets draws a bar a second, or, in a long night, for as many as make a bar two wide: their mean.
func (n *night) gets(b *bytes.Buffer) {
	wide := max(1, int(2*n.end/(right-left)))
	for _, of := range []struct {
		class  string
		counts []int
	}{{"served", n.served}, {"bare", n.denied}} {
		fmt.Fprintf(b, `<path class="%s" d="`, of.class)
		for from := 0; from < len(of.counts); from += wide {
			all := sum(of.counts[from:min(from+wide, len(of.counts))])
			if all == 0 {
				continue
			}
			high := max(float64(all)/float64(wide)/float64(n.most())*(floor-sky), 1)
			x1, x2 := n.x(float64(from)), n.x(float64(from+wide))
			fmt.Fprintf(b, "M%.1f %dv-%.1fh%.1fv%.1fz", x1, floor, high, max(x2-x1-0.5, 0.5), high)
		}
		b.WriteString("\"/>\n")
	}
}
