exports.run = async (version, whoami) => {
  if (process.argv[2] === "who") {
    console.log(await whoami());
    return;
  }
  const pause = (process.argv[4] ?? 0.2) * 1000;
  let calls = 0;
  const errors = [], arns = new Set();
  for (const end = Date.now() + process.argv[3] * 1000; Date.now() < end; ) {
    calls++;
    try {
      arns.add(await whoami());
    } catch (e) {
      errors.push(String(e));
    }
    await new Promise((done) => setTimeout(done, pause));
  }
  console.log(JSON.stringify({ version, calls, errors, arns: [...arns] }));
};
