"""s3cmd, configured with nothing but the stand-in's address; its keys are those of the environment. usage: who"""
import os
import subprocess
import sys
from urllib.parse import urlsplit

host = urlsplit(os.environ["AWS_ENDPOINT_URL_S3"]).netloc
s3cmd = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", "bin", "s3cmd")
sys.exit(subprocess.call([
    sys.executable, s3cmd, "--config", os.devnull, "--host", host, "--host-bucket", host, "--no-ssl", "--region", "us-east-1",
    "--max-retries", "1", "--no-progress", "get", "s3://conformance/whoami", "-"]))
