"""aws-c-auth's default chain and signer; the request itself is sent by urllib."""
import os
import re
import urllib.error
import urllib.parse
import urllib.request

import awscrt
import loop
from awscrt.auth import AwsCredentialsProvider, AwsSigningAlgorithm, AwsSigningConfig, aws_sign_request
from awscrt.http import HttpHeaders, HttpRequest

url = os.environ["AWS_ENDPOINT_URL_STS"]
path = "/?Action=GetCallerIdentity&Version=2011-06-15"
provider = AwsCredentialsProvider.new_default_chain()
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def whoami():
    request = HttpRequest("GET", path, HttpHeaders([("Host", urllib.parse.urlsplit(url).netloc)]))
    config = AwsSigningConfig(AwsSigningAlgorithm.V4, region=os.environ["AWS_REGION"], service="sts", credentials_provider=provider)
    aws_sign_request(request, config).result(timeout=60)
    try:
        with direct.open(urllib.request.Request(url + path, headers=dict(request.headers))) as answer:
            return re.search("<Arn>(.*)</Arn>", answer.read().decode())[1]
    except urllib.error.HTTPError as e:
        raise RuntimeError(f"{e.code}: {e.read().decode()}") from None


loop.main(awscrt.__version__, whoami)
