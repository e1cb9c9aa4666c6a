"""A job in a container: boto3 for a while, then the aws cli (of Python's and of Debian's packages) and Go's SDK.

ETL_SECONDS says for how long. One JSON line, as identity_loop.py has it, then a line for each of the others.
"""
import os
import subprocess
import sys

sys.argv[1:] = [os.environ["ETL_SECONDS"], "0.1"]
exec(open("/identity_loop.py").read())
sys.stdout.flush()
WHO = ["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]
old = dict(os.environ)  # Debian's aws is older than the file
if "AWS_CONTAINER_AUTHORIZATION_TOKEN" not in old and "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" in old:
    old["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = open(old["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read()
status = 0
for argv, env in (
    ([sys.executable, "-m", "awscli", *WHO], None),
    (["/usr/bin/python3", "/usr/bin/aws", *WHO, "--endpoint-url", old["AWS_ENDPOINT_URL_STS"]], old),
    (["/whois"], None),
):
    status |= subprocess.run(argv, env=env).returncode
sys.exit(status)
