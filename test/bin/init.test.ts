// In one file though long: one stand-in, in which each client stands once.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify, stripVTControlCharacters } from 'node:util';
import { spawn as spawnInTerminal } from '@lydell/node-pty';
import { App } from 'aws-cdk-lib';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { type Initialized, type InitOptions, initialize } from '../../bin/init/initialize.ts';
import { MissingFlags } from '../../bin/init/missing-flags.ts';
import {
  checkConfiguration,
  type UpkeepConfiguration,
} from '../../lib/whatsapp/configuration/configuration.ts';
import { makeUpkeepStacks } from '../../lib/whatsapp/upkeep-stacks.ts';
import type { Aws } from '../../rehearsal/aws/server.ts';
import { certificateFile, keepCertificate } from '../../rehearsal/certificates.ts';
import { startClientMysql } from '../../rehearsal/client-databases.ts';
import { clientsOf } from '../../rehearsal/clients.ts';
import { createWorld } from '../../rehearsal/world.ts';
import { deploy, REGION } from '../rehearsal/aws/deploy.ts';
import { commandLine, type Ended, inTerminal, inThisProcess } from './command-line.ts';
import { COMPILE_CACHE } from './compile-cache.ts';
import {
  APAC,
  monitoringKey,
  putApac,
  putMetaClient,
  putNetworkOfApac,
  putOddClient,
} from './init/played-clients.ts';
import { named, serve } from './init/served-certificate.ts';

const META = '222222222222';
const ODD = '444444444444';
const TOPIC = `arn:aws:sns:${REGION}:${ODD}:oncall`;
const CERTIFICATE = join(import.meta.dirname, '../../certificates/latam.pem');
/** What docs/command-line.md says that a person needs. */
const ACTIONS = rowOf('init');
/** Values that stand in secrets, parameters and environments. */
const NEVER_SHOWN = /Never-Shown|Meta-[0-9a-f]{8}/;

const FLAGS: InitOptions = {
  ...{ output: '', webapp: [], coreapp: [], master: [], subnets: [], securityGroups: [] },
  ...{ email: ['oncall@example.com'], timeZone: 'Europe/Berlin', certificateAuthority: CERTIFICATE },
};

function rowOf(command: string): string[] {
  const row = new RegExp(`^\\| \`${command}\` \\| (\`.*:.*) \\|$`, 'm');
  return row.exec(readFileSync('docs/command-line.md', 'utf8'))?.[1]?.match(/[a-z0-9-]+:\w+/g) ?? [];
}

/** All fields that docs/configuration.md explains, such as `deployments[].webApp.url`. */
function documentedFields(): string[] {
  const sections = readFileSync('docs/configuration.md', 'utf8').split(/^## /m);
  return sections.flatMap((section) => {
    const [, path = ''] = /^`([^`]+)`$/m.exec(section.split('\n')[0] ?? '') ?? [];
    const names = Array.from(
      section.matchAll(/^\| `([^`]+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$/gm),
      ([, name = '']) => name,
    );
    return names.map((name) => (path === '' ? name : `${path}.${name}`));
  });
}

function fieldsOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item) => fieldsOf(item, `${path}[]`));
  return Object.entries(value).flatMap(([name, item]) => {
    const field = path === '' ? name : `${path}.${name}`;
    return [field, ...fieldsOf(item, field)];
  });
}

const under = (path: string, ...names: string[]) => names.map((name) => `deployments[].${path}${name}`);
/** What init writes down for no client, with all that is in it: docs/command-line.md says so. */
const LEFT_OUT = [
  // What costs, or customers see.
  ...['dashboards', ...under('', 'encryption', 'logRetentionDays', 'mediaVolume.create')],
  ...under('jobs.messageGc.', 'markRead', 'watchWindow'),
  ...under('jobs.', 'logCleanup.archive', 'databaseSize.exactCountTimeLimitSeconds'),
  // What only a person knows, or has a wish for.
  ...['additionalDurableRegions', ...under('', 'notifications', 'callbacks', 'window.wholeDay')],
  ...under('mediaVolume.', 'owner', 'maximumSizeGibibytes', 'maximumBackupAgeHours'),
  ...under('databases[].', 'name', 'mediaDatabases'),
  ...under('upgradeCheck.', 'maximumGcAgeHours', 'services', 'storage[].host'),
  ...under('jobs.applicationSettings.', 'expected', 'settings', 'schedule.weekday'),
  ...under('jobs.mediaGc.', 'schedule.weekday'),
  ...['messageGc', 'mediaGc'].flatMap((job) =>
    under(`jobs.${job}.`, 'maximumCalls', 'pauseSeconds', 'callbackTimeoutMinutes'),
  ),
  ...under('jobs.messageGc.', 'tellRows'),
  ...under('jobs.logCleanup.', 'script', 'timeoutMinutes', 'concurrency', 'nearlyFullPercent'),
  ...['webapp', 'coreapp', 'master'].flatMap((role) =>
    under(`jobs.logCleanup.roles.${role}.`, 'logs', 'archive'),
  ),
  // Rotations with an administrator, and copies that are templates, are told of and left to a person.
  ...under('jobs.credentialRotation.', 'administrator', 'host', 'acceptFailedLogins', 'password', 'order'),
  ...under('jobs.credentialRotation.', 'rotateAfterDays', 'maximumAgeDays', 'rotationTimeoutMinutes'),
  ...under('jobs.credentialRotation.', 'steadyTimeoutMinutes', 'replicas', 'retirementPatienceMinutes'),
  ...under('jobs.credentialRotation.', 'whenUnproven', 'copies.secrets'),
  ...under('jobs.credentialRotation.strategy.', 'users', 'owner', 'user', 'storeAs'),
  ...under('jobs.credentialRotation.copies.parameters[].', 'template', 'encoding'),
];

describe('init', () => {
  let aws: Aws;
  let folder: string;
  let ended: Promise<void>;
  let end: () => void;
  let takeApacAway: () => Promise<void>;
  before(async () => {
    mkdirSync('.cache', { recursive: true });
    folder = mkdtempSync(join('.cache', 'init-'));
    const done = new Promise<void>((resolve) => {
      end = resolve;
    });
    await new Promise<void>((resolve, reject) => {
      ended = deploy(
        (stack) => void new Queue(stack, 'Orders'),
        async (deployment) => {
          aws = deployment.aws;
          resolve();
          await done;
        },
        { start: 'now' },
      );
      ended.catch(reject);
    });
    putMetaClient(aws, { account: META, region: REGION });
    putOddClient(aws, { account: ODD, region: REGION });
    takeApacAway = await putApac(aws, folder);
  });
  after(async () => {
    await takeApacAway?.();
    end();
    await ended;
    rmSync(folder, { recursive: true });
    for (const name of Object.keys(environmentOf(META))) if (name !== 'PATH') delete process.env[name];
  });

  /** Of somebody who may do so much, to whatever there is. */
  const environmentOf = (account: string, actions = ACTIONS) => environmentIn(aws, account, actions);

  function environmentIn(of: Aws, account: string, actions: string[]): Record<string, string> {
    const { accessKeyId, secretAccessKey, sessionToken } = of.credentialsFor({
      arn: `arn:aws:sts::${account}:assumed-role/operator/somebody`,
      policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] },
    });
    return {
      ...COMPILE_CACHE,
      PATH: process.env.PATH ?? '',
      AWS_ENDPOINT_URL: of.endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken,
    };
  }

  let written = 0;
  /** The fields of all configurations that were written, as docs/configuration.md calls them. */
  const drafted = new Set<string>();
  /** What flags alone come to, in an account; with the configuration that is written. */
  async function init(
    account: string,
    flags: Partial<InitOptions>,
    actions = ACTIONS,
  ): Promise<Initialized & { configuration: UpkeepConfiguration; text: string }> {
    Object.assign(process.env, environmentOf(account, actions));
    const output = join(folder, `${written++}.config.ts`);
    const done = await initialize({ ...FLAGS, output, ...flags }, undefined);
    const text = readFileSync(output, 'utf8');
    assert.doesNotMatch(text + JSON.stringify(done.notes), NEVER_SHOWN);
    const { default: configuration } = await import(join(process.cwd(), output));
    for (const path of fieldsOf(configuration)) drafted.add(path);
    return { ...done, configuration, text };
  }

  const whatOf = ({ notes }: Initialized, kind: string) =>
    notes.filter((note) => note.kind === kind).map(({ what }) => what);

  it("fills in everything of a stack made by Meta's template, names what that lacks, and it synthesizes", async () => {
    const done = await init(META, { fromStack: 'wa' });
    assert.deepEqual(done.mistakes, []);
    assert.deepEqual(whatOf(done, 'could not look'), []);
    const [deployment] = done.configuration.deployments;
    assert.ok(deployment);
    const { network, webApp, databases, mediaVolume, jobs, upgradeCheck } = deployment;
    assert.deepEqual(
      { account: deployment.account, network },
      {
        account: META,
        network: {
          vpcId: 'vpc-0a1b2c3d4e5f60001',
          subnets: [
            { id: 'subnet-0a1b2c3d4e5f60000', availabilityZone: 'eu-central-1a' },
            { id: 'subnet-0a1b2c3d4e5f60001', availabilityZone: 'eu-central-1b' },
          ],
          securityGroupIds: network.securityGroupIds,
          endpoints: 'create',
        },
      },
    );
    assert.match(network.securityGroupIds[0] ?? '', /^sg-[0-9a-f]{17}$/);
    assert.match(webApp.url, /^https:\/\/wa-lb-[0-9a-f]{16}\.elb\.eu-central-1\.amazonaws\.com$/);
    assert.deepEqual(databases, [
      {
        ...{ prefix: '', engine: 'aurora-mysql', port: 3306, certificateAuthority: 'rds' },
        host: 'wa.cluster-a1b2.eu-central-1.rds.amazonaws.com',
        user: {
          secretArn: `arn:aws:secretsmanager:${REGION}:${META}:secret:whatsapp/wa/database-size-ABSENT`,
        },
        idleTimeoutSeconds: 180,
      },
    ]);
    assert.deepEqual(upgradeCheck, { storage: [{ identifier: 'wa-db' }] });
    assert.deepEqual([mediaVolume?.existing?.throughput], ['bursting']);
    assert.deepEqual(Object.keys(jobs).sort(), [
      ...['credentialRotation', 'databaseSize', 'logCleanup', 'mediaGc', 'messageGc'],
    ]);
    assert.deepEqual(jobs.logCleanup?.roles, {
      webapp: { services: ['wa-WAEntWebService-1'], container: 'wa-web' },
      coreapp: { services: ['wa-WAEntNotCECoreappService-1'], container: 'wa-coreapp' },
      master: { services: ['wa-WAEntMasterService-1'], container: 'wa-master' },
    });
    assert.deepEqual(jobs.logCleanup?.runCommand, {
      ...{ tagKey: 'aws:cloudformation:stack-name', tagValue: 'wa' },
    });
    assert.deepEqual(jobs.credentialRotation?.services.others, [
      { name: 'wa-ms-WAMonitoringService-1', clusterName: 'wa-ms-ECSCluster-1' },
    ]);
    assert.deepEqual(jobs.credentialRotation?.metaTemplate, {
      stackName: 'wa',
      encryptionKeyArn: `arn:aws:kms:${REGION}:${META}:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab`,
      monitoring: {
        secretArn: `arn:aws:secretsmanager:${REGION}:${META}:secret:wa-ms-Secret-a1B2c3`,
        encryptionKeyArn: monitoringKey({ account: META, region: REGION }),
      },
    });
    const missing = whatOf(done, 'missing').join('\n');
    for (const lacked of [/WebApp API user/, /looks at sizes/, /client's own database user, to be rotated/])
      assert.match(missing, lacked);
    assert.match(whatOf(done, 'to do').join('\n'), /AmazonSSMManagedInstanceCore/);
    assert.match(done.text, /\/\/ Not there yet: put its ARN here\.\n\s+apiUser:/);
    synthesizes(done.configuration);
  });

  /**
   * As bin/app.ts does.
   * @param bundles in general they are left out, for they are the same for every configuration
   * @returns the cloud assembly
   */
  function synthesizes(configuration: UpkeepConfiguration, { bundles = false } = {}): string {
    const app = new App({
      outdir: join(folder, `cdk.out-${written++}`),
      ...(!bundles && { context: { 'aws:cdk:bundling-stacks': [] } }),
      analyticsReporting: false,
      // Takes seconds; `npx cdk synth` of the sample does it.
      builtinCloudFormationValidation: false,
    });
    makeUpkeepStacks(app, checkConfiguration(configuration, { file: 'test', folder }));
    const { stacks, directory } = app.synth();
    assert.ok(stacks.length > 0);
    return directory;
  }

  /** What doctor finds that is not ok, each as `CHECK, OF: SAW`. */
  async function doctorFinds(words: string[], env: Record<string, string>): Promise<string[]> {
    const { out, err } = await inThisProcess(['doctor', ...words, '--json'], env);
    assert.equal(err, '');
    const found: { check: string; of?: string; status: string; saw: string }[] = JSON.parse(out);
    assert.ok(found.some(({ status }) => status === 'ok'));
    return found.flatMap(({ check, of, status, saw }) =>
      status === 'ok' ? [] : `${check}${of === undefined ? '' : `, ${of}`}: ${saw}`,
    );
  }

  it("writes what passes doctor, before its deploy and after it, but for what Meta's template really lacks", async (t) => {
    const mysql = await startClientMysql();
    if (typeof mysql === 'string') return t.skip(mysql);
    const { configured, place, stackName, secrets } = APAC;
    const [database] = configured.databases ?? [];
    assert.ok(database);
    for (const host of [configured.name, database.host])
      await keepCertificate(host, host === database.host ? host : new URL(configured.webApp.url).hostname);
    const flags = {
      ...{ fromStack: stackName, region: place.region, certificateAuthority: certificateFile('apac') },
      ...{ serverName: new URL(configured.webApp.url).hostname, timeZone: 'Asia/Kolkata' },
    };
    /** The stand-in's server shows another certificate than those of RDS. */
    const played = ({ deployments: [deployment], ...rest }: UpkeepConfiguration): UpkeepConfiguration => ({
      ...rest,
      deployments: deployment
        ? [
            {
              ...deployment,
              databases: deployment.databases?.map((each) => ({
                ...each,
                certificateAuthority: certificateFile(database.host),
              })),
            },
          ]
        : [],
    });
    const lacking = await init(place.account, flags);
    assert.deepEqual([lacking.mistakes, whatOf(lacking, 'could not look')], [[], []]);
    // What init has said that the template lacks, and nothing else.
    const named = lacking.notes.filter(({ kind }) => kind === 'missing' || kind === 'to do');
    const lacks = [
      [/WebApp API user/, /^secrets, whatsapp\/apac\/api-user-ABSENT: There is no such secret\.$/],
      [/looks at sizes/, /^secrets, whatsapp\/apac\/database-size-ABSENT: There is no such secret\.$/],
      [/client's own database user/, /^secrets, whatsapp\/apac\/database-ABSENT: There is no such secret\.$/],
      [
        /AmazonSSMManagedInstanceCore/,
        /^instances for Run Command, .*: Systems Manager does not know the instance i-[0-9a-f]{17}\.$/,
      ],
    ] as const;
    for (const [note] of lacks) assert.ok(named.some(({ what }) => note.test(what)));
    const unnamed = (found: string[], of: readonly (readonly [RegExp, RegExp])[]) =>
      found.filter((each) => !of.some(([, saw]) => saw.test(each)));
    const beforeDeploy = (cdkOut: string) =>
      doctorFinds(
        ['--before-deploy', '--cdk-out', cdkOut],
        environmentOf(place.account, rowOf('doctor --before-deploy')),
      );
    const first = await beforeDeploy(synthesizes(played(lacking.configuration)));
    assert.deepEqual(unnamed(first, lacks), []);
    for (const [, saw] of lacks) assert.ok(first.some((each) => saw.test(each)));

    // An operator makes what is asked for.
    for (const arn of Object.values(secrets))
      aws.secrets.put(arn, '{"username":"u","password":"Never-Shown-6"}');
    // Which of several it is nobody can know, but what is there is not to be made again.
    assert.match(
      whatOf(await init(place.account, flags), 'missing').join('\n'),
      /There is a secret whatsapp\/apac\/database: if it is the one, say --credential-secret whatsapp\/apac\/database\./,
    );
    const whole = await init(place.account, { ...flags, credentialSecret: 'whatsapp/apac/database' });
    assert.deepEqual(whatOf(whole, 'missing'), []);
    const instances = lacks.slice(-1);
    const cdkOut = synthesizes(played(whole.configuration), { bundles: true });
    assert.deepEqual(unnamed(await beforeDeploy(cdkOut), instances), []);

    const { apac } = clientsOf({ rows: 0, unread: 0, containers: 'few', rotation: true }, Date.now(), mysql);
    const [deployment] = whole.configuration.deployments;
    assert.ok(apac && deployment);
    const world = await createWorld({ cdkOut, mysql, clients: { apac }, jobs: [], start: undefined });
    try {
      const { webApp, containers } = world.deployments.apac ?? {};
      assert.ok(webApp && containers);
      putNetworkOfApac(world.aws);
      world.aws.hosts[`${new URL(deployment.webApp.url).hostname}:443`] = `127.0.0.1:${webApp.port}`;
      const env = {
        ...environmentIn(world.aws, place.account, [...rowOf('doctor'), 'lambda:ListFunctions']),
        AWS_REGION: place.region,
      };
      const deployed = await doctorFinds(['apac'], env);
      assert.ok(deployed.length > 0);
      assert.deepEqual(unnamed(deployed, instances), []);
      for (const host of containers.hosts) world.aws.ssm.manage(host, place);
      assert.deepEqual(await doctorFinds(['apac'], env), []);
    } finally {
      await world.close();
      await mysql.stop();
    }
  });

  it('finds a deployment that is odd, and says what it could not find', async () => {
    await assert.rejects(init(ODD, {}), (error) => {
      assert.ok(error instanceof MissingFlags);
      assert.match(error.message, /several clusters: chat, second, third\. Say which one by --cluster\./);
      return true;
    });
    const done = await init(ODD, { cluster: 'chat', name: 'shop', window: { from: '23:30', to: '02:30' } });
    const [deployment] = done.configuration.deployments;
    assert.ok(deployment);
    const { network, webApp, databases, mediaVolume, jobs } = deployment;
    // Of two subnets of a zone the one with a way out.
    assert.deepEqual(network, {
      vpcId: 'vpc-0b1b2c3d4e5f60001',
      subnets: [
        { id: 'subnet-0b1b2c3d4e5f60002', availabilityZone: 'eu-central-1a' },
        { id: 'subnet-0b1b2c3d4e5f60003', availabilityZone: 'eu-central-1b' },
      ],
      securityGroupIds: ['sg-0b1b2c3d4e5f60001'],
    });
    assert.match(
      whatOf(done, 'missing').join('\n'),
      /^Where WebApp answers: no load balancer.*--web-app-url/m,
    );
    assert.equal(webApp.url, 'https://webapp.absent.invalid');
    // The only one whose name says so.
    assert.deepEqual(webApp.apiUser, {
      secretArn: `arn:aws:secretsmanager:${REGION}:${ODD}:secret:chat/api-user-j1K2l3`,
    });
    // The port that RDS says, not that of the engine; the host from a parameter; the prefix from the environment.
    const [database] = databases ?? [];
    assert.deepEqual(
      [database?.prefix, database?.engine, database?.host, database?.port],
      ['one_', 'mysql', 'chat-db.a1b2.eu-central-1.rds.amazonaws.com', 3307],
    );
    assert.deepEqual(mediaVolume, {
      existing: {
        ...{ fileSystemId: 'fs-0a1b2c3d4e5f60001', securityGroupId: 'sg-0b1b2c3d4e5f60009' },
        throughput: 'elastic',
      },
      directory: '/chat',
    });
    assert.equal(jobs.applicationSettings, undefined);
    assert.match(
      whatOf(done, 'taken').join('\n'),
      /^Nothing looks at WebApp's own settings: .*--administrator-secret/m,
    );
    // No sidecar, and the name of one is that of a client's image.
    assert.deepEqual(jobs.logCleanup?.roles, {
      webapp: { services: ['wa-web'], container: 'wa-web' },
      coreapp: { services: ['wa-coreapp'], container: 'wa-coreapp' },
      master: { services: ['wa-master'], container: 'wa-master' },
    });
    assert.match(whatOf(done, 'to do').join('\n'), /ECS Exec is not enabled in wa-coreapp, wa-web,/);
    // The task definition names it in short.
    assert.equal(
      jobs.credentialRotation?.secret.secretArn,
      `arn:aws:secretsmanager:${REGION}:${ODD}:secret:chat/db-d4E5f6`,
    );
    synthesizes(done.configuration);

    const plain = await init(ODD, {
      ...{ cluster: 'second', webAppUrl: 'https://chat.example.internal:8443' },
      administratorSecret: 'chat/admin',
    });
    const [second] = plain.configuration.deployments;
    assert.equal(second?.webApp.url, 'https://chat.example.internal:8443');
    assert.equal(second?.jobs.credentialRotation, undefined);
    assert.deepEqual(second?.jobs.applicationSettings?.administrator, {
      secretArn: `arn:aws:secretsmanager:${REGION}:${ODD}:secret:chat/admin-m1N2o3`,
    });
    assert.match(plain.notes.map(({ what }) => what).join('\n'), /chat\/plain .*holds the password alone/);
    synthesizes(plain.configuration);

    const [name, key] = [
      'third/all',
      `arn:aws:kms:${REGION}:${ODD}:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab`,
    ];
    const third = await init(ODD, {
      ...{ cluster: 'third', topicArn: TOPIC, email: [], webAppUrl: 'https://chat.example.internal' },
      ...{ apiUserSecret: name, databaseUserSecret: name, credentialSecret: name, administratorSecret: name },
    });
    assert.deepEqual(third.configuration.notifications, { topicArn: TOPIC });
    const [its] = third.configuration.deployments;
    assert.ok(its);
    const { jobs: itsJobs } = its;
    assert.deepEqual(itsJobs.credentialRotation?.copies, {
      parameters: [{ name: 'chat-password', encryptionKeyArn: key }],
    });
    for (const secret of [
      ...[its.webApp.apiUser, its.databases?.[0]?.user, itsJobs.credentialRotation?.secret],
      itsJobs.applicationSettings?.administrator,
    ])
      assert.equal(secret?.encryptionKeyArn, key);
    assert.equal(itsJobs.logCleanup?.sessionEncryptionKeyArn, key);
    assert.equal(its.mediaVolume?.existing?.accessPointId, 'fsap-0a1b2c3d4e5f60001');
    assert.deepEqual(
      [its.network.endpoints, its.network.otherEndpointClients],
      ['create', ['sg-0b1b2c3d4e5f60002']],
    );
    assert.deepEqual(third.mistakes, []);
    await init(ODD, { cluster: 'third', email: [], silent: true });
  });

  it('takes services by name where nothing tells them, and refuses what is not there', async () => {
    const done = await init(ODD, { cluster: 'other', webapp: ['web'], name: 'other' });
    assert.deepEqual(done.configuration.deployments[0]?.jobs.logCleanup?.roles, {
      webapp: { services: ['web'], container: 'web' },
    });
    await assert.rejects(
      init(ODD, { cluster: 'other', webapp: ['wbe'] }),
      /There is no service wbe\. There: web/,
    );
    await assert.rejects(
      init(ODD, { cluster: 'chat', webapp: ['wa-web'] }),
      /say wa-web\/CONTAINER, of wa-web, log/,
    );
    await assert.rejects(init(ODD, { fromStack: 'none' }), /Stack with id none does not exist/);
    const nothing = await init(ODD, { cluster: 'nowhere' });
    assert.match(
      whatOf(nothing, 'missing').join('\n'),
      /^No container was found that looks like the client's/m,
    );
  });

  it('asks AWS for no more than docs/command-line.md lists, and says which right is missing', async () => {
    assert.ok(ACTIONS.length > 15);
    for (const action of ['elasticloadbalancing:DescribeTargetGroups', 'rds:DescribeDBClusters']) {
      const done = await init(
        META,
        { fromStack: 'wa' },
        ACTIONS.filter((each) => each !== action),
      );
      const [refused = ''] = whatOf(done, 'could not look');
      assert.match(refused, new RegExp(`perform: ${action}`));
    }
  });

  it('saves the certificate that WebApp shows where it is told to trust it, and else says how to', async () => {
    const own = await named('webapp.internal');
    await serve(own, async (webAppUrl) => {
      const flags = { cluster: 'second', webAppUrl, certificateAuthority: 'certificates/second.pem' };
      const file = join(folder, flags.certificateAuthority);
      const untrusting = await init(ODD, flags);
      assert.ok(!existsSync(file));
      const [, where = ''] =
        /^Save WebApp's certificate authority,.*\nmkdir -p \S+ && openssl s_client -connect localhost:\d+ .* > (\S+)$/m.exec(
          whatOf(untrusting, 'to do').join('\n'),
        ) ?? [];
      assert.equal(resolve(where), resolve(file));
      assert.match(untrusting.mistakes.join('\n'), /webApp\.certificateAuthority names/);
      const done = await init(ODD, { ...flags, trustCertificate: true });
      assert.deepEqual(new X509Certificate(readFileSync(file)).raw, new X509Certificate(own.cert).raw);
      assert.deepEqual(done.mistakes, []);
      const { webApp } = done.configuration.deployments[0] ?? {};
      assert.deepEqual(
        [webApp?.certificateAuthority, webApp?.serverName],
        ['certificates/second.pem', 'webapp.internal'],
      );
    });
  });

  function cli(words: string[], env: Record<string, string>): Promise<Ended> {
    return inThisProcess(['init', ...words], env);
  }

  /** Likewise in a process of its own, through pipes. */
  function piped(words: string[], env: Record<string, string>): Promise<Ended> {
    return commandLine(['init', ...words], env);
  }

  it('takes flags where there is no terminal, and never writes over a file without being told', async () => {
    const file = join(folder, 'piped.config.ts');
    const env = environmentOf(META);
    const bare = await cli(['--output', file], env);
    assert.deepEqual([bare.status, bare.out], [2, '']);
    assert.match(
      bare.err,
      /^There is no terminal .* --time-zone, nor for --email, --topic-arn or --silent\.$/m,
    );
    assert.ok(!existsSync(file));
    writeFileSync(file, 'mine');
    const flags = [
      ...['--output', file, '--from-stack', 'wa', '--time-zone', 'Asia/Kolkata', '--silent'],
      ...['--certificate-authority', CERTIFICATE, '--jobs', 'message-gc'],
    ];
    const refused = await cli(flags, env);
    assert.equal(refused.status, 2);
    assert.equal(readFileSync(file, 'utf8'), 'mine');
    const { status, out, err } = await piped([...flags, '--force'], env);
    assert.deepEqual([status, err], [1, '']);
    assert.equal(out, stripVTControlCharacters(out));
    assert.match(out, /^Wrote \S+\.\n\nMissing:\n- A secret with the WebApp API user/);
    assert.doesNotMatch(out, NEVER_SHOWN);
    assert.match(readFileSync(file, 'utf8'), /^import \{ defineUpkeep \} from '\.\.\/\.\.\/lib\/whatsapp\//);
    assert.equal((await cli(['--window', '01:00-02:00'], env)).status, 2);
  });

  it('asks on a terminal for what no flag says, and what it finds is what Enter takes', async () => {
    const file = join(folder, 'asked.config.ts');
    const terminal = spawnInTerminal(
      process.execPath,
      ['bin/wa-upkeep.ts', 'init', '--output', file, '--certificate-authority', CERTIFICATE],
      { env: { ...environmentOf(ODD), TERM: 'xterm-256color' }, cols: 200 },
    );
    /** A question's words, and what is typed then. */
    const answers: [string, string][] = [
      ['several clusters', '\r'],
      ['deployment called?', '\r'],
      ['time zone', 'Europe/Madrid\r'],
      ['When may upkeep run', '\r'],
      ['Who is mailed', 'nobody\r'],
      ['At least one e-mail address', '@example.com\r'],
      // The last one too, which is not chosen at first.
      ['Which jobs?', '\u001B[A \r'],
      ['Where does WebApp answer?', 'https://chat.example.internal\r'],
      ['with the WebApp API user?', '\r'],
      ['looks at sizes?', '\r'],
      ['an administrator of WebApp?', '\r'],
    ];
    let shown = '';
    let from = 0;
    const status = await new Promise<number>((resolve) => {
      terminal.onData((text) => {
        shown += text;
        const [next] = answers;
        const plain = stripVTControlCharacters(shown);
        if (next === undefined || !plain.slice(from).includes(next[0])) return;
        answers.shift();
        from = plain.length;
        terminal.write(next[1]);
      });
      terminal.onExit(({ exitCode }) => resolve(exitCode));
    });
    assert.deepEqual(answers, [], stripVTControlCharacters(shown));
    assert.equal(status, 1);
    const { default: configuration } = await import(join(process.cwd(), file));
    const [deployment] = (configuration as UpkeepConfiguration).deployments;
    assert.deepEqual(
      [deployment?.name, deployment?.timeZone, deployment?.webApp.url],
      ['chat', 'Europe/Madrid', 'https://chat.example.internal'],
    );
    assert.deepEqual(configuration.notifications, { emails: ['nobody@example.com'] });
    assert.match(deployment?.webApp.apiUser.secretArn ?? '', /chat\/api-user-j1K2l3$/);
    assert.match(
      deployment?.jobs.applicationSettings?.administrator?.secretArn ?? '',
      /whatsapp\/chat\/administrator-ABSENT$/,
    );
  });

  it('asks on a terminal for what the app of any application needs', async () => {
    const app = join(folder, 'asked');
    const { status, shown } = await inTerminal(
      ['init', '--general', '--output', app, '--cluster', 'chat', '--service', 'wa-web/web', '--silent'],
      environmentOf(ODD),
      [
        ['deployment called?', '\r'],
        ['time zone', 'Europe/Madrid\r'],
        ['When may upkeep run', '\r'],
        ['Which command', '/srv/prune --all\r'],
      ],
    );
    assert.equal(status, 0, shown);
    const source = readFileSync(join(app, 'app.ts'), 'utf8');
    assert.match(source, /command: \['\/srv\/prune', '--all'\]/);
    assert.match(source, /timeZone: 'Europe\/Madrid'/);
  });

  it('leaves out of the configuration only what has its default until a person knows better', () => {
    const undrafted = documentedFields().filter(
      (path) =>
        !drafted.has(path) &&
        !LEFT_OUT.some((left) => path.startsWith(left) && /^($|[.[])/.test(path.slice(left.length))),
    );
    assert.deepEqual(undrafted, []);
    assert.deepEqual(
      LEFT_OUT.filter((left) => drafted.has(left)),
      [],
    );
  });

  it('writes a CDK app for any application, which passes the type check and synthesizes', async () => {
    const env = environmentOf(ODD);
    const app = join(folder, 'general');
    const words = [
      ...['--general', '--cluster', 'chat', '--time-zone', 'UTC', '--silent'],
      ...['--service', 'wa-web/log_router', '--service', 'wa-coreapp', '--command', 'du -s /tmp | sort'],
      ...['--name', 'shop'],
    ];
    const elsewhere = join(tmpdir(), 'app-of-nobody');
    const outside = await piped([...words, '--output', elsewhere], env);
    assert.equal(outside.status, 2);
    assert.match(outside.err, /app-of-nobody lies outside of this clone/);
    assert.ok(!existsSync(elsewhere));
    const done = await piped([...words, '--output', app], env);
    assert.deepEqual([done.status, done.err], [0, '']);
    const source = readFileSync(join(app, 'app.ts'), 'utf8');
    assert.match(source, /new ContainerCommandJob\(/);
    assert.match(source, /new CredentialRotation\(/);
    const check =
      'node_modules/typescript/bin/tsc --noEmit --strict --module nodenext --target es2024 --types node --skipLibCheck --ignoreConfig --allowImportingTsExtensions';
    await promisify(execFile)(process.execPath, [...check.split(' '), join(app, 'app.ts')], {});
    await promisify(execFile)(process.execPath, ['app.ts'], {
      cwd: app,
      env: {
        PATH: process.env.PATH,
        CDK_OUTDIR: 'cdk.out',
        CDK_CONTEXT_JSON: '{"aws:cdk:bundling-stacks":[]}',
      },
    });
    const template = readFileSync(join(app, 'cdk.out/shop-upkeep.template.json'), 'utf8');
    assert.match(template, /AWS::SecretsManager::RotationSchedule/);
  });
});
