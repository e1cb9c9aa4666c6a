"""Four tasks that each ask STS and S3 with one client over and over, for $STEP_SECONDS seconds."""
import os
import time

from dask.distributed import Client


def step(i):
    import boto3
    s3 = boto3.client("s3")
    end = time.monotonic() + float(os.environ["STEP_SECONDS"])
    while True:
        s3.put_object(Bucket="lake", Key=f"out-{i}", Body=b"x")
        if time.monotonic() >= end:
            return os.getpid()
        time.sleep(0.3)


if __name__ == "__main__":
    client = Client()  # a cluster of its own, or the one of DASK_SCHEDULER_ADDRESS
    futures = client.map(step, range(4))
    print("begun", flush=True)
    print("done", *client.gather(futures), flush=True)
    client.close()
