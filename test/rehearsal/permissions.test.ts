import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Template } from '../../rehearsal/aws/template.ts';
import { type Fault, stopRuns } from '../../rehearsal/faults.ts';
import { playNight } from '../../rehearsal/night.ts';
import { MALFORMED_NOTIFICATIONS } from '../../rehearsal/whatsapp/webhook.ts';
import { buildStage, type Stage } from './stage.ts';

type Statement = { Action: string | string[]; Effect: string };

/** A job whose role is tried. */
interface Tried {
  deployment: 'latam' | 'emea';
  job: string;
  /** Good nights that need each permission but those of `untried`. */
  nights: Fault[];
  /** Which of them needs an action. */
  nightFor(action: string): Fault;
  /** Actions that no night needs. */
  untried?: string[];
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

const plainNight: Fault = {
  description: 'A good night',
  deployment: 'emea',
  strike() {},
  expected: { outcomes: {}, alarms: [] },
};

const TRIED: Tried[] = [
  tried('latam', 'message'),
  tried('emea', 'message'),
  tried('emea', 'media', SUNDAY),
  {
    deployment: 'emea',
    job: 'database-size',
    nights: [plainNight],
    nightFor: () => plainNight,
    // Its runs are too short to be stopped, or to have a second page of state.
    untried: [...ONLY_WHEN_STOPPED, 'lambda:GetDurableExecutionState'],
  },
];

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

for (const { deployment, job, nights, nightFor, untried = [] } of TRIED)
  describe(`${job} of ${deployment}`, () => {
    test('can do all it has to with the role that the template gives it', async () => {
      for (const fault of nights) {
        const { mismatches } = await playNight({ ...stage, only: deployment, fault });
        assert.deepEqual(mismatches, []);
      }
    });

    test('fails with the action and the resource named, whichever action its role lacks', async (t) => {
      const template = JSON.parse(
        readFileSync(join(stage.cdkOut, `upkeep-${deployment}.template.json`), 'utf8'),
      ) as Template;
      const actions = new Set(statementsOf(template, job).flatMap(({ Action }) => Action));
      assert.ok(actions.size > 10);
      for (const action of actions) {
        if (untried.includes(action)) continue;
        await t.test(action, async () => {
          const { mismatches } = await playNight({
            ...stage,
            only: deployment,
            fault: nightFor(action),
            change: (templates) => remove(templates[`upkeep-${deployment}`], job, action),
          });
          const named = new RegExp(`not authorized to perform: ${action} on resource: (arn:|\\*)`, 'i');
          assert.match(mismatches.join('\n'), named);
        });
      }
    });
  });

/** What a job's role is allowed, in its own policies and those attached to it. */
function statementsOf({ Resources: resources }: Template, job: string): Statement[] {
  const entries = Object.entries(resources);
  const gc = entries.find(([, { Properties: properties }]) =>
    String(properties?.FunctionName).endsWith(`-${job}`),
  )?.[1].Properties;
  assert.ok(gc);
  const [role = ''] = (gc.Role as { 'Fn::GetAtt': [string, string] })['Fn::GetAtt'];
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

function remove(template: Template | undefined, job: string, action: string): void {
  assert.ok(template);
  for (const statement of statementsOf(template, job)) {
    const left = [statement.Action].flat().filter((one) => one !== action);
    // A statement must allow something: what nobody asks for here.
    statement.Action = left.length > 0 ? left : ['s3:ListAllMyBuckets'];
  }
}
