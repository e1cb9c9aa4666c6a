// The default chain of AWS SDK for JavaScript v3.
// usage: who | loop SECONDS [PAUSE], as in ../loop.py.
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");
const { version } = require("@aws-sdk/client-sts/package.json");
const { run } = require("./loop.js");

const sts = new STSClient({});
run(version, async () => (await sts.send(new GetCallerIdentityCommand({}))).Arn);
