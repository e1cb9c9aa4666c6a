#!/usr/bin/env python3
"""Counts the lines of each object of a bucket, for as many hours as there are objects.

    brs-exec --profile etl -- ./etl.py BUCKET

and in cron, which mails what is printed, here only what went wrong:

    15 1 * * * /usr/local/bin/brs-exec --profile etl --must-last 8h -- /home/etl/etl.py BUCKET

It is plain boto3: one client, made at the start and used to the end. boto3 asks brs-exec's endpoint
for credentials whenever those that it has are near their end.
"""
import json
import os
import sys
import time

import boto3

bucket = sys.argv[1]
pause = float(os.environ.get("PAUSE", "0"))  # stands for the hours that the work takes
session = boto3.Session()
s3 = session.client("s3")
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="in/"):
    for item in page.get("Contents", []):
        text = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
        result = {"key": item["Key"], "lines": text.count(b"\n"), "by": session.client("sts").get_caller_identity()["Arn"]}
        s3.put_object(Bucket=bucket, Key="out/" + item["Key"][len("in/"):], Body=json.dumps(result))
        time.sleep(pause)
