import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import {
  type ContainerDefinition,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  type Task,
} from '@aws-sdk/client-ecs';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { CredentialRotationSettings } from '../../../functions/credential-rotation/contract.ts';
import { waitForTheRest } from '../../../functions/credential-rotation/left-behind.ts';
import { lookIntoDefinition } from '../../../functions/credential-rotation/task-definitions.ts';

const SECRETS = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:';
const ARN = `${SECRETS}shop/client-AbCdEf`;
const COPY = `${SECRETS}shop/exporter-GhIjKl`;
const CURRENT = { username: 'wa', password: 'the "new" one: 4711' };
const OLD = { username: 'wa', password: 'the old one/42' };

const PLACES: Pick<CredentialRotationSettings, 'secretArn' | 'copies' | 'fields'> = {
  secretArn: ARN,
  fields: [{ key: 'url', template: 'mysql://{username}:{password}@db', encoding: 'url' }],
  copies: [
    { kind: 'secret', secretArn: COPY, key: 'dsn' },
    { kind: 'parameter', name: '/shop/password' },
    { kind: 'parameter', name: 'shop-user', template: '{username}' },
  ],
};

/** ECS with one task definition, of which all tasks are. */
class Ecs extends ECSClient {
  readonly #container: ContainerDefinition;
  readonly #tasks: Task[];

  constructor(container: ContainerDefinition, tasks: Task[] = []) {
    super({ region: 'eu-central-1' });
    this.#container = container;
    this.#tasks = tasks;
  }

  override send = async (command: unknown) => {
    if (command instanceof DescribeTaskDefinitionCommand)
      return { taskDefinition: { containerDefinitions: [{ name: 'app', ...this.#container }] } };
    if (command instanceof ListTasksCommand) return { taskArns: this.#tasks.map(({ taskArn }) => taskArn) };
    assert.ok(command instanceof DescribeTasksCommand);
    return { tasks: this.#tasks };
  };
}

/** A secret that was rotated. */
class Secrets extends SecretsManagerClient {
  override send = async (command: unknown) => {
    if (command instanceof DescribeSecretCommand)
      return { VersionIdsToStages: { one: ['AWSPREVIOUS'], two: ['AWSCURRENT'] } };
    assert.ok(command instanceof GetSecretValueCommand);
    const login = command.input.VersionStage === 'AWSPREVIOUS' ? OLD : CURRENT;
    return { SecretString: JSON.stringify(login), VersionId: 'any' };
  };
}

const find = (container: ContainerDefinition, places = PLACES) =>
  lookIntoDefinition(new Ecs(container), 'app:1', places, { current: CURRENT, old: OLD });

test('a container is given the password by the fields that hold it, whichever way the ARN is written', async () => {
  const bare = (arn: string) => arn.slice(0, -7);
  const cases: [valueFrom: string, isGiven: boolean, configured?: string][] = [
    [ARN, true],
    [`${ARN}:password::`, true],
    [`${ARN}:url::`, true],
    // Made from the secret's name: without the suffix, here or there.
    [`${bare(ARN)}:password::`, true],
    [`${ARN}:password::`, true, bare(ARN)],
    [`${bare(ARN)}:password::`, true, bare(ARN)],
    // Who takes the host from the secret has the password from elsewhere.
    [`${ARN}:host::`, false],
    [`${ARN}:username::`, false],
    // Another secret, whose name begins with that one's.
    [`${SECRETS}shop/client-administrator-MnOpQr:password::`, false],
    [`${SECRETS}shop/client-administrator-MnOpQr:password::`, false, bare(ARN)],
    [`${COPY}:dsn::`, true],
    [COPY, true],
    [`${COPY}:token::`, false],
    ['/shop/password', true],
    ['arn:aws:ssm:eu-central-1:111122223333:parameter/shop/password', true],
    ['shop-user', false],
  ];
  for (const [valueFrom, isGiven, secretArn = ARN] of cases) {
    const found = await find({ secrets: [{ name: 'X', valueFrom }] }, { ...PLACES, secretArn });
    assert.equal(found.isGiven, isGiven, `${valueFrom} of ${secretArn}`);
  }
});

test('a version is pinned however the ARN is written, and only where it is of the credential', async () => {
  const pinnedIn = async (valueFrom: string) =>
    (await find({ secrets: [{ name: 'X', valueFrom }] })).pinned !== undefined;
  assert.ok(await pinnedIn(`${ARN}:password:AWSPREVIOUS:`));
  assert.ok(await pinnedIn(`${ARN.slice(0, -7)}:password::some-version`));
  assert.ok(await pinnedIn(`${ARN}:username:AWSPREVIOUS:`));
  assert.ok(!(await pinnedIn(`${ARN}:host:AWSPREVIOUS:`)));
  assert.ok(!(await pinnedIn(`${ARN}:password:AWSCURRENT:`)));
});

test('a password in clear is found wherever a container is told it, in each form', async () => {
  const { password } = CURRENT;
  const cases: [container: ContainerDefinition, where: string][] = [
    [{ environment: [{ name: 'PASSWORD', value: password }] }, 'the environment variable PASSWORD'],
    [
      { environment: [{ name: 'URL', value: `mysql://wa:${encodeURIComponent(password)}@db/` }] },
      'the environment variable URL',
    ],
    [{ command: ['exporter', `--dsn=wa:${password}@tcp(db)/`] }, 'the command of the container app'],
    [{ entryPoint: ['sh', '-c', `run ${JSON.stringify(password)}`] }, 'the entry point of the container app'],
    [
      { healthCheck: { command: ['CMD-SHELL', `mysqladmin -p'${password}' ping`] } },
      'the health check of the container app',
    ],
  ];
  for (const [container, where] of cases) assert.equal((await find(container)).inClear, where);
  const old = await find({ command: [OLD.password] });
  assert.deepEqual([old.inClear, old.hasOld], [undefined, true]);
  assert.equal((await find({ command: ['run'], environment: [{ name: 'A' }] })).hasOld, false);
});

test('a task of no service that was told the old password in clear is waited for before the retirement', async () => {
  const deliveredAt = Date.now();
  const left = (container: ContainerDefinition, task: Task) =>
    waitForTheRest(
      {
        waitForCondition: async <State>(
          _: string,
          check: (state: State) => Promise<State>,
          { initialState }: { initialState: State },
        ) => check(initialState),
      } as unknown as DurableContext,
      { ...PLACES, clusterArn: 'shop', services: [{ name: 'web' }] } as unknown as CredentialRotationSettings,
      { ecs: new Ecs(container, [task]), secretsManager: new Secrets({ region: 'eu-central-1' }) },
      { deliveredAt, endBy: deliveredAt },
    );
  const task = (createdAt: number, command: string[] = []): Task => ({
    taskArn: 'arn:aws:ecs:eu-central-1:111122223333:task/shop/export',
    taskDefinitionArn: 'export:1',
    group: 'family:export',
    createdAt: new Date(createdAt),
    overrides: { containerOverrides: [{ name: 'app', command }] },
  });
  const before = deliveredAt - 1000;
  const after = deliveredAt + 1000;
  const given = { secrets: [{ name: 'X', valueFrom: ARN }] };
  const waited: [what: string, left: Promise<string[]>, tasks: number][] = [
    ['given the secret before', left(given, task(before)), 1],
    ['given the secret since', left(given, task(after)), 0],
    ['its definition has the old one', left({ command: [OLD.password] }, task(before)), 1],
    ['its definition has the old one, begun since', left({ command: [OLD.password] }, task(after)), 1],
    ['started with the old one', left({}, task(after, [OLD.password])), 1],
    ['started with the new one', left({}, task(after, [CURRENT.password])), 0],
    ['without either', left({}, task(before)), 0],
  ];
  for (const [what, found, tasks] of waited) assert.equal((await found).length, tasks, what);
});
