// The default chain of AWS SDK for JavaScript v2.
// usage: who | loop SECONDS [PAUSE], as in ../loop.py.
const AWS = require("aws-sdk");
const { run } = require("./loop.js");

// v2 does not know AWS_ENDPOINT_URL_STS, nor AWS_DEFAULT_REGION.
const sts = new AWS.STS({ endpoint: process.env.AWS_ENDPOINT_URL_STS });
run(AWS.VERSION, async () => (await sts.getCallerIdentity().promise()).Arn);
