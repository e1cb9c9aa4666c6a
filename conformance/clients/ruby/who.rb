# The default chain of Debian's aws-sdk-core; it knows credential_process, and no FULL_URI.
# usage: who | loop SECONDS, as in ../loop.py.
require "aws-sdk-core"
require "json"

# 3.168 does not know AWS_ENDPOINT_URL_STS.
STS = Aws::STS::Client.new(endpoint: ENV.fetch("AWS_ENDPOINT_URL_STS"))
WHOAMI = -> { STS.get_caller_identity.arn }

if ARGV[0] == "who"
  puts WHOAMI.call
  exit
end

calls, errors, arns = 0, [], []
stop = Process.clock_gettime(Process::CLOCK_MONOTONIC) + ARGV[1].to_f
while Process.clock_gettime(Process::CLOCK_MONOTONIC) < stop
  calls += 1
  begin
    arns |= [WHOAMI.call]
  rescue StandardError => e
    errors << "#{e.class}: #{e.message}"
  end
  sleep 0.2
end
puts JSON.generate(version: Aws::CORE_GEM_VERSION, calls: calls, errors: errors, arns: arns)
