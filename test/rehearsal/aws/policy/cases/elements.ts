import { ACCOUNT, asks, casesOf, EVENTS, NOBODY, QUEUE, ROLE, type Row, SESSION } from './case.ts';

const GUIDE = 'https://docs.aws.amazon.com/IAM/latest/UserGuide';
const DENY = { Effect: 'Deny' };
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const to = (Principal: unknown) => ({ Principal });
/** As in a policy that somebody wrote by hand. */
const without = (name: 'Action' | 'Resource') => ({ [name]: undefined }) as object;
const when = (Condition: unknown) => ({ Condition }) as object;
/** CDK's `enforceSSL`. */
const enforceTls = {
  ...DENY,
  Principal: { AWS: '*' },
  Action: 'sqs:*',
  Condition: { Bool: { 'aws:SecureTransport': 'false' } },
};
const service = to({ Service: 'events.amazonaws.com' });

const principals: Row[] = [
  [
    "an account's ARN lets the account decide: no permission by itself",
    'denied',
    asks({ resource: [to({ AWS: ROOT })] }),
  ],
  ["so does an account's number", 'denied', asks({ resource: [to({ AWS: ACCOUNT })] })],
  [
    "the account's ARN, and the account's own policy allows",
    'allowed',
    asks({ identity: [{}], resource: [to({ AWS: ROOT })] }),
  ],
  [
    "a deny to the account's ARN is to all its identities",
    'denied',
    asks({ identity: [{}], resource: [{ ...to({ AWS: ROOT }), ...DENY }] }),
  ],
  [
    "a deny to the account's number too",
    'denied',
    asks({ identity: [{}], resource: [{ ...to({ AWS: ACCOUNT }), ...DENY }] }),
  ],
  [
    'a deny to another account is no matter',
    'allowed',
    asks({ identity: [{}], resource: [{ ...to({ AWS: '333333333333' }), ...DENY }] }),
  ],
  ["a role's ARN is all its sessions", 'allowed', asks({ resource: [to({ AWS: ROLE })] })],
  ["a session's ARN", 'allowed', asks({ resource: [to({ AWS: SESSION })] })],
  ["another session's ARN", 'denied', asks({ resource: [to({ AWS: `${SESSION}-2` })] })],
  [
    "a deny to the role's ARN",
    'denied',
    asks({ identity: [{}], resource: [{ ...to({ AWS: ROLE }), ...DENY }] }),
  ],
  ['one of several names', 'allowed', asks({ resource: [to({ AWS: ['333333333333', ROLE] })] })],
  [
    'an account and a role: the role needs no more',
    'allowed',
    asks({ resource: [to({ AWS: [ROOT, ROLE] })] }),
  ],
  ['one of several kinds', 'allowed', asks({ resource: [to({ Service: 'sns.amazonaws.com', AWS: ROLE })] })],
  ['a star is everybody', 'allowed', asks({ resource: [to('*')] })],
  ['a star below AWS is everybody as well', 'allowed', asks({ resource: [to({ AWS: '*' })] })],
  ['a star is services', 'allowed', asks({ by: EVENTS, resource: [to('*')] })],
  ['a star below AWS is services as well', 'allowed', asks({ by: EVENTS, resource: [to({ AWS: '*' })] })],
  ['a star below AWS is who signs nothing', 'allowed', asks({ by: NOBODY, resource: [to({ AWS: '*' })] })],
  [
    'a deny to everybody hits services',
    'denied',
    asks({ by: EVENTS, resource: [service, { ...to('*'), ...DENY }] }),
  ],
  [
    'a deny to everybody below AWS hits services',
    'denied',
    asks({ by: EVENTS, resource: [service, { ...to({ AWS: '*' }), ...DENY }] }),
  ],
  [
    'a deny without TLS hits a service without it',
    'denied',
    asks({ by: EVENTS, resource: [service, enforceTls], conditions: { 'aws:SecureTransport': 'false' } }),
  ],
  [
    'a deny without TLS lets a service with it',
    'allowed',
    asks({ by: EVENTS, resource: [service, enforceTls] }),
  ],
  [
    'a deny without TLS hits an identity without it',
    'denied',
    asks({ identity: [{}], resource: [enforceTls], conditions: { 'aws:SecureTransport': 'false' } }),
  ],
  ["a service's name is no identity's", 'denied', asks({ resource: [service] })],
  ["an identity's name is no service's", 'denied', asks({ by: EVENTS, resource: [to({ AWS: ROLE })] })],
  ['a wildcard within a name', 'stops', asks({ resource: [to({ AWS: `arn:aws:iam::${ACCOUNT}:role/*` })] })],
  ['a wildcard as a service', 'stops', asks({ by: EVENTS, resource: [to({ Service: '*' })] })],
  ['an identity provider', 'stops', asks({ resource: [to({ Federated: 'accounts.google.com' })] })],
  ['a canonical user', 'stops', asks({ resource: [to({ CanonicalUser: '79a5' })] })],
  ['a name that is no text', 'stops', asks({ resource: [to({ AWS: [1] })] })],
  ['a text other than a star', 'stops', asks({ resource: [to(ROLE)] })],
  ['none', 'stops', asks({ identity: [{}], resource: [DENY] })],
  ['an empty one', 'stops', asks({ identity: [{}], resource: [{ ...to({}), ...DENY }] })],
  ['an empty list', 'stops', asks({ identity: [{}], resource: [{ ...to({ AWS: [] }), ...DENY }] })],
  ['nothing', 'stops', asks({ resource: [to(null)] })],
  ['a name that is no ARN', 'stops', asks({ resource: [to({ AWS: 'worker' })] })],
  ['the id of a role that is gone', 'stops', asks({ resource: [to({ AWS: 'AROAEXAMPLEID' })] })],
  ['a service without its domain', 'stops', asks({ by: EVENTS, resource: [to({ Service: 'events' })] })],
  ["in an identity's policy", 'stops', asks({ identity: [to('*')] })],
];

const partitions: Row[] = [
  [
    "an account's ARN of another partition",
    'stops',
    asks({ identity: [{}], resource: [to({ AWS: ROOT.replace('arn:aws:', 'arn:aws-cn:') })] }),
  ],
  ["a role's", 'stops', asks({ resource: [to({ AWS: ROLE.replace('arn:aws:', 'arn:aws-us-gov:') })] })],
];

const sids: Row[] = [
  ['letters and digits', 'allowed', asks({ identity: [{ Sid: 'Send2' }] })],
  ['with a blank', 'stops', asks({ identity: [{ Sid: 'Send messages' }] })],
  ['with a hyphen', 'stops', asks({ identity: [{ Sid: 'send-messages' }] })],
  [
    "a key's may have blanks",
    'allowed',
    asks({ resource: [{ ...to({ AWS: ROLE }), Sid: 'Let the role send' }] }),
  ],
];

const actions: Row[] = [
  ['the action', 'allowed', asks({ identity: [{ Action: 'sqs:SendMessage' }] })],
  ['in other letters', 'allowed', asks({ identity: [{ Action: 'SQS:sendmessage' }] })],
  ['a star', 'allowed', asks({ identity: [{ Action: '*' }] })],
  ["all of the service's", 'allowed', asks({ identity: [{ Action: 'sqs:*' }] })],
  ["all of another service's", 'denied', asks({ identity: [{ Action: 'sns:*' }] })],
  ['a beginning', 'allowed', asks({ identity: [{ Action: 'sqs:Send*' }] })],
  ['an end', 'allowed', asks({ identity: [{ Action: 'sqs:*Message' }] })],
  ['another end', 'denied', asks({ identity: [{ Action: 'sqs:*Messages' }] })],
  ['one letter left open', 'allowed', asks({ identity: [{ Action: 'sqs:SendMessag?' }] })],
  ['one letter too many', 'denied', asks({ identity: [{ Action: 'sqs:SendMessage?' }] })],
  ['one of several', 'allowed', asks({ identity: [{ Action: ['sqs:ReceiveMessage', 'sqs:SendMessage'] }] })],
  [
    'the API is no part of the name: SendMessageBatch',
    'denied',
    asks({ identity: [{ Action: 'sqs:SendMessageBatch' }] }),
  ],
  ['a variable', 'stops', asks({ identity: [{ Action: `sqs:\${aws:username}` }] })],
  ['no service', 'stops', asks({ identity: [{ Action: 'SendMessage' }] })],
  ['none', 'stops', asks({ identity: [{ ...without('Action') }] })],
  ['an empty list', 'stops', asks({ identity: [{ Action: [] }] })],
  ['beside NotAction', 'stops', asks({ identity: [{ Action: 'sqs:*', NotAction: 'iam:*' }] })],
];

const notActions: Row[] = [
  ['an empty list is not all', 'stops', asks({ identity: [{ NotAction: [] }] })],
  ['allows what it does not name', 'allowed', asks({ identity: [{ NotAction: 'iam:*' }] })],
  ['does not allow what it names', 'denied', asks({ identity: [{ NotAction: 'sqs:*' }] })],
  ['does not deny what it does not allow', 'allowed', asks({ identity: [{}, { NotAction: 'sqs:*' }] })],
  [
    'in a deny, denies what it does not name',
    'denied',
    asks({ identity: [{}, { ...DENY, NotAction: 'iam:*' }] }),
  ],
  [
    'in a deny, lets what it names',
    'allowed',
    asks({ identity: [{}, { ...DENY, NotAction: ['iam:*', 'sqs:Send*'] }] }),
  ],
];

const resources: Row[] = [
  ['the ARN', 'allowed', asks({ identity: [{ Resource: QUEUE }] })],
  ['another ARN', 'denied', asks({ identity: [{ Resource: `${QUEUE}.fifo` }] })],
  ['no ARN', 'stops', asks({ identity: [{ Resource: 'orders' }] })],
  ["none, in an identity's policy", 'stops', asks({ identity: [{ ...without('Resource') }] })],
  [
    'none, in its own policy',
    'allowed',
    asks({ resource: [{ ...to({ AWS: ROLE }), ...without('Resource') }] }),
  ],
  ['an empty list', 'stops', asks({ identity: [{ Resource: [] }] })],
  ['beside NotResource', 'stops', asks({ identity: [{ Resource: '*', NotResource: QUEUE }] })],
  [
    'ARNs are told apart by their letters',
    'denied',
    asks({ identity: [{ Resource: QUEUE.replace('orders', 'Orders') }] }),
  ],
  ['a star within', 'allowed', asks({ identity: [{ Resource: `arn:aws:sqs:*:${ACCOUNT}:ord*` }] })],
  [
    'a star that ends a part reaches over colons',
    'allowed',
    asks({ identity: [{ Resource: 'arn:aws:sqs:*' }] }),
  ],
  ['and over several', 'allowed', asks({ identity: [{ Resource: 'arn:aws:sqs:*:orders' }] })],
  [
    'whether a star within a part reaches over a colon is not said',
    'stops',
    asks({ identity: [{ Resource: 'arn:aws:sqs:*orders' }] }),
  ],
  [
    'whether a question mark is a colon is not said',
    'stops',
    asks({ identity: [{ Resource: QUEUE.replace(':orders', '?orders') }] }),
  ],
  [
    'where it fits neither way, it does not',
    'denied',
    asks({ identity: [{ Resource: 'arn:aws:sqs:*payments' }] }),
  ],
  ['a wildcard for the service', 'stops', asks({ identity: [{ Resource: 'arn:aws:*:*:*:orders' }] })],
  ['one letter left open', 'allowed', asks({ identity: [{ Resource: QUEUE.replace('orders', 'order?') }] })],
  ['a point is a point', 'denied', asks({ identity: [{ Resource: QUEUE.replace('orders', 'ord.rs') }] })],
  ['one of several', 'allowed', asks({ identity: [{ Resource: [`${QUEUE}2`, QUEUE] }] })],
  [
    'of a resource policy, its own resource',
    'allowed',
    asks({ resource: [{ ...to({ AWS: ROLE }), Resource: QUEUE }] }),
  ],
  [
    'of a resource policy, another resource',
    'denied',
    asks({ resource: [{ ...to({ AWS: ROLE }), Resource: `${QUEUE}2` }] }),
  ],
];

const notResources: Row[] = [
  ['an empty list is not all', 'stops', asks({ identity: [{ NotResource: [] }] })],
  ['allows what it does not name', 'allowed', asks({ identity: [{ NotResource: `${QUEUE}2` }] })],
  ['does not allow what it names', 'denied', asks({ identity: [{ NotResource: QUEUE }] })],
  [
    'in a deny, denies what it does not name',
    'denied',
    asks({ identity: [{}, { ...DENY, NotResource: `${QUEUE}2` }] }),
  ],
  [
    'in a deny, lets what it names',
    'allowed',
    asks({ identity: [{}, { ...DENY, NotResource: ['arn:aws:s3:::*', QUEUE] }] }),
  ],
  ['takes wildcards', 'denied', asks({ identity: [{ NotResource: 'arn:aws:sqs:*' }] })],
];

const variables: Row[] = [
  ['in Resource', 'stops', asks({ identity: [{ Resource: `arn:aws:sqs:*:*:\${aws:username}` }] })],
  ['in NotResource', 'stops', asks({ identity: [{ NotResource: `arn:aws:sqs:*:*:\${aws:username}` }] })],
  ['in NotAction', 'stops', asks({ identity: [{ NotAction: `sqs:\${aws:username}` }] })],
  [
    "in a condition's value",
    'stops',
    asks({ identity: [{ Condition: { StringEquals: { 'aws:PrincipalArn': `\${aws:userid}` } } }] }),
  ],
  [
    'with a default',
    'stops',
    asks({ identity: [{ Resource: `arn:aws:sqs:*:*:\${aws:PrincipalTag/team, 'none'}` }] }),
  ],
  [
    'in a statement that would not apply',
    'stops',
    asks({ identity: [{}, { Action: 'sns:Publish', Resource: `\${aws:username}` }] }),
  ],
  [
    'in the old version of the language is text',
    'denied',
    asks({ identity: [{ Version: '2008-10-17', Resource: `arn:aws:sqs:*:*:\${aws:username}` }] }),
  ],
  [
    'an escaped star is a star',
    'denied',
    asks({ identity: [{ Resource: `arn:aws:sqs:eu-central-1:${ACCOUNT}:ord\${*}` }] }),
  ],
  [
    'an escaped star fits a star',
    'allowed',
    asks({ of: `${QUEUE}*`, identity: [{ Resource: `${QUEUE}\${*}` }] }),
  ],
  [
    'an escaped question mark is one',
    'denied',
    asks({ identity: [{ Resource: QUEUE.replace('orders', `order\${?}`) }] }),
  ],
  [
    'an escaped question mark fits one',
    'allowed',
    asks({ of: `${QUEUE}?`, identity: [{ Resource: `${QUEUE}\${?}` }] }),
  ],
  [
    'an escaped dollar fits one',
    'allowed',
    asks({ of: `${QUEUE}$`, identity: [{ Resource: `${QUEUE}\${$}` }] }),
  ],
  [
    'an escape in a text that is compared',
    'allowed',
    asks({
      identity: [{ Condition: { StringEquals: { 'events:source': `a\${*}` } } }],
      conditions: { 'events:source': 'a*' },
    }),
  ],
  [
    'an escape in the old version',
    'stops',
    asks({ identity: [{ Version: '2008-10-17', Resource: `${QUEUE}\${*}` }] }),
  ],
];

const elements: Row[] = [
  ['a condition of nothing', 'stops', asks({ identity: [when({ StringEquals: {} })] })],
  ['no value', 'stops', asks({ identity: [when({ StringNotEquals: { 'aws:SourceArn': [] } })] })],
  ['null as a value', 'stops', asks({ identity: [when({ StringNotEquals: { 'aws:SourceArn': null } })] })],
  ['an object as a value', 'stops', asks({ identity: [when({ StringNotEquals: { 'aws:SourceArn': {} } })] })],
  ['a condition that is none', 'stops', asks({ identity: [when(null)] })],
  ['an unknown element', 'stops', asks({ identity: [{ ...({ Until: 'tomorrow' } as object) }] })],
  ['NotPrincipal', 'stops', asks({ resource: [{ NotPrincipal: { AWS: ROLE }, ...DENY }] })],
  ['another effect', 'stops', asks({ identity: [{ Effect: 'allow' }] })],
  ['another version', 'stops', asks({ identity: [{ Version: '2020-01-01' }] })],
];

export const cases = [
  ...casesOf(`${GUIDE}/reference_policies_elements_principal.html`, principals),
  ...casesOf(`${GUIDE}/reference-arns.html`, partitions),
  ...casesOf(`${GUIDE}/reference_policies_elements_sid.html`, sids),
  ...casesOf(`${GUIDE}/reference_policies_elements_action.html`, actions),
  ...casesOf(`${GUIDE}/reference_policies_elements_notaction.html`, notActions),
  ...casesOf(`${GUIDE}/reference_policies_elements_resource.html`, resources),
  ...casesOf(`${GUIDE}/reference_policies_elements_notresource.html`, notResources),
  ...casesOf(`${GUIDE}/reference_policies_variables.html`, variables),
  ...casesOf(`${GUIDE}/reference_policies_grammar.html`, elements),
];
