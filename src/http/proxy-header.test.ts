import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseProxyHeader } from './proxy-header.ts'

const v1 = (line: string, rest = '') => parseProxyHeader(Buffer.from(`${line}\r\n${rest}`, 'latin1'))
const SIGNATURE = '0d0a0d0a000d0a515549540a'
const v2 = (hex: string) => parseProxyHeader(Buffer.from(SIGNATURE + hex, 'hex'))
const ip4 = 'c0000201c6336401dc04 01bb'.replace(' ', '')
const source = { address: '192.0.2.1', port: 56324 }

test('version 1: the source, and where the header ends', () => {
  const line = 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 443'
  assert.deepEqual(v1(line, 'GET / HTTP/1.1'), { kind: 'header', bytes: line.length + 2, source })
  const six = 'PROXY TCP6 2001:db8::1 2001:db8::2 1 65535'
  assert.deepEqual(v1(six), { kind: 'header', bytes: six.length + 2, source: { address: '2001:db8::1', port: 1 } })
  for (const line of ['PROXY UNKNOWN', 'PROXY UNKNOWN ffff::1 ffff::2 1 2'])
    assert.deepEqual(v1(line), { kind: 'header', bytes: line.length + 2, source: undefined })
})

test('version 1: what is not exactly of its form is refused', () => {
  for (const line of [
    'PROXY ',
    'PROXY TCP4',
    'PROXY tcp4 192.0.2.1 198.51.100.1 1 2',
    'PROXY TCP4 192.0.2.1 198.51.100.1 1',
    'PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3',
    'PROXY TCP4  192.0.2.1 198.51.100.1 1 2',
    'PROXY TCP4 192.0.2.1 198.51.100.1 1 65536',
    'PROXY TCP4 192.0.2.1 198.51.100.1 01 2',
    'PROXY TCP4 192.0.2.1 198.51.100.1 -1 2',
    'PROXY TCP4 192.0.2.256 198.51.100.1 1 2',
    'PROXY TCP4 192.0.2.01 198.51.100.1 1 2',
    'PROXY TCP4 2001:db8::1 2001:db8::2 1 2',
    'PROXY TCP6 192.0.2.1 198.51.100.1 1 2',
    'PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2',
    'PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n',
    `PROXY UNKNOWN ${'x'.repeat(100)}`,
  ])
    assert.equal(v1(line).kind, 'bad', line)
  assert.equal(parseProxyHeader(Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)).kind, 'bad')
})

test('version 2: addresses of both families, with additions or without', () => {
  assert.deepEqual(v2(`2111000c${ip4}`), { kind: 'header', bytes: 28, source })
  assert.deepEqual(v2(`21110010${ip4}0200016148`), { kind: 'header', bytes: 32, source })
  const six = `${'20010db8'.padEnd(31, '0')}1${'20010db8'.padEnd(31, '0')}2dc0401bb`
  assert.deepEqual(v2(`21210024${six}`), { kind: 'header', bytes: 52, source: { address: '2001:db8::1', port: 56324 } })
  const mapped = `00000000000000000000ffffc0000201${'0'.repeat(32)}dc0401bb`
  assert.deepEqual(v2(`21210024${mapped}`), { kind: 'header', bytes: 52, source })
  // The proxy's own connection, and those of which it knows nothing.
  for (const [hex, bytes] of [
    ['20000000', 16],
    [`2011000c${ip4}`, 28],
    ['21000000', 16],
    [`213100d8${'00'.repeat(216)}`, 232],
  ] as const)
    assert.deepEqual(v2(hex), { kind: 'header', bytes, source: undefined })
})

test('version 2: what is not exactly of its form is refused, before all of it has come', () => {
  for (const hex of [
    `1111000c${ip4}`,
    `2211000c${ip4}`,
    `2112000c${ip4}`,
    `2141000c${ip4}`,
    `2111000b${ip4.slice(2)}`,
    `2121000c${ip4}`,
    '2111ffff',
    '21111001',
    `2111000e${ip4}0200`,
    `21110010${ip4}02000861`,
  ])
    assert.equal(v2(hex).kind, 'bad', hex)
})

test('every beginning of a header asks for more, and nothing else does', () => {
  for (const whole of [
    Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n'),
    Buffer.from(`${SIGNATURE}2111000c${ip4}`, 'hex'),
  ]) {
    for (let length = 0; length < whole.length; length++)
      assert.deepEqual(parseProxyHeader(whole.subarray(0, length)), { kind: 'more' }, String(length))
    assert.equal(parseProxyHeader(whole).kind, 'header')
  }
  for (const other of ['GET / HTTP/1.1', 'POST /', 'PROXYX', 'proxy ', '\r\n\r\n\r\n', '\x16\x03\x01'])
    assert.deepEqual(parseProxyHeader(Buffer.from(other, 'latin1')), { kind: 'none' }, other)
})
