import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import type { Template } from '../../../rehearsal/aws/template/assembly.ts';
import { type Fault, SUNDAY } from '../../../rehearsal/faults/fault.ts';
import { playNight } from '../../../rehearsal/night.ts';
import type { Night } from '../../../rehearsal/night-checks.ts';
import { buildStage, type Stage } from '../stage.ts';
import { type AllowedAction, Evidence } from './needed.ts';
import { functionOf, NIGHTS, type TriedNight, templateOf } from './nights.ts';

/** What the templates allow and these nights do not need, with the reason. */
const NOT_NEEDED: [reason: string, of: RegExp, statement: RegExp, action?: RegExp][] = [
  [
    "KMS's default statement: without it nobody of the account could ever change the key. EFS uses it by a grant.",
    /^media Key/,
    /:root/,
    /^kms:\*$/,
  ],
  [
    "CloudWatch Logs' guide has them in the key policy that it asks for; when it uses them is said nowhere.",
    /^Key/,
    /^LogsOf/,
    /^kms:(ReEncrypt|Describe)\*$/,
  ],
];

const evidence = new Evidence();
let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

/** Where there is no MySQL, what is on it takes no part. */
async function play({ faults, scale, everywhere = false, ...others }: TriedNight): Promise<Night> {
  const isOnMysql = ({ deployment }: Fault) => deployment === 'apac';
  const mysql = everywhere || faults.some(isOnMysql) ? await stage.startMysql() : undefined;
  const played = typeof mysql === 'string' ? faults.filter((fault) => !isOnMysql(fault)) : faults;
  return playNight({
    ...others,
    cdkOut: stage.cdkOut,
    postgres: stage.postgres,
    ...(typeof mysql !== 'string' && { mysql }),
    ...(!everywhere && { only: played.map(({ deployment }) => deployment) }),
    scale: { ...stage.scale, ...scale },
    faults: played,
    onEnd: (world) => evidence.add(world),
  });
}

function described({ faults }: TriedNight): string {
  return faults.map(({ description }) => description).join('; ');
}

for (const night of NIGHTS)
  test(`with the policies that the templates give nothing is denied: ${described(night)}`, async () => {
    const played = await play(night);
    const problems = played.runs.map(({ job, outcome, problems }) => ({ job, outcome, problems }));
    assert.deepEqual(played.mismatches, [], JSON.stringify(problems));
  });

test('whatever a policy allows is needed: without it one of these nights would have been denied something', async (t) => {
  const { allowed } = evidence;
  assert.ok(allowed.filter(({ kind }) => kind === 'identity').length > 150);
  const reasonOf = ({ of, statement, action }: AllowedAction) =>
    NOT_NEEDED.find(
      ([, whose, which, what = /./]) => whose.test(of) && which.test(statement) && what.test(action),
    )?.[0];
  for (const each of allowed) {
    const { of, kind, statement, action } = each;
    const reason = reasonOf(each);
    await t.test(`${of}: ${action}${kind === 'identity' ? '' : ` (${kind})`}`, (t) => {
      if (reason !== undefined) t.diagnostic(reason);
      assert.equal(
        evidence.isNeeded(each),
        reason === undefined,
        `${statement}: ${reason ?? 'nobody needed it'}`,
      );
    });
  }
});

/** The first that each of these functions asks for, which their roles are not allowed. */
const TAKEN_AWAY = {
  'message-gc': 'secretsmanager:GetSecretValue',
  'media-gc': 'secretsmanager:GetSecretValue',
  'log-cleanup': 'ecs:ListTasks',
  'credential-rotation': 'ecs:DescribeServices',
  'database-size': 'secretsmanager:GetSecretValue',
  'application-settings': 'secretsmanager:GetSecretValue',
};

describe('a role that lacks an action', () => {
  const fault: Fault = {
    description: 'Each role lacks one action',
    deployment: 'emea',
    containers: true,
    rotation: true,
    starts: SUNDAY,
    strike() {},
    expected: { outcomes: {}, alarms: [] },
  };

  test("has the run fail, whose report names the action and the resource in AWS's words", async () => {
    const night = await play({
      faults: [fault],
      scale: { containers: 'few', rotation: true },
      change: (templates) => {
        for (const [job, action] of Object.entries(TAKEN_AWAY))
          remove(templateOf(templates, 'emea'), job, action);
      },
    });
    for (const [job, action] of Object.entries(TAKEN_AWAY)) {
      const run: RunReport | undefined = night.runs.find((each) => each.job === job);
      assert.equal(run?.outcome, 'failed', `${job}: ${JSON.stringify(run)}`);
      const told = run.problems.map(({ what, where, next }) => `${what} ${where} ${next}`).join('\n');
      assert.match(
        told,
        new RegExp(`not authorized to perform: ${action} on resource: (arn:|\\*)`, 'i'),
        job,
      );
      assert.ok(
        night.alarms.some(({ name }) => name === `emea-${job}-failed`),
        job,
      );
    }
  });
});

interface Statement {
  Action: string | string[];
  Effect: string;
}

/** What a job's role is allowed, in its own policies and those attached to it. */
function statementsOf(template: Template, job: string): Statement[] {
  const { Resources: resources } = template;
  const [role = ''] = (functionOf(template, job).Role as { 'Fn::GetAtt': [string, string] })['Fn::GetAtt'];
  type Policy = { PolicyDocument: { Statement: Statement[] } };
  const own = (resources[role]?.Properties?.Policies ?? []) as Policy[];
  const attached = Object.values(resources)
    .filter(({ Type, Properties: properties }) => {
      const roles = (properties?.Roles ?? []) as { Ref: string }[];
      return Type === 'AWS::IAM::Policy' && roles.some(({ Ref }) => Ref === role);
    })
    .map(({ Properties: properties }) => properties as unknown as Policy);
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
