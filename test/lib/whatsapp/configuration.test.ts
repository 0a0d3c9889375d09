import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { generate } from 'selfsigned';
import {
  ConfigurationError,
  checkConfiguration,
  defineUpkeep,
  loadConfiguration,
} from '../../../lib/whatsapp/configuration.ts';
import sample from '../../../upkeep.config.ts';

const REPOSITORY = new URL('../../../', import.meta.url).pathname;

/** The sample with one thing changed. `undefined` removes the field. */
function changed(path: string, value: unknown): unknown {
  const configuration = structuredClone(sample) as unknown;
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const parent = keys.reduce<Record<string, unknown>>(
    (object, key) => object[key] as Record<string, unknown>,
    configuration as Record<string, unknown>,
  );
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return configuration;
}

function mistakesOf(configuration: unknown, folder = REPOSITORY): string[] {
  try {
    checkConfiguration(configuration, { file: 'upkeep.config.ts', folder });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.mistakes;
  }
}

/** [what is mistaken, field of the sample, its value, the one sentence that must come of it] */
const MISTAKES: [string, string, unknown, string][] = [
  [
    'an unknown field, with the nearest known one',
    'deployments.0.timezone',
    'Europe/Berlin',
    'deployments[0].timezone is not a known field; did you mean "timeZone"? Allowed here: name, account, region, timeZone, window, network, webApp, callbacks, mediaVolume, databases, upgradeCheck, encryption, logRetentionDays, notifications, jobs.',
  ],
  [
    'an unknown field deep inside',
    'deployments.0.jobs.messageGc.markRead.olderThan',
    24,
    'deployments[0].jobs.messageGc.markRead.olderThan is not a known field; did you mean "olderThanHours"? Allowed here: olderThanHours, requestsPerSecond, concurrency.',
  ],
  [
    'a missing field',
    'deployments.1.timeZone',
    undefined,
    'deployments[1].timeZone is missing; it must be an IANA time zone such as Europe/Berlin.',
  ],
  [
    'a time zone that does not exist',
    'deployments.0.timeZone',
    'America/Sao_Paolo',
    'deployments[0].timeZone is "America/Sao_Paolo"; it must be an IANA time zone such as Europe/Berlin.',
  ],
  [
    'an offset for a time zone',
    'deployments.0.timeZone',
    '+01:00',
    'deployments[0].timeZone is "+01:00"; it must be an IANA time zone such as Europe/Berlin.',
  ],
  [
    'a local time that is none',
    'deployments.0.window.from',
    '24:00',
    'deployments[0].window.from is "24:00"; it must be a local time HH:MM, from 00:00 to 23:59.',
  ],
  [
    'an account as a number',
    'deployments.0.account',
    111111111111,
    'deployments[0].account is 111111111111; it must be an AWS account number of 12 digits, in quotes.',
  ],
  [
    'a name that cannot begin the names of resources',
    'deployments.0.name',
    'Latam_1',
    'deployments[0].name is "Latam_1"; it must be a lower-case letter, then at most 23 lower-case letters, digits and hyphens.',
  ],
  [
    'a name that is too long',
    'deployments.0.name',
    'a234567890123456789012345',
    'deployments[0].name is "a234567890123456789012345"; it must be a lower-case letter, then at most 23 lower-case letters, digits and hyphens.',
  ],
  [
    'two deployments of one name',
    'deployments.1.name',
    'latam',
    'deployments[1].name is "latam", as is deployments[0].name; it must be a name of its own.',
  ],
  [
    'http in place of https',
    'deployments.0.webApp.url',
    'http://webapp.latam.internal',
    'deployments[0].webApp.url is "http://webapp.latam.internal"; it must be an https URL without a path, such as https://webapp.example.internal.',
  ],
  [
    'an URL with a path',
    'deployments.0.webApp.url',
    'https://webapp.latam.internal/v1',
    'deployments[0].webApp.url is "https://webapp.latam.internal/v1"; it must be an https URL without a path, such as https://webapp.example.internal.',
  ],
  [
    'a window shorter than the time limit',
    'deployments.0.window',
    { from: '02:00', to: '03:30' },
    'deployments[0].window from 02:00 to 03:30 has 90 minutes; it must have at least the 120 of jobs.messageGc.timeLimitMinutes.',
  ],
  [
    'a window over midnight that is shorter than the time limit',
    'deployments.1.jobs.messageGc.timeLimitMinutes',
    301,
    'deployments[1].window from 23:30 to 04:30 has 300 minutes; it must have at least the 301 of jobs.messageGc.timeLimitMinutes.',
  ],
  [
    'a schedule outside the window',
    'deployments.1.jobs.messageGc.schedule.at',
    '23:15',
    'deployments[1].jobs.messageGc.schedule.at is "23:15"; it must lie with its 15 flexible minutes inside the downtime window, from 23:30 to 04:30.',
  ],
  [
    'a schedule whose flexible minutes leave the window',
    'deployments.0.jobs.messageGc.schedule.at',
    '04:45',
    'deployments[0].jobs.messageGc.schedule.at is "04:45"; it must lie with its 15 flexible minutes inside the downtime window, from 01:00 to 05:00.',
  ],
  [
    'a callback time-out below the quarter of an hour that a callback may take',
    'deployments.0.jobs.messageGc.callbackTimeoutMinutes',
    15,
    'deployments[0].jobs.messageGc.callbackTimeoutMinutes is 15; it must be a whole number from 16 to 720.',
  ],
  [
    'a callback time-out that the run does not live to see',
    'deployments.0.jobs.messageGc.callbackTimeoutMinutes',
    120,
    'deployments[0].jobs.messageGc.callbackTimeoutMinutes is 120; it must be less than the 120 of timeLimitMinutes.',
  ],
  [
    'a fraction',
    'deployments.0.jobs.messageGc.maximumCalls',
    2.5,
    'deployments[0].jobs.messageGc.maximumCalls is 2.5; it must be a whole number from 1 to 50.',
  ],
  [
    'media GC at times at which message GC may be at work',
    'deployments.1.jobs.mediaGc.schedule.flexibleMinutes',
    1,
    'deployments[1].jobs.mediaGc.schedule.at is "23:30", from which on a run can meet one of messageGc, and the later one would be skipped; it must keep both apart, with their flexible minutes and time limits.',
  ],
  [
    'media GC whose callback comes after its end',
    'deployments.1.jobs.mediaGc.callbackTimeoutMinutes',
    45,
    'deployments[1].jobs.mediaGc.callbackTimeoutMinutes is 45; it must be less than the 45 of timeLimitMinutes.',
  ],
  [
    'a day that is none',
    'deployments.1.jobs.mediaGc.schedule.weekday',
    'Sunday',
    'deployments[1].jobs.mediaGc.schedule.weekday is "Sunday"; it must be one of monday, tuesday, wednesday, thursday, friday, saturday, sunday, or daily.',
  ],
  [
    'another job outside the window',
    'deployments.1.jobs.databaseSize.schedule.at',
    '04:20',
    'deployments[1].jobs.databaseSize.schedule.at is "04:20"; it must lie with its 15 flexible minutes inside the downtime window, from 23:30 to 04:30.',
  ],
  [
    'sizes of no databases',
    'deployments.0.jobs.databaseSize',
    { schedule: { at: '03:45' } },
    'deployments[0].jobs.databaseSize has no databases to look at; it must come with "databases" of the deployment.',
  ],
  [
    'an upgrade check of no databases',
    'deployments.0.upgradeCheck',
    {},
    'deployments[0].upgradeCheck has no databases to look at; it must come with "databases" of the deployment.',
  ],
  [
    'the storage of a server that is none of the databases’',
    'deployments.1.upgradeCheck.storage.0.host',
    'database.latam.internal',
    'deployments[1].upgradeCheck.storage[0].host is "database.latam.internal"; it must be a host of databases: database.emea.internal.',
  ],
  [
    'the storage of a server twice',
    'deployments.1.upgradeCheck.storage.1',
    { host: 'database.emea.internal', identifier: 'whatsapp-emea-2' },
    'deployments[1].upgradeCheck.storage[1].host is "database.emea.internal" a second time; it must be named once.',
  ],
  [
    'the storage of one of several servers, which does not say of which',
    'deployments.0',
    {
      ...sample.deployments[0],
      databases: ['one', 'two'].map((name) => ({
        prefix: `${name}_`,
        engine: 'postgres',
        host: `${name}.latam.internal`,
        port: 5432,
        certificateAuthority: 'rds',
        user: { secretArn: sample.deployments[0]?.webApp.apiUser.secretArn },
      })),
      upgradeCheck: { storage: [{ identifier: 'whatsapp-latam' }] },
    },
    'deployments[0].upgradeCheck.storage[0].host is missing; it must be one of one.latam.internal, two.latam.internal.',
  ],
  [
    'an ARN in place of an identifier',
    'deployments.1.upgradeCheck.storage.0.identifier',
    'arn:aws:rds:eu-central-1:222222222222:db:whatsapp-emea',
    'deployments[1].upgradeCheck.storage[0].identifier is "arn:aws:rds:eu-central-1:222222222222:db:whatsapp-emea"; it must be the identifier of a DB instance, or of a DB cluster of Aurora.',
  ],
  [
    'an address in place of a database’s name, which no certificate has',
    'deployments.1.databases.0.host',
    '10.0.0.7',
    'deployments[1].databases[0].host is "10.0.0.7"; it must be a host name, not an address.',
  ],
  [
    'an engine that is not known',
    'deployments.1.databases.0.engine',
    'PGSQL',
    'deployments[1].databases[0].engine is "PGSQL"; it must be one of mysql, aurora-mysql, mariadb, postgres, aurora-postgresql.',
  ],
  [
    'two sets of databases of one name',
    'deployments.1.databases.1',
    { ...sample.deployments[1]?.databases?.[0], prefix: 'wa1-' },
    'deployments[1].databases[1].prefix names the set "wa1", as does databases[0]; it must come with a "name" of its own.',
  ],
  [
    'a prefix that cannot name metrics',
    'deployments.1.databases.0.prefix',
    'wä_',
    'deployments[1].databases[0].prefix is "wä", which cannot name metrics; it must come with a "name" of letters, digits, hyphens and underscores.',
  ],
  [
    'the secret of a database user in another region',
    'deployments.1.databases.0.user.secretArn',
    'arn:aws:secretsmanager:us-east-1:222222222222:secret:whatsapp/emea/database-size-g7H8i9',
    "deployments[1].databases[0].user.secretArn names region us-east-1; it must be of the deployment's own, eu-central-1 and 222222222222.",
  ],
  [
    'a certificate file of a database that is not there',
    'deployments.1.databases.0.certificateAuthority',
    '/nowhere/ca.pem',
    'deployments[1].databases[0].certificateAuthority names "/nowhere/ca.pem", which cannot be read (looked for at /nowhere/ca.pem); it must be a PEM file.',
  ],
  [
    'no job',
    'deployments.0.jobs',
    {},
    'deployments[0].jobs names no job; it must have one, such as "messageGc".',
  ],
  ['no deployment', 'deployments', [], 'deployments is []; it must be a list of at least one deployment.'],
  [
    'a VPC id of another kind of thing',
    'deployments.0.network.vpcId',
    'subnet-0a1b2c3d4e5f60001',
    'deployments[0].network.vpcId is "subnet-0a1b2c3d4e5f60001"; it must be a VPC id such as vpc-0123456789abcdef0.',
  ],
  [
    'a security group by name',
    'deployments.0.network.securityGroupIds.0',
    'default',
    'deployments[0].network.securityGroupIds[0] is "default"; it must be a security group id such as sg-0123456789abcdef0.',
  ],
  [
    'a subnet of another region',
    'deployments.0.network.subnets.1.availabilityZone',
    'us-east-2a',
    'deployments[0].network.subnets[1].availabilityZone is "us-east-2a"; it must be a zone of us-east-1.',
  ],
  [
    'two subnets of one zone',
    'deployments.0.network.subnets.1.availabilityZone',
    'us-east-1a',
    'deployments[0].network.subnets[1].availabilityZone is "us-east-1a" a second time; it must be another zone than the others.',
  ],
  [
    'clients of endpoints that are not created',
    'deployments.0.network.otherEndpointClients',
    ['sg-0a1b2c3d4e5f60009'],
    'deployments[0].network.otherEndpointClients has an effect only with endpoints: "create"; it must be left out, or the endpoints created here.',
  ],
  [
    'a secret of another region and account',
    'deployments.0.webApp.apiUser.secretArn',
    'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6',
    "deployments[0].webApp.apiUser.secretArn names region eu-central-1 and account 222222222222; it must be of the deployment's own, us-east-1 and 111111111111.",
  ],
  [
    'a secret without the end of its ARN, which no policy would match',
    'deployments.0.webApp.apiUser.secretArn',
    'arn:aws:secretsmanager:us-east-1:111111111111:secret:whatsapp',
    'deployments[0].webApp.apiUser.secretArn is "arn:aws:secretsmanager:us-east-1:111111111111:secret:whatsapp"; it must be the full ARN of a secret, with the six characters at its end, in the deployment\'s account and region.',
  ],
  [
    'a topic of another region',
    'deployments.0.notifications',
    { topicArn: 'arn:aws:sns:eu-central-1:111111111111:alarms' },
    "deployments[0].notifications.topicArn names region eu-central-1; it must be of the deployment's own, us-east-1.",
  ],
  [
    'both addresses and a topic',
    'deployments.0.notifications',
    { topicArn: 'arn:aws:sns:us-east-1:111111111111:alarms', emails: ['a@example.com'] },
    'deployments[0].notifications is {"topicArn":"arn:aws:sns:us-east-1:111111111111:alarms","emails":["a@example.com"]}; it must be an object with either "emails" or "topicArn".',
  ],
  [
    'an address that is none',
    'notifications.emails.0',
    'oncall',
    'notifications.emails[0] is "oncall"; it must be an e-mail address.',
  ],
  [
    'a sender that is a service',
    'deployments.0.callbacks.senders',
    ['lambda.amazonaws.com'],
    'deployments[0].callbacks.senders[0] is "lambda.amazonaws.com"; it must be the ARN of a role, or an account number.',
  ],
  [
    'a log retention that CloudWatch does not know',
    'deployments.0.logRetentionDays',
    100,
    'deployments[0].logRetentionDays is 100; it must be one of the periods that CloudWatch Logs knows, in days: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653.',
  ],
  [
    'a certificate file that is not there',
    'deployments.0.webApp.certificateAuthority',
    '/nowhere/ca.pem',
    'deployments[0].webApp.certificateAuthority names "/nowhere/ca.pem", which cannot be read (looked for at /nowhere/ca.pem); it must be a PEM file.',
  ],
];

describe('a configuration', () => {
  it('of the sample has no mistake', () => {
    assert.deepEqual(mistakesOf(sample), []);
  });

  for (const [what, path, value, sentence] of MISTAKES)
    it(`is refused with one sentence for ${what}`, () => {
      assert.deepEqual(mistakesOf(changed(path, value)), [sentence]);
    });

  it('is refused in a region without durable functions, by its name', () => {
    const configuration = changed('deployments.0', { ...sample.deployments[0], region: 'sa-east-1' });
    const [first] = mistakesOf(configuration);
    assert.match(
      String(first),
      /^deployments\[0\]\.region is "sa-east-1", which has no Lambda durable functions as far as is known here; it must be one of us-east-1, .*additionalDurableRegions/,
    );
  });

  it('may name regions that got durable functions since', () => {
    const mistakes = mistakesOf({
      ...(changed('deployments.0.region', 'sa-east-1') as object),
      additionalDurableRegions: ['sa-east-1'],
    });
    assert.equal(
      mistakes.some((mistake) => mistake.startsWith('deployments[0].region')),
      false,
    );
  });

  for (const [timeZone, at] of [
    ['America/Santiago', '00:30'],
    ['Africa/Cairo', '00:15'],
    ['Asia/Beirut', '00:45'],
    ['Europe/Berlin', '02:30'],
    ['America/New_York', '02:15'],
  ] as const)
    it(`is refused with a schedule at ${at} in ${timeZone}, which daylight saving skips`, () => {
      const deployment = structuredClone(sample.deployments[1]);
      assert.ok(deployment?.jobs.messageGc);
      deployment.timeZone = timeZone;
      deployment.jobs.messageGc.schedule = { at };
      // It would be skipped as well, or meet GC.
      delete deployment.jobs.credentialRotation;
      const [mistake, ...more] = mistakesOf({ ...sample, deployments: [deployment] });
      assert.deepEqual(more, []);
      assert.match(
        String(mistake),
        new RegExp(
          `^deployments\\[0\\]\\.jobs\\.messageGc\\.schedule\\.at is "${at}", a time that ${timeZone} skips when daylight saving begins \\(first on \\d{4}-\\d\\d-\\d\\d\\) and EventBridge Scheduler then skips too; it must lie outside \\d\\d:\\d\\d to \\d\\d:\\d\\d\\.$`,
        ),
      );
    });

  it('tells all its mistakes at once, of fields and beyond them, in both deployments', () => {
    const configuration = changed('deployments.0.webApp.url', 'http://a') as typeof sample;
    const [first, second] = configuration.deployments;
    assert.ok(first && second?.jobs.messageGc);
    first.timeZone = 'Nowhere';
    Object.assign(first, { colour: 'red', color: 'blue' });
    second.name = 'latam';
    second.jobs.messageGc.schedule.at = '12:00';
    assert.deepEqual(
      mistakesOf(configuration).map((mistake) => mistake.split(' ')[0]),
      [
        'deployments[0].colour',
        'deployments[0].color',
        'deployments[0].timeZone',
        'deployments[0].webApp.url',
        'deployments[1].name',
        'deployments[1].jobs.messageGc.schedule.at',
      ],
    );
  });

  for (const wrong of [
    undefined,
    null,
    'text',
    7,
    [],
    { deployments: 'none' },
    { deployments: [null, 3, { databases: [null] }] },
  ])
    it(`that is ${JSON.stringify(wrong)} is refused, not stumbled over`, () => {
      assert.notDeepEqual(mistakesOf(wrong), []);
    });

  it('is typed, so that an editor shows a mistake before the CDK does', () => {
    defineUpkeep({
      // @ts-expect-error the field is not known
      deployment: [],
      deployments: [],
    });
  });

  it('has its defaults filled in, and the general notifications', () => {
    const [latam, emea] = checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY });
    assert.equal(latam?.jobs.messageGc?.callbackTimeoutMinutes, 30);
    assert.equal(latam?.network.endpoints, 'existing');
    assert.deepEqual(latam?.notifications, sample.notifications);
    assert.match(latam?.certificateAuthority ?? '', /^-----BEGIN CERTIFICATE-----/);
    assert.equal(emea?.databases?.[0]?.certificateAuthority, 'rds');
    assert.equal(emea.jobs.databaseSize?.timeLimitMinutes, 30);
    assert.equal(emea.jobs.mediaGc?.schedule.weekday, 'sunday');
  });

  it('is refused by name when the file does not exist', async () => {
    await assert.rejects(
      loadConfiguration('no.config.ts'),
      /no\.config\.ts has one mistake:\n- The file does not exist; name the configuration by -c config=FILE/,
    );
  });
});

describe('a certificate file', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'upkeep-certificates-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function mistakesWith(content: string): string[] {
    writeFileSync(join(folder, 'ca.pem'), content);
    const configuration = structuredClone(sample);
    for (const deployment of configuration.deployments) deployment.webApp.certificateAuthority = 'ca.pem';
    return mistakesOf({ ...configuration, deployments: configuration.deployments.slice(0, 1) }, folder);
  }

  const certificate = (validity: { from: string; to: string }, keySize = 2048) =>
    generate([{ name: 'commonName', value: 'webapp' }], {
      keySize,
      algorithm: 'sha256',
      notBeforeDate: new Date(validity.from),
      notAfterDate: new Date(validity.to),
    });
  const valid = { from: '2020-01-01', to: '2060-01-01' };

  it('with a valid certificate is taken, from the folder of the configuration', async () => {
    const { cert } = await certificate(valid);
    assert.deepEqual(mistakesWith(`Some words before it.\n${cert}\n`), []);
  });

  it('with a certificate that has ended is refused', async () => {
    const { cert } = await certificate({ from: '2020-01-01', to: '2021-02-03' });
    assert.deepEqual(mistakesWith(cert), [
      'deployments[0].webApp.certificateAuthority names "ca.pem", whose certificate ended on 2021-02-03; it must be valid.',
    ]);
  });

  it('with a private key in it is refused, so that no key is deployed', async () => {
    const { cert, private: key } = await certificate(valid);
    assert.deepEqual(mistakesWith(`${cert}\n${key}`), [
      'deployments[0].webApp.certificateAuthority names "ca.pem", which holds a private key; it must hold the certificate only, and no one else the key.',
    ]);
  });

  it('without a certificate, or with a broken one, is refused', () => {
    assert.match(String(mistakesWith('nothing')), /which holds no certificate; it must hold one/);
    assert.match(
      String(mistakesWith('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')),
      /whose certificate cannot be read; it must be an X\.509 certificate in PEM form/,
    );
  });

  it("that does not fit into a function's environment is refused", async () => {
    const { cert } = await certificate(valid);
    assert.match(
      String(mistakesWith(`${cert}\n${cert}\n${cert}\n${cert}`)),
      /which holds \d+ bytes of certificates; at most 3072 fit: leave only the one to trust\./,
    );
  });
});
