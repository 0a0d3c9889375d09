import { X509Certificate } from 'node:crypto';
import type { WebAppSettings } from './settings.ts';

/** A certificate that WebApp showed. */
export interface SeenCertificate {
  /** SHA-256, as browsers and OpenSSL write it. */
  fingerprint: string;
  /** ISO 8601, UTC. */
  validFrom: string;
  /** ISO 8601, UTC. */
  validTo: string;
  /** For which it is: of its subject alternative names, or else its subject. */
  names: string;
  /** The public key's own fingerprint, by which a renewed certificate is known again. */
  key: string;
}

/** A certificate can have thousands of names; they go into a report. */
const SHOWN_CHARACTERS = 500;

const DAY_MS = 24 * 3600 * 1000;

export function seenCertificate(certificate: X509Certificate): SeenCertificate {
  return {
    fingerprint: certificate.fingerprint256,
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
    names: (certificate.subjectAltName ?? certificate.subject).slice(0, SHOWN_CHARACTERS),
    key: certificate.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  };
}

/** How long the certificate that WebApp shows is trusted: until its own end, or its authority's. */
export interface CertificateLife {
  /** ISO 8601, UTC. */
  end: string;
  /** Whole days; negative when it is past. */
  daysLeft: number;
}

export function lifeOf(
  certificateAuthority: string,
  seen: SeenCertificate | undefined,
  now: number,
): CertificateLife | undefined {
  if (!seen) return undefined;
  const [authority, ...others] = pinnedCertificates(certificateAuthority);
  // Of several nobody says which of them vouches.
  const end =
    authority && others.length === 0 && authority.validTo < seen.validTo ? authority.validTo : seen.validTo;
  return { end, daysLeft: Math.floor((Date.parse(end) - now) / DAY_MS) };
}

/** Why a certificate was refused, what was seen, and which setting helps. */
export function certificateAdvice(
  code: string,
  seen: SeenCertificate | undefined,
  settings: Pick<WebAppSettings, 'certificateAuthority' | 'serverName'>,
  hostName: string,
): string {
  if (!seen)
    return 'It could not be looked at. Is it another one than the configured, or is its name another?';
  const shown = `It has the SHA-256 fingerprint ${seen.fingerprint} and ends on ${seen.validTo.slice(0, 10)}.`;
  if (/ALTNAME/.test(code))
    return `It is for ${seen.names}, and not for ${settings.serverName ?? hostName}. ${shown} If it is WebApp's, set serverName to a name that it is for, and deploy.`;
  if (code === 'CERT_HAS_EXPIRED')
    return `It is past its end. ${shown} Renew it in WebApp, then put the new one, or its authority, in certificateAuthority and deploy.`;
  if (code === 'CERT_NOT_YET_VALID')
    return `It is not valid before ${seen.validFrom.slice(0, 10)}. ${shown} Is the clock of the machine right that made it?`;
  const pinned = pinnedCertificates(settings.certificateAuthority);
  if (pinned.some(({ key }) => key === seen.key))
    return `It was renewed with the same key as the configured one. ${shown} Put it in certificateAuthority and deploy.`;
  const configured = pinned.map(({ fingerprint }) => fingerprint).join(' and ') || 'none that can be read';
  return `It is not the configured one, nor signed by it. ${shown} Configured: ${configured}. If it was renewed, put it, or the authority that signed it, in certificateAuthority and deploy; if not, somebody else answers.`;
}

/** Of a PEM text with one certificate or several. */
export function pinnedCertificates(pem: string): SeenCertificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [seenCertificate(new X509Certificate(block))];
    } catch {
      return [];
    }
  });
}
