import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sample from '../upkeep.config.ts';
import { keepCertificate } from './certificates.ts';
import { RELAYED_WEBHOOK } from './upkeep.config.ts';

/**
 * Runs `cdk synth` on the rehearsal's configuration, as a user would on theirs.
 * @returns the folder of what was synthesized, which no other rehearsal uses. Whoever asked for it deletes it.
 * @throws Error with what the CDK said.
 */
export async function synthesize(): Promise<string> {
  for (const { name, webApp, databases = [] } of sample.deployments) {
    await keepCertificate(name, webApp.serverName ?? new URL(webApp.url).hostname);
    for (const { host } of databases) await keepCertificate(host, host);
  }
  await keepCertificate(RELAYED_WEBHOOK, RELAYED_WEBHOOK);
  const cdkOut = mkdtempSync(join(tmpdir(), 'cdk.out-'));
  const args = ['synth', '--quiet', '-c', 'config=rehearsal/upkeep.config.ts', '--output', cdkOut];
  try {
    await promisify(execFile)('cdk', args, { maxBuffer: 64 * 1024 * 1024 });
    return cdkOut;
  } catch (error) {
    rmSync(cdkOut, { recursive: true, force: true });
    throw new Error(`cdk ${args.join(' ')} failed:\n${(error as { stderr?: string }).stderr || error}`);
  }
}
