// runner is how an action speaks with the program that runs the job.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
'use strict'

const fs = require('node:fs')
const { execFile } = require('node:child_process')
const { EOL } = require('node:os')

// Told is an error that the user can act on by its words alone.
class Told extends Error {}

// main does the work. An error fails the step, with its words as the job's annotation.
async function main(work) {
  try {
    await work()
  } catch (err) {
    const text = err instanceof Told ? err.message : err.stack
    console.log(`::error title=brs-exec::${escaped(text)}`)
    process.exitCode = 1
  }
}

// escaped keeps a text of several lines one command.
const escaped = (text) => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')

const input = (name) => (process.env[`INPUT_${name.toUpperCase()}`] || '').trim()

const lines = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean)

// append adds to one of the files that the runner reads after the step: NAME=VALUE lines, or a text.
function append(file, what) {
  const text = typeof what === 'string' ? what : Object.entries(what).map(([name, value]) => `${name}=${value}`).join(EOL)
  fs.appendFileSync(process.env[`GITHUB_${file}`], text + EOL)
}

// capture runs a program, and returns what it printed.
function capture(program, ...args) {
  return new Promise((resolve, reject) => {
    execFile(program, args, (err, stdout, stderr) => {
      if (err) reject(new Told(stderr.trim() || err.message))
      else resolve(stdout.trim())
    })
  })
}

module.exports = { Told, append, capture, escaped, input, lines, main }
