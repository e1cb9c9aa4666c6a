"""Ask the endpoint of the environment N times at once, each on a connection of its own: the statuses, and how many of each."""
import collections
import os
import sys
import threading
import urllib.error
import urllib.request

request = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
if token := os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
    request.add_header("Authorization", token)
together = threading.Barrier(int(sys.argv[1]))
statuses = collections.Counter()


def ask():
    together.wait()
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status = answer.status
    except urllib.error.HTTPError as e:
        status = e.code
    except OSError as e:
        status = repr(e)
    statuses[status] += 1


threads = [threading.Thread(target=ask) for _ in range(together.parties)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(dict(statuses))
