"""Write and read s3a://lake over and over, for $JOB_SECONDS seconds."""
import os
import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
end, rounds = time.monotonic() + float(os.environ["JOB_SECONDS"]), 0
while rounds == 0 or time.monotonic() < end:
    path = f"s3a://lake/round-{rounds}"
    spark.range(0, 1000, numPartitions=4).write.mode("overwrite").csv(path)
    assert spark.read.csv(path).count() == 1000
    rounds += 1
    print("rounds:", rounds, flush=True)
print("done", flush=True)
spark.stop()
