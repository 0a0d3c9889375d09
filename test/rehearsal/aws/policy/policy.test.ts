import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkPolicy } from '../../../../rehearsal/aws/policy/check-policy.ts';
import { UnknownPolicy } from '../../../../rehearsal/aws/policy/document.ts';
import { denial, judge } from '../../../../rehearsal/aws/policy/policy.ts';
import { asks, type PolicyCase, QUEUE, ROLE, SESSION } from './cases/case.ts';
import { cases as conditions } from './cases/conditions.ts';
import { cases as elements } from './cases/elements.ts';
import { cases as evaluation } from './cases/evaluation.ts';

const CASES: PolicyCase[] = [...evaluation, ...elements, ...conditions];

for (const page of new Set(CASES.map((each) => each.page)))
  describe(page, () => {
    for (const { what, answer, access } of CASES.filter((each) => each.page === page))
      test(`${answer}: ${what}`, () => {
        if (answer === 'stops') {
          assert.throws(() => denial(access), UnknownPolicy);
          return;
        }
        assert.equal(denial(access) === undefined, answer === 'allowed', denial(access));
      });
  });

test('the table has two hundred cases, no two of them the same', () => {
  assert.ok(CASES.length >= 200, `${CASES.length} cases`);
  assert.equal(new Set(CASES.map(({ page, what }) => `${page} ${what}`)).size, CASES.length);
});

test("says in AWS's words who may not do what to which resource", () => {
  assert.equal(
    denial(asks({})),
    `User: ${SESSION} is not authorized to perform: sqs:SendMessage on resource: ${QUEUE} because no identity-based policy allows the sqs:SendMessage action`,
  );
});

test('names the statements that allow, of the identity and of the resource', () => {
  const { allowing } = judge(
    asks({
      identity: [{ Sid: 'Send' }, { Sid: 'Other', Action: 'sqs:PurgeQueue' }],
      resource: [{ Sid: 'Role', Principal: { AWS: ROLE } }],
    }),
  );
  assert.deepEqual(
    allowing.map(({ Sid }) => Sid),
    ['Send', 'Role'],
  );
});

test("stops at an identity's policy with one Sid twice, which IAM does not take", () => {
  const Statement = ['sqs:SendMessage', 'sqs:PurgeQueue'].map((Action) => ({
    Sid: 'Same',
    Effect: 'Allow',
    Action,
    Resource: '*',
  }));
  assert.throws(() => checkPolicy({ Statement }, 'here', 'identity'), UnknownPolicy);
  const resource = Statement.map((each) => ({ ...each, Principal: '*' }));
  checkPolicy({ Statement: resource }, 'here', 'resource');
});

test('stops at a policy that it cannot judge when the policy is read, before any request', () => {
  const Statement = { Effect: 'Allow', Action: '*', Resource: '*', NotPrincipal: '*' };
  assert.throws(() => checkPolicy({ Statement }, 'here', 'resource'), UnknownPolicy);
});
