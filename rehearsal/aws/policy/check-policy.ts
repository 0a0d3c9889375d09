import {
  isObject,
  list,
  type PolicyDocument,
  type Statement,
  statements,
  UnknownPolicy,
} from './document.ts';
import { matches, readOperator } from './operators.ts';

/**
 * Throws {@link UnknownPolicy} where a policy has an element, operator or principal that is not understood, or has not the form
 * without which AWS does not take it.
 * @param of what it is: one of an identity names no principal, and one of a resource does.
 */
export function checkPolicy(policy: PolicyDocument, where: string, of: 'identity' | 'resource'): void {
  const stop: Stop = (what) => {
    throw new UnknownPolicy(`${where}: ${what}`);
  };
  for (const key of Object.keys(policy))
    if (!['Version', 'Id', 'Statement'].includes(key)) stop(`unknown element ${key} in a policy`);
  const version = policy.Version ?? OLD_VERSION;
  if (version !== OLD_VERSION && version !== VERSION)
    stop(`unknown version ${version} of the policy language`);
  const names = statements(policy).flatMap((statement) => (isObject(statement) ? (statement.Sid ?? []) : []));
  // Other services let them be, or have rules of their own.
  if (of === 'identity' && !names.every((name) => /^[A-Za-z0-9]*$/.test(name)))
    stop('a Sid has other characters than letters and digits');
  if (of === 'identity' && new Set(names).size < names.length) stop('two statements have the same Sid');
  for (const statement of statements(policy)) {
    if (!isObject(statement)) stop('a statement is no object');
    checkElements(statement, of, stop);
    checkCondition(statement.Condition, stop);
    // The old version takes a variable for text; what it makes of the three escapes is documented nowhere.
    const notUnderstood = version === VERSION ? /\$\{(?![*?$]\})/ : /\$\{[*?$]\}/;
    const values = Object.values(statement.Condition ?? {}).flatMap((tests) =>
      Object.values(tests).flatMap(list),
    );
    for (const text of [...list(statement.Resource), ...list(statement.NotResource), ...values])
      if (notUnderstood.test(String(text))) stop('policy variables are not understood');
  }
}

type Stop = (what: string) => never;

function checkElements(statement: Statement, of: 'identity' | 'resource', stop: Stop): void {
  const { Effect, Action, NotAction, Resource, NotResource, Principal, NotPrincipal } = statement;
  for (const key of Object.keys(statement))
    if (!ELEMENTS.has(key)) stop(`unknown element ${key} in a policy statement`);
  if (NotPrincipal !== undefined) stop('NotPrincipal in a policy statement is not understood');
  if (Effect !== 'Allow' && Effect !== 'Deny') stop(`unknown Effect ${Effect}`);
  if ((Action === undefined) === (NotAction === undefined))
    stop('a statement has either Action or NotAction');
  if (Resource !== undefined && NotResource !== undefined)
    stop('a statement has not both Resource and NotResource');
  if (of === 'identity' && Resource === undefined && NotResource === undefined)
    stop("a statement of an identity's policy has no Resource");
  for (const [name, value] of Object.entries({ Action, NotAction, Resource, NotResource }))
    if (value !== undefined && list(value).length === 0) stop(`${name} is empty`);
  for (const action of [...list(Action), ...list(NotAction)])
    if (!/^(\*|[a-z0-9-]+:[a-z0-9*?]+)$/i.test(String(action))) stop(`${action} is no action`);
  for (const resource of [...list(Resource), ...list(NotResource)]) checkResource(String(resource), stop);
  if (of === 'identity') {
    if (Principal !== undefined) stop("an identity's policy names a Principal");
    return;
  }
  if (Principal === '*') return;
  if (!isObject(Principal)) stop(`unknown principal ${Principal}`);
  const names = Object.entries(Principal).flatMap(([kind, value]) =>
    list(value).map((name) => ({ kind, name })),
  );
  if (names.length === 0) stop('Principal is empty');
  for (const { kind, name } of names) {
    const form = Object.hasOwn(PRINCIPALS, kind) ? PRINCIPALS[kind] : undefined;
    if (!form) stop(`unknown principal kind ${kind}`);
    if (typeof name !== 'string') stop('a principal is not a text');
    if (/[*?]/.test(name) && !(name === '*' && kind === 'AWS'))
      stop(`the principal ${name} has a wildcard, which AWS takes alone only`);
    if (form && !form.test(name)) stop(`${name} is no principal of the kind ${kind}`);
  }
}

function checkResource(resource: string, stop: Stop): void {
  if (resource === '*') return;
  const [scheme, , service = ''] = resource.split(':');
  if (scheme !== 'arn') stop(`the resource ${resource} is neither an ARN nor *`);
  if (/[*?]/.test(service)) stop(`the resource ${resource} has a wildcard for the service`);
}

/** What AWS takes as names. An id such as AROA… it shows in place of a role that is gone. */
const PRINCIPALS: Record<string, RegExp> = {
  // An account is of one partition, and all here are of this one.
  AWS: /^(\*|\d{12}|arn:aws:(iam|sts)::\d{12}:\S+)$/,
  Service: /^([a-z0-9-]+\.)+amazonaws\.com(\.cn)?$/,
};

function checkCondition(condition: Statement['Condition'], stop: Stop): void {
  if (condition === undefined) return;
  if (!isObject(condition)) stop('Condition is no object');
  for (const [operator, tests] of Object.entries(condition)) {
    const { name, test } = readOperator(operator) ?? {};
    if (name === undefined) stop(`unknown condition operator ${operator}`);
    if (!isObject(tests) || Object.keys(tests).length === 0) stop(`${operator} compares nothing`);
    const keys = Object.keys(tests).map((key) => key.toLowerCase());
    if (new Set(keys).size < keys.length) stop(`${operator} has a key twice`);
    for (const [key, values] of Object.entries(tests)) {
      if (name === 'Null' && list(values).length > 1) stop(`Null of ${key} is compared with several values`);
      if (!CONDITION_KEYS.some((known) => matches(known, key.toLowerCase())))
        stop(`unknown condition key ${key}`);
      if (list(values).length === 0) stop(`${operator} compares ${key} with nothing`);
      for (const value of list(values))
        if (!['string', 'number', 'boolean'].includes(typeof value) || test?.takes?.(String(value)) === false)
          stop(`${operator} compares with ${JSON.stringify(value)}`);
    }
  }
}

const VERSION = '2012-10-17';
const OLD_VERSION = '2008-10-17';

const ELEMENTS = new Set([
  'Sid',
  'Effect',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Principal',
  'NotPrincipal',
  'Condition',
]);

/** Condition keys that the stand-in gives to requests, in lower case. */
const CONDITION_KEYS = [
  'aws:sourcearn',
  'aws:sourceaccount',
  'aws:securetransport',
  'aws:principalarn',
  'aws:principalaccount',
  'aws:principalisawsservice',
  'aws:principalservicename',
  'aws:requestedregion',
  'aws:viaawsservice',
  'events:source',
  'events:detail-type',
  'events:eventbusinvocation',
  'lambda:functionarn',
  'lambda:sourcefunctionarn',
  'lambda:functionurlauthtype',
  'lambda:invokedviafunctionurl',
  'kms:viaservice',
  'kms:calleraccount',
  'kms:encryptioncontext:*',
  'kms:grantisforawsresource',
  's3:if-none-match',
  's3:prefix',
  's3:x-amz-server-side-encryption',
  'sns:protocol',
  'secretsmanager:versionstage',
  'secretsmanager:versionid',
  'secretsmanager:secretid',
  'secretsmanager:resourcetag/*',
  'secretsmanager:rotateimmediately',
  'secretsmanager:modifyrotationrules',
  'secretsmanager:rotationlambdaarn',
  'ecs:cluster',
  'ecs:createaction',
  'ecs:container-name',
  'ecs:task',
  'ecs:task-definition',
  'ecs:enable-execute-command',
  'aws:requesttag/*',
  'aws:resourcetag/*',
  'ssm:resourcetag/*',
  'aws:ssmmessages:*',
  'sts:externalid',
  'iam:passedtoservice',
  'elasticfilesystem:accesspointarn',
  'elasticfilesystem:accessedviamounttarget',
];
