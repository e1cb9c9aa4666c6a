// post ends what main has started, when the job's steps are over.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { escaped, main } = require('./runner.js')

main(async () => {
  const { STATE_scratch: scratch, STATE_pid: pid } = process.env
  if (pid) {
    const list = path.join(scratch, 'share', 'env') // goes when brs-exec ends
    const early = !fs.existsSync(list)
    if (!early) await end(Number(pid))
    const said = fs.readFileSync(path.join(scratch, 'log'), 'utf8').trim()
    if (early) console.log('::warning title=brs-exec::it ended before the job did')
    if (said) console.log(`::warning title=brs-exec::${escaped(said)}`)
  }
  if (scratch) fs.rmSync(scratch, { recursive: true, force: true })
})

// end ends brs-exec, and waits until it has ended: it takes the share away, and its folder in TMPDIR.
async function end(pid) {
  process.kill(pid, 'SIGTERM')
  for (const limit = Date.now() + 10_000; runs(pid); await sleep(50)) {
    if (Date.now() > limit) return process.kill(pid, 'SIGKILL')
  }
}

// runs says whether a process does. In a container nobody may be there to take its status.
function runs(pid) {
  try {
    process.kill(pid, 0)
    const status = `/proc/${pid}/status`
    return !fs.existsSync(status) || !/^State:\s+Z/m.test(fs.readFileSync(status, 'utf8'))
  } catch {
    return false
  }
}
