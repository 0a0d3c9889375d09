import { matches, readOperator } from './operators.ts';

/** An IAM policy, of an identity or a resource. */
export interface PolicyDocument {
  /** @default '2008-10-17', in which variables are ordinary text */
  Version?: string;
  Id?: string;
  Statement: Statement | Statement[];
}

export interface Statement {
  Sid?: string;
  Effect: string;
  Action?: string | string[];
  NotAction?: string | string[];
  Resource?: string | string[];
  NotResource?: string | string[];
  Principal?: unknown;
  NotPrincipal?: unknown;
  Condition?: Record<string, Record<string, unknown>>;
}

/** Who calls: a role's session or a user, an AWS service in its own name, or somebody who signs nothing. */
export type Principal =
  | {
      kind: 'identity';
      /** What messages name: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`, or a user's ARN. */
      arn: string;
      /** What resource policies name besides: the role's ARN. The same as `arn` for a user. */
      identityArn: string;
      account: string;
      policies: PolicyDocument[];
    }
  | { kind: 'service'; service: string }
  | { kind: 'anonymous' };

export interface Access {
  principal: Principal;
  action: string;
  resource: string;
  /** The account that owns the resource. */
  account: string;
  /** The resource's policies; a role's trust policy; a key's policy. */
  resourcePolicies?: PolicyDocument[];
  /** Condition keys of this request, such as `aws:SourceArn`. Keys that it could have and has not are undefined. */
  conditions?: Record<string, string | string[] | undefined>;
  /** Of the VPC endpoint by which the request comes: it must allow what is asked besides, and allows nothing by itself. */
  endpoint?: { arn: string; policy: PolicyDocument };
  /** Whether identity policies count only where the resource's policy lets the account decide (KMS keys and role trust). */
  needsResourcePolicy?: boolean;
}

/** A policy that the rehearsal can't judge: it stops rather than guess. */
export class UnknownPolicy extends Error {
  override readonly name = 'UnknownPolicy';
}

/** Undefined if the access is allowed, else AWS's sentence that says why not. */
export function denial(access: Access): string | undefined {
  return judge(access).denial;
}

/** What AWS decides, and by which statements. */
export interface Judgement {
  /** Undefined if the access is allowed, else AWS's sentence that says why not. */
  denial: string | undefined;
  /** Those that allow this access, where nothing denies it; any one of them may do, or only all together. */
  allowing: Statement[];
}

export function judge(access: Access): Judgement {
  const { principal, account, resourcePolicies = [], needsResourcePolicy = false, endpoint } = access;
  const policies = principal.kind === 'identity' ? principal.policies : [];
  const identity = policies.flatMap((policy) => applying(policy, access));
  const resource = resourcePolicies.flatMap((policy) => applying(policy, access, principal));
  const refuse = (reason: string): Judgement => ({ denial: sentence(access, reason), allowing: [] });
  if (identity.some(denies)) return refuse('with an explicit deny in an identity-based policy');
  if (resource.some(denies)) return refuse('with an explicit deny in a resource-based policy');
  const passing = endpoint && applying(endpoint.policy, access, principal);
  if (passing?.some(denies)) return refuse('with an explicit deny in a VPC endpoint policy');
  if (passing?.length === 0)
    return refuse(`because no VPC endpoint policy allows the ${access.action} action`);
  const allowing = [...identity, ...resource, ...(passing ?? [])];
  const allowed: Judgement = { denial: undefined, allowing };
  const noResourcePolicy = `because no resource-based policy allows the ${access.action} action`;
  if (principal.kind !== 'identity') return resource.length > 0 ? allowed : refuse(noResourcePolicy);
  const byIdentity = identity.length > 0;
  const byResource = resource.length > 0;
  // A statement that names an account lets the account decide, which its identities' own policies do.
  const byName = resource.some(({ Principal }) => namesMoreThanAccounts(Principal));
  const isAllowed =
    principal.account !== account
      ? byIdentity && byResource
      : byName || (byIdentity && (byResource || !needsResourcePolicy));
  if (isAllowed) return allowed;
  return refuse(
    byIdentity ? noResourcePolicy : `because no identity-based policy allows the ${access.action} action`,
  );
}

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
  for (const resource of [...list(Resource), ...list(NotResource)])
    if (!/^(\*|arn:.*)$/s.test(String(resource))) stop(`the resource ${resource} is neither an ARN nor *`);
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

/** What AWS takes as names. An id such as AROA… it shows in place of a role that is gone. */
const PRINCIPALS: Record<string, RegExp> = {
  AWS: /^(\*|\d{12}|arn:[^:]+:(iam|sts)::\d{12}:\S+)$/,
  Service: /^([a-z0-9-]+\.)+amazonaws\.com(\.cn)?$/,
};

function checkCondition(condition: Statement['Condition'], stop: Stop): void {
  if (condition === undefined) return;
  if (!isObject(condition)) stop('Condition is no object');
  for (const [operator, tests] of Object.entries(condition)) {
    const { name, test } = readOperator(operator) ?? {};
    if (name === undefined) stop(`unknown condition operator ${operator}`);
    if (!isObject(tests) || Object.keys(tests).length === 0) stop(`${operator} compares nothing`);
    for (const [key, values] of Object.entries(tests)) {
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
  'sns:protocol',
  'secretsmanager:versionstage',
  'secretsmanager:versionid',
  'secretsmanager:secretid',
  'secretsmanager:resourcetag/*',
  'secretsmanager:rotateimmediately',
  'secretsmanager:modifyrotationrules',
  'secretsmanager:rotationlambdaarn',
  'ecs:cluster',
  'ecs:container-name',
  'ecs:task',
  'ecs:task-definition',
  'ecs:enable-execute-command',
  'aws:resourcetag/*',
  'ssm:resourcetag/*',
  'aws:ssmmessages:*',
  'sts:externalid',
  'iam:passedtoservice',
  'elasticfilesystem:accesspointarn',
  'elasticfilesystem:accessedviamounttarget',
];

/** Policies that are understood: a night asks each of them thousands of times. */
const understood = new WeakSet<PolicyDocument>();

/** The statements of a policy that say something of the access: of a resource's policy, to this principal. */
function applying(policy: PolicyDocument, access: Access, principal?: Principal): Statement[] {
  if (!understood.has(policy))
    checkPolicy(policy, access.resource, principal === undefined ? 'identity' : 'resource');
  understood.add(policy);
  return statements(policy).filter(
    (statement) =>
      (principal === undefined || principalFits(statement, principal)) &&
      actionFits(statement, access.action) &&
      resourceFits(statement, access.resource, principal !== undefined) &&
      conditionsHold(statement, access),
  );
}

function denies({ Effect }: Statement): boolean {
  return Effect === 'Deny';
}

function statements(policy: PolicyDocument): Statement[] {
  return Array.isArray(policy.Statement) ? policy.Statement : [policy.Statement];
}

function principalFits({ Principal: named }: Statement, principal: Principal): boolean {
  if (isEverybody(named)) return true;
  if (!isObject(named) || principal.kind === 'anonymous') return false;
  if (principal.kind === 'service') return list(named.Service).includes(principal.service);
  const names: unknown[] = [principal.arn, principal.identityArn, ...accountNames(principal.account)];
  return list(named.AWS).some((name) => names.includes(name));
}

/** Both forms are everybody: identities of any account, services, and those who sign nothing. */
function isEverybody(named: unknown): boolean {
  return named === '*' || (isObject(named) && list(named.AWS).includes('*'));
}

/** Whether, besides accounts, it names identities themselves, or everybody. */
function namesMoreThanAccounts(named: unknown): boolean {
  return (
    isEverybody(named) ||
    (isObject(named) &&
      list(named.AWS).some((name) => !/^(\d{12}|arn:[^:]+:iam::\d{12}:root)$/.test(String(name))))
  );
}

function accountNames(account: string): string[] {
  return [account, `arn:aws:iam::${account}:root`];
}

function actionFits({ Action, NotAction }: Statement, action: string): boolean {
  const fits = (pattern: unknown) => matches(String(pattern).toLowerCase(), action.toLowerCase());
  return NotAction === undefined ? list(Action).some(fits) : !list(NotAction).some(fits);
}

function resourceFits({ Resource, NotResource }: Statement, resource: string, ofResource: boolean): boolean {
  const fits = (pattern: unknown) => matches(String(pattern), resource);
  if (NotResource !== undefined) return !list(NotResource).some(fits);
  if (Resource === undefined) return ofResource;
  return list(Resource).some(fits);
}

function conditionsHold({ Condition }: Statement, access: Access): boolean {
  return Object.entries(Condition ?? {}).every(([operator, tests]) =>
    Object.entries(tests).every(([key, wanted]) =>
      conditionHolds(operator, key, list(wanted).map(String), access),
    ),
  );
}

function conditionHolds(operator: string, key: string, wanted: string[], access: Access): boolean {
  const values = conditionValues(key, access);
  const read = readOperator(operator);
  if (read === undefined) throw new UnknownPolicy(`unknown condition operator ${operator}`);
  const { name, test, set, ifExists } = read;
  if (name === 'Null') return wanted.includes(String(values === undefined));
  if (values === undefined) return ifExists || set === 'all' || (set === undefined && test.negated === true);
  const holds = (actual: string) =>
    test.negated === true
      ? wanted.every((one) => test.holds(actual, one))
      : wanted.some((one) => test.holds(actual, one));
  if (set === 'any') return values.some(holds);
  // No values, or an empty text alone, are as if there was no key.
  if (set === 'all') return values.every((value) => value === '' || holds(value));
  const [value, ...others] = values;
  if (value === undefined || others.length > 0)
    throw new UnknownPolicy(`${operator} of ${key}, which has ${values.length} values in this request`);
  return holds(value);
}

function conditionValues(key: string, access: Access): string[] | undefined {
  const lower = key.toLowerCase();
  const { principal } = access;
  const given: Record<string, string | string[] | undefined> = {
    'aws:securetransport': 'true',
    'aws:viaawsservice': 'false',
    'aws:principalisawsservice': String(principal.kind === 'service'),
    ...(principal.kind === 'service' && { 'aws:principalservicename': principal.service }),
    ...(principal.kind === 'identity' && {
      'aws:principalarn': principal.identityArn,
      'aws:principalaccount': principal.account,
      'kms:calleraccount': principal.account,
    }),
    ...access.conditions,
  };
  // What the request says comes after what all requests have.
  const [, value] = Object.entries(given).findLast(([name]) => name.toLowerCase() === lower) ?? [];
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value : [value];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function list(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function sentence({ principal, action, resource }: Access, reason: string): string {
  const who = `${principal.kind === 'service' ? 'Service' : 'User'}: ${principalName(principal)}`;
  return `${who} is not authorized to perform: ${action} on resource: ${resource} ${reason}`;
}

/** As messages and records name it. */
export function principalName(principal: Principal): string {
  if (principal.kind === 'identity') return principal.arn;
  return principal.kind === 'service' ? principal.service : 'anonymous';
}
