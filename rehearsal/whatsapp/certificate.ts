import { createPublicKey } from 'node:crypto';
import { generate } from 'selfsigned';

/** A self-signed certificate and its key, in PEM. The certificate is what a client pins. */
export interface Certificate {
  certificate: string;
  key: string;
}

/**
 * Both limits by the real clock, by which TLS goes. Wide enough for a rehearsal's simulated nights and
 * for a stand-in that stays up.
 */
const VALID_DAYS_BEFORE_AND_AFTER = 3650;

export interface CertificateOptions {
  /** @default ten years ahead */
  validTo?: Date;
  /** Of a certificate that this one renews, whose key it keeps. @default a new key */
  renews?: Certificate;
  /** Signs it. @default it is signed by itself */
  issuer?: Certificate;
}

/** Makes a certificate for a host name such as the client makes for itself at its installation. */
export async function createCertificate(
  hostName: string,
  { validTo, renews, issuer }: CertificateOptions = {},
): Promise<Certificate> {
  const aside = VALID_DAYS_BEFORE_AND_AFTER * 24 * 60 * 60 * 1000;
  // Whose name is its signer's is taken for signed by itself.
  const commonName = issuer ? `Signed for ${hostName}` : hostName;
  const made = await generate([{ name: 'commonName', value: commonName }], {
    ...(renews && {
      keyPair: {
        privateKey: renews.key,
        publicKey: createPublicKey(renews.key).export({ type: 'spki', format: 'pem' }).toString(),
      },
    }),
    ...(issuer && { ca: { key: issuer.key, cert: issuer.certificate } }),
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - aside),
    notAfterDate: validTo ?? new Date(Date.now() + aside),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: hostName }] },
    ],
  });
  return { certificate: made.cert, key: made.private };
}
