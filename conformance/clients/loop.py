"""What every Python client here has in common.

usage: who | loop SECONDS [PAUSE]
who prints the ARN that the service saw; loop asks with one client object again and again and prints JSON at the end.
PAUSE is from one call to the next, in seconds, 0.2 by default; the clients of the half-hour run know it.
"""
import json
import sys
import time


def main(version, whoami):
    if sys.argv[1] == "who":
        print(whoami())
        return
    pause = float(sys.argv[3]) if len(sys.argv) > 3 else 0.2
    calls, errors, arns = 0, [], set()
    due = time.monotonic()
    end = due + float(sys.argv[2])
    while time.monotonic() < end:
        calls += 1
        try:
            arns.add(whoami())
        except Exception as e:  # every failure counts, whatever its class
            errors.append(f"{type(e).__name__}: {e}")
        due = max(due + pause, time.monotonic())
        time.sleep(max(0, due - time.monotonic()))
    print(json.dumps({"version": version, "calls": calls, "errors": errors, "arns": sorted(arns)}))
