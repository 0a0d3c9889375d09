import {
  ACCOUNT,
  asks,
  casesOf,
  EVENTS,
  NOBODY,
  OTHER_ACCOUNT,
  QUEUE,
  ROLE,
  type Row,
  SESSION,
} from './case.ts';

const GUIDE = 'https://docs.aws.amazon.com/IAM/latest/UserGuide';
const DENY = { Effect: 'Deny' };
const everybody = { Principal: '*' };
const role = { Principal: { AWS: ROLE } };
const account = { Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` } };
const service = { Principal: { Service: 'events.amazonaws.com' } };
const elsewhere = { of: QUEUE.replace(ACCOUNT, OTHER_ACCOUNT) };
const key = {
  of: `arn:aws:kms:eu-central-1:${ACCOUNT}:key/1`,
  action: 'kms:Decrypt',
  needsResourcePolicy: true,
};
const decrypt = { Action: 'kms:Decrypt' };

const withinAccount: Row[] = [
  ['no policy says anything', 'denied', asks({})],
  ['an identity policy allows', 'allowed', asks({ identity: [{}] })],
  ['a resource policy allows the role', 'allowed', asks({ resource: [role] })],
  ['both allow', 'allowed', asks({ identity: [{}], resource: [role] })],
  ['a policy of the identity denies', 'denied', asks({ identity: [{}, DENY] })],
  ['the order of the statements is no matter', 'denied', asks({ identity: [DENY, {}] })],
  ['the resource policy denies', 'denied', asks({ identity: [{}], resource: [{ ...role, ...DENY }] })],
  [
    'a deny of the identity beats the resource policy',
    'denied',
    asks({ identity: [DENY], resource: [role] }),
  ],
  [
    'a deny of another action is no matter',
    'allowed',
    asks({ identity: [{}, { ...DENY, Action: 'sqs:PurgeQueue' }] }),
  ],
  [
    'a deny of another resource is no matter',
    'allowed',
    asks({ identity: [{}, { ...DENY, Resource: `${QUEUE}2` }] }),
  ],
  [
    'a deny whose condition fails is no matter',
    'allowed',
    asks({ identity: [{}, { ...DENY, Condition: { Bool: { 'aws:SecureTransport': 'false' } } }] }),
  ],
  [
    'a deny whose condition holds',
    'denied',
    asks({ identity: [{}, { ...DENY, Condition: { Bool: { 'aws:SecureTransport': 'true' } } }] }),
  ],
  [
    'a resource policy that allows another role',
    'denied',
    asks({ resource: [{ Principal: { AWS: `${ROLE}-2` } }] }),
  ],
  ['a resource policy that allows everybody', 'allowed', asks({ resource: [everybody] })],
];

const acrossAccounts: Row[] = [
  ['neither allows', 'denied', asks({ ...elsewhere })],
  ['the identity policy alone', 'denied', asks({ ...elsewhere, identity: [{}] })],
  ['the resource policy alone', 'denied', asks({ ...elsewhere, resource: [role] })],
  ['both, by the role', 'allowed', asks({ ...elsewhere, identity: [{}], resource: [role] })],
  ['both, by the account', 'allowed', asks({ ...elsewhere, identity: [{}], resource: [account] })],
  ['both, by everybody', 'allowed', asks({ ...elsewhere, identity: [{}], resource: [everybody] })],
  [
    'the resource policy allows everybody, the identity nothing',
    'denied',
    asks({ ...elsewhere, resource: [everybody] }),
  ],
  [
    'the resource policy names the session',
    'allowed',
    asks({ ...elsewhere, identity: [{}], resource: [{ Principal: { AWS: SESSION } }] }),
  ],
  [
    'the resource policy names a third account',
    'denied',
    asks({ ...elsewhere, identity: [{}], resource: [{ Principal: { AWS: '333333333333' } }] }),
  ],
  [
    'a deny on the other side',
    'denied',
    asks({ ...elsewhere, identity: [{}], resource: [role, { ...everybody, ...DENY }] }),
  ],
  ['a deny on this side', 'denied', asks({ ...elsewhere, identity: [{}, DENY], resource: [role] })],
];

const keys: Row[] = [
  ['an identity policy alone opens no key', 'denied', asks({ ...key, identity: [decrypt] })],
  [
    'a key policy that lets the account decide, and the identity policy',
    'allowed',
    asks({ ...key, identity: [decrypt], resource: [{ ...account, Action: 'kms:*' }] }),
  ],
  [
    'a key policy that lets the account decide, and it has not',
    'denied',
    asks({ ...key, resource: [{ ...account, Action: 'kms:*' }] }),
  ],
  ['a key policy that names the role', 'allowed', asks({ ...key, resource: [{ ...role, ...decrypt }] })],
  [
    'a key policy that lets the account decide another action',
    'denied',
    asks({ ...key, identity: [decrypt], resource: [{ ...account, Action: 'kms:Encrypt' }] }),
  ],
  [
    'a deny in the key policy',
    'denied',
    asks({
      ...key,
      identity: [decrypt],
      resource: [
        { ...account, Action: 'kms:*' },
        { ...role, ...decrypt, ...DENY },
      ],
    }),
  ],
  [
    "the key's own ARN in its policy",
    'allowed',
    asks({ ...key, resource: [{ ...role, ...decrypt, Resource: key.of }] }),
  ],
  [
    "another key's ARN in its policy is no help",
    'denied',
    asks({ ...key, resource: [{ ...role, ...decrypt, Resource: `${key.of}2` }] }),
  ],
  [
    "an alias's ARN in a key policy is no help",
    'denied',
    asks({
      ...key,
      resource: [{ ...role, ...decrypt, Resource: `arn:aws:kms:eu-central-1:${ACCOUNT}:alias/orders` }],
    }),
  ],
  [
    'a pattern of keys in a key policy',
    'allowed',
    asks({ ...key, resource: [{ ...role, ...decrypt, Resource: 'arn:aws:kms:*:*:key/*' }] }),
  ],
  [
    'a service that the key policy names',
    'allowed',
    asks({ ...key, by: EVENTS, resource: [{ ...service, ...decrypt }] }),
  ],
  [
    'a service where the key policy names the account only',
    'denied',
    asks({ ...key, by: EVENTS, resource: [{ ...account, Action: 'kms:*' }] }),
  ],
];

const viaSqs = { 'kms:ViaService': 'sqs.eu-central-1.amazonaws.com', 'kms:CallerAccount': ACCOUNT };
/** As the keys are that AWS makes for a service in an account. */
const managed = {
  ...decrypt,
  Principal: { AWS: '*' },
  Condition: { StringEquals: viaSqs },
};
const managedKeys: Row[] = [
  [
    'an identity of the account, through the service',
    'allowed',
    asks({ ...key, conditions: viaSqs, resource: [managed] }),
  ],
  ['an identity of the account, by itself', 'denied', asks({ ...key, resource: [managed] })],
  [
    'through another service',
    'denied',
    asks({ ...key, conditions: { 'kms:ViaService': 'sns.eu-central-1.amazonaws.com' }, resource: [managed] }),
  ],
  [
    'a service in its own name has no account',
    'denied',
    asks({
      ...key,
      by: EVENTS,
      resource: [managed],
      conditions: { 'kms:ViaService': viaSqs['kms:ViaService'] },
    }),
  ],
];

const others: Row[] = [
  ['a service has no identity policies', 'denied', asks({ by: EVENTS })],
  ['a service that the resource policy names', 'allowed', asks({ by: EVENTS, resource: [service] })],
  [
    'a service that it does not name',
    'denied',
    asks({ by: EVENTS, resource: [{ Principal: { Service: 'sns.amazonaws.com' } }] }),
  ],
  ['who signs nothing, where nothing allows', 'denied', asks({ by: NOBODY })],
  ['who signs nothing, where everybody may', 'allowed', asks({ by: NOBODY, resource: [everybody] })],
  ['who signs nothing, where the account may', 'denied', asks({ by: NOBODY, resource: [account] })],
];

const endpoint = (...statements: object[]) => ({
  endpoint: {
    arn: `arn:aws:ec2:eu-central-1:${ACCOUNT}:vpc-endpoint/vpce-1`,
    policy: {
      Version: '2012-10-17',
      Statement: statements.map((statement) => ({
        Effect: 'Allow',
        Principal: '*',
        Action: '*',
        Resource: '*',
        ...statement,
      })),
    },
  },
});
const ofAccount = (number: string) => ({
  Condition: { StringEquals: { 'aws:PrincipalAccount': number } },
});
const endpoints: Row[] = [
  [
    'an endpoint with full access, and the identity may',
    'allowed',
    asks({ identity: [{}], ...endpoint({}) }),
  ],
  ['an endpoint with full access allows nothing by itself', 'denied', asks({ ...endpoint({}) })],
  [
    'one that lets other actions pass',
    'denied',
    asks({ identity: [{}], resource: [role], ...endpoint({ Action: 'sqs:ReceiveMessage' }) }),
  ],
  [
    'one that lets another queue pass',
    'denied',
    asks({ identity: [{}], ...endpoint({ Resource: `${QUEUE}2` }) }),
  ],
  ['one that denies', 'denied', asks({ identity: [{}], ...endpoint({}, DENY) })],
  ["one for the account's principals", 'allowed', asks({ identity: [{}], ...endpoint(ofAccount(ACCOUNT)) })],
  [
    "one for another account's principals",
    'denied',
    asks({ identity: [{}], ...endpoint(ofAccount(OTHER_ACCOUNT)) }),
  ],
  [
    'the resource policy allows, and the endpoint lets pass',
    'allowed',
    asks({ resource: [role], ...endpoint({}) }),
  ],
];

const bySession = { Principal: { AWS: SESSION } };
const sessions: Row[] = [
  ['the role and the session may', 'allowed', asks({ identity: [{}], session: {} })],
  [
    'the role may, the session not',
    'denied',
    asks({ identity: [{}], session: { Action: 'sqs:PurgeQueue' } }),
  ],
  ['the session may, the role not', 'denied', asks({ session: {} })],
  ['the session is denied it', 'denied', asks({ identity: [{}], session: DENY })],
  [
    'a deny whose condition fails, and nothing that allows',
    'denied',
    asks({ identity: [{}], session: { ...DENY, Condition: { Null: { 'events:source': 'false' } } } }),
  ],
  [
    'a resource policy that allows the role is limited too',
    'denied',
    asks({ resource: [role], session: { Action: 'sqs:PurgeQueue' } }),
  ],
  [
    'a resource policy that allows the role, and the session may',
    'allowed',
    asks({ resource: [role], session: {} }),
  ],
  [
    'a resource policy that allows the session by its name is not limited',
    'allowed',
    asks({ resource: [bySession], session: { Action: 'sqs:PurgeQueue' } }),
  ],
  ['but for a deny', 'denied', asks({ resource: [bySession], session: DENY })],
  [
    'a resource policy that allows everybody',
    'stops',
    asks({ resource: [everybody], session: { Action: 'sqs:PurgeQueue' } }),
  ],
];

export const cases = [
  ...casesOf(`${GUIDE}/reference_policies_evaluation-logic_policy-eval-basics.html`, withinAccount),
  ...casesOf(`${GUIDE}/reference_policies_evaluation-logic-cross-account.html`, acrossAccounts),
  ...casesOf(`${GUIDE}/access_policies.html#policies_session`, sessions),
  ...casesOf('https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html', keys),
  ...casesOf('https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-services.html', managedKeys),
  ...casesOf(`${GUIDE}/reference_policies_elements_principal.html`, others),
  ...casesOf('https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html', endpoints),
];
