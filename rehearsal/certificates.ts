import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Certificate, createCertificate } from './whatsapp/certificate.ts';

const folder = resolve(import.meta.dirname, '../.cache/certificates');

/** The file of the certificate that a deployment's WebApp shows in the rehearsal. {@link keepCertificate} makes it. */
export function certificateFile(deployment: string): string {
  return resolve(folder, `${deployment}.pem`);
}

/** A deployment's certificate with its key: made once and kept, so that what was synthesized stays right. */
export async function keepCertificate(deployment: string, hostName: string): Promise<Certificate> {
  const file = resolve(folder, `${deployment}.json`);
  if (!existsSync(file)) {
    const made = { ...(await createCertificate(hostName)), hostName };
    writeFirst(file, JSON.stringify(made));
  }
  const kept = JSON.parse(readFileSync(file, 'utf8')) as Certificate;
  writeWhole(certificateFile(deployment), kept.certificate);
  return kept;
}

/** Of several processes that make it at once, the first one's stays. */
function writeFirst(file: string, text: string): void {
  const part = `${file}.${process.pid}`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(part, text, { mode: 0o600 });
  try {
    linkSync(part, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(part);
  }
}

/** Never half a file for whoever reads meanwhile. */
function writeWhole(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const part = `${file}.${process.pid}`;
  writeFileSync(part, text, { mode: 0o600 });
  renameSync(part, file);
}
