import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** A request as it came over the wire. */
export interface SignedRequest {
  method: string;
  url: URL;
  headers: Record<string, string | string[] | undefined>;
  body: Uint8Array;
}

/** Who a request says it is from, and for what. */
export interface SignatureScope {
  accessKeyId: string;
  region: string;
  service: string;
  /** In the query rather than in a header. */
  presigned: boolean;
}

interface Signature extends SignatureScope {
  day: string;
  signedHeaders: string[];
  signature: string;
  /** ISO 8601 without punctuation, as `X-Amz-Date` has it. */
  date: string;
  /** Seconds that it holds; undefined for a header, which holds for {@link TOLERANCE}. */
  expires: number | undefined;
}

/** Milliseconds by which a caller's clock may be wrong: AWS Signature Version 4, five minutes. */
const TOLERANCE = 5 * 60_000;
const ALGORITHM = 'AWS4-HMAC-SHA256';

/** Undefined for a request that is not signed. */
export function signatureScope(request: SignedRequest): SignatureScope | undefined {
  return readSignature(request);
}

/**
 * Whether a request bears the signature that the secret key makes, by AWS Signature Version 4 as it is documented:
 * nothing of the SDK's own signer is used here.
 *
 * @param now epoch milliseconds; undefined if the time does not count
 * @returns undefined if it does; otherwise AWS's sentence
 */
export function signatureFault(
  request: SignedRequest,
  secretAccessKey: string,
  now: number | undefined,
): string | undefined {
  const signed = readSignature(request);
  if (signed === undefined) return 'Missing Authentication Token';
  const late = now === undefined ? undefined : timeFault(signed, now);
  if (late !== undefined) return late;
  if (!signed.date.startsWith(signed.day)) {
    return `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${signed.day}' != '${signed.date.slice(0, 8)}'.`;
  }
  if (!signed.signedHeaders.includes('host')) return "'Host' must be a 'SignedHeader' in the Authorization.";
  // As S3 documents it, of all services: what else could be given to an address that another has signed?
  const unsigned = Object.keys(request.headers).find(
    (name) =>
      signed.service === 's3' &&
      name.startsWith('x-amz-') &&
      name !== 'x-amz-content-sha256' &&
      !signed.signedHeaders.includes(name),
  );
  if (unsigned) return `There were headers present in the request which were not signed: ${unsigned}`;
  const expected = signatureOf(request, signed, secretAccessKey);
  const given = Buffer.from(signed.signature, 'hex');
  if (given.length === expected.length && timingSafeEqual(given, expected)) return undefined;
  return 'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';
}

/** A URL that bears its own signature. */
export function presigned(
  url: string,
  key: { accessKeyId: string; secretAccessKey: string; region: string; service: string },
  /** Epoch milliseconds. */
  now: number,
  seconds: number,
): string {
  const { accessKeyId, secretAccessKey, region, service } = key;
  const date = basic(now);
  const day = date.slice(0, 8);
  const signed = new URL(url);
  for (const [name, value] of Object.entries({
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `${accessKeyId}/${day}/${region}/${service}/aws4_request`,
    'X-Amz-Date': date,
    'X-Amz-Expires': String(seconds),
    'X-Amz-SignedHeaders': 'host',
  }))
    signed.searchParams.set(name, value);
  const request = { method: 'GET', url: signed, headers: { host: signed.host }, body: new Uint8Array() };
  const signature = signatureOf(
    request,
    { day, date, region, service, signedHeaders: ['host'] },
    secretAccessKey,
  );
  return `${signed.href}&X-Amz-Signature=${signature.toString('hex')}`;
}

function signatureOf(
  request: SignedRequest,
  signed: Pick<Signature, 'day' | 'date' | 'region' | 'service' | 'signedHeaders'>,
  secretAccessKey: string,
): Buffer {
  const { day, region, service, date, signedHeaders } = signed;
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = [ALGORITHM, date, scope, digest(canonicalRequest(request, signedHeaders, service))].join('\n');
  return hmac(signingKey(secretAccessKey, day, region, service), text);
}

/** Callers sign with the same one for a day: deriving it was half of a signature's work. */
const signingKeys = new Map<string, Buffer>();
const MOST_KEYS = 1000;

function signingKey(
  secretAccessKey: string,
  ...scope: [day: string, region: string, service: string]
): Buffer {
  const name = [secretAccessKey, ...scope].join('\n');
  const known = signingKeys.get(name);
  if (known !== undefined) return known;
  let key: Buffer = Buffer.from(`AWS4${secretAccessKey}`);
  for (const part of [...scope, 'aws4_request']) key = hmac(key, part);
  if (signingKeys.size === MOST_KEYS) signingKeys.clear();
  signingKeys.set(name, key);
  return key;
}

function readSignature({ headers, url }: SignedRequest): Signature | undefined {
  const header = String(headers.authorization ?? '');
  if (header.startsWith(`${ALGORITHM} `)) {
    const part = (name: string) => new RegExp(`${name}=([^,\\s]+)`).exec(header)?.[1] ?? '';
    return withScope(part('Credential'), {
      presigned: false,
      signedHeaders: part('SignedHeaders').split(';'),
      signature: part('Signature'),
      date: String(headers['x-amz-date'] ?? ''),
      expires: undefined,
    });
  }
  const of = (name: string) => url.searchParams.get(name) ?? '';
  if (of('X-Amz-Algorithm') !== ALGORITHM) return undefined;
  return withScope(of('X-Amz-Credential'), {
    presigned: true,
    signedHeaders: of('X-Amz-SignedHeaders').split(';'),
    signature: of('X-Amz-Signature'),
    date: of('X-Amz-Date'),
    expires: Number(of('X-Amz-Expires')),
  });
}

function withScope(
  credential: string,
  rest: Omit<Signature, 'accessKeyId' | 'day' | 'region' | 'service'>,
): Signature | undefined {
  const scope = /^([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request$/.exec(credential);
  if (scope === null) return undefined;
  const [, accessKeyId = '', day = '', region = '', service = ''] = scope;
  return { accessKeyId, day, region, service, ...rest };
}

function timeFault({ date, expires }: Signature, now: number): string | undefined {
  const iso = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (iso === null) return 'Date must be in ISO-8601 basic format.';
  const [, year, month, day, hour, minute, second] = iso;
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const until = at + (expires === undefined ? TOLERANCE : expires * 1_000);
  if (now > until) return `Signature expired: ${date} is now earlier than ${basic(now - (until - at))}`;
  if (now < at - TOLERANCE) return `Signature not yet current: ${date} is still later than ${basic(now)}`;
  return undefined;
}

function basic(time: number): string {
  return `${new Date(time).toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}Z`;
}

function canonicalRequest(
  { method, url, headers, body }: SignedRequest,
  signedHeaders: string[],
  service: string,
): string {
  const query = [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encoded(name), encoded(value)])
    .sort(([a = '', x = ''], [b = '', y = '']) => compare(a, b) || compare(x, y))
    .map((pair) => pair.join('='))
    .join('&');
  const lines = signedHeaders.map(
    (name) =>
      `${name}:${String(headers[name] ?? '')
        .trim()
        .replaceAll(/\s+/g, ' ')}`,
  );
  // An address of S3's is signed before anybody has the body.
  const unsigned = service === 's3' && url.searchParams.has('X-Amz-Signature') && 'UNSIGNED-PAYLOAD';
  const payload = headers['x-amz-content-sha256'] ?? (unsigned || digest(body));
  const parts = url.pathname.split('/');
  return [
    method,
    // The path stands encoded on the wire; for the signature it is encoded once more, but for S3.
    (service === 's3' ? parts.map(decodeURIComponent) : parts).map(encoded).join('/'),
    query,
    ...lines,
    '',
    signedHeaders.join(';'),
    payload,
  ].join('\n');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function digest(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
