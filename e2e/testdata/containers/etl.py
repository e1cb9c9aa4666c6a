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
status = 0
for argv in (
    [sys.executable, "-m", "awscli", *WHO],
    ["/usr/bin/python3", "/usr/bin/aws", *WHO, "--endpoint-url", os.environ["AWS_ENDPOINT_URL_STS"]],  # older than the variable
    ["/whois"],
):
    status |= subprocess.run(argv).returncode
sys.exit(status)
