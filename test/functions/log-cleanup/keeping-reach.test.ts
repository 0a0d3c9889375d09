import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ECSClient } from '@aws-sdk/client-ecs';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { cleanupScript } from '../../../functions/log-cleanup/cleanup-script.ts';
import { KeepingReach } from '../../../functions/log-cleanup/keeping-reach.ts';
import { readKeptLogs } from '../../../functions/log-cleanup/kept-logs.ts';
import { sha256Of } from '../../../functions/log-cleanup/upload-address.ts';
import type { FoundContainer } from '../../../functions/shared/containers/discover-containers.ts';
import type { Order, Reach, Seen } from '../../../functions/shared/containers/reach.ts';
import { deploy } from '../../rehearsal/aws/deploy.ts';
import { busybox } from '../shared/ecs-exec/busybox.ts';

const MARKER = 'abc123';
const TOOLS = [
  'cat',
  'cut',
  'date',
  'df',
  'dirname',
  'find',
  'grep',
  'ln',
  'ls',
  'mkdir',
  'mv',
  'rm',
  'rmdir',
];
const MORE_TOOLS = ['sed', 'sha256sum', 'sh', 'sleep', 'sort', 'stat', 'tail', 'tr', 'wc'];

const container = {
  role: 'webapp',
  taskArn: 'arn:aws:ecs:eu-central-1:123456789012:task/client/0123',
} as FoundContainer;

interface Work {
  archive: string;
  folder: string;
  /** Keys and contents. */
  stored(): Record<string, string>;
  /** Cleans as a night does; what it looks at, ran with this search path. */
  clean(options?: {
    path?: string;
    script?: string;
    by?: 'ecs-exec' | 'run-command';
    full?: boolean;
    minutes?: number;
    /** What happens in the container just before one of the orders. */
    before?: (phase: string | undefined) => void;
  }): Promise<{
    seen: Seen;
    kept: ReturnType<typeof readKeptLogs>;
    orders: Order[];
  }>;
  only(...programs: string[]): string;
  allow(statement: { Effect: string; Action: string; Resource: string }): void;
  rotate(name: string, text?: string): void;
}

const ALLOWED = { Effect: 'Allow', Action: 's3:PutObject', Resource: 'arn:aws:s3:::logs/shop/*' };

async function withLogs(work: (tools: Work) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kept-logs-'));
  const logs = join(folder, 'log');
  const archive = join(logs, 'archive');
  mkdirSync(archive, { recursive: true });
  let run = 0;
  let allowed = ALLOWED;
  const rotate = (name: string, text = name) => writeFileSync(join(archive, name), gzipSync(text));
  try {
    await deploy(
      (stack) => new Bucket(stack, 'Logs', { bucketName: 'logs' }),
      async ({ aws, client }) => {
        process.env.AWS_ENDPOINT_URL_S3 = aws.endpoint;
        await work({
          archive,
          folder,
          rotate,
          allow: (statement) => {
            allowed = statement;
          },
          stored: () =>
            Object.fromEntries(
              [...aws.s3.objects('logs')].map(([key, { bytes, checksums }]) => {
                assert.equal(
                  checksums.ChecksumSHA256,
                  Buffer.from(sha256Of(bytes), 'hex').toString('base64'),
                );
                return [key, sha256Of(bytes)];
              }),
            ),
          only(...programs) {
            const tools = mkdtempSync(join(folder, 'tools-'));
            for (const name of programs)
              symlinkSync(
                busybox && name !== 'curl' && name !== 'wget' ? busybox : `/usr/bin/${name}`,
                join(tools, name),
              );
            return tools;
          },
          async clean({
            path = process.env.PATH ?? '',
            script = 'true',
            by = 'ecs-exec',
            full = false,
            minutes = 1,
            before,
          } = {}) {
            const cleanup = join(folder, 'cleanup.sh');
            writeFileSync(cleanup, `#!/bin/sh\ncd '${archive}'\n${script}\n`, { mode: 0o755 });
            const nearlyFullPercent = full ? 101 : 0;
            const command = cleanupScript(
              cleanup,
              { logs: [logs], archive, rotation: { maximumBytes: 1e6, keptFiles: 30 } },
              { nearlyFullPercent },
            );
            const orders: Order[] = [];
            const reach: Reach = {
              async start(_container, order) {
                orders.push(order);
                before?.(order.phase);
                return { outcome: 'exited', ...(await shell(command, order, path)) };
              },
              follow: async () => assert.fail('each ends at once'),
              ...(by === 'ecs-exec' && {
                readFile: async (_container: FoundContainer, file: string) => readFileSync(file),
              }),
            };
            const { region, credentials } = client(allowed);
            const others = client(allowed).credentials;
            let asked = 0;
            const keeping = new KeepingReach(reach, {
              keepIn: { bucket: 'logs', urlSuffix: 'amazonaws.com', nearlyFullPercent },
              deployment: 'shop',
              folderOf: () => archive,
              // Whenever it is looked at, a second is over, and the function has new credentials.
              signing: {
                ...new ECSClient({ region, credentials: async () => (asked++ % 2 ? others : credentials) })
                  .config,
                get systemClockOffset() {
                  return 1000 * asked++;
                },
              },
            });
            const seen = await keeping.start(
              container,
              {
                id: `log-cleanup.${run++}`,
                supersedes: 'log-cleanup.',
                command: { script: command },
                marker: MARKER,
              },
              { deadline: Date.now() + minutes * 60_000, patienceMilliseconds: 60_000 },
            );
            assert.ok('output' in seen, JSON.stringify(seen));
            // Neither what addresses are signed with, nor a signature, is anywhere but on standard input.
            const inputs = orders.flatMap(({ stdin = '' }) => stdin.split(/\s/));
            const secrets = [
              credentials.sessionToken,
              others.sessionToken,
              ...inputs.filter((word) => /^[0-9a-f]{64}$/.test(word)),
            ];
            const signatures = secrets.filter((word) => !seen.output.includes(`file ${word}`));
            const said = JSON.stringify([seen, orders.map(({ stdin: _, ...order }) => order)]);
            for (const secret of signatures) assert.ok(!said.includes(secret), 'a secret was told');
            return { seen, kept: readKeptLogs(seen.output, MARKER), orders };
          },
        });
      },
    );
  } finally {
    delete process.env.AWS_ENDPOINT_URL_S3;
    rmSync(folder, { recursive: true, force: true });
  }
}

function shell(script: string, { phase = '', stdin = '' }: Order, PATH: string) {
  const child = spawn('/bin/sh', ['-c', script], {
    env: { PATH, UPKEEP_MARKER: MARKER, UPKEEP_PHASE: phase },
  });
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  return new Promise<{ exitCode: number; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ exitCode: code ?? -1, output }));
  });
}

test('the addresses of a list hold for as long as logs may be kept', () =>
  withLogs(async ({ clean, rotate }) => {
    rotate('a.gz');
    const expiries = async (minutes: number) => {
      const { orders } = await clean({ minutes });
      return orders.flatMap(({ stdin = '' }) => /X-Amz-Expires=(\d+)/.exec(stdin)?.[1] ?? []);
    };
    assert.deepEqual(await expiries(240), ['7200']);
    rotate('b.gz');
    assert.deepEqual(await expiries(5), ['900']);
  }));

test('each rotated log is kept once, under its deployment, role, task and day, before the clean-up, whatever it is renamed to', () =>
  withLogs(async ({ clean, rotate, stored, archive }) => {
    rotate('web.log.1.gz', 'first');
    rotate('odd "name" of $HOME.gz', 'odd');
    const { kept, orders } = await clean({ script: 'rm web.log.1.gz' });
    assert.deepEqual(kept, {
      files: 2,
      bytes: kept.bytes,
      unkept: 0,
      unkeptBytes: 0,
      unnamed: 0,
      deleted: 0,
      emptied: 0,
      isWithheld: false,
    });
    assert.deepEqual(
      orders.map(({ phase }) => phase),
      ['list-0-100', 'keep', 'clean'],
    );
    const keys = Object.entries(stored()).sort();
    assert.equal(keys.length, 2);
    for (const [key, sha256] of keys)
      assert.match(
        key,
        new RegExp(`^shop/webapp/0123/\\d{4}-\\d\\d-\\d\\d/${sha256.slice(0, 32)}-(web.log.1|odd.+HOME).gz$`),
      );
    rotate('web.log.2.gz', 'first');
    rotate('web.log.1.gz', 'second');
    const next = await clean({ script: 'rm *.gz' });
    assert.equal(next.kept.files, 1, 'the same content under another name is kept already');
    assert.equal(Object.keys(stored()).length, 3);
    assert.deepEqual(readdirSync(archive), ['.upkeep-kept']);
    const { seen } = await clean();
    assert.match('output' in seen ? seen.output : '', /before archive 0 0/, 'the record is no rotated log');
  }));

test('one that is renamed or deleted before its upload keeps no other from being kept, and a clean-up that empties what was not kept is told', () =>
  withLogs(async ({ clean, rotate, stored, archive, allow }) => {
    for (const name of ['a.gz', 'b.gz', 'c.gz']) rotate(name);
    const { kept } = await clean({
      by: 'run-command',
      before: (phase) => phase === 'keep' && rmSync(join(archive, 'b.gz')),
    });
    assert.deepEqual([kept.files, kept.unkept, kept.why], [2, 0, undefined]);
    assert.equal(Object.keys(stored()).length, 2);
    allow({ ...ALLOWED, Action: 's3:GetObject' });
    for (const full of [false, true]) {
      rotate('d.gz', 'not kept');
      rotate('e.gz', 'nor this');
      const emptied = await clean({ script: ': >d.gz', full });
      assert.deepEqual(
        [emptied.kept.unkept, emptied.kept.emptied, emptied.kept.deleted],
        full ? [2, 0, 1] : [2, 1, 0],
      );
    }
  }));

test('names that programs take for something else, or with blanks at an end, are those of files, also when they are put back', () =>
  withLogs(async ({ clean, rotate, stored, archive, allow, only }) => {
    const names = [
      '-',
      '-x.gz',
      ' lead.gz',
      'trail.gz ',
      'tab\t.gz',
      '{a,b}.gz',
      '[1-3].gz',
      '*.gz',
      '%41.gz',
    ];
    for (const name of names) rotate(name);
    rotate('line\r');
    allow({ ...ALLOWED, Action: 's3:GetObject' });
    const refused = await clean({ script: 'rm -f -- [!l]* .[!.]*' });
    assert.deepEqual([refused.kept.isWithheld, refused.kept.unnamed], [true, 1]);
    rmSync(join(archive, 'line\r'));
    await clean({ script: 'rm -f -- *' });
    assert.deepEqual(readdirSync(archive).sort(), names.toSorted());
    allow(ALLOWED);
    const { kept } = await clean({ script: 'rm -f -- *' });
    assert.deepEqual([kept.files, kept.unkept, kept.why], [names.length, 0, undefined]);
    assert.equal(Object.keys(stored()).length, names.length);
    for (const name of names) rotate(name, `${name} by wget`);
    const path = only(...TOOLS, ...MORE_TOOLS, 'wget');
    const byWget = await clean({ path, by: 'run-command' });
    assert.deepEqual([byWget.kept.files, byWget.kept.why], [names.length, undefined]);
  }));

test('more than a list holds is kept in several', () =>
  withLogs(async ({ clean, rotate, stored }) => {
    for (let file = 0; file < 50; file++) rotate(`web.log.${file}.gz`);
    const { orders } = await clean({ by: 'run-command' });
    assert.equal(Object.keys(stored()).length, 50);
    assert.equal(orders.filter(({ phase }) => phase === 'keep').length, 2);
  }));

test('what cannot be kept is not deleted, and is told with the reason', () =>
  withLogs(async ({ clean, rotate, stored, allow, archive, folder }) => {
    for (const name of ['a.gz', 'b.gz', 'c.gz']) rotate(name);
    allow({ ...ALLOWED, Resource: 'arn:aws:s3:::logs/other/*' });
    const { kept, seen } = await clean({ script: 'rm a.gz; mv b.gz b.1.gz; echo cleaned' });
    assert.match(kept.why ?? '', /S3 refused it \(403\)/);
    assert.deepEqual([kept.files, kept.unkept, kept.deleted], [0, 3, 0]);
    assert.match('output' in seen ? seen.output : '', /^cleaned$/m);
    assert.deepEqual(
      readdirSync(archive),
      ['a.gz', 'b.1.gz', 'c.gz'],
      'what was only renamed is not there twice',
    );
    assert.ok(!readdirSync(folder).includes('.upkeep-held'));
    allow(ALLOWED);
    const next = await clean({ script: 'rm *.gz' });
    assert.deepEqual([next.kept.files, next.kept.why, Object.keys(stored()).length], [3, undefined, 3]);
  }));

test('where the disk is nearly full, the clean-up may delete what was not kept, and that is told', () =>
  withLogs(async ({ clean, rotate, allow, archive }) => {
    for (const name of ['a.gz', 'b.gz']) rotate(name);
    allow({ ...ALLOWED, Action: 's3:GetObject' });
    const { kept } = await clean({ script: 'rm a.gz', full: true });
    assert.deepEqual([kept.unkept, kept.deleted], [2, 1]);
    assert.deepEqual(readdirSync(archive), ['b.gz']);
  }));

test('what cannot be saved from the clean-up either keeps it from being run', () =>
  withLogs(async ({ clean, rotate, archive, allow }) => {
    rotate('a.gz');
    rotate('b\n.gz');
    rotate('c\\.gz');
    allow({ ...ALLOWED, Action: 's3:GetObject' });
    const { kept } = await clean({ script: 'rm *.gz' });
    assert.deepEqual([kept.isWithheld, kept.unkept, kept.unnamed], [true, 3, 2]);
    assert.equal(readdirSync(archive).length, 3);
    const full = await clean({ script: 'rm *.gz', full: true });
    assert.deepEqual([full.kept.isWithheld, full.kept.deleted], [false, 3]);
  }));

test('where nothing makes checksums, what a clean-up deletes of a nearly full disk is told too', () =>
  withLogs(async ({ clean, rotate, only }) => {
    for (const name of ['a.gz', 'b.gz', 'c.gz']) rotate(name);
    const path = only(...TOOLS, ...MORE_TOOLS.filter((tool) => tool !== 'sha256sum'));
    const { kept } = await clean({ path, script: 'rm a.gz b.gz', full: true });
    assert.deepEqual([kept.unkept, kept.unnamed, kept.deleted], [3, 3, 2]);
  }));

test('a clean-up that was cut off has lost nothing: the next run puts back what it deleted', () =>
  withLogs(async ({ clean, rotate, archive, allow }) => {
    rotate('a.gz');
    allow({ ...ALLOWED, Action: 's3:GetObject' });
    await clean({ script: 'rm a.gz; kill -9 $PPID' });
    assert.deepEqual(readdirSync(archive), []);
    allow(ALLOWED);
    const { kept } = await clean();
    assert.deepEqual([readdirSync(archive).sort(), kept.unkept], [['a.gz'], 1]);
    assert.equal((await clean()).kept.files, 1);
  }));

test('without curl it is uploaded by GNU wget; without either through the channel, and by Run Command not at all', () =>
  withLogs(async ({ clean, rotate, stored, only }) => {
    const tools = [...TOOLS, ...MORE_TOOLS];
    rotate('a b.gz');
    const byWget = await clean({ path: only(...tools, 'wget') });
    assert.deepEqual([byWget.kept.files, byWget.kept.why], [1, undefined]);
    rotate('c.gz');
    const bare = only(...tools);
    const byRunCommand = await clean({ path: bare, by: 'run-command' });
    assert.match(byRunCommand.kept.why ?? '', /neither curl nor GNU wget/);
    const byChannel = await clean({ path: bare });
    assert.deepEqual([byChannel.kept.files, byChannel.kept.why, byChannel.kept.unkept], [1, undefined, 0]);
    assert.ok(byChannel.orders.some(({ phase }) => phase === 'known'));
    assert.equal(Object.keys(stored()).length, 2);
  }));
