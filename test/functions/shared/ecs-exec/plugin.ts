import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { SessionAccess } from '../../../../rehearsal/aws/session-manager/session-manager.ts';

/** AWS's own client, where this machine has one: from its package, or as `SESSION_MANAGER_PLUGIN` says. */
export function findPlugin(): string | undefined {
  return process.env.SESSION_MANAGER_PLUGIN ?? onPath('session-manager-plugin');
}

/**
 * Runs it as the AWS CLI does, to the session's end.
 *
 * @param typed into it when it has shown «ready»
 * @returns what it printed
 */
export async function runPlugin(
  plugin: string,
  { sessionId, streamUrl, tokenValue }: SessionAccess,
  target: string,
  typed?: string,
): Promise<Buffer> {
  const session = JSON.stringify({ SessionId: sessionId, StreamUrl: streamUrl, TokenValue: tokenValue });
  const words = [
    session,
    'eu-central-1',
    'StartSession',
    '',
    JSON.stringify({ Target: target }),
    'http://127.0.0.1:1',
  ];
  const client = spawn(plugin, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const pieces: Buffer[] = [];
  let toType = typed;
  client.stdout.on('data', (piece: Buffer) => {
    pieces.push(piece);
    if (toType === undefined || !Buffer.concat(pieces).includes('ready')) return;
    client.stdin.write(toType);
    toType = undefined;
  });
  await new Promise((resolve) => client.on('close', resolve));
  return Buffer.concat(pieces);
}

function onPath(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
