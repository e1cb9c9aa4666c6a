"""Ask STS who we are, over and over, as an SDK client that knows nothing of brs-exec.

usage: identity_loop.py SECONDS PAUSE
One JSON line at the end: {"calls": n, "errors": [...], "arns": [...], "keys": n}.
"""
import json
import sys
import time

import boto3

seconds, pause = float(sys.argv[1]), float(sys.argv[2])
session = boto3.Session()
sts = session.client("sts")
calls, errors, arns, keys = 0, [], set(), set()
end = time.monotonic() + seconds
while time.monotonic() < end:
    calls += 1
    try:
        arns.add(sts.get_caller_identity()["Arn"])
        keys.add(session.get_credentials().get_frozen_credentials().access_key)
    except Exception as e:  # every failure counts, whatever its class
        errors.append(f"{time.monotonic():.1f} {type(e).__name__}: {e}")
    time.sleep(pause)
print(json.dumps({"calls": calls, "errors": errors, "arns": sorted(arns), "keys": len(keys)}))
