import { createHash } from 'node:crypto';
import type { ECSClient } from '@aws-sdk/client-ecs';
import { SignatureV4 } from '@smithy/signature-v4';

/** An AWS client's own configuration, which also knows by how many milliseconds AWS's clock is ahead of ours. */
export type SigningConfig = Pick<
  ECSClient['config'],
  'credentials' | 'region' | 'sha256' | 'systemClockOffset'
>;

/** Where a bucket is reached. */
export interface BucketPlace {
  bucket: string;
  /** Of the partition, such as `amazonaws.com`. */
  urlSuffix: string;
}

/** By which one object can be put, of one content, and only where no object is: whoever has it can do nothing else. Secret. */
export interface UploadAddress {
  /** Without the query. */
  url: string;
  /** All of the query but for the signature: the same for addresses that were signed together. */
  query: string;
  signature: string;
  /** To be sent with it, as they are. */
  headers: Record<string, string>;
}

/** S3's header for a checksum that it compares with what it receives. */
const CHECKSUM = 'x-amz-checksum-sha256';
/** So an object is put only where none is (S3 user guide, "conditional writes"). */
const ONLY_NEW = 'if-none-match';

/**
 * Signs the upload of an object whose content is known by its checksum. Nobody but S3 is asked, and it only when somebody uploads.
 *
 * @param key of letters, digits, and `. _ - /`, so that a path needs no escapes.
 * @param sha256 of the content, in hexadecimal digits.
 */
export async function signUpload(
  { bucket, urlSuffix }: BucketPlace,
  { key, sha256 }: { key: string; sha256: string },
  config: SigningConfig,
  { now, seconds }: { now: number; seconds: number },
): Promise<UploadAddress> {
  const region = await config.region();
  const { protocol, host, hostname, port, path } = placeOf(bucket, key, region, urlSuffix);
  const headers = { [CHECKSUM]: Buffer.from(sha256, 'hex').toString('base64'), [ONLY_NEW]: '*' };
  const signer = new SignatureV4({
    service: 's3',
    region,
    credentials: config.credentials,
    sha256: config.sha256,
    // S3 takes the path as it stands.
    uriEscapePath: false,
    applyChecksum: false,
  });
  const { query = {} } = await signer.presign(
    {
      method: 'PUT',
      protocol,
      hostname,
      ...(port !== '' && { port: Number(port) }),
      path,
      query: {},
      headers: { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...headers },
    },
    {
      signingDate: new Date(now + config.systemClockOffset),
      expiresIn: seconds,
      unhoistableHeaders: new Set([CHECKSUM, ONLY_NEW]),
      signableHeaders: new Set(['host', CHECKSUM, ONLY_NEW]),
    },
  );
  const { 'X-Amz-Signature': signature, ...others } = query;
  return {
    url: `${protocol}//${host}${path}`,
    query: Object.entries(others)
      .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
      .join('&'),
    signature: String(signature),
    headers,
  };
}

/** As a URL: to be written to no log, and into no error. */
export function urlOf({ url, query, signature }: UploadAddress): string {
  return `${url}?${query}&X-Amz-Signature=${signature}`;
}

/** As the SDK: at the endpoint of the environment, if there is one, and else by the bucket's own name where a certificate covers it. */
function placeOf(bucket: string, key: string, region: string, urlSuffix: string) {
  const endpoint = process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
  const inPath = endpoint !== undefined || bucket.includes('.');
  const regional = `s3.${region}.${urlSuffix}`;
  const { protocol, host, hostname, port } = new URL(
    endpoint ?? `https://${inPath ? regional : `${bucket}.${regional}`}`,
  );
  return { protocol, host, hostname, port, path: inPath ? `/${bucket}/${key}` : `/${key}` };
}

/** SHA-256 in hexadecimal digits. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
