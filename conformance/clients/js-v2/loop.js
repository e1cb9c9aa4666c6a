exports.run = async (version, whoami) => {
  if (process.argv[2] === "who") {
    console.log(await whoami());
    return;
  }
  const pause = (process.argv[4] ?? 0.2) * 1000;
  let calls = 0;
  const errors = [], arns = new Set();
  let due = Date.now();
  for (const end = due + process.argv[3] * 1000; Date.now() < end; ) {
    calls++;
    try {
      arns.add(await whoami());
    } catch (e) {
      errors.push(String(e));
    }
    due = Math.max(due + pause, Date.now());
    await new Promise((done) => setTimeout(done, due - Date.now()));
  }
  console.log(JSON.stringify({ version, calls, errors, arns: [...arns] }));
};
