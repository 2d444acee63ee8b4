/** What to do about a failure, where that can be told from it. Pure. */
import type { ClientError, ConnectionError } from '#client/errors.ts'

/** @param origin  where the address comes from: `-address` or the name of a variable; undefined for the default */
export function connectionHint(
  error: ConnectionError,
  address: string,
  origin: string | undefined,
): string | undefined {
  const set = origin
    ? `The address was taken from ${origin}.`
    : 'That is the default address: set another with -address=URL or STRONGROOM_ADDR.'
  switch (error.code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return `Nothing listens at ${address}. Is the server running there?\n${set}`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The name in ${address} cannot be resolved.\n${set}`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return `${address} does not answer.\n${set}`
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'EPROTO':
      return `The server at ${address} does not speak TLS. If it is meant to be plain HTTP, as in development mode, say http:// instead.\n${set}`
    case 'HPE_INVALID_CONSTANT':
    case 'ECONNRESET':
      return address.startsWith('http:')
        ? `The server at ${address} may expect TLS: try https:// instead.\n${set}`
        : undefined
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'The certificate of the server is not signed by an authority this machine knows. Name that authority with -ca-cert=FILE or STRONGROOM_CACERT.'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'The certificate of the server is for another name. Use that name in the address, or give it with -tls-server-name.'
    case 'CERT_HAS_EXPIRED':
      return 'The certificate of the server has expired and must be renewed there.'
    default:
      return undefined
  }
}

export function refusalHint(error: ClientError, lacksToken: boolean): string | undefined {
  if (error.status === 400 && error.text.includes('HTTP request to an HTTPS server'))
    return 'The server expects TLS: say https:// in -address or STRONGROOM_ADDR.'
  if ((error.status === 403 || error.status === 400) && lacksToken)
    return 'No token was sent. Run "strongroom login", or set STRONGROOM_TOKEN.'
  if (error.status === 503 && error.errors.some((each) => /sealed/i.test(each)))
    return 'The server is sealed. Run "strongroom operator unseal".'
  return undefined
}
