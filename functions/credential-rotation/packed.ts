import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';

/**
 * A value for the run's history, where it takes a fifth or so of its JSON: of 5,000 tasks, each with an address of IPv4 and one of
 * IPv6, the addresses alone would be more than the 262,144 bytes that Lambda takes as a step's result.
 */
export type Packed<Value> = string & { readonly packed?: Value };

/** Of 11: the ones above take seconds for some percent. */
const QUALITY = 6;

export function pack<Value>(value: Value): Packed<Value> {
  const params = { [constants.BROTLI_PARAM_QUALITY]: QUALITY };
  return brotliCompressSync(JSON.stringify(value), { params }).toString('base64');
}

export function unpack<Value>(packed: Packed<Value>): Value {
  return JSON.parse(brotliDecompressSync(Buffer.from(packed, 'base64')).toString()) as Value;
}
