import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RotateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { DatabaseSizeSettings } from '../../functions/database-size/contract.ts';
import type { Aws } from '../../rehearsal/aws/server.ts';
import type { Template } from '../../rehearsal/aws/template/assembly.ts';
import type { Scale } from '../../rehearsal/clients.ts';
import type { Fault } from '../../rehearsal/faults/fault.ts';
import { playNight } from '../../rehearsal/night.ts';
import { stopRuns } from '../../rehearsal/operator.ts';
import { MALFORMED_NOTIFICATIONS } from '../../rehearsal/whatsapp/webhook.ts';
import { buildStage, type Stage } from './stage.ts';

type Statement = { Action: string | string[]; Effect: string };

/** A job whose role is tried. */
interface Tried {
  deployment: 'latam' | 'emea' | 'apac';
  job: string;
  /** Those of its actions that are tried. @default all */
  actions?: RegExp;
  /** Nights that together need each permission. */
  nights: Fault[];
  /** Which of them needs an action. */
  nightFor(action: string): Fault;
  /** Those that take part in the nights. @default the job alone */
  jobs?: string[];
  /** Before each night. */
  change?(template: Template): void;
  /** @default the stage's */
  scale?: Partial<Scale>;
}

const SUNDAY = Date.parse('2026-11-29T21:00:00Z');

/** Several calls, so that the run's state needs a second page, and notifications that are given back. */
const busyNight = (deployment: 'latam' | 'emea', starts?: number): Fault => ({
  description: 'A good night that needs nearly every permission',
  deployment,
  ...(starts && { starts }),
  async strike({ webApp, webhook }) {
    webApp.faults.failingRequests = 2;
    for (const detail of MALFORMED_NOTIFICATIONS) await webhook.put(detail);
  },
  expected: { outcomes: {}, alarms: [`${deployment}-gc-notifications-dead-letters`] },
});

/** Lambda puts the event of a stopped run into the dead-letter queue. */
const stoppedNight = (
  deployment: 'latam' | 'emea',
  kind: 'message' | 'media' = 'message',
  starts?: number,
): Fault => ({
  description: 'A run is stopped',
  deployment,
  ...(starts && { starts }),
  strike(_target, { aws }, hooks) {
    hooks.onCollection = (collection) => {
      if (collection.kind === kind) stopRuns(aws, `${deployment}-${kind}-gc`);
    };
  },
  expected: {
    outcomes: { [`${kind}-gc`]: ['failed'] },
    alarms: ['failed', 'lost', 'dead-letters'].map((what) => `${deployment}-${kind}-gc-${what}`),
  },
});

const ONLY_WHEN_STOPPED = ['sqs:SendMessage', 'kms:GenerateDataKey'];

function tried(deployment: 'latam' | 'emea', kind: 'message' | 'media', starts?: number): Tried {
  const busy = busyNight(deployment, starts);
  const stopped = stoppedNight(deployment, kind, starts);
  return {
    deployment,
    job: `${kind}-gc`,
    nights: [busy, stopped],
    nightFor: (action) => (ONLY_WHEN_STOPPED.includes(action) ? stopped : busy),
  };
}

const SIZE = 'emea-database-size';

/** The function is killed when all but the report is done, and looks up in its state what that was. */
const killedSizeNight: Fault = {
  description: 'database-size is killed at its end',
  deployment: 'emea',
  strike(_target, { aws }) {
    const stop = aws.onCall(({ caller, service }) => {
      if (caller.function?.name !== SIZE || service !== 'events') return undefined;
      stop();
      aws.killFunction(SIZE);
      return 'drop';
    });
  },
  expected: { outcomes: {}, alarms: [] },
};

/** It is stopped while it waits for the database, which nobody can reach meanwhile. */
const stoppedSizeNight: Fault = {
  description: 'A run of database-size is stopped',
  deployment: 'emea',
  strike(_target, { aws, clock }) {
    const stop = aws.onInvoke(({ functionName }) => {
      if (functionName !== SIZE) return undefined;
      stop();
      const hosts = Object.entries(aws.hosts).filter(([host]) => host.startsWith('database.emea.'));
      for (const [host] of hosts) aws.hosts[host] = '127.0.0.1:1';
      clock.at(clock.now() + 10_000, async () => {
        await stopRuns(aws, SIZE);
        for (const [host, address] of hosts) aws.hosts[host] = address;
      });
      return undefined;
    });
  },
  expected: {
    outcomes: { 'database-size': ['failed'] },
    alarms: ['failed', 'lost', 'dead-letters'].map((what) => `${SIZE}-${what}`),
  },
};

/** Tables enough that the state of a run is longer than what an invocation begins with, as it is with many sets. */
function watchManyTables(template: Template): void {
  const { Variables: variables } = functionOf(template, 'database-size').Environment as {
    Variables: { UPKEEP_SETTINGS: { 'Fn::Join': [string, unknown[]] } };
  };
  // The volume's ARN is not known before deployment: it stands between two texts.
  const [, parts] = variables.UPKEEP_SETTINGS['Fn::Join'];
  const text = parts.map((part, index) => (typeof part === 'string' ? part : `@${index}@`)).join('');
  const settings = JSON.parse(text) as DatabaseSizeSettings;
  for (const { tables } of settings.sets) {
    const [table] = tables;
    assert.ok(table?.limit);
    for (let number = 1; number <= 8; number++)
      tables.push({
        ...table,
        figure: `rows${number}`,
        limit: { ...table.limit, figure: `days${number}` },
      });
  }
  const changed = JSON.stringify(settings).split(/@(\d+)@/);
  variables.UPKEEP_SETTINGS['Fn::Join'] = [
    '',
    changed.map((part, index) => (index % 2 === 0 ? part : parts[Number(part)])),
  ];
}

const ROTATION = 'emea-credential-rotation';
/** Until the rotation is over, and before the sizes are due. */
const ROTATION_LASTS = 5 * 3600 * 1000;
/** In the window, before any job is due. */
const BY_HAND = Date.parse('2026-11-24T22:35:00Z');

/** A rotation that is due, of which one service is deployed with a second fleet of tasks. */
const rotationNight: Fault = {
  description: 'A good night with a rotation',
  deployment: 'emea',
  containers: true,
  rotation: true,
  lasts: ROTATION_LASTS,
  strike({ containers }) {
    const { webapp } = containers?.services ?? {};
    assert.ok(webapp);
    webapp.options.strategy = 'BLUE_GREEN';
  },
  expected: { outcomes: {}, alarms: [] },
};

const stoppedRotationNight: Fault = {
  description: 'A rotation is stopped while it replaces tasks',
  deployment: 'emea',
  containers: true,
  rotation: true,
  lasts: ROTATION_LASTS,
  strike(_target, { aws, clock }) {
    const stop = aws.onCall(({ caller, operation }) => {
      if (caller.function?.name !== ROTATION || operation !== 'UpdateService') return undefined;
      stop();
      clock.at(clock.now() + 1000, () => stopRuns(aws, ROTATION));
      return undefined;
    });
  },
  expected: {
    outcomes: { 'credential-rotation': ['failed'] },
    alarms: ['failed', 'lost', 'dead-letters'].map((what) => `${ROTATION}-${what}`),
  },
};

/** Somebody rotates by hand, so that rotate-secret starts the run that delivers. */
const byHandNight: Fault = {
  description: 'A rotation is started in the console',
  deployment: 'emea',
  containers: true,
  rotation: true,
  lasts: ROTATION_LASTS,
  strike(_target, { aws, clock }) {
    clock.at(BY_HAND, () => rotateByHand(aws));
  },
  expected: { outcomes: { 'credential-rotation': ['succeeded', 'succeeded'] }, alarms: [] },
};

const abandonedNight: Fault = {
  description: 'A rotation that was started in the console cannot be done',
  deployment: 'emea',
  containers: true,
  rotation: true,
  lasts: ROTATION_LASTS,
  strike(_target, { aws, clock }) {
    const stop = aws.onInvoke(({ functionName }) =>
      functionName === 'emea-rotate-secret' ? new Error('It is not to be') : undefined,
    );
    clock.at(BY_HAND, () => rotateByHand(aws));
    // After the last time that Secrets Manager tries again.
    clock.at(BY_HAND + 20 * 60_000, stop);
  },
  expected: { outcomes: {}, alarms: ['emea-rotate-secret-failed'] },
};

const copiesNight: Fault = {
  description: 'A rotation that is delivered to copies, and copies that are compared',
  deployment: 'apac',
  containers: true,
  rotation: true,
  strike() {},
  expected: { outcomes: {}, alarms: [] },
};

async function rotateByHand(aws: Aws): Promise<void> {
  const rotation = aws.deployed
    .ofType('AWS::SecretsManager::RotationSchedule')
    .find(({ properties }) => properties.text('RotationLambdaARN').endsWith(':emea-rotate-secret'));
  assert.ok(rotation);
  const { account, region, properties } = rotation;
  const client = new SecretsManagerClient({
    region,
    endpoint: aws.endpoint,
    credentials: aws.credentialsFor({
      arn: `arn:aws:sts::${account}:assumed-role/operator/somebody`,
      policy: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Action: ['secretsmanager:RotateSecret', 'lambda:InvokeFunction'],
            Resource: '*',
          },
        ],
      },
    }),
  });
  await client.send(new RotateSecretCommand({ SecretId: properties.text('SecretId') }));
  client.destroy();
}

const TRIED: Tried[] = [
  tried('latam', 'message'),
  tried('emea', 'message'),
  tried('emea', 'media', SUNDAY),
  {
    deployment: 'emea',
    job: 'database-size',
    nights: [killedSizeNight, stoppedSizeNight],
    nightFor: (action) => (ONLY_WHEN_STOPPED.includes(action) ? stoppedSizeNight : killedSizeNight),
    change: watchManyTables,
  },
  {
    deployment: 'emea',
    job: 'credential-rotation',
    scale: { containers: 'few', rotation: true },
    nights: [rotationNight, stoppedRotationNight, abandonedNight],
    nightFor: (action) =>
      ONLY_WHEN_STOPPED.includes(action)
        ? stoppedRotationNight
        : action === 'secretsmanager:UpdateSecretVersionStage'
          ? abandonedNight
          : rotationNight,
  },
  {
    deployment: 'emea',
    job: 'rotate-secret',
    jobs: ['credential-rotation'],
    scale: { containers: 'few', rotation: true },
    nights: [byHandNight],
    nightFor: () => byHandNight,
  },
  // What the others do not need: copies of the password, with a key of their own.
  {
    deployment: 'apac',
    job: 'credential-rotation',
    actions: /^(ssm|kms):|PutSecretValue$/,
    scale: { containers: 'few', rotation: true },
    nights: [copiesNight],
    nightFor: () => copiesNight,
  },
  {
    deployment: 'apac',
    job: 'database-size',
    jobs: ['credential-rotation', 'database-size'],
    actions: /^(ssm|kms):/,
    scale: { containers: 'few', rotation: true },
    nights: [copiesNight],
    nightFor: () => copiesNight,
  },
];

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

for (const {
  deployment,
  job,
  jobs = [job],
  actions = /./,
  nights,
  nightFor,
  change = () => {},
  scale,
} of TRIED)
  describe(`${job} of ${deployment}`, () => {
    /** @returns what came otherwise than expected, or why the night cannot be played. */
    async function play(
      fault: Fault,
      alter: (template: Template) => void = () => {},
    ): Promise<string[] | string> {
      const mysql = deployment === 'apac' ? await stage.startMysql() : undefined;
      if (typeof mysql === 'string') return mysql;
      const { cdkOut, postgres } = stage;
      const night = await playNight({
        cdkOut,
        postgres,
        mysql,
        scale: { ...stage.scale, ...scale },
        only: deployment,
        jobs,
        fault,
        change: (templates) => {
          const template = templateOf(templates, deployment);
          change(template);
          alter(template);
        },
      });
      return night.mismatches;
    }

    test('can do all it has to with the role that the template gives it', async (t) => {
      for (const fault of nights) {
        const mismatches = await play(fault);
        if (typeof mismatches === 'string') return t.skip(mismatches);
        assert.deepEqual(mismatches, []);
      }
    });

    test('fails with the action and the resource named, whichever action its role lacks', async (t) => {
      const template = JSON.parse(
        readFileSync(join(stage.cdkOut, `upkeep-${deployment}.template.json`), 'utf8'),
      ) as Template;
      const allowed = [...new Set(statementsOf(template, job).flatMap(({ Action }) => Action))];
      assert.ok(allowed.length > 10);
      for (const action of allowed.filter((each) => actions.test(each))) {
        await t.test(action, async (t) => {
          const mismatches = await play(nightFor(action), (template) => remove(template, job, action));
          if (typeof mismatches === 'string') return t.skip(mismatches);
          const named = new RegExp(`not authorized to perform: ${action} on resource: (arn:|\\*)`, 'i');
          assert.match(mismatches.join('\n'), named);
        });
      }
    });
  });

function templateOf(templates: Record<string, Template>, deployment: string): Template {
  const template = templates[`upkeep-${deployment}`];
  assert.ok(template);
  return template;
}

function functionOf({ Resources: resources }: Template, job: string): Record<string, unknown> {
  const found = Object.values(resources).find(({ Properties: properties }) =>
    String(properties?.FunctionName).endsWith(`-${job}`),
  )?.Properties;
  assert.ok(found);
  return found;
}

/** What a job's role is allowed, in its own policies and those attached to it. */
function statementsOf(template: Template, job: string): Statement[] {
  const { Resources: resources } = template;
  const entries = Object.entries(resources);
  const [role = ''] = (functionOf(template, job).Role as { 'Fn::GetAtt': [string, string] })['Fn::GetAtt'];
  const own = (resources[role]?.Properties?.Policies ?? []) as {
    PolicyDocument: { Statement: Statement[] };
  }[];
  const attached = entries
    .filter(([, { Type, Properties: properties }]) => {
      const roles = (properties?.Roles ?? []) as { Ref: string }[];
      return Type === 'AWS::IAM::Policy' && roles.some(({ Ref }) => Ref === role);
    })
    .map(([, { Properties: properties }]) => properties as { PolicyDocument: { Statement: Statement[] } });
  return [...own, ...attached]
    .flatMap(({ PolicyDocument: document }) => document.Statement)
    .filter(({ Effect }) => Effect === 'Allow');
}

function remove(template: Template, job: string, action: string): void {
  for (const statement of statementsOf(template, job)) {
    const left = [statement.Action].flat().filter((one) => one !== action);
    // A statement must allow something: what nobody asks for here.
    statement.Action = left.length > 0 ? left : ['s3:ListAllMyBuckets'];
  }
}
