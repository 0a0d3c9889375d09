import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { MAXIMUM_DETAIL_BYTES } from './contract.ts';

/** What a request's body holds, for the bus. */
export type Content =
  | { kind: 'callback'; detail: string; mustComeOnce: boolean }
  /** Nothing, or no JSON object, such as a health check of somebody's: no callback of the client. */
  | { kind: 'none' }
  | { kind: 'too-large'; bytes: number };

/** By the names of content codings (RFC 9110, 8.4.1; RFC 7932; RFC 8878). */
const DECODERS: Record<string, (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>> = {
  gzip: promisify(zlib.gunzip),
  'x-gzip': promisify(zlib.gunzip),
  deflate: promisify(zlib.inflate),
  br: promisify(zlib.brotliDecompress),
  zstd: promisify(zlib.zstdDecompress),
};

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Reads what a body holds, uncompressed. The webhook gets the body itself. */
export async function contentOf(body: Buffer, contentEncoding = ''): Promise<Content> {
  // First let the request to the webhook out.
  await setImmediate();
  try {
    const bytes = await decoded(body, contentEncoding);
    if (bytes.length > MAXIMUM_DETAIL_BYTES) return { kind: 'too-large', bytes: bytes.length };
    const detail = decoder.decode(bytes);
    const value: unknown = JSON.parse(detail);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { kind: 'none' };
    return { kind: 'callback', detail, mustComeOnce: GC_MEMBER.test(detail) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ERR_BUFFER_TOO_LARGE' ? { kind: 'too-large', bytes: body.length } : { kind: 'none' };
  }
}

/**
 * What is not in the coding that its header names is taken as it stands: a proxy in between may have decoded it, and what it holds
 * decides.
 */
async function decoded(body: Buffer, contentEncoding: string): Promise<Buffer> {
  const codings = contentEncoding.split(',').map((coding) => coding.trim().toLowerCase());
  let bytes = body;
  for (const coding of codings.reverse()) {
    const decode = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
    if (!decode) continue;
    try {
      bytes = await decode(bytes, { maxOutputLength: MAXIMUM_DETAIL_BYTES + 1 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw error;
    }
  }
  return bytes;
}

/**
 * A member `gc` anywhere, however it is escaped and however often it stands there: of two of one name a parser shows the last only.
 *
 * A callback with one may not get on the bus before the webhook took it. A notification of garbage collection tells neither its run
 * nor its time: one that comes again, minutes later, would pass for the answer to a later request. Inbound messages and statuses,
 * which are nearly all there is, have ids, and may come twice.
 */
const GC_MEMBER = /"(?:g|\\u0067)(?:c|\\u0063)"\s*:/;
