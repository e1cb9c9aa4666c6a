# A script that signs with the keys of the environment, as many do; it knows nothing else.
# usage: who
curl -sS --aws-sigv4 aws:amz:us-east-1:s3 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
	-H "x-amz-security-token: $AWS_SESSION_TOKEN" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --fail-with-body \
	"$AWS_ENDPOINT_URL_S3/conformance/whoami"
