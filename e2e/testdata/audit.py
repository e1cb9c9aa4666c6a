"""audit.py SECONDS THREADS: calls STS as every profile acct-*, in random order; prints what it saw as JSON."""
import json, random, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import boto3

seconds, threads = float(sys.argv[1]), int(sys.argv[2])
profiles = [p for p in boto3.Session().available_profiles if p.startswith("acct-")]
end, lock = time.time() + seconds, threading.Lock()
seen = {"calls": 0, "wrong": [], "errors": [], "profiles": len(profiles)}
clients = {}


def visit(profile):
    if time.time() > end:
        return
    try:
        with lock:
            client = clients.get(profile)
        if client is None:
            client = clients[profile] = boto3.Session(profile_name=profile).client("sts")
        account = client.get_caller_identity()["Account"]
    except Exception as e:
        with lock:
            seen["errors"].append(f"{profile}: {e}"[:300])
        return
    with lock:
        seen["calls"] += 1
        if account != profile.removeprefix("acct-").split("-")[0]:
            seen["wrong"].append(f"{profile}: {account}")


with ThreadPoolExecutor(threads) as pool:
    while time.time() < end:
        random.shuffle(profiles)
        list(pool.map(visit, profiles))
json.dump(seen, sys.stdout)
