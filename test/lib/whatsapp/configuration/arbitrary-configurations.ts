import fc from 'fast-check';
import type * as v from 'valibot';
import { isArraySchema, isObjectSchema, unwrappedOptional } from '../../../../lib/checks/mistakes.ts';
import { configurationSchema } from '../../../../lib/whatsapp/configuration/schema.ts';
import sample from '../../../../upkeep.config.ts';

const ACCOUNT = '111111111111';
const REGION = 'eu-central-1';
const place = (service: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}`;
const KEY = `${place('kms')}:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab`;
const word = fc.stringMatching(/^[a-z][a-z0-9]{2,8}$/);
const hex = (digits: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`));
const host = word.map((name) => `${name}.internal`);

/**
 * Values of fields whose form is more than a regular expression that fast-check can read, or that must fit to others for
 * a configuration to have no mistake: by the end of the field's path.
 */
const OF_FIELD: [RegExp, fc.Arbitrary<unknown>][] = [
  [/^\.notifications$/, fc.constant({ emails: ['oncall@example.com'] })],
  [
    /\.notifications$/,
    fc.constantFrom({ silent: true }, { emails: ['a@example.com'] }, { topicArn: `${place('sns')}:alarms` }),
  ],
  [/\.name$/, word],
  [/\.prefix$/, word.map((name) => `${name}_`)],
  [/\.account$/, fc.constant(ACCOUNT)],
  [/\.region$/, fc.constant(REGION)],
  [/\.timeZone$/, fc.constantFrom('Asia/Kolkata', 'Europe/Berlin', 'America/Sao_Paulo', 'UTC')],
  [/\.window$/, fc.constantFrom({ from: '00:00', to: '08:00' }, { from: '22:00', to: '07:00' })],
  [/\.schedule\.at$/, fc.constantFrom('00:10', '01:15', '03:20', '04:30', '05:45')],
  [/\.flexibleMinutes$/, fc.constantFrom(0, 5, 15)],
  [/\.timeLimitMinutes$/, fc.constantFrom(45, 60, 75)],
  [/\.timeoutMinutes$/, fc.integer({ min: 1, max: 29 })],
  [/Timeout(Minutes)$/, fc.integer({ min: 16, max: 29 })],
  [/\.maximumAgeDays$/, fc.integer({ min: 366, max: 400 })],
  [/\.availabilityZone$/, fc.constantFrom('a', 'b', 'c').map((letter) => `${REGION}${letter}`)],
  [/\.certificateAuthority$/, fc.constantFrom('certificates/latam.pem', 'certificates/emea.pem')],
  [/\.url$/, host.map((name) => `https://${name}`)],
  [/\.webhookUrl$/, host.map((name) => `https://${name}/callbacks`)],
  [/(\.host|\.serverName)$/, host],
  [
    /ecretArn$/,
    fc.tuple(word, hex(6)).map(([name, end]) => `${place('secretsmanager')}:secret:${name}-${end}`),
  ],
  [
    /\.logCleanup\.archive$/,
    fc.constantFrom({}, { keepDays: 90 }, { bucketName: 'logs' }, { bucketName: 'logs', bucketKeyArn: KEY }),
  ],
  [
    /\.applicationSettings\.expected$/,
    fc.constantFrom({ callback_persist: true }, { unhealthy_interval: 30, sent_status: false }),
  ],
  [
    /\.applicationSettings\.settings$/,
    fc.constantFrom({ 'media.auto_download': [] }, { 'webhooks.max_concurrent_requests': 24 }),
  ],
  [/eyArn$/, fc.constant(KEY)],
  [/\.topicArn$/, word.map((name) => `${place('sns')}:${name}`)],
  [/\.roleArns\[\]$/, word.map((name) => `arn:aws:iam::${ACCOUNT}:role/${name}`)],
  [/\.senders\[\]$/, word.map((name) => `arn:aws:iam::${ACCOUNT}:role/${name}`)],
  [/\.emails\[\]$/, word.map((name) => `${name}@example.com`)],
  [/\.secretPathHashes\[\]$/, hex(64)],
  [/\.directory$/, fc.constantFrom('/media', '/shop/media')],
  [/\.alphabet$/, fc.constantFrom('ABCDEFabcdef0123456789-_', 'abcdefghijklm')],
  [/\.exclude$/, fc.constantFrom('x', '0O')],
  [/\.template$/, fc.constant('{username}:{password}')],
  [/\.replicationRegion$/, fc.constant('eu-west-1')],
  [/\.additionalDurableRegions\[\]$/, fc.constant('sa-east-1')],
  [/\.order$/, fc.constant(['webapp', 'master', 'coreapp', 'others'])],
];

/** Values of a schema: such as have no mistake by themselves, though others beside them may make them one. */
function valuesOf(schema: v.GenericSchema, path: string): fc.Arbitrary<unknown> {
  const known = OF_FIELD.find(([end]) => end.test(path));
  if (known) return known[1];
  const plain = unwrappedOptional(schema);
  const pipe = actionsOf(plain);
  const limit = (type: string, otherwise: number): number => {
    const found = pipe.find((part) => part.type === type)?.requirement;
    return typeof found === 'number' ? found : otherwise;
  };
  if (isObjectSchema(plain)) return objectsOf(plain.entries, path);
  if (isArraySchema(plain)) {
    const least = limit('length', limit('min_length', 0));
    const most = Math.min(limit('length', limit('max_length', 3)), Math.max(least, 3));
    return fc.uniqueArray(valuesOf(plain.item, `${path}[]`), {
      minLength: least,
      maxLength: most,
      selector: (value) => JSON.stringify(value),
    });
  }
  if ('options' in plain) return fc.constantFrom(...(plain.options as unknown[]));
  if ('literal' in plain) return fc.constant(plain.literal);
  if (plain.type === 'boolean') return fc.boolean();
  if (plain.type === 'number')
    return fc.integer({ min: limit('min_value', 0), max: limit('max_value', 1_000_000) });
  const regex = pipe.find((part) => part.type === 'regex')?.requirement;
  if (regex instanceof RegExp)
    return fc.stringMatching(new RegExp(regex.source.replaceAll(/\(\?!.*?\)/g, '')));
  return fc.string({ minLength: limit('min_length', 1), maxLength: limit('max_length', 20) });
}

/** What is asked of a value besides its kind. */
function actionsOf(schema: object): { type: string; requirement?: unknown }[] {
  if (!('pipe' in schema)) return [];
  const pipe = schema.pipe as { type: string; requirement?: unknown }[];
  return pipe.flatMap((part) => ((part as object) === schema ? [] : [part, ...actionsOf(part)]));
}

function objectsOf(entries: Record<string, v.GenericSchema>, path: string): fc.Arbitrary<unknown> {
  const arbitraries = Object.entries(entries).map(
    ([name, entry]) => [name, valuesOf(entry, `${path}.${name}`)] as const,
  );
  const requiredKeys = Object.keys(entries).filter((name) => entries[name]?.type !== 'optional');
  return fc.record(Object.fromEntries(arbitraries), { requiredKeys });
}

// biome-ignore lint/suspicious/noExplicitAny: what is generated has no type, and may be no configuration.
type Anything = any;

/** When each job can run beside the others. */
const TIMES: Record<string, string> = {
  mediaGc: '00:10',
  messageGc: '01:40',
  logCleanup: '03:15',
  databaseSize: '04:45',
  applicationSettings: '06:15',
  credentialRotation: '05:00',
};

/** Makes the parts of a deployment fit to each other, so that most have no mistake. */
function fitted(deployment: Anything): Anything {
  const { network, mediaVolume, jobs, databases, upgradeCheck } = deployment;
  const inZones = (subnets: Anything[] = []) => {
    for (const [index, subnet] of subnets.entries()) subnet.availabilityZone = `${REGION}${'abc'[index]}`;
  };
  inZones(network.subnets);
  if (network.endpoints !== 'create') delete network.otherEndpointClients;
  if (mediaVolume) {
    delete mediaVolume[mediaVolume.create ? 'existing' : 'create'];
    if (!mediaVolume.create && !mediaVolume.existing) delete deployment.mediaVolume;
    inZones(mediaVolume.create?.subnets);
    delete mediaVolume.create?.archiveAfterDays;
  }
  if (Object.keys(jobs).length === 0) jobs.mediaGc = { schedule: { at: '00:10' } };
  for (const [name, job] of Object.entries<Anything>(jobs))
    job.schedule = { ...job.schedule, at: TIMES[name] };
  if (jobs.messageGc?.watchWindow?.loadBalancer) delete jobs.messageGc.watchWindow.databaseInstance;
  if (jobs.logCleanup?.runCommand) delete jobs.logCleanup.sessionEncryptionKeyArn;
  if (!databases) {
    for (const name of ['databaseSize', 'credentialRotation']) delete jobs[name];
    delete deployment.upgradeCheck;
    if (Object.keys(jobs).length === 0) jobs.mediaGc = { schedule: { at: '00:10' } };
    return deployment;
  }
  const user = { secretArn: `${place('secretsmanager')}:secret:sizes-a1B2c3` };
  for (const [index, database] of databases.entries())
    Object.assign(database, { host: `database${index}.internal`, name: `set${index}`, user });
  if (upgradeCheck) upgradeCheck.storage = [{ host: databases[0].host, identifier: 'database' }];
  if (jobs.credentialRotation) fitRotation(jobs.credentialRotation, databases[0]);
  return deployment;
}

function fitRotation(rotation: Anything, { host, engine }: Anything): void {
  const isPostgres = engine.endsWith('postgres') || engine.endsWith('postgresql');
  rotation.host = host;
  rotation.administrator ??= { secretArn: `${place('secretsmanager')}:secret:admin-a1B2c3` };
  rotation.strategy = isPostgres
    ? { kind: 'alternating-users', users: ['shop_a', 'shop_b'], owner: 'shop' }
    : { kind: 'dual-password' };
  delete rotation.acceptFailedLogins;
  delete rotation.order;
  // Less than any time limit that is taken.
  if (rotation.retirementPatienceMinutes)
    rotation.retirementPatienceMinutes = 1 + (rotation.retirementPatienceMinutes % 14);
  if (isPostgres) delete rotation.copies;
  else delete rotation.replicas;
  if (isPostgres) delete rotation.metaTemplate;
  if (!rotation.services.others) delete rotation.metaTemplate?.monitoring;
}

/** Configurations whose every field is what it may be. Most have no mistake. */
export const arbitraryConfigurations: fc.Arbitrary<unknown> = fc
  .tuple(valuesOf(configurationSchema, ''), fc.integer({ min: 0, max: 9 }))
  .map(([configuration, chance]) => {
    const { deployments } = configuration as Anything;
    if (chance > 0) for (const deployment of deployments) fitted(deployment);
    return configuration;
  });

const circle: Record<string, unknown> = {};
circle.around = circle;

/** What a sloppy person, or a program that makes configurations, may put in place of anything. */
const anything = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    '',
    ' ',
    'x',
    0,
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    10n,
    true,
    Symbol('symbol'),
    () => undefined,
    circle,
    new Date(0),
    new Map(),
    Promise.resolve(),
    /x/,
    [],
    {},
    [[]],
    [undefined],
    'x'.repeat(5000),
    '25:99',
    'arn:aws-cn:iam::111111111111:role/x',
    `$${'{Token[TOKEN.1]}'}`,
    Object.create(null),
  ),
  fc.anything({ withBigInt: true, withDate: true, withMap: true, maxDepth: 2 }),
);

/** A change at a place that is chosen by numbers, whatever is there. */
const changes = fc.record({
  steps: fc.array(fc.nat(30), { minLength: 1, maxLength: 7 }),
  change: fc.oneof(
    anything.map((value) => (parent: Record<string, unknown>, key: string) => {
      Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true });
    }),
    fc.constant((parent: Record<string, unknown>, key: string) => {
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else delete parent[key];
    }),
    fc.constant((parent: Record<string, unknown>, key: string) => {
      if (Array.isArray(parent)) parent.push(parent[Number(key)]);
      else
        Object.defineProperty(parent, `${key}s`, {
          value: parent[key],
          enumerable: true,
          configurable: true,
          writable: true,
        });
    }),
    fc
      .constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'foo')
      .map((name) => (parent: Record<string, unknown>) => {
        Object.defineProperty(parent, name, {
          value: {},
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }),
  ),
});

/** The sample with some of it spoiled. */
export const spoiledConfigurations: fc.Arbitrary<unknown> = fc
  .array(changes, { minLength: 1, maxLength: 3 })
  .map((all) => {
    const configuration = structuredClone(sample) as unknown;
    for (const { steps, change } of all) spoil(configuration, steps, change);
    return configuration;
  });

function spoil(
  configuration: unknown,
  steps: number[],
  change: (parent: Record<string, unknown>, key: string) => void,
): void {
  let parent = configuration as Record<string, unknown>;
  for (const [index, step] of steps.entries()) {
    const keys = Object.keys(parent);
    const key = keys[step % Math.max(keys.length, 1)];
    if (key === undefined) return;
    const next = parent[key];
    const isLast = index === steps.length - 1 || typeof next !== 'object' || next === null;
    if (isLast) {
      change(parent, key);
      return;
    }
    parent = next as Record<string, unknown>;
  }
}
