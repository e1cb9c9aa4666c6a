# usage: s3_loop.sh SECONDS   (AWS names the aws cli)
# Copies a file up and down with a new aws process each time; the first failure ends it.
set -eu
end=$(($(date +%s) + $1)); n=0
$AWS s3 mb s3://brs-exec-e2e >/dev/null
while [ "$(date +%s)" -lt "$end" ]; do
	n=$((n + 1))
	echo "round $n" | $AWS s3 cp - s3://brs-exec-e2e/round >/dev/null
	test "$($AWS s3 cp s3://brs-exec-e2e/round -)" = "round $n"
	$AWS sts get-caller-identity --query Arn --output text
done
echo "rounds: $n"
