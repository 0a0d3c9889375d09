import { ACCOUNT, asks, casesOf, EVENTS, QUEUE, ROLE, type Row, RULE, SESSION } from './case.ts';

const GUIDE = 'https://docs.aws.amazon.com/IAM/latest/UserGuide';
type Values = string | string[] | undefined;

/** An allowing statement with one condition on `events:source`, and what the request has there. */
function when(operator: string, wanted: unknown, value?: Values, key = 'events:source') {
  return asks({
    identity: [{ Condition: { [operator]: { [key]: wanted } } }],
    conditions: { [key]: value },
  });
}

const strings: Row[] = [
  ['StringEquals: the same', 'allowed', when('StringEquals', 'shop', 'shop')],
  ['StringEquals: other letters', 'denied', when('StringEquals', 'shop', 'Shop')],
  ['StringEquals: a star is a star', 'denied', when('StringEquals', 'sh*', 'shop')],
  ['StringEquals: one of several', 'allowed', when('StringEquals', ['a', 'shop'], 'shop')],
  ['StringEquals: none of several', 'denied', when('StringEquals', ['a', 'b'], 'shop')],
  ['StringEquals: no key', 'denied', when('StringEquals', 'shop')],
  ['StringNotEquals: another', 'allowed', when('StringNotEquals', 'a', 'shop')],
  ['StringNotEquals: the same', 'denied', when('StringNotEquals', 'shop', 'shop')],
  ['StringNotEquals: one of several is the same', 'denied', when('StringNotEquals', ['a', 'shop'], 'shop')],
  ['StringNotEquals: none of several is', 'allowed', when('StringNotEquals', ['a', 'b'], 'shop')],
  ['StringNotEquals: no key', 'allowed', when('StringNotEquals', 'shop')],
  ['StringEqualsIgnoreCase: other letters', 'allowed', when('StringEqualsIgnoreCase', 'SHOP', 'shop')],
  ['StringEqualsIgnoreCase: another', 'denied', when('StringEqualsIgnoreCase', 'SHOPS', 'shop')],
  ['StringNotEqualsIgnoreCase: other letters', 'denied', when('StringNotEqualsIgnoreCase', 'SHOP', 'shop')],
  ['StringNotEqualsIgnoreCase: another', 'allowed', when('StringNotEqualsIgnoreCase', 'a', 'shop')],
  ['StringLike: many letters left open', 'allowed', when('StringLike', 's*p', 'shop')],
  ['StringLike: one letter left open', 'allowed', when('StringLike', 'sho?', 'shop')],
  ['StringLike: letters count', 'denied', when('StringLike', 'S*', 'shop')],
  ['StringLike: a point is a point', 'denied', when('StringLike', 's.op', 'shop')],
  ['StringLike: no key', 'denied', when('StringLike', '*')],
  ['StringNotLike: fits', 'denied', when('StringNotLike', 's*', 'shop')],
  ['StringNotLike: does not fit', 'allowed', when('StringNotLike', 'a*', 'shop')],
  ['StringNotLike: no key', 'allowed', when('StringNotLike', '*')],
];

const numbers: Row[] = [
  ['NumericEquals: the same number', 'allowed', when('NumericEquals', '10', '10')],
  ['NumericEquals: written otherwise', 'allowed', when('NumericEquals', '10.0', '10')],
  ['NumericEquals: another', 'denied', when('NumericEquals', '10', '11')],
  ['NumericEquals: an empty text is no number, not 0', 'denied', when('NumericEquals', '0', '')],
  ['NumericEquals: a number in JSON', 'allowed', when('NumericEquals', 10, '10')],
  ['NumericNotEquals: another', 'allowed', when('NumericNotEquals', '10', '11')],
  ['NumericNotEquals: the same', 'denied', when('NumericNotEquals', '10', '10')],
  ['NumericNotEquals: no key', 'allowed', when('NumericNotEquals', '10')],
  ['NumericLessThan: less', 'allowed', when('NumericLessThan', '10', '9')],
  ['NumericLessThan: as many', 'denied', when('NumericLessThan', '10', '10')],
  ['NumericLessThan: an empty text', 'denied', when('NumericLessThan', '10', '')],
  ['NumericLessThanEquals: as many', 'allowed', when('NumericLessThanEquals', '10', '10')],
  ['NumericLessThanEquals: more', 'denied', when('NumericLessThanEquals', '10', '11')],
  ['NumericGreaterThan: by number, not by letters', 'allowed', when('NumericGreaterThan', '9', '10')],
  ['NumericGreaterThan: as many', 'denied', when('NumericGreaterThan', '10', '10')],
  ['NumericGreaterThanEquals: as many', 'allowed', when('NumericGreaterThanEquals', '10', '10')],
  ['NumericGreaterThanEquals: less', 'denied', when('NumericGreaterThanEquals', '10', '9')],
  ['a policy that compares with no number', 'stops', when('NumericLessThan', 'ten', '9')],
  ['a policy that compares with an empty text', 'stops', when('NumericEquals', '', '0')],
];

const booleans: Row[] = [
  ['Bool: true', 'allowed', when('Bool', 'true', 'true', 'aws:ViaAWSService')],
  ['Bool: false', 'denied', when('Bool', 'true', 'false', 'aws:ViaAWSService')],
  ['Bool: a boolean in JSON', 'allowed', when('Bool', true, 'true', 'aws:ViaAWSService')],
  ['Bool: no key', 'denied', when('Bool', 'false', undefined, 'kms:GrantIsForAWSResource')],
  ['Bool: something else', 'stops', when('Bool', 'yes', 'true', 'aws:ViaAWSService')],
  [
    'aws:SecureTransport is true of every request here',
    'allowed',
    when('Bool', 'true', 'true', 'aws:SecureTransport'),
  ],
];

const arns: Row[] = [
  ['ArnEquals: the same', 'allowed', when('ArnEquals', RULE, RULE, 'aws:SourceArn')],
  [
    'ArnEquals takes wildcards as ArnLike does',
    'allowed',
    when('ArnEquals', `${RULE.slice(0, -2)}*`, RULE, 'aws:SourceArn'),
  ],
  [
    'ArnLike: a part left open',
    'allowed',
    when('ArnLike', `arn:aws:events:*:${ACCOUNT}:rule/*`, RULE, 'aws:SourceArn'),
  ],
  [
    'ArnLike: one letter left open',
    'allowed',
    when('ArnLike', RULE.replace('nightly', 'nightl?'), RULE, 'aws:SourceArn'),
  ],
  [
    'ArnLike: a star does not reach over a colon',
    'denied',
    when(
      'ArnLike',
      `arn:aws:*:${ACCOUNT}:function:*`,
      `arn:aws:lambda:eu-central-1:${ACCOUNT}:function:a:live`,
      'aws:SourceArn',
    ),
  ],
  ['ArnLike: less than six parts', 'stops', when('ArnLike', 'arn:aws:events:*', RULE, 'aws:SourceArn')],
  ['ArnNotLike: less than six parts', 'stops', when('ArnNotLike', 'arn:aws:sns:*', RULE, 'aws:SourceArn')],
  ['ArnLike: six stars', 'allowed', when('ArnLike', 'arn:*:*:*:*:*', RULE, 'aws:SourceArn')],
  [
    'ArnLike: the sixth part has the rest',
    'allowed',
    when(
      'ArnLike',
      'arn:aws:lambda:*:*:function:*',
      `arn:aws:lambda:eu-central-1:${ACCOUNT}:function:a:live`,
      'aws:SourceArn',
    ),
  ],
  [
    'ArnLike: another account',
    'denied',
    when('ArnLike', 'arn:aws:events:*:333333333333:rule/*', RULE, 'aws:SourceArn'),
  ],
  ['ArnNotLike: does not fit', 'allowed', when('ArnNotLike', 'arn:aws:sns:*:*:*', RULE, 'aws:SourceArn')],
  ['ArnNotEquals: the same', 'denied', when('ArnNotEquals', RULE, RULE, 'aws:SourceArn')],
  ['ArnNotLike: no key', 'allowed', when('ArnNotLike', RULE, undefined, 'aws:SourceArn')],
  ['ArnLike: no key', 'denied', when('ArnLike', RULE, undefined, 'aws:SourceArn')],
  ['ArnLike: no ARN', 'stops', when('ArnLike', '*', RULE, 'aws:SourceArn')],
  ['ArnNotLike: no ARN', 'stops', when('ArnNotLike', 'nightly', RULE, 'aws:SourceArn')],
];

const ifExists: Row[] = [
  ['no key', 'allowed', when('StringEqualsIfExists', 'shop')],
  ['a key that fits', 'allowed', when('StringEqualsIfExists', 'shop', 'shop')],
  ['a key that does not fit', 'denied', when('StringEqualsIfExists', 'shop', 'a')],
  ['of a number, no key', 'allowed', when('NumericLessThanIfExists', '10')],
  ['of a negated operator, the same', 'denied', when('StringNotEqualsIfExists', 'shop', 'shop')],
  ['of Null is refused', 'stops', when('NullIfExists', 'true')],
];

const nulls: Row[] = [
  ['true: no key', 'allowed', when('Null', 'true')],
  ['true: a key', 'denied', when('Null', 'true', 'shop')],
  ['false: a key', 'allowed', when('Null', 'false', 'shop')],
  ['false: no key', 'denied', when('Null', 'false')],
  ['a boolean in JSON', 'allowed', when('Null', true)],
  ['something else', 'stops', when('Null', 'maybe')],
  ['both', 'stops', when('Null', ['true', 'false'])],
  ['a list of one', 'allowed', when('Null', ['true'])],
  ['of a set', 'stops', when('ForAnyValue:Null', 'true')],
];

const sets: Row[] = [
  [
    'ForAnyValue: one of the values fits',
    'allowed',
    when('ForAnyValue:StringEquals', ['a', 'b'], ['b', 'c']),
  ],
  ['ForAnyValue: none fits', 'denied', when('ForAnyValue:StringEquals', ['a', 'b'], ['c', 'd'])],
  ['ForAnyValue: no key', 'denied', when('ForAnyValue:StringEquals', ['a'])],
  ['ForAnyValue: no values', 'denied', when('ForAnyValue:StringEquals', ['a'], [])],
  [
    'ForAnyValue, negated: one of the values is none of the wanted',
    'allowed',
    when('ForAnyValue:StringNotEquals', ['a', 'b'], ['a', 'c']),
  ],
  [
    'ForAnyValue, negated: all are among the wanted',
    'denied',
    when('ForAnyValue:StringNotEquals', ['a', 'b'], ['a', 'b']),
  ],
  ['ForAnyValue, negated: no key', 'denied', when('ForAnyValue:StringNotEquals', ['a'])],
  ['ForAnyValue, negated by pattern: no key', 'denied', when('ForAnyValue:StringNotLike', ['a*'])],
  [
    'ForAnyValue, negated by pattern: one does not fit',
    'allowed',
    when('ForAnyValue:StringNotLike', ['a*'], ['ab', 'cd']),
  ],
  ['ForAnyValue by pattern', 'allowed', when('ForAnyValue:StringLike', ['a*'], ['ab', 'cd'])],
  ['ForAllValues: all fit', 'allowed', when('ForAllValues:StringEquals', ['a', 'b'], ['a', 'b'])],
  ['ForAllValues: one does not', 'denied', when('ForAllValues:StringEquals', ['a', 'b'], ['a', 'c'])],
  ['ForAllValues: no key', 'allowed', when('ForAllValues:StringEquals', ['a'])],
  ['ForAllValues: no values', 'allowed', when('ForAllValues:StringEquals', ['a'], [])],
  ['ForAllValues: an empty text', 'allowed', when('ForAllValues:StringEquals', ['a'], [''])],
  [
    'ForAllValues, negated: none is among the wanted',
    'allowed',
    when('ForAllValues:StringNotEquals', ['a'], ['b', 'c']),
  ],
  ['ForAllValues, negated: one is', 'denied', when('ForAllValues:StringNotEquals', ['a'], ['a', 'c'])],
  ['ForAllValues, negated: no key', 'allowed', when('ForAllValues:StringNotEquals', ['a'])],
  ['ForAnyValue with IfExists: no key', 'allowed', when('ForAnyValue:StringEqualsIfExists', ['a'])],
  [
    'ForAnyValue with IfExists: a key that does not fit',
    'denied',
    when('ForAnyValue:StringEqualsIfExists', ['a'], ['b']),
  ],
  ['several values without a set operator', 'stops', when('StringEquals', ['a'], ['a', 'b'])],
];

const together: Row[] = [
  [
    'all keys of an operator hold',
    'allowed',
    asks({
      identity: [{ Condition: { StringEquals: { 'events:source': 'a', 'events:detail-type': 'b' } } }],
      conditions: { 'events:source': 'a', 'events:detail-type': 'b' },
    }),
  ],
  [
    'one key does not',
    'denied',
    asks({
      identity: [{ Condition: { StringEquals: { 'events:source': 'a', 'events:detail-type': 'b' } } }],
      conditions: { 'events:source': 'a', 'events:detail-type': 'c' },
    }),
  ],
  [
    'all operators hold',
    'allowed',
    asks({
      identity: [
        { Condition: { StringEquals: { 'events:source': 'a' }, StringLike: { 'events:detail-type': 'b*' } } },
      ],
      conditions: { 'events:source': 'a', 'events:detail-type': 'bc' },
    }),
  ],
  [
    'one operator does not',
    'denied',
    asks({
      identity: [
        { Condition: { StringEquals: { 'events:source': 'a' }, StringLike: { 'events:detail-type': 'b*' } } },
      ],
      conditions: { 'events:source': 'a', 'events:detail-type': 'c' },
    }),
  ],
  ["keys' names in other letters", 'allowed', when('StringEquals', 'shop', 'shop', 'EVENTS:Source')],
  [
    'a key twice, in other letters',
    'stops',
    asks({
      identity: [{ Condition: { StringEquals: { 'events:source': 'a', 'Events:Source': 'b' } } }],
      conditions: { 'events:source': 'a' },
    }),
  ],
  ['no values wanted', 'stops', when('StringEquals', [], 'shop')],
  ['a set operator that AWS has not', 'stops', when('ForAllValue:StringEquals', 'shop', 'shop')],
  ['another', 'stops', when('ForAnyValues:StringEquals', 'shop', 'shop')],
  ['an operator that AWS has not', 'stops', when('StringMatches', 'shop', 'shop')],
  ['an operator on times', 'stops', when('DateLessThan', '2026-01-01T00:00:00Z', 'x')],
  ['an operator on addresses', 'stops', when('IpAddress', '10.0.0.0/8', '10.1.1.1')],
  ['a key that no request here has', 'stops', when('StringEquals', 'vpc-1', 'vpc-1', 'aws:SourceVpc')],
];

const globalKeys: Row[] = [
  [
    "aws:PrincipalArn is a session's role",
    'allowed',
    asks({ identity: [{ Condition: { ArnEquals: { 'aws:PrincipalArn': ROLE } } }] }),
  ],
  [
    'aws:PrincipalArn is not the session',
    'denied',
    asks({ identity: [{ Condition: { ArnEquals: { 'aws:PrincipalArn': SESSION } } }] }),
  ],
  [
    'aws:PrincipalAccount',
    'allowed',
    asks({ identity: [{ Condition: { StringEquals: { 'aws:PrincipalAccount': ACCOUNT } } }] }),
  ],
  [
    'a service has no aws:PrincipalAccount',
    'denied',
    asks({
      by: EVENTS,
      resource: [{ Principal: '*', Condition: { StringEquals: { 'aws:PrincipalAccount': ACCOUNT } } }],
    }),
  ],
  [
    'aws:PrincipalIsAWSService of a service',
    'allowed',
    asks({
      by: EVENTS,
      resource: [{ Principal: '*', Condition: { Bool: { 'aws:PrincipalIsAWSService': 'true' } } }],
    }),
  ],
  [
    'aws:PrincipalIsAWSService of an identity',
    'denied',
    asks({ resource: [{ Principal: '*', Condition: { Bool: { 'aws:PrincipalIsAWSService': 'true' } } }] }),
  ],
  [
    'aws:PrincipalServiceName',
    'allowed',
    asks({
      by: EVENTS,
      resource: [
        {
          Principal: '*',
          Condition: { StringEquals: { 'aws:PrincipalServiceName': 'events.amazonaws.com' } },
        },
      ],
    }),
  ],
  [
    'aws:ViaAWSService of a request that no service makes',
    'denied',
    asks({ identity: [{ Condition: { Bool: { 'aws:ViaAWSService': 'true' } } }] }),
  ],
  [
    'aws:ViaAWSService of one that a service makes for the caller',
    'allowed',
    asks({
      identity: [{ Condition: { Bool: { 'aws:ViaAWSService': 'true' } } }],
      conditions: { 'aws:ViaAWSService': 'true' },
    }),
  ],
  [
    'aws:SourceArn and aws:SourceAccount of a service',
    'allowed',
    asks({
      by: EVENTS,
      of: QUEUE,
      resource: [
        {
          Principal: { Service: 'events.amazonaws.com' },
          Condition: { ArnEquals: { 'aws:SourceArn': RULE }, StringEquals: { 'aws:SourceAccount': ACCOUNT } },
        },
      ],
      conditions: { 'aws:SourceArn': RULE, 'aws:SourceAccount': ACCOUNT },
    }),
  ],
  [
    'a service that gives no aws:SourceAccount',
    'denied',
    asks({
      by: EVENTS,
      resource: [
        {
          Principal: { Service: 'events.amazonaws.com' },
          Condition: { StringEquals: { 'aws:SourceAccount': ACCOUNT } },
        },
      ],
      conditions: { 'aws:SourceArn': RULE },
    }),
  ],
];

const OPERATORS = `${GUIDE}/reference_policies_elements_condition_operators.html`;
export const cases = [
  ...casesOf(OPERATORS, [...strings, ...numbers, ...booleans, ...arns, ...ifExists, ...nulls]),
  ...casesOf(`${GUIDE}/reference_policies_condition-single-vs-multi-valued-context-keys.html`, sets),
  ...casesOf(`${GUIDE}/reference_policies_condition-logic-multiple-context-keys-or-values.html`, together),
  ...casesOf(`${GUIDE}/reference_policies_condition-keys.html`, globalKeys),
];
