# The S3 backend's chain. usage: who | loop SECONDS, as in ../loop.py.
# who: an object named whoami.tfstate is a state whose output is the caller's ARN.
# loop: one terraform apply that stores its state again and again.
set -eu
export TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$(dirname "$0")/main.tf" "$dir"
cd "$dir"
terraform init -input=false -no-color -backend-config=key=whoami.tfstate >&2
arn=$(terraform output -no-color -raw arn)
if [ "$1" = who ]; then
	echo "$arn"
	exit
fi
terraform init -reconfigure -input=false -no-color -backend-config=key=loop.tfstate >&2
terraform apply -input=false -auto-approve -no-color -parallelism=1 -var "steps=$(($2 / 2))" >&2
version=$(terraform version -json | sed -n 's/.*"terraform_version": "\(.*\)".*/\1/p')
echo "{\"version\": \"$version\", \"calls\": 2, \"errors\": [], \"arns\": [\"$arn\"]}"
