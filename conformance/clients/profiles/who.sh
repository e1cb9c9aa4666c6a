# Four programs, each by a profile of its own, in one environment: prints who each was.
# usage: who.sh FOLDER PLUGINS PYTHON LIB-OF-AWS-CLI LIB-OF-BOTO3
set -eu
export TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
cp "$(dirname "$0")/main.tf" "$1"
cd "$1"
terraform init -input=false -no-color -plugin-dir="$2" >&2
terraform apply -input=false -auto-approve -no-color >&2
echo "terraform $(terraform output -no-color -raw arns)"
whoami='sts get-caller-identity --query Arn --output text'
echo "aws $(PYTHONPATH=$4 "$3" -m awscli --profile dns $whoami) $(PYTHONPATH=$4 "$3" -m awscli $whoami)"
echo "boto3 $(PYTHONPATH=$5 "$3" -c 'import boto3
for name in "data", "network", None:
    print(boto3.Session(profile_name=name).client("sts").get_caller_identity()["Arn"], end=" ")')"
