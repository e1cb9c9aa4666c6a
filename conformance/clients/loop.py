"""What every Python client here has in common.

usage: who | loop SECONDS
who prints the ARN that the service saw; loop asks with one client object every 0.2 s and prints JSON at the end.
"""
import json
import sys
import time


def main(version, whoami):
    if sys.argv[1] == "who":
        print(whoami())
        return
    calls, errors, arns = 0, [], set()
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        calls += 1
        try:
            arns.add(whoami())
        except Exception as e:  # every failure counts, whatever its class
            errors.append(f"{type(e).__name__}: {e}")
        time.sleep(0.2)
    print(json.dumps({"version": version, "calls": calls, "errors": errors, "arns": sorted(arns)}))
