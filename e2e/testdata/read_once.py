"""Read the credentials once, as many programs do, and ask STS who we are with that copy, over and over.

usage: read_once.py SECONDS PAUSE
"""
import sys
import time

import boto3

seconds, pause = float(sys.argv[1]), float(sys.argv[2])
copy = boto3.Session().get_credentials().get_frozen_credentials()
sts = boto3.client(
    "sts",
    aws_access_key_id=copy.access_key,
    aws_secret_access_key=copy.secret_key,
    aws_session_token=copy.token,
)
end = time.monotonic() + seconds
while time.monotonic() < end:
    sts.get_caller_identity()
    time.sleep(pause)
