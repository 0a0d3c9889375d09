import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeSecretPolicy } from '../../../bin/doctor/secret-policy.ts';

const ROLE = 'arn:aws:iam::222222222222:role/shop-execution';
const SECRET = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:shop/api-a1B2c3';
const ELSEWHERE = SECRET.replace('222222222222', '333333333333');
const READ = { Action: 'secretsmanager:GetSecretValue', Resource: '*' };
const deny = (more: object) => ({ Effect: 'Deny', Principal: '*', ...READ, ...more });
const allow = (more: object = {}) => ({ Effect: 'Allow', Principal: { AWS: ROLE }, ...READ, ...more });
const unless = (operator: string, key: string, value: unknown) =>
  deny({ Condition: { [operator]: { [key]: value } } });

/** What one statement comes to, or several. */
const CASES: [object | object[], string, string?][] = [
  [[], 'open'],
  [deny({ Sid: 'Nobody' }), 'denied Nobody'],
  [deny({ Principal: { AWS: ROLE } }), 'denied'],
  [deny({ Principal: { AWS: ['arn:aws:iam::222222222222:root'] } }), 'denied'],
  [deny({ Principal: { AWS: '333333333333' } }), 'open'],
  [deny({ Principal: { Service: 'ecs.amazonaws.com' } }), 'open'],
  [deny({ Action: ['secretsmanager:Get*'] }), 'denied'],
  [deny({ Action: 'SecretsManager:getsecretvalue' }), 'denied'],
  [deny({ Action: 'secretsmanager:PutSecretValue' }), 'open'],
  [deny({ Action: undefined, NotAction: 'secretsmanager:DescribeSecret' }), 'denied'],
  [deny({ Resource: 'arn:aws:secretsmanager:*:*:secret:other-*' }), 'open'],
  [unless('StringNotEquals', 'aws:PrincipalArn', [ROLE, 'arn:aws:iam::222222222222:role/admin']), 'open'],
  [unless('ArnNotLike', 'aws:PrincipalArn', 'arn:aws:iam::222222222222:role/shop-*'), 'open'],
  [unless('ArnNotEquals', 'aws:PrincipalArn', 'arn:aws:iam::222222222222:role/admin'), 'denied'],
  [unless('StringNotEqualsIfExists', 'AWS:PrincipalAccount', '222222222222'), 'open'],
  [unless('Bool', 'aws:SecureTransport', 'false'), 'open'],
  [unless('StringNotEquals', 'aws:RequestedRegion', 'eu-central-1'), 'open'],
  [unless('StringNotEquals', 'aws:RequestedRegion', 'eu-west-1'), 'denied'],
  [unless('StringNotEquals', 'aws:sourceVpce', 'vpce-1'), 'depends aws:sourceVpce'],
  [unless('ForAnyValue:StringEquals', 'aws:PrincipalArn', ROLE), 'depends aws:PrincipalArn'],
  [
    deny({
      Condition: { StringNotEquals: { 'aws:sourceVpce': 'vpce-1', 'aws:PrincipalArn': ROLE } },
    }),
    'open',
  ],
  [deny({ Principal: undefined, NotPrincipal: { AWS: 'arn:aws:iam::222222222222:role/admin' } }), 'denied'],
  [
    deny({ Principal: undefined, NotPrincipal: { AWS: ROLE } }),
    'depends who is excepted from it (NotPrincipal)',
  ],
  [[allow(), unless('StringNotEquals', 'aws:sourceVpce', 'vpce-1'), deny({ Sid: 'All' })], 'denied All'],
  [[], 'not allowed', ELSEWHERE],
  [allow({ Principal: { AWS: '444444444444' } }), 'not allowed', ELSEWHERE],
  [allow(), 'open', ELSEWHERE],
  [allow({ Condition: { StringEquals: { 'aws:sourceVpc': 'vpc-1' } } }), 'open', ELSEWHERE],
  [allow(), 'granted'],
  [allow({ Principal: '*', Condition: { ArnLike: { 'aws:PrincipalArn': ROLE } } }), 'granted'],
  [allow({ Principal: { AWS: 'arn:aws:iam::222222222222:root' } }), 'open'],
  [allow({ Principal: { AWS: `${ROLE}-other` } }), 'open'],
  [allow({ Condition: { StringEquals: { 'aws:sourceVpc': 'vpc-1' } } }), 'open'],
  [allow({ Principal: undefined, NotPrincipal: { AWS: `${ROLE}-other` } }), 'open'],
  [[allow(), deny({ Sid: 'All' })], 'denied All'],
];

test("a secret's own policy is judged for the role by which ECS fetches it", () => {
  for (const [Statement, expected, secret = SECRET] of CASES) {
    const verdict = judgeSecretPolicy(JSON.stringify({ Version: '2012-10-17', Statement }), {
      role: ROLE,
      secret,
    });
    const words =
      verdict.kind === 'open'
        ? verdict.grants
          ? 'granted'
          : 'open'
        : verdict.kind === 'closed'
          ? verdict.why
          : `depends ${verdict.on}`;
    const said = 'sid' in verdict ? `${words} ${verdict.sid}` : words;
    assert.equal(said, expected, JSON.stringify(Statement));
  }
  assert.deepEqual(judgeSecretPolicy(undefined, { role: ROLE, secret: SECRET }), {
    kind: 'open',
    grants: false,
  });
});
