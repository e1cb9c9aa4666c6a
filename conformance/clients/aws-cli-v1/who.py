"""The aws command itself, its main function called again and again with one session."""
import contextlib
import io
import os

import awscli
import awscli.clidriver
import loop

aws = awscli.clidriver.create_clidriver()
args = ["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]
if awscli.__version__.startswith("2."):
    # Debian's 2.9 does not know AWS_ENDPOINT_URL_STS yet.
    args += ["--no-cli-pager", "--endpoint-url", os.environ["AWS_ENDPOINT_URL_STS"]]


def whoami():
    out, errs = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errs):
        status = aws.main(args)
    if status:
        raise RuntimeError(f"status {status}: {errs.getvalue().strip()}")
    return out.getvalue().strip()


loop.main(awscli.__version__, whoami)
