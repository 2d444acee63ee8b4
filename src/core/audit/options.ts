/** The options of `sys/audit/<path>` that concern the format, whatever the kind of device. */
import { ApiError } from '#sdk/errors.ts'

export interface GivenFormat {
  logRaw: boolean
  hmacAccessor: boolean
  elideListResponses: boolean
}

/** @throws ApiError `invalid_request` for what is neither true nor false */
export function formatOptions(options: Readonly<Record<string, string>>): GivenFormat {
  return {
    logRaw: flag(options, 'log_raw', false),
    hmacAccessor: flag(options, 'hmac_accessor', true),
    elideListResponses: flag(options, 'elide_list_responses', false),
  }
}

/** In the spellings that strconv.ParseBool of the Go standard library knows, and its words for others. */
function flag(options: Readonly<Record<string, string>>, name: string, unset: boolean): boolean {
  const text = Object.hasOwn(options, name) ? options[name]! : ''
  if (text === '') return unset
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false
  throw new ApiError('invalid_request', `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`)
}
