import assert from 'node:assert/strict'
import test from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { parseConnection } from './connection.ts'
import { settingsOf } from './settings.ts'

test('connection strings in both forms, with what must be escaped in them', () => {
  const plain = (text: string) => ({ ...parseConnection(text) })
  assert.deepEqual(plain('postgres://us%40er:p%3Aw%2F@db:5433/name?sslmode=require&application_name=x%20y'), {
    user: 'us@er',
    password: 'p:w/',
    host: 'db',
    port: '5433',
    dbname: 'name',
    sslmode: 'require',
    application_name: 'x y',
  })
  assert.deepEqual(plain('postgresql:///name?host=/run/postgresql'), { dbname: 'name', host: '/run/postgresql' })
  assert.deepEqual(plain('postgres://u@[::1]:5433,b/d'), { user: 'u', host: '::1,b', port: '5433,5432', dbname: 'd' })
  assert.deepEqual(plain(String.raw`host=db user = 'a\'b\\c' password=x\ y dbname=''`), {
    host: 'db',
    user: String.raw`a'b\c`,
    password: 'x y',
    dbname: '',
  })
  assert.deepEqual(plain(' '), {})
})

test('what cannot be read or is unknown is refused without telling any of it', () => {
  for (const text of [
    'sesame',
    'host=h sesame',
    "password='sesame",
    'postgres://u:sesame@h:p/d',
    'postgres://%sesame@h/d',
  ]) {
    assert.throws(
      () => parseConnection(text),
      (error: unknown) => error instanceof ApiError && !/sesame/.test(error.message + (error.reason ?? '')),
      text,
    )
  }
  assert.throws(() => parseConnection('postgres://h/d?colour=red'), /unknown word "colour"/)
})

test('the environment fills in, VAULT_PG_CONNECTION_URL goes before the file, BAO_ before that', () => {
  const variables = { PGHOST: 'e', PGUSER: 'eu', PGPASSWORD: 'ep', PGDATABASE: 'ed', PGPORT: '1', PGSSLMODE: 'disable' }
  const ofBoth = settingsOf({ connection_url: 'postgres://fu@f/fd' }, variables)
  assert.deepEqual(ofBoth.place.hosts, [{ host: 'f', port: 1, tls: undefined }])
  const { user, password, database } = ofBoth.place.client
  assert.deepEqual([user, password, database], ['fu', 'ep', 'fd'])
  const hostOf = (environment: Record<string, string>) =>
    settingsOf({ connection_url: 'postgres://f/d' }, environment).place.hosts[0]!.host
  assert.equal(hostOf({ VAULT_PG_CONNECTION_URL: 'postgres://v/d' }), 'v')
  assert.equal(hostOf({ VAULT_PG_CONNECTION_URL: 'postgres://v/d', BAO_PG_CONNECTION_URL: 'postgres://b/d' }), 'b')
})

test('TLS as libpq has it: tried by default, checked only when that is asked for', () => {
  const placeOf = (query: string) => settingsOf({ connection_url: `postgres://u@db/d${query}` }, {}).place
  assert.equal(placeOf('').plainIfRefused, true)
  assert.equal(placeOf('').hosts[0]!.tls!.rejectUnauthorized, false)
  assert.equal(placeOf('?sslmode=require').plainIfRefused, false)
  assert.equal(placeOf('?sslmode=require').hosts[0]!.tls!.rejectUnauthorized, false)
  const full = placeOf('?sslmode=verify-full').hosts[0]!.tls!
  assert.deepEqual([full.rejectUnauthorized, full.servername, full.checkServerIdentity], [true, 'db', undefined])
  const authority = placeOf('?sslmode=verify-ca').hosts[0]!.tls!
  assert.equal(authority.rejectUnauthorized, true)
  assert.equal(authority.checkServerIdentity!('any', {} as never), undefined)
  assert.equal(placeOf('?sslmode=disable').hosts[0]!.tls, undefined)
})

test('numbers and times have bounds', () => {
  const of = (options: Record<string, string>) => settingsOf({ connection_url: 'postgres://u@h/d', ...options }, {})
  assert.deepEqual(
    ['1s', '250ms', '2', ''].map((given) => of({ max_staleness: given }).stalenessMs),
    [1000, 250, 2000, 1000],
  )
  for (const given of ['10ms', '61s', 'soon', '-1s', '1h']) {
    assert.throws(() => of({ max_staleness: given }), /max_staleness is from/, given)
  }
  for (const given of ['0', '1001', '2.5', 'x']) assert.throws(() => of({ max_parallel: given }), /max_parallel/, given)
  assert.equal(of({ max_parallel: '2' }).maxIdle, 2)
  assert.throws(() => of({ table: 'x'.repeat(49) }), /table/)
  assert.throws(() => of({ connection_url: 'postgres://u@h:70000/d' }), /port/)
})
