"""Arrow's S3 file system: aws-sdk-cpp's default chain."""
import os

import loop
import pyarrow
from pyarrow import fs

s3 = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL_S3"].removeprefix("http://"), scheme="http")


def whoami():
    with s3.open_input_stream("conformance/whoami") as f:
        return f.read().decode()


loop.main(pyarrow.__version__, whoami)
