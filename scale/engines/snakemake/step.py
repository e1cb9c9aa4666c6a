"""Copy s3://lake/in-I to out-I with one client over and over: usage: step.py I SECONDS. A file "fail" makes it fail, once."""
import os
import sys
import time

import boto3

s3 = boto3.client("s3")
step, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
while True:
    body = s3.get_object(Bucket="lake", Key=f"in-{step}")["Body"].read()
    s3.put_object(Bucket="lake", Key=f"out-{step}", Body=body)
    if time.monotonic() >= end:
        break
    time.sleep(0.3)
try:
    os.remove("fail")
    sys.exit(1)
except FileNotFoundError:
    print("done")
