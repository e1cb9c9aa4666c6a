"""Answers, for each case on standard input, who botocore would be.

A case is one line of JSON: {"env": {...}, "profile": "..." or null}. The answer is one line:
{"key": ACCESS_KEY_ID, "token": SESSION_TOKEN or null}, {"none": true} or {"error": CLASS, "text": MESSAGE}.
"""

import json
import os
import sys

import botocore.credentials
import botocore.loaders
import botocore.session
import botocore.tokens

LOADER = botocore.loaders.Loader()  # the service models are the same for all


def answer(case):
    os.environ.clear()
    os.environ.update(case["env"])
    for provider in botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider:
        provider._SSO_TOKEN_CACHE_DIR = os.path.expanduser("~/.aws/sso/cache")  # read once, when it is imported
    session = botocore.session.Session(profile=case["profile"])
    session.register_component("data_loader", LOADER)
    session.get_scoped_config()  # as aws does it first: a profile that was named must exist
    session.get_auth_token()  # as every client does it: an SSO session that is named must exist
    credentials = session.get_credentials()
    if credentials is None:
        return {"none": True}
    frozen = credentials.get_frozen_credentials()
    return {"key": frozen.access_key, "secret": frozen.secret_key, "token": frozen.token}


for line in sys.stdin:
    try:
        result = answer(json.loads(line))
    except Exception as e:  # whatever it is, aws would end with it
        result = {"error": type(e).__name__, "text": str(e)}
    print(json.dumps(result), flush=True)
