import { keepCertificate } from '../certificates.ts';
import { ADDRESS } from './names.ts';

/** Synthesizes the shop's stack, in this process. @returns the folder, which is deleted when the process ends. */
export async function synthesizeShop(): Promise<string> {
  const { certificate } = await keepCertificate(ADDRESS.host, ADDRESS.host);
  // It loads the CDK and the constructs, which a night without the shop does not need.
  const { shopAssembly } = await import('./stack.ts');
  return shopAssembly(certificate);
}
