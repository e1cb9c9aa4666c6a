<?php
// The default chain of AsyncAws, PHP's other SDK; it knows neither FULL_URI nor
// credential_process. A client keeps the keys of a file for its life, so each call has its
// own client, as each request has in PHP. usage: who | loop SECONDS, as in ../loop.py.
require '/usr/share/php/AsyncAws/Core/autoload.php';

use AsyncAws\Core\Sts\StsClient;

$whoami = fn () => (new StsClient(['endpoint' => getenv('AWS_ENDPOINT_URL_STS')]))->getCallerIdentity()->getArn();

if ($argv[1] === 'who') {
    echo $whoami(), "\n";
    exit;
}

$calls = 0;
$errors = $arns = [];
for ($stop = microtime(true) + (float) $argv[2]; microtime(true) < $stop; usleep(200000)) {
    ++$calls;
    try {
        $arns[$whoami()] = true;
    } catch (Throwable $e) {
        $errors[] = get_class($e).': '.$e->getMessage();
    }
}
$package = json_decode(shell_exec("dpkg-query -W -f '\"\${Version}\"' php-async-aws-core") ?? 'null');
echo json_encode(['version' => $package, 'calls' => $calls, 'errors' => $errors, 'arns' => array_keys($arns)]), "\n";
