import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findPlugin } from '../functions/shared/ecs-exec/plugin.ts';

const ROOT = join(import.meta.dirname, '../..');
/** As the README has a newcomer say, in an empty folder, up to the first report. */
const [, NEWCOMER = ''] =
  /### By hand, on your machine\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(
    readFileSync(join(ROOT, 'README.md'), 'utf8'),
  ) ?? [];
/** As the README asks for the configuration of a client made with Meta's template. */
const FROM_STACK =
  /^AWS_PROFILE=apac .* init .*$/m.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[0] ?? '';
const COMMANDS = NEWCOMER.split('\n').flatMap((line) => line.replace(/ +#.*/, '') || []);

/** AWS's own command line, where this machine has one. */
const AWS_CLI = (() => {
  try {
    return /aws-cli\/(\S+)/.exec(execFileSync('aws', ['--version'], { encoding: 'utf8' }))?.[1];
  } catch {
    return undefined;
  }
})();

const PLUGIN = findPlugin();

describe('npm run stand-in', () => {
  const folder = mkdtempSync(join(tmpdir(), 'newcomer-'));
  const profiles = join(folder, '.cache/stand-in.ini');
  let standIn: ChildProcess;
  let printed = '';
  let endpoint = '';
  const [, start = '', named = '', first = ''] = COMMANDS;

  before(async () => {
    // What `git clone` and `npm ci` make, without fetching it all again.
    const { stdout: files } = await promisify(execFile)('git', ['ls-files', '-co', '--exclude-standard'], {
      cwd: ROOT,
    });
    for (const file of files.trim().split('\n')) {
      if (!existsSync(join(ROOT, file))) continue;
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      cpSync(join(ROOT, file), join(folder, file));
    }
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    mkdirSync(join(folder, '.cache'));
    for (const fetched of ['databases', 'debian'])
      if (existsSync(join(ROOT, '.cache', fetched)))
        symlinkSync(join(ROOT, '.cache', fetched), join(folder, '.cache', fetched));
    // Another one may stand on the port of the README.
    standIn = spawn('sh', ['-c', `exec ${start} --port 0`], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    standIn.stdout?.setEncoding('utf8').on('data', (text) => {
      printed += text;
    });
    await says(/emea: WebApp on/);
    endpoint = /It stands at (\S+),/.exec(printed)?.[1] ?? '';
  });
  after(() => {
    // Of its own group, as a terminal has it.
    if (standIn.exitCode === null && standIn.signalCode === null && standIn.pid)
      process.kill(-standIn.pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** Waits until the stand-in's terminal has it, or it has ended. */
  async function says(what: RegExp): Promise<void> {
    while (!what.test(printed)) {
      assert.deepEqual([standIn.exitCode, standIn.signalCode], [null, null], printed);
      await delay(100);
    }
  }

  interface Ended {
    status: number | null;
    out: string;
    err: string;
  }

  async function run(program: string, words: string[], profile = 'latam'): Promise<Ended> {
    const child = spawn(program, words, {
      cwd: folder,
      env: {
        PATH: `${process.env.PATH}${PLUGIN === undefined ? '' : `:${dirname(PLUGIN)}`}`,
        HOME: process.env.HOME ?? '',
        ...{ AWS_CONFIG_FILE: profiles, AWS_PROFILE: profile, AWS_PAGER: '' },
      },
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      err += text;
    });
    const [status] = await once(child, 'close');
    return { status, out, err };
  }
  const upkeep = (words: string[], profile?: string) =>
    run(process.execPath, ['bin/wa-upkeep.ts', ...words], profile);
  const clock = (change: string) => fetch(`${endpoint}/clock?${change}`, { method: 'POST' });

  it('takes a newcomer from an empty folder to a first report in four commands', async () => {
    assert.equal(COMMANDS.length, 4);
    assert.match(COMMANDS[0] ?? '', /^git clone \S+ \. && npm ci$/);
    const { status, out, err } = await run('sh', ['-c', `${named}\n${first}`]);
    assert.equal(status, 0, err);
    assert.match(out, /^latam-message-gc-manual-\S+: succeeded, /m);
    assert.match(out, /^ {2}messagesMarkedRead: [1-9]\d*$/m);
    await says(/latam: message-gc succeeded$/m);
  });

  it('says at once that another one stands on its port', async () => {
    const { status, out, err } = await run(process.execPath, [
      'rehearsal/stand-in.ts',
      '--port',
      new URL(endpoint).port,
    ]);
    assert.deepEqual([status, out], [1, '']);
    assert.match(err, /^Something listens on port \d+ already, .* or say --port NUMBER\.\n$/);
  });

  it('moves its clock on when it is told to, and what is due on the way happens', async () => {
    // 02:00 in São Paulo was its beginning.
    const { now, speed } = (await (await fetch(`${endpoint}/clock`)).json()) as {
      now: string;
      speed: number;
    };
    assert.match(now, /T05:\d\d:/);
    assert.equal(speed, 1);
    assert.equal((await clock('to=02:55')).status, 200);
    const { out } = await upkeep(['history', 'latam', 'message-gc', '--json']);
    const runs: { runId: string; report: { outcome: string } }[] = JSON.parse(out);
    assert.deepEqual(
      runs.map(({ runId, report }) => [/manual|T053000Z/.exec(runId)?.[0], report.outcome]),
      [
        ['T053000Z', 'succeeded'],
        ['manual', 'succeeded'],
      ],
    );
    for (const [wrong, why] of [
      ['by=3x', /90s, 45m, 2h30m or 3d/],
      ['to=2020-01-01T00:00:00Z', /forward only/],
      ['speed=0', /a number from 1/],
      ['by=1m&to=02:00', /not both/],
      ['', /Say to=02:30/],
      ['before=1', /There is no before/],
    ] as const) {
      const refused = await clock(wrong);
      assert.equal(refused.status, 400);
      assert.match(((await refused.json()) as { message: string }).message, why);
    }
    const faster = await clock('speed=60');
    assert.equal(((await faster.json()) as { speed: number }).speed, 60);
    await clock('speed=1');
  });

  it('has clusters, services, containers, a rotated credential and logs, and no alarm rings', async () => {
    for (const deployment of ['latam', 'emea']) {
      const { out } = await upkeep(['status', deployment, '--json'], deployment);
      assert.deepEqual(JSON.parse(out)[0].alarms, []);
    }
    const said = await upkeep(
      ['exec', 'whatsapp-emea', 'master', '--', 'sh', '-c', 'echo "$0 from the inside"; exit 3', 'hello'],
      'emea',
    );
    assert.deepEqual(said, { status: 3, out: 'hello from the inside\n', err: said.err });
  });

  it("finds a client that was made with Meta's template, as the README asks for it", async (t) => {
    if (printed.includes('The deployment on MySQL has no client.')) return t.skip('there is no MySQL');
    const { status, out, err } = await run('sh', ['-c', FROM_STACK]);
    assert.deepEqual([status, err], [1, '']);
    assert.match(out, /\nMissing:\n- A secret with the client's own database user/);
    const written = readFileSync(join(folder, '.cache/apac.config.ts'), 'utf8');
    assert.match(written, /host: 'database\.apac\.internal'/);
    assert.match(written, /webapp: \{ services: \['whatsapp-apac-WAEntWebService'\], container: 'wa-web' \}/);
    assert.match(written, /name: 'whatsapp-apac-ms-WAMonitoringService'/);
  });

  it("serves AWS's own command line, and says of what it has not that it has it not", {
    skip: AWS_CLI === undefined && 'the AWS CLI is not installed on this machine',
  }, async () => {
    const aws = (...words: string[]) =>
      // Versions of before the end of 2023 take the endpoint from here only.
      run('aws', [...words, '--endpoint-url', endpoint, '--output', 'json'], 'emea');
    const { clusterArns } = JSON.parse((await aws('ecs', 'list-clusters')).out);
    assert.deepEqual(clusterArns, ['arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea']);
    const { RotationEnabled: isRotated } = JSON.parse(
      (await aws('secretsmanager', 'describe-secret', '--secret-id', 'whatsapp/emea/database')).out,
    );
    assert.equal(isRotated, true);
    const { events } = JSON.parse(
      (
        await aws(
          ...['logs', 'filter-log-events', '--log-group-name', '/aws/lambda/emea-start-run'],
          ...['--filter-pattern', '"START RequestId"'],
        )
      ).out,
    );
    assert.deepEqual(events, []);
    for (const [words, lacks] of [
      [['lambda', 'list-layers'], 'lambda:ListLayers'],
      [['backup', 'list-backup-vaults'], 'backup'],
      [['efs', 'describe-replication-configurations'], 'elasticfilesystem:DescribeReplicationConfigurations'],
      [
        [
          'logs',
          'start-query',
          '--log-group-name',
          'a',
          '--query-string',
          'b',
          '--start-time',
          '1',
          '--end-time',
          '2',
        ],
        'logs:StartQuery',
      ],
      [['s3', 'ls'], 's3'],
      [['iam', 'list-roles'], 'iam:ListRoles'],
      [['dynamodb', 'list-tables'], 'dynamodb'],
    ] as const)
      assert.match((await aws(...words)).err, new RegExp(`stand-in has no ${lacks}`));
  });

  it("opens a session in a container for AWS's session-manager-plugin, as `aws ecs execute-command` starts it", {
    skip: (AWS_CLI === undefined || PLUGIN === undefined) && 'this machine has not both of them',
  }, async () => {
    const place = ['--cluster', 'whatsapp-emea', '--endpoint-url', endpoint, '--output', 'text'];
    const { out: tasks } = await run(
      'aws',
      ['ecs', 'list-tasks', ...place, '--service-name', 'master', '--query', 'taskArns[0]'],
      'emea',
    );
    const command = ['--task', tasks.trim(), '--interactive', '--command', 'echo through the plugin'];
    const { out, err } = await run('aws', ['ecs', 'execute-command', ...place, ...command], 'emea');
    assert.match(out, /^through the plugin\r?$/m, err);
  });

  it('ends with Ctrl-C, and leaves no credentials behind', async () => {
    const ended = once(standIn, 'exit');
    assert.ok(standIn.pid);
    process.kill(-standIn.pid, 'SIGINT');
    await ended;
    assert.equal(existsSync(profiles), false);
  });
});
