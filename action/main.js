// main installs brs-exec, has it serve the job's credentials, and tells the later steps where.
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { spawn } = require('node:child_process')
const { setTimeout: sleep } = require('node:timers/promises')

const { download } = require('./release.js')
const { Told, append, capture, input, lines, main } = require('./runner.js')

main(async () => {
  const scratch = fs.mkdtempSync(path.join(process.env.RUNNER_TEMP || os.tmpdir(), 'brs-exec-'))
  append('STATE', { scratch })
  const program = input('path') ? path.resolve(input('path')) : await download(scratch)
  append('PATH', path.dirname(program))
  const about = await capture(program, '--version')
  append('OUTPUT', { version: about.split('\n')[0].replace('brs-exec ', '') })
  console.log(about)

  const flags = lines(input('flags'))
  if (input('role-arn')) flags.push('--web-identity', 'github-actions', '--role-arn', input('role-arn'))
  if (flags.length > 0) await serve(program, flags, scratch)
})

// serve starts brs-exec for the rest of the job, and waits for its first credentials. How long it tries is its
// own affair (--start-timeout).
async function serve(program, flags, scratch) {
  if (process.platform === 'win32') {
    throw new Told('brs-exec serves no other steps on Windows. Leave role-arn and flags out, and write into each step: ' +
      'brs-exec --web-identity github-actions --role-arn … -- COMMAND')
  }
  const share = path.join(scratch, 'share')
  const log = path.join(scratch, 'log')
  const fd = fs.openSync(log, 'a', 0o600)
  const env = { ...process.env }
  if (input('region')) env.AWS_REGION = env.AWS_DEFAULT_REGION = input('region')
  const server = spawn(program, ['--serve', '--share', share, ...flags], { detached: true, env, stdio: ['ignore', fd, fd] })
  let ended
  server.on('error', (err) => { ended = err.message })
  server.on('exit', (status, signal) => { ended ??= `it ended with ${signal ?? `status ${status}`}` })
  if (server.pid) append('STATE', { pid: server.pid })
  const list = path.join(share, 'env') // is there once the first credentials are
  while (!fs.existsSync(list)) {
    if (ended) {
      append('STATE', { pid: '' }) // there is nothing to end
      const said = fs.readFileSync(log, 'utf8').trim()
      throw new Told(said || ended)
    }
    await sleep(50)
  }
  server.unref()

  const variables = lines(fs.readFileSync(list, 'utf8'))
  const token = variables.find((line) => line.startsWith('AWS_CONTAINER_AUTHORIZATION_TOKEN='))
  console.log(`::add-mask::${token.slice(token.indexOf('=') + 1)}`)
  append('ENV', variables.join('\n'))
  append('OUTPUT', { share })
  const warnings = fs.readFileSync(log, 'utf8').trim()
  if (warnings) console.log(warnings)
}
