/**
 * The `docker` command of a {@link DockerHost}: `ps` with `--quiet --no-trunc` and filters by id and label, and `exec`
 * with `-e` and `-i`. In messages and exit codes it is as Docker's own.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rewritten } from './container.ts';
import type { DockerContainer } from './docker-host.ts';

const [registry = '', command, ...rest] = process.argv.slice(2);

if (command === 'ps') listContainers(rest);
else if (command === 'exec') execute(rest);
else fail(`docker: '${command}' is not a docker command.`, 1);

function containers(): DockerContainer[] {
  return readdirSync(registry).map((file) => JSON.parse(readFileSync(join(registry, file), 'utf8')));
}

function listContainers(args: string[]): void {
  const { values } = parseArgs({
    args,
    options: {
      'no-trunc': { type: 'boolean' },
      quiet: { type: 'boolean', short: 'q' },
      filter: { type: 'string', short: 'f', multiple: true, default: [] },
    },
  });
  if (!values.quiet || !values['no-trunc']) fail('only ids are listed here, in full', 125);
  for (const { id, labels } of containers()) {
    const fits = values.filter.every((filter) => {
      const [kind, name = '', value] = filter.split('=');
      if (kind === 'id') return id.startsWith(name);
      if (kind === 'label') return value === undefined ? name in labels : labels[name] === value;
      return fail(`invalid filter '${kind}'`, 1);
    });
    if (fits) process.stdout.write(`${id}\n`);
  }
}

function execute(args: string[]): void {
  const environment: Record<string, string> = {};
  let next = 0;
  for (; args[next] === '-e' || args[next] === '-i'; next += args[next] === '-i' ? 1 : 2) {
    if (args[next] === '-i') continue;
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(args[next + 1] ?? '') ?? [];
    environment[name] = value;
  }
  const [id, ...argv] = args.slice(next);
  const container = containers().find((each) => each.id === id);
  if (container === undefined) fail(`Error response from daemon: No such container: ${id}`, 1);
  const { entrance, rewrittenTo: folder } = container;
  const words = folder === undefined ? argv : argv.map((word) => rewritten(word, folder));
  const [program = '', ...parameters] = [...entrance, ...words];
  const { status, signal, error } = spawnSync(program, parameters, {
    cwd: '/',
    env: { ...container.environment, ...environment },
    stdio: 'inherit',
  });
  if (error) fail(`OCI runtime exec failed: ${error.message}`, 127);
  process.exitCode = status ?? (signal === 'SIGKILL' ? 137 : 143);
}

function fail(message: string, exitCode: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}
