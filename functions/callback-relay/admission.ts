import { createHash, timingSafeEqual } from 'node:crypto';
import type { LambdaFunctionURLEvent } from 'aws-lambda';
import { type CallbackRelaySettings, RELAY_METRICS } from './contract.ts';

/** A request's body, or why it is refused. */
export type Admitted = { body: Buffer } | { status: number; headers: Record<string, string>; metric: string };

/**
 * Admits POSTs to a secret path, up to a size. Whoever does not know the path learns nothing: neither by the answer nor by
 * how long it takes, for hashes of one length are compared, all of them and to their end.
 */
export function admission({
  secretPathHashes,
  maximumBytes,
}: CallbackRelaySettings): (event: LambdaFunctionURLEvent) => Admitted {
  const hashes = secretPathHashes.map((hash) => Buffer.from(hash, 'hex'));
  const refused = (status: number, headers: Record<string, string> = {}) => ({
    status,
    headers,
    metric: RELAY_METRICS.refused,
  });
  return ({ rawPath, requestContext, body = '', isBase64Encoded }) => {
    const hash = createHash('sha256').update(rawPath.slice(1)).digest();
    const isKnown = hashes.map((known) => timingSafeEqual(known, hash)).includes(true);
    if (!isKnown) return refused(404);
    if (requestContext.http.method !== 'POST') return refused(405, { allow: 'POST' });
    const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
    if (bytes.length > maximumBytes) return { ...refused(413), metric: RELAY_METRICS.overLimit };
    return { body: bytes };
  };
}
