// Package ship tries what a release holds as its users do: the packages are installed and purged, the image and the archives
// unpacked and run. .ci/ship makes the release, and names the clone that it made it in in $SHIP.
package ship
