"""Four tasks that each write to S3 with one client over and over, for $STEP_SECONDS seconds."""
import os
import time

import ray


@ray.remote(num_cpus=1)
def step(i):
    import boto3
    s3 = boto3.client("s3")
    end = time.monotonic() + float(os.environ["STEP_SECONDS"])
    while True:
        s3.put_object(Bucket="lake", Key=f"out-{i}", Body=b"x")
        if time.monotonic() >= end:
            return os.getpid()
        time.sleep(0.3)


# A cluster of its own, or the one of RAY_ADDRESS.
own = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80_000_000}
ray.init(_node_ip_address="127.0.0.1", log_to_driver=False, **own)
tasks = [step.remote(i) for i in range(4)]
print("begun", flush=True)
print("done", *ray.get(tasks), flush=True)
