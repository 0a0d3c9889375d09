import { randomUUID } from 'node:crypto';
import { generate } from 'selfsigned';

/** A server's certificate, and the authority that signed it, in PEM. */
export interface TlsCertificate {
  authority: string;
  certificate: string;
  key: string;
}

const VALID_DAYS = 3650;

/** Makes an authority and a server's certificate for a host name, as a database that verifying clients accept has. */
export async function serverCertificate(hostName = 'localhost'): Promise<TlsCertificate> {
  const common = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - VALID_DAYS * 86_400_000),
    notAfterDate: new Date(Date.now() + VALID_DAYS * 86_400_000),
  } as const;
  // Of two with one name OpenSSL tries one only.
  const name = `Database authority ${randomUUID()}`;
  const authority = await generate([{ name: 'commonName', value: name }], {
    ...common,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: hostName }], {
    ...common,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: hostName }] },
    ],
  });
  return { authority: authority.cert, certificate: server.cert, key: server.private };
}
