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

/** By which objects can be put, each of one content, and only where no object is: whoever has it can do nothing else. Secret. */
export interface UploadAddresses<Stored> {
  /** Such as `https://bucket.s3.eu-central-1.amazonaws.com`. */
  origin: string;
  /** What all their queries begin with: who signed, and when. */
  query: string;
  uploads: (Stored & Upload)[];
}

export interface Upload {
  path: string;
  signature: string;
  /** To be sent with it, as they are. */
  headers: Record<string, string>;
}

/** S3's header for a checksum that it compares with what it receives. */
const CHECKSUM = 'x-amz-checksum-sha256';
/** So an object is put only where none is (S3 user guide, "conditional writes"). */
const ONLY_NEW = 'if-none-match';

/**
 * Signs the uploads of objects whose contents are known by their checksums. Nobody but S3 is asked, and it only when somebody uploads.
 * All are signed with the same credentials for the same second, for they share what says so.
 *
 * @param objects their keys are of letters, digits, and `. _ - /`, so that a path needs no escapes; `sha256` has hexadecimal digits.
 */
export async function signUploads<Stored extends { key: string; sha256: string }>(
  { bucket, urlSuffix }: BucketPlace,
  objects: Stored[],
  config: SigningConfig,
  { now, seconds }: { now: number; seconds: number },
): Promise<UploadAddresses<Stored>> {
  const region = await config.region();
  const { protocol, host, hostname, port, folder } = placeOf(bucket, region, urlSuffix);
  const signer = new SignatureV4({
    service: 's3',
    region,
    credentials: await config.credentials(),
    sha256: config.sha256,
    // S3 takes the path as it stands.
    uriEscapePath: false,
    applyChecksum: false,
  });
  const signingDate = new Date(now + config.systemClockOffset);
  const signed = await Promise.all(
    objects.map(async (object) => {
      const path = `${folder}/${object.key}`;
      const headers = { [CHECKSUM]: Buffer.from(object.sha256, 'hex').toString('base64'), [ONLY_NEW]: '*' };
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
          signingDate,
          expiresIn: seconds,
          unhoistableHeaders: new Set([CHECKSUM, ONLY_NEW]),
          signableHeaders: new Set(['host', CHECKSUM, ONLY_NEW]),
        },
      );
      const { 'X-Amz-Signature': signature, ...others } = query;
      return { query: others, upload: { ...object, path, signature: String(signature), headers } };
    }),
  );
  return {
    origin: `${protocol}//${host}`,
    query: Object.entries(signed[0]?.query ?? {})
      .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
      .join('&'),
    uploads: signed.map(({ upload }) => upload),
  };
}

/** As a URL: to be written to no log, and into no error. */
export function urlOf(
  { origin, query }: Pick<UploadAddresses<unknown>, 'origin' | 'query'>,
  { path, signature }: Upload,
): string {
  return `${origin}${path}?${query}&X-Amz-Signature=${signature}`;
}

/** As the SDK: at the endpoint of the environment, if there is one, and else by the bucket's own name where a certificate covers it. */
function placeOf(bucket: string, region: string, urlSuffix: string) {
  const endpoint = process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
  const inPath = endpoint !== undefined || bucket.includes('.');
  const regional = `s3.${region}.${urlSuffix}`;
  const { protocol, host, hostname, port } = new URL(
    endpoint ?? `https://${inPath ? regional : `${bucket}.${regional}`}`,
  );
  return { protocol, host, hostname, port, folder: inPath ? `/${bucket}` : '' };
}

/** SHA-256 in hexadecimal digits. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
