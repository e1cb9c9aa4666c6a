# restic makes a repository and reads it. usage: who; what it was called as is the services' to say.
set -eu
export RESTIC_PASSWORD=x RESTIC_REPOSITORY="s3:$AWS_ENDPOINT_URL_S3/conformance" RESTIC_CACHE_DIR="$TMPDIR/restic"
trap 'rm -rf "$RESTIC_CACHE_DIR"' EXIT
restic init
