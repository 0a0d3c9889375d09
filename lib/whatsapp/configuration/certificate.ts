import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** A function's environment holds 4 KB; the other settings need the rest. */
const MAXIMUM_CERTIFICATE_BYTES = 3 * 1024;

/**
 * The certificates of a PEM file, and nothing else that may be in it.
 * @throws Error completing the sentence "FIELD names FILE, …".
 */
export function readCertificates(path: string, folder: string): string {
  const certificates = certificatesOf(readText(resolve(folder, path)));
  const pem = certificates.join('\n');
  if (pem.length > MAXIMUM_CERTIFICATE_BYTES)
    throw new Error(
      `which holds ${pem.length} bytes of certificates; at most ${MAXIMUM_CERTIFICATE_BYTES} fit: leave only the one to trust.`,
    );
  return pem;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new Error(`which cannot be read (looked for at ${file}); it must be a PEM file.`);
  }
}

function certificatesOf(text: string): string[] {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    throw new Error('which holds a private key; it must hold the certificate only, and no one else the key.');
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0)
    throw new Error(
      'which holds no certificate; it must hold one between BEGIN CERTIFICATE and END CERTIFICATE.',
    );
  for (const certificate of certificates) {
    const { validToDate } = parsed(certificate);
    if (validToDate < new Date())
      throw new Error(
        `whose certificate ended on ${validToDate.toISOString().slice(0, 10)}; it must be valid.`,
      );
  }
  return certificates;
}

function parsed(certificate: string): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch {
    throw new Error('whose certificate cannot be read; it must be an X.509 certificate in PEM form.');
  }
}
