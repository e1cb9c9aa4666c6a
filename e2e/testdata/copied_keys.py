"""A program that copies credentials at its start, beside one that leaves that to the SDK.

usage: copied_keys.py SECONDS: asks STS who it is at the start and after so long, in both ways.
"""
import sys
import time

import boto3

session = boto3.Session()
copy = session.get_credentials().get_frozen_credentials()
clients = {
    "copied": boto3.client("sts", aws_access_key_id=copy.access_key, aws_secret_access_key=copy.secret_key, aws_session_token=copy.token),
    "left to the SDK": session.client("sts"),
}
for pause in (0, float(sys.argv[1])):
    time.sleep(pause)
    for name, client in clients.items():
        try:
            print(f"{name}: {client.get_caller_identity()['Arn']}")
        except Exception as e:
            print(f"{name}: {e}")
