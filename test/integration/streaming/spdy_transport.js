// An exec by the client of another implementation of SPDY/3.1 (npm's spdy-transport, which keeps to windows both ways):
//   node spdy_transport.js URL BYTES     sends BYTES to stdin, and prints what came back as JSON
'use strict'
const crypto = require('crypto')
const net = require('net')
const transport = require('spdy-transport')

const url = new URL(process.argv[2])
const bytes = Buffer.alloc(Number(process.argv[3]), 'wherry\n')
const socket = net.connect(url.port, '127.0.0.1')
socket.write(`POST ${url.pathname} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n` +
  'X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n')

let head = Buffer.alloc(0)
socket.on('data', function onHead (data) {
  head = Buffer.concat([head, data])
  const end = head.indexOf('\r\n\r\n')
  if (end < 0) return
  socket.removeListener('data', onHead)
  socket.pause()
  if (head.length > end + 4) socket.unshift(head.slice(end + 4))
  run()
})

function run () {
  const connection = transport.connection.create(socket, { protocol: 'spdy', isServer: false })
  connection.start(3.1)
  connection.on('error', (error) => { result.errors.push(String(error)) })
  const result = { sent: digest(bytes), ponged: false, errors: [], ended: [] }
  connection.ping(() => { result.ponged = true })
  let open = 0
  const hashes = {}
  for (const name of ['error', 'stdin', 'stdout', 'stderr']) {
    ++open
    connection.request({ path: '/', host: 'x', headers: { streamtype: name } }, (error, stream) => {
      if (error) return result.errors.push(String(error))
      const chunks = []
      stream.on('data', (chunk) => chunks.push(chunk))
      stream.on('error', (e) => result.errors.push(name + ': ' + e))
      stream.on('end', () => {
        result.ended.push(name)
        const all = Buffer.concat(chunks)
        hashes[name] = all
        if (--open > 0) return
        result.stdout = digest(hashes.stdout)
        result.stderr = String(hashes.stderr)
        result.status = String(hashes.error)
        console.log(JSON.stringify(result))
        process.exit(0)
      })
      if (name === 'stdin') stream.end(bytes)
    })
  }
}

function digest (buffer) { return buffer.length + ' ' + crypto.createHash('sha256').update(buffer).digest('hex') }
