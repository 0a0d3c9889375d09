import { once } from 'node:events';
import { checkServerIdentity, connect, type DetailedPeerCertificate, type PeerCertificate } from 'node:tls';

/** What a server shows of itself, which nobody has vouched for yet. */
export interface ShownCertificate {
  /** What has signed it, as far as it is shown: itself, or an authority. PEM. */
  pem: string;
  subject: string;
  /** SHA-256, as browsers and openssl write it. */
  fingerprint: string;
  /** A name in it, where the URL's host is none of them. */
  serverName: string | undefined;
}

/** Who does not answer within this is not reached from here. */
const TIMEOUT_MS = 5_000;

/** Undefined: it is not reached from here, or shows no authority. */
export async function shownCertificate(url: string): Promise<ShownCertificate | undefined> {
  const { hostname, port } = new URL(url);
  // Nothing is sent: it is looked at, for a person to compare.
  const socket = connect({
    ...{ host: hostname, port: Number(port || 443), servername: hostname },
    rejectUnauthorized: false,
  });
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('no answer')));
  try {
    await once(socket, 'secureConnect');
    const leaf = socket.getPeerCertificate(true);
    const authority = lastOf(leaf);
    if (!isSelfSigned(authority)) return undefined;
    return {
      pem: pemOf(authority.raw),
      subject: String(authority.subject.CN ?? authority.subject.O ?? 'no name'),
      fingerprint: authority.fingerprint256,
      serverName: checkServerIdentity(hostname, leaf) === undefined ? undefined : nameIn(leaf),
    };
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

function lastOf(certificate: DetailedPeerCertificate): DetailedPeerCertificate {
  const { issuerCertificate: issuer } = certificate;
  return issuer && issuer.fingerprint256 !== certificate.fingerprint256 ? lastOf(issuer) : certificate;
}

function isSelfSigned({ subject, issuer }: PeerCertificate): boolean {
  return JSON.stringify(subject) === JSON.stringify(issuer);
}

function nameIn({ subjectaltname = '', subject }: PeerCertificate): string | undefined {
  return /DNS:([^,*\s]+)/.exec(subjectaltname)?.[1] ?? (subject.CN ? String(subject.CN) : undefined);
}

function pemOf(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
