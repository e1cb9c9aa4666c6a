// Package nearest guesses what a misspelt word was meant to be.
package nearest

// To returns the candidate that word was most likely meant to be, the first of equals. It is "" if
// all are more than a third of word's bytes away: such a guess would mislead.
func To(word string, candidates []string) string {
	limit, found := len(word)/3+1, ""
	for _, c := range candidates {
		if d := distance(word, c); d < limit {
			limit, found = d, c
		}
	}
	return found
}

// distance counts the bytes to change, add, leave out or swap with their neighbour to make b of a
// (the optimal string alignment distance).
func distance(a, b string) int {
	var beforeLast, last []int // rows: [j] is the distance to b[:j] from the part of a so far
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		beforeLast, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			changed := last[j]
			if a[i] != b[j] {
				changed++
			}
			row[j+1] = min(changed, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], beforeLast[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
