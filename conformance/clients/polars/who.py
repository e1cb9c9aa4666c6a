"""polars, by its own reader over Rust's object_store; without boto3, which it would ask."""
import os

os.environ["POLARS_TEMP_DIR"] = os.environ["TMPDIR"]  # or it wants a HOME

import loop
import polars

options = {"aws_endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"], "aws_allow_http": "true",
           "aws_virtual_hosted_style_request": "false"}


def whoami():
    return polars.read_csv("s3://conformance/whoami", has_header=False, separator="\t", storage_options=options).item()


loop.main(polars.__version__, whoami)
