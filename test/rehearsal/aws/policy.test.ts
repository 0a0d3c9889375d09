import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Access,
  checkPolicy,
  denial,
  type Statement,
  UnknownPolicy,
} from '../../../rehearsal/aws/policy.ts';

const QUEUE = 'arn:aws:sqs:eu-central-1:123456789012:orders';
const ROLE = 'arn:aws:iam::123456789012:role/worker';
const SESSION = 'arn:aws:sts::123456789012:assumed-role/worker/run';

function access(identity: Statement[], resource: Statement[] = [], others: Partial<Access> = {}): Access {
  return {
    principal: {
      kind: 'identity',
      arn: SESSION,
      identityArn: ROLE,
      account: '123456789012',
      policies: [{ Statement: identity }],
    },
    action: 'sqs:SendMessage',
    resource: QUEUE,
    account: '123456789012',
    resourcePolicies: [{ Statement: resource }],
    ...others,
  };
}

const allow = (others: Partial<Statement> = {}): Statement => ({
  Effect: 'Allow',
  Action: 'sqs:SendMessage',
  Resource: QUEUE,
  ...others,
});
const byAccount = { Principal: { AWS: 'arn:aws:iam::123456789012:root' } };
const service = { kind: 'service', service: 'events.amazonaws.com' } as const;
const source = { 'aws:SourceArn': 'arn:aws:events:eu-central-1:123456789012:rule/a' };

const cases: [what: string, allowed: boolean, access: Access][] = [
  ['an identity policy alone allows in the same account', true, access([allow()])],
  ['a resource policy alone allows in the same account', true, access([], [allow(byAccount)])],
  ['nothing allows', false, access([])],
  ['another action is no help', false, access([allow({ Action: 'sqs:ReceiveMessage' })])],
  ['another resource is no help', false, access([allow({ Resource: `${QUEUE}-other` })])],
  ['wildcards in action and resource', true, access([allow({ Action: 'SQS:Send*', Resource: '*:order?' })])],
  ['an explicit deny wins', false, access([allow(), allow({ Effect: 'Deny' })])],
  ['a deny in the resource policy wins', false, access([allow()], [allow({ ...byAccount, Effect: 'Deny' })])],
  [
    'NotAction leaves out what it names',
    false,
    access([{ Effect: 'Allow', NotAction: 'sqs:*', Resource: '*' }]),
  ],
  ['NotAction allows the rest', true, access([{ Effect: 'Allow', NotAction: 'sns:*', Resource: '*' }])],
  [
    'NotResource leaves out what it names',
    false,
    access([{ Effect: 'Allow', Action: '*', NotResource: QUEUE }]),
  ],
  [
    'another account needs both, and has one',
    false,
    access([allow()], [], {
      account: '210987654321',
      resource: QUEUE.replace('123456789012', '210987654321'),
    }),
  ],
  [
    'another account needs both, and has them',
    true,
    access([allow({ Resource: '*' })], [allow({ Resource: '*', Principal: { AWS: ROLE } })], {
      account: '210987654321',
    }),
  ],
  ['a service needs the resource policy', false, access([], [], { principal: service })],
  [
    'a service that the resource policy names',
    true,
    access([], [allow({ Principal: { Service: 'events.amazonaws.com' } })], { principal: service }),
  ],
  [
    'a service whose source fits the condition',
    true,
    access(
      [],
      [
        allow({
          Principal: { Service: 'events.amazonaws.com' },
          Condition: { ArnEquals: { 'aws:SourceArn': 'arn:aws:events:*:123456789012:rule/*' } },
        }),
      ],
      { principal: service, conditions: source },
    ),
  ],
  [
    'a service whose source does not fit',
    false,
    access(
      [],
      [
        allow({
          Principal: { Service: 'events.amazonaws.com' },
          Condition: { ArnEquals: { 'aws:SourceArn': 'arn:aws:events:*:123456789012:rule/b' } },
        }),
      ],
      { principal: service, conditions: source },
    ),
  ],
  [
    'a condition on a key that the request lacks',
    false,
    access([allow({ Condition: { StringEquals: { 'aws:SourceAccount': '1' } } })]),
  ],
  [
    'IfExists on a key that the request lacks',
    true,
    access([allow({ Condition: { StringEqualsIfExists: { 'aws:SourceAccount': '1' } } })]),
  ],
  [
    'a negated condition on a key that the request lacks',
    true,
    access([allow({ Condition: { StringNotEquals: { 'aws:SourceAccount': '1' } } })]),
  ],
  [
    'Null: the key is absent',
    true,
    access([allow({ Condition: { Null: { 'aws:SourceAccount': 'true' } } })]),
  ],
  ['Bool', true, access([allow({ Condition: { Bool: { 'aws:SecureTransport': 'true' } } })])],
  [
    'a deny without TLS does not touch a request with it',
    true,
    access(
      [allow()],
      [
        {
          Effect: 'Deny',
          Principal: '*',
          Action: '*',
          Resource: '*',
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        },
      ],
    ),
  ],
  [
    'all conditions of a statement have to hold',
    false,
    access(
      [
        allow({
          Condition: { StringEquals: { 'events:source': 'a' }, StringLike: { 'events:detail-type': 'x*' } },
        }),
      ],
      [],
      { conditions: { 'events:source': 'a', 'events:detail-type': 'y' } },
    ),
  ],
  [
    'a key by its policy and the identity',
    true,
    access([allow()], [allow(byAccount)], { needsResourcePolicy: true }),
  ],
  ['a key that its own policy does not open', false, access([allow()], [], { needsResourcePolicy: true })],
  [
    'a key whose policy names the role itself',
    true,
    access([], [allow({ Principal: { AWS: ROLE } })], { needsResourcePolicy: true }),
  ],
];

for (const [what, allowed, asked] of cases) {
  test(`${allowed ? 'allows' : 'denies'}: ${what}`, () => {
    assert.equal(denial(asked) === undefined, allowed, denial(asked));
  });
}

test("says in AWS's words who may not do what to which resource", () => {
  assert.equal(
    denial(access([])),
    `User: ${SESSION} is not authorized to perform: sqs:SendMessage on resource: ${QUEUE} because no identity-based policy allows the sqs:SendMessage action`,
  );
});

const unknown: [what: string, statement: object][] = [
  ['an unknown operator', { ...allow(), Condition: { DateLessThan: { 'aws:CurrentTime': 'x' } } }],
  ['an unknown condition key', { ...allow(), Condition: { StringEquals: { 'aws:SourceVpc': 'x' } } }],
  ['an unknown element', { ...allow(), Until: 'tomorrow' }],
  ['NotPrincipal', { ...allow(), NotPrincipal: '*' }],
  ['a policy variable', { ...allow(), Resource: `arn:aws:s3:::bucket/\${aws:username}` }],
  ['an unknown kind of principal', { ...allow(), Principal: { Federated: 'x' } }],
];

for (const [what, statement] of unknown) {
  test(`stops at ${what} rather than allow or deny`, () => {
    assert.throws(() => checkPolicy({ Statement: [statement as Statement] }, 'here'), UnknownPolicy);
    assert.throws(() => denial(access([statement as Statement])), UnknownPolicy);
  });
}
