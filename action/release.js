// release fetches brs-exec from a release, and checks it.
'use strict'

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { Told, capture, input } = require('./runner.js')

const windows = process.platform === 'win32'

// download puts the program of the release into a folder, and returns its path.
async function download(folder) {
  const version = wanted()
  const base = `${releases()}/v${version}`
  const archive = `brs-exec_${version}_${platform()}.${windows ? 'zip' : 'tar.gz'}`
  const content = await get(`${base}/${archive}`)
  const sum = crypto.createHash('sha256').update(content).digest('hex')
  const right = input('sha256').toLowerCase() || listed(await get(`${base}/checksums.txt`), archive)
  if (sum !== right) throw new Told(`${archive} has the SHA-256 ${sum}, not ${right}`)

  const file = path.join(folder, archive)
  const bin = path.join(folder, 'bin')
  fs.writeFileSync(file, content)
  fs.mkdirSync(bin)
  // Windows' own tar reads zip files; Git's, which may come first in PATH, does not.
  const tar = windows ? path.join(process.env.SystemRoot, 'System32', 'tar.exe') : 'tar'
  await capture(tar, '-xf', file, '-C', bin)
  fs.rmSync(file)
  return path.join(bin, windows ? 'brs-exec.exe' : 'brs-exec')
}

function wanted() {
  const version = (input('version') || process.env.GITHUB_ACTION_REF || '').replace(/^v/, '')
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) {
    throw new Told('which release? Write with: {version: 1.2.3}, or uses: …@v1.2.3')
  }
  return version
}

function releases() {
  const repository = process.env.GITHUB_ACTION_REPOSITORY
  if (!input('download-url') && !repository) throw new Told('where is the release? Write with: {download-url: …}')
  return input('download-url').replace(/\/+$/, '') || `${process.env.GITHUB_SERVER_URL}/${repository}/releases/download`
}

// platform is the part of an archive's name that says what it runs on.
function platform() {
  const system = windows ? 'windows' : process.platform
  const processor = { x64: 'amd64', arm64: 'arm64' }[process.arch]
  if (!['linux', 'darwin', 'windows'].includes(system) || !processor) {
    throw new Told(`there is no brs-exec for ${process.platform} on ${process.arch}`)
  }
  return `${system}_${processor}`
}

// listed is a file's checksum in a list as sha256sum prints it.
function listed(list, file) {
  for (const line of list.toString().split('\n')) {
    const [sum, name] = line.trim().split(/\s+\*?/)
    if (name === file) return sum.toLowerCase()
  }
  throw new Told(`the release's list of checksums has no ${file}`)
}

// get tries three times: what fails at once in a job is mostly well a moment later.
async function get(url) {
  for (let pause = 1000; ; pause *= 3) {
    let why
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(120_000) })
      if (answer.ok) return Buffer.from(await answer.arrayBuffer())
      why = `HTTP ${answer.status}`
      if (answer.status < 500 && answer.status !== 429) pause = Infinity
    } catch (err) {
      why = err.cause?.message || err.message
    }
    if (pause > 3000) throw new Told(`${url}: ${why}`)
    await sleep(pause)
  }
}

module.exports = { download }
