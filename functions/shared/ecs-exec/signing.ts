import type { ECSClient } from '@aws-sdk/client-ecs';
import { SignatureV4 } from '@smithy/signature-v4';

/**
 * What a request is signed with: an AWS client's own configuration, which also knows by how many milliseconds AWS's
 * clock is ahead of ours, as the client has learned from its answers.
 */
export type SigningConfig = Pick<
  ECSClient['config'],
  'credentials' | 'region' | 'sha256' | 'systemClockOffset'
>;

/** The name that Session Manager's data channels are signed for. */
const SERVICE = 'ssmmessages';

/** Any of these in the query, and AWS's plugin takes the URL as presigned (websocketchannel.go). */
const PRESIGNED = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
  'X-Amz-Security-Token',
];

/** Whether a URL bears its own signature, which a second one would spoil. */
export function isPresigned(url: string): boolean {
  const { searchParams } = new URL(url);
  return PRESIGNED.some((name) => searchParams.has(name));
}

/**
 * The headers that open a data channel: SigV4 of the websocket's upgrade by the caller's credentials, for the action
 * `ssmmessages:OpenDataChannel`. None for a URL that is presigned.
 */
export async function openingHeaders(url: string, config: SigningConfig): Promise<Record<string, string>> {
  if (isPresigned(url)) return {};
  const { protocol, hostname, port, host, pathname, searchParams } = new URL(url);
  const signer = new SignatureV4({
    service: SERVICE,
    region: config.region,
    credentials: config.credentials,
    sha256: config.sha256,
    // The payload's digest is signed, but not sent: AWS's plugin does not either.
    applyChecksum: false,
  });
  const signed = await signer.sign(
    {
      method: 'GET',
      protocol,
      hostname,
      ...(port !== '' && { port: Number(port) }),
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: { host },
    },
    { signingDate: new Date(Date.now() + config.systemClockOffset) },
  );
  const { host: _, ...headers } = signed.headers;
  return headers;
}
