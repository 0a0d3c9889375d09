// In one file though long: the package is made once, and each app of it serves several tests.
/** The package in apps of strangers: packed, installed outside of the repository, and used as its README says. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify, stripVTControlCharacters } from 'node:util';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import semver from 'semver';
import { ServerUnavailable, serverProgram } from '../../rehearsal/databases/server-program.ts';
import { inTerminal } from '../bin/command-line.ts';
import { putMetaClient } from '../bin/init/played-clients.ts';
import { ACCOUNT, deploy, REGION } from '../rehearsal/aws/deploy.ts';
import {
  type AppOptions,
  appInstead,
  appWith,
  initialize,
  manifest,
  type Packed,
  packPackage,
  REPOSITORY,
  samplesOf,
  succeed,
  YARN,
} from './installed.ts';

/** The last TypeScript that ts-node works with is one before 7: attw has one. */
const TYPESCRIPT_5 = join(REPOSITORY, 'node_modules/@arethetypeswrong/core/node_modules/typescript');

const [STACK, HANDLER] = samplesOf('README.md', 'ts').map(({ text }) => text);
assert.ok(STACK && HANDLER, 'the README has a stack and a handler');

/** A job with a handler of the app's own. */
const JOB = `
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Upkeep, UpkeepJob } from 'wa-upkeep';

const stack = new Stack(new App({ outdir: 'cdk.out' }), 'Search');
const upkeep = new Upkeep(stack, 'Upkeep', {
  deployment: 'search',
  timeZone: 'Europe/Paris',
  window: { from: '01:00', to: '05:00' },
});
new UpkeepJob(stack, 'Reindex', {
  upkeep,
  job: 'reindex',
  description: 'Rebuilds the search index',
  entry: 'reindex.ts',
  settings: { index: 'articles' },
  schedule: { at: '03:00', flexibleWindow: Duration.minutes(10) },
  timeLimit: Duration.minutes(90),
});
`;

/** The rotation of the example, and one on each other engine. */
const rotationsOn = (engines: string[]) => `
import { App, Duration, Stack } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { CredentialRotation, Upkeep } from 'wa-upkeep';
import { credentialRotation } from './rotation.mts';

const app = new App();
credentialRotation(app);
const [account, region] = ['123456789012', 'eu-central-1'];
for (const engine of ${JSON.stringify(engines)}) {
  const stack = new Stack(app, 'shop-' + engine, { env: { account, region } });
  const secret = (name) =>
    Secret.fromSecretCompleteArn(
      stack,
      name,
      \`arn:aws:secretsmanager:\${region}:\${account}:secret:shop/\${engine}/\${name}-a1B2c3\`,
    );
  const availabilityZone = region + 'a';
  new CredentialRotation(stack, 'Password', {
    upkeep: new Upkeep(stack, 'Upkeep', {
      deployment: 'shop-' + engine,
      timeZone: 'Europe/Berlin',
      window: { from: '01:00', to: '05:00' },
    }),
    secret: secret('client'),
    administrator: secret('administrator'),
    database: { engine, host: engine + '.shop.internal', port: 3306, certificateAuthority: 'rds' },
    strategy: { kind: 'dual-password' },
    cluster: 'shop',
    services: [{ name: engine + '-web' }],
    network: {
      vpc: Vpc.fromVpcAttributes(stack, 'Vpc', { vpcId: 'vpc-1', availabilityZones: [availabilityZone] }),
      subnets: [Subnet.fromSubnetAttributes(stack, 'Subnet', { subnetId: 'subnet-1', availabilityZone })],
      securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-1')],
    },
    schedule: { at: '01:30' },
    timeLimit: Duration.hours(2),
  });
}
`;

/** Those of MySQL and MariaDB that can be had; in CI both must. */
async function enginesHere(): Promise<string[]> {
  const engines: string[] = [];
  for (const engine of ['mysql', 'mariadb'] as const)
    try {
      await serverProgram(engine);
      engines.push(engine);
    } catch (error) {
      if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
    }
  return engines;
}

/** Each path of the package, and something of it. */
const EVERY_PATH = `
import { PropsError, Upkeep } from 'wa-upkeep';
import { executeCommand, EcsExecError } from 'wa-upkeep/ecs-exec';
import { AccessDeniedError } from 'wa-upkeep/ecs-exec/errors';
import { type ApplicationHealth, rotateCredential } from 'wa-upkeep/rotate-credential';
import { type Problem, type RunEvent, type RunReport, runJob } from 'wa-upkeep/run-job';
import { readSettings } from 'wa-upkeep/settings';

export const health: ApplicationHealth = { parts: 'workers', connected: async () => 3 };
export const problem: Problem = { what: 'a', where: 'b', next: 'c' };
export const of = (report: RunReport): string => report.runId;
export const at = (event: RunEvent): string => event.scheduledFor;
export const values = [PropsError, Upkeep, executeCommand, AccessDeniedError, EcsExecError, rotateCredential, runJob, readSettings];
// @ts-expect-error Without types this would not be seen.
export const wrong: Problem = { what: 'a' };
`;

describe('the package, as it is packed', () => {
  let packed: Packed;
  const apps: string[] = [];
  before(() => {
    packed = packPackage();
  });
  after(() => {
    for (const app of apps) rmSync(app, { recursive: true });
    packed.remove();
  });
  function kept(app: string): string {
    apps.push(app);
    return app;
  }
  function app(options: AppOptions, prepare?: (app: string) => void): string {
    return kept(appWith(packed, options, prepare));
  }

  describe('in an app as `cdk init` makes it: CommonJS, with the README’s stack', () => {
    let shop: string;
    before(() => {
      shop = app({ manager: 'npm' }, initialize);
      writeFileSync(join(shop, 'lib/shop-stack.ts'), STACK);
      writeFileSync(
        join(shop, 'test/shop.test.ts'),
        `import * as cdk from 'aws-cdk-lib/core';
import { Template } from 'aws-cdk-lib/assertions';
import * as Shop from '../lib/shop-stack';

test('the command has its schedule', () => {
  const stack = new Shop.ShopStack(new cdk.App(), 'MyTestStack');
  Template.fromStack(stack).hasResourceProperties('AWS::Scheduler::Schedule', {
    ScheduleExpression: 'cron(15 3 * * ? *)',
  });
});

test('a mistake is told by its class', () => {
  const { Upkeep, PropsError } = require('wa-upkeep');
  expect(() => new Upkeep(new cdk.Stack(), 'Upkeep', { deployment: 'Shop' })).toThrow(PropsError);
});
`,
      );
    });

    it('passes the type check, with each path of the package and each sample of the documentation as it stands', () => {
      writeFileSync(join(shop, 'lib/paths.ts'), EVERY_PATH);
      const documents = ['README.md', 'functions/shared/ecs-exec/README.md'].concat(
        readdirSync(join(REPOSITORY, 'docs'))
          .filter((name) => name.endsWith('.md'))
          .map((name) => `docs/${name}`),
      );
      const samples = documents.flatMap((file) =>
        samplesOf(file, 'ts').map(({ line, text }) => ({
          name: `${file.replaceAll('/', '-')}-${line}.mts`,
          text,
        })),
      );
      assert.ok(samples.length > 6);
      mkdirSync(join(shop, 'samples'));
      for (const { name, text } of samples) writeFileSync(join(shop, 'samples', name), text);
      succeed('tsc', [], shop);
      rmSync(join(shop, 'samples'), { recursive: true });
    });

    it('synthesizes by tsx and by ts-node, to the same', () => {
      succeed('tsx', ['bin/shop.ts'], shop, { CDK_OUTDIR: 'cdk.out' });
      assert.equal(bundlesOf(join(shop, 'cdk.out')).length, 3);
      const options = JSON.stringify({ module: 'node16', moduleResolution: 'node16' });
      succeed('ts-node', ['-T', '-C', TYPESCRIPT_5, '-O', options, 'bin/shop.ts'], shop, {
        CDK_OUTDIR: 'other.out',
        // Bundled they were above.
        CDK_CONTEXT_JSON: '{"aws:cdk:bundling-stacks":[]}',
      });
      const [one, other] = ['cdk.out', 'other.out'].map((folder) =>
        Object.keys(
          JSON.parse(readFileSync(join(shop, folder, 'ShopStack.template.json'), 'utf8')).Resources,
        ),
      );
      const withoutVersions = (ids: string[] = []) =>
        ids.filter((id) => !id.includes('CurrentVersion')).sort();
      assert.deepEqual(withoutVersions(other), withoutVersions(one));
    });

    it('plays a night of it by wa-upkeep rehearse on a terminal, with what is described to stand in the containers', async () => {
      mkdirSync(join(shop, 'container'));
      writeFileSync(join(shop, 'container/prune-sessions'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
      const containers = { app: { folders: { '/srv': 'container' } } };
      writeFileSync(join(shop, 'rehearsal.json'), JSON.stringify({ containers, tasks: { checkout: 1 } }));
      const { shown, runs, alarms, denied } = await rehearsedInTerminal(shop, ['-o', 'cdk.out']);
      assert.match(shown, /^│ \S+ +│ prune-sessions │ succeeded │ /m);
      assert.match(shown, /^Nothing was denied\.$/m);
      assert.deepEqual(
        runs.map(({ job, outcome, figures }) => [job, outcome, figures.containersSucceeded]),
        [['prune-sessions', 'succeeded', 3]],
      );
      assert.deepEqual([alarms, denied], [[], []]);
    });

    it('plays the rotation of a password so, on a real server of each engine', async () => {
      const example = readFileSync(join(packed.folder, 'examples/credential-rotation.ts'), 'utf8');
      writeFileSync(join(shop, 'rotation.mts'), example.replace("'../lib/index.ts'", "'wa-upkeep'"));
      const engines = await enginesHere();
      writeFileSync(join(shop, 'rotations.mts'), rotationsOn(engines));
      const { runs, logins, denied } = rehearsed(shop, ['--app', 'node rotations.mts']);
      assert.deepEqual(
        runs
          .filter(({ outcome }) => outcome === 'succeeded')
          .map(({ deployment, job, figures }) => [deployment, job, figures.rotations])
          .sort(),
        ['shop-database', ...engines.map((engine) => `shop-${engine}`)]
          .map((deployment) => [deployment, 'credential-rotation', 1])
          .sort(),
      );
      assert.ok(logins.made > 6, `${logins.made} logins`);
      assert.deepEqual([logins.failed, denied], [0, []]);
    });

    it('has the configuration of a client that exists written by wa-upkeep init, with the app that makes its stacks', async () => {
      const upkeep = join(shop, 'upkeep');
      mkdirSync(upkeep);
      const place = { account: ACCOUNT, region: REGION };
      await deploy(
        (stack) => void new Queue(stack, 'Orders'),
        async ({ aws, client }) => {
          putMetaClient(aws, place);
          const { credentials } = client();
          const flags = ['--from-stack', 'wa', '--time-zone', 'Europe/Berlin', '--silent'];
          const certificate = ['--certificate-authority', join(REPOSITORY, 'certificates/latam.pem')];
          const ended = await promisify(execFile)(
            process.execPath,
            [join(shop, 'node_modules/.bin/wa-upkeep'), 'init', ...flags, ...certificate],
            {
              cwd: upkeep,
              env: {
                PATH: process.env.PATH,
                AWS_ENDPOINT_URL: aws.endpoint,
                AWS_REGION: REGION,
                AWS_ACCESS_KEY_ID: credentials.accessKeyId,
                AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
                AWS_SESSION_TOKEN: credentials.sessionToken,
              },
            },
          ).catch((error: { stdout: string; stderr: string }) => error);
          assert.equal(ended.stderr, '');
          // What Node.js takes for a module, in an app that is CommonJS.
          assert.match(ended.stdout, /^Wrote upkeep\.config\.mts\.$/m);
          assert.match(ended.stdout, /^Then: npx cdk synth$/m);
        },
        { start: 'now' },
      );
      const { app: command } = JSON.parse(readFileSync(join(upkeep, 'cdk.json'), 'utf8'));
      succeed('sh', ['-c', command], upkeep, {
        CDK_OUTDIR: 'cdk.out',
        CDK_CONTEXT_JSON: '{"aws:cdk:bundling-stacks":[]}',
      });
      assert.match(
        readFileSync(join(upkeep, 'cdk.out/upkeep-wa.template.json'), 'utf8'),
        /wa-credential-rotation/,
      );
    });

    it('passes its own tests, by jest with swc', () => {
      succeed('jest', ['--ci', '--watchman=false'], shop);
    });

    it('has its types by each way of resolution, also that of before exports', () => {
      // What the CDK's own types are by these is not asked here.
      writeFileSync(join(shop, 'cdk.d.ts'), 'declare const cdk: any;\nexport = cdk;\n');
      const anyCdk = {
        'aws-cdk-lib': ['./cdk.d.ts'],
        'aws-cdk-lib/*': ['./cdk.d.ts'],
        constructs: ['./cdk.d.ts'],
      };
      for (const [compiler, module, moduleResolution] of [
        ['tsc', 'node16', 'node16'],
        ['tsc', 'preserve', 'bundler'],
        [join(TYPESCRIPT_5, 'bin/tsc'), 'commonjs', 'node10'],
      ] as const) {
        writeFileSync(
          join(shop, 'tsconfig.other.json'),
          JSON.stringify({
            compilerOptions: {
              ...{ module, moduleResolution, target: 'es2022', types: ['node'] },
              ...{ noEmit: true, strict: true, skipLibCheck: true, paths: anyCdk },
            },
            files: ['lib/paths.ts'],
          }),
        );
        succeed(compiler, ['-p', 'tsconfig.other.json'], shop);
      }
    });

    it('is required as it is imported', () => {
      const required = `
        const { Upkeep } = require('wa-upkeep');
        const { EcsExecError } = require('wa-upkeep/ecs-exec');
        const { AccessDeniedError } = require('wa-upkeep/ecs-exec/errors');
        if (!(AccessDeniedError.prototype instanceof EcsExecError)) throw new Error('two copies of the errors');
        require('wa-upkeep/rotate-credential').rotateCredential.call;
        require('wa-upkeep/run-job').runJob.call;
        require('wa-upkeep/settings').readSettings.call;
        import('wa-upkeep').then((imported) => { if (imported.Upkeep !== Upkeep) throw new Error('two copies'); });`;
      succeed('node', ['-e', required], shop);
    });
  });

  it('serves an app of ES modules whose node_modules are strict, by pnpm, run by Node itself', () => {
    const search = app(
      {
        manager: 'pnpm',
        // As the README says.
        dependencies: ['@aws/durable-execution-sdk-js', 'valibot', '@types/node', '@types/aws-lambda'],
      },
      (folder) => writeFileSync(join(folder, 'package.json'), '{ "type": "module" }'),
    );
    writeFileSync(join(search, 'app.ts'), JOB);
    writeFileSync(join(search, 'reindex.ts'), HANDLER);
    succeed('node', ['app.ts'], search);
    const bundles = bundlesOf(join(search, 'cdk.out'));
    assert.equal(bundles.length, 3);
    for (const bundle of bundles) assert.match(bundle, /\bas handler\b/);
    const options = '--noEmit --strict --module nodenext --target es2024 --types node --skipLibCheck false';
    succeed('tsc', [...options.split(' '), 'app.ts', 'reindex.ts'], search);
    assert.match(succeed('node_modules/.bin/wa-upkeep', ['--help'], search), /rehearse/);
  });

  it('is imported, required and bundled where Yarn installed it, with node_modules and by Plug’n’Play', () => {
    const bundles = (['yarn', 'yarn-pnp'] as const).map((manager) => {
      const search = app({ manager, dependencies: ['@aws/durable-execution-sdk-js', 'valibot'] }, (folder) =>
        writeFileSync(join(folder, 'package.json'), '{ "type": "module" }'),
      );
      writeFileSync(join(search, 'app.mjs'), stripTypeScriptTypes(JOB));
      writeFileSync(join(search, 'reindex.ts'), HANDLER);
      const required =
        "require('wa-upkeep').Upkeep !== (await import('wa-upkeep')).Upkeep && process.exit(3)";
      for (const args of [
        ['node', 'app.mjs'],
        ['node', '-e', `(async () => { ${required} })()`],
        ['wa-upkeep', '--help'],
      ])
        succeed('node', [YARN, ...args], search);
      // Their parts are named after where esbuild worked, too.
      return bundlesOf(join(search, 'cdk.out')).map((text) =>
        text.replaceAll(/\bpart-\w+\.mjs/g, 'part.mjs'),
      );
    });
    assert.equal(bundles[0]?.length, 3);
    assert.deepEqual(bundles[1], bundles[0]);
  });

  it('works with the lowest of each peer that it names', () => {
    const lowest = ['aws-cdk-lib', 'constructs', 'esbuild'].map((name) => {
      const { version } = JSON.parse(
        readFileSync(join(REPOSITORY, `node_modules/${name}-lowest/package.json`), 'utf8'),
      );
      const range = manifest.peerDependencies[name] ?? '';
      assert.equal(semver.minVersion(range)?.version, version, `${name} ${range}`);
      return [name, `${name}-lowest`];
    });
    const shop = kept(appInstead(packed, Object.fromEntries(lowest)));
    writeFileSync(join(shop, 'shop-stack.ts'), STACK);
    writeFileSync(
      join(shop, 'app.ts'),
      "import { App } from 'aws-cdk-lib';\nimport { ShopStack } from './shop-stack.ts';\nnew ShopStack(new App({ outdir: 'cdk.out' }), 'Shop');\n",
    );
    writeFileSync(join(shop, 'package.json'), '{ "type": "module" }');
    succeed('node', ['app.ts'], shop);
    assert.equal(bundlesOf(join(shop, 'cdk.out')).length, 3);
  });

  it('has what its documentation names: commands, documents, examples, and the sources that its maps name', () => {
    for (const path of ['bin/move-media', 'docs/operations.md', 'examples/nightly-command.ts', 'README.md'])
      readFileSync(join(packed.folder, path));
    for (const map of readdirSync(join(packed.folder, 'dist'), { recursive: true, encoding: 'utf8' })) {
      if (!map.endsWith('.map')) continue;
      const file = join(packed.folder, 'dist', map);
      const { sources }: { sources: string[] } = JSON.parse(readFileSync(file, 'utf8'));
      for (const source of sources)
        if (!source.includes('node_modules')) readFileSync(join(file, '..', source));
    }
  });

  it('has types that import nothing which is not installed with it', () => {
    const { dependencies, peerDependencies } = manifest;
    const installed = [...Object.keys(dependencies), ...Object.keys(peerDependencies)];
    const types = join(packed.folder, 'dist/cjs');
    const foreign = readdirSync(types, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.d.ts'))
      .flatMap((file) =>
        [...readFileSync(join(types, file), 'utf8').matchAll(/(?:from |import\()['"]([^.'"][^'"]*)['"]/g)]
          .map(([, name = '']) => name)
          .filter(
            (name) =>
              !name.startsWith('node:') &&
              !installed.some(
                (own) => name === own || name.startsWith(`${own}/`) || own === `@types/${name}`,
              ),
          )
          .map((name) => `${file}: ${name}`),
      );
    assert.deepEqual(foreign, []);
  });

  it('has one type for each name, and exports each that a property asks for', () => {
    const types = join(packed.folder, 'dist/cjs');
    const paths = Object.values(manifest.exports).flatMap((path) =>
      typeof path === 'string' ? [] : [(path.require ?? path).types?.replace('./dist/cjs/', '') ?? ''],
    );
    const exported = paths.map((path) => exportsOf(types, path));
    const sources = new Map<string, Set<string>>();
    for (const [name, source] of exported.flatMap((names) => [...names]))
      sources.set(name, (sources.get(name) ?? new Set()).add(source));
    assert.deepEqual(
      [...sources].filter(([, of]) => of.size > 1),
      [],
    );
    assert.ok(sources.size > 100, 'what the paths export was found');
    const missing = [...new Set(sources.values())]
      .flatMap((of) => [...of])
      .filter((file) =>
        /(-props|container-command-job|gc-job|upgrade-check|client-databases|copies)\.d\.ts$/.test(file),
      )
      .flatMap((file) => importsOf(types, file).map((name) => `${file}: ${name}`))
      .filter((line) => {
        const [, name = ''] = line.split(': ');
        return !sources.has(name) && !NOT_OF_PROPERTIES.includes(name);
      });
    assert.deepEqual([...new Set(missing)], []);
  });

  it('has nothing that publint and attw complain of', () => {
    succeed('publint', [packed.tarball, '--strict'], REPOSITORY);
    succeed('attw', [packed.tarball, '--no-emoji'], REPOSITORY);
  });
});

it('asks for a Node with which each of its dependencies is content, as that says', () => {
  const { packages } = JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: true; devOptional?: true; engines?: { node?: string } }>;
  };
  const own = packages['']?.engines?.node ?? '';
  const wrong = Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
    .flatMap(([path, { engines }]) =>
      engines?.node === undefined || semver.subset(own, engines.node, { includePrerelease: true })
        ? []
        : [`${path} wants ${engines.node}`],
    );
  assert.deepEqual(wrong, [], `engines: ${own}`);
});

/** Types of what stands beside the properties in their files, and is exported by none of the paths. */
const NOT_OF_PROPERTIES = ['Finding', 'FieldPath', 'GcSettings', 'SecretField', 'UpkeepFunction', 'Watched'];

/** What a file of types exports: each name with the file that declares it. */
function exportsOf(folder: string, file: string, found = new Map<string, string>()): Map<string, string> {
  const text = readFileSync(join(folder, file), 'utf8');
  const source = (from: string) => join(file, '..', from).replace(/\.[jt]s$/, '.d.ts');
  const declared = /^export (?:declare )?(?:abstract )?(?:class|interface|type|const|function) (\w+)/gm;
  for (const [, name = ''] of text.matchAll(declared)) found.set(name, file);
  for (const [, list = '', from = ''] of text.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)'/gm))
    for (const name of namesIn(list)) found.set(name, source(from));
  for (const [, from = ''] of text.matchAll(/^export \* from '([^']+)'/gm))
    exportsOf(folder, source(from), found);
  return found;
}

/** What a file of types imports from the package's other files. */
function importsOf(folder: string, file: string): string[] {
  const text = readFileSync(join(folder, file), 'utf8');
  return [...text.matchAll(/^import (?:type )?\{([^}]*)\} from '\.[^']+'/gm)].flatMap(([, list = '']) =>
    namesIn(list),
  );
}

function namesIn(list: string): string[] {
  return list.split(',').flatMap((name) => name.replace(/\btype\b/, '').trim() || []);
}

interface Rehearsed {
  runs: { deployment: string; job: string; outcome: string; figures: Record<string, number> }[];
  alarms: unknown[];
  denied: string[];
  logins: { made: number; failed: number };
}

const NIGHT = ['--from', '2027-01-10T20:00:00Z', '--hours', '12', '--json', 'night.json'];

/** A night of an app, as the command plays it. */
function rehearsed(app: string, what: string[]): Rehearsed {
  return withServers(app, (cache) => {
    succeed('node', [commandOf(app), 'rehearse', ...what, ...NIGHT], app, { XDG_CACHE_HOME: cache });
    return nightOf(app);
  });
}

/** Likewise on a terminal, with what it showed there. */
function rehearsedInTerminal(app: string, what: string[]): Promise<Rehearsed & { shown: string }> {
  return withServers(app, async (cache) => {
    const { status, shown } = await inTerminal(
      ['rehearse', ...what, ...NIGHT],
      { PATH: process.env.PATH ?? '', HOME: app, XDG_CACHE_HOME: cache },
      [],
      { program: commandOf(app), cwd: app },
    );
    assert.equal(status, 0, shown);
    return { ...nightOf(app), shown: stripVTControlCharacters(shown) };
  });
}

/** Servers are fetched, and made ready, once. */
function withServers<Played>(app: string, play: (cache: string) => Played): Played {
  const cache = join(app, 'cache');
  mkdirSync(cache, { recursive: true });
  if (!existsSync(join(cache, 'wa-upkeep')))
    symlinkSync(join(REPOSITORY, '.cache'), join(cache, 'wa-upkeep'));
  return play(cache);
}

function commandOf(app: string): string {
  return join(app, 'node_modules/wa-upkeep/dist/bin/wa-upkeep.js');
}

function nightOf(app: string): Rehearsed {
  return JSON.parse(readFileSync(join(app, 'night.json'), 'utf8'));
}

/** The functions' bundles in a cloud assembly, sorted. */
function bundlesOf(cdkOut: string): string[] {
  return readdirSync(cdkOut)
    .filter((name) => name.startsWith('asset.'))
    .map((name) => readFileSync(join(cdkOut, name, 'index.mjs'), 'utf8'))
    .sort();
}
