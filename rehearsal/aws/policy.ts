/** An IAM policy, of an identity or a resource. */
export interface PolicyDocument {
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

/** Who calls: a role's session, a user, or an AWS service in its own name. */
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
  | { kind: 'service'; service: string };

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
  /** Whether identity policies alone suffice in the same account (KMS keys and role trust: false). */
  needsResourcePolicy?: boolean;
}

/** A policy that the rehearsal can't judge: it stops rather than guess. */
export class UnknownPolicy extends Error {
  override readonly name = 'UnknownPolicy';
}

/** Undefined if the access is allowed, else AWS's sentence that says why not. */
export function denial(access: Access): string | undefined {
  const { principal, account } = access;
  const resourcePolicies = access.resourcePolicies ?? [];
  const identityPolicies = principal.kind === 'identity' ? principal.policies : [];
  const identity = identityPolicies.flatMap((policy) => effects(policy, access, false));
  const resource = resourcePolicies.flatMap((policy) => effects(policy, access, true));
  if (identity.includes('Deny')) return sentence(access, 'with an explicit deny in an identity-based policy');
  if (resource.includes('Deny')) return sentence(access, 'with an explicit deny in a resource-based policy');
  const byIdentity = identity.includes('Allow');
  const byResource = resource.includes('Allow');
  if (principal.kind === 'service') {
    return byResource
      ? undefined
      : sentence(access, `because no resource-based policy allows the ${access.action} action`);
  }
  const sameAccount = principal.account === account;
  if (sameAccount && access.needsResourcePolicy !== true && (byIdentity || byResource)) return undefined;
  if (access.needsResourcePolicy === true && sameAccount) {
    if (byResource && (byIdentity || namesPrincipal(resourcePolicies, access))) return undefined;
  } else if (!sameAccount && byIdentity && byResource) return undefined;
  return sentence(
    access,
    byIdentity
      ? `because no resource-based policy allows the ${access.action} action`
      : `because no identity-based policy allows the ${access.action} action`,
  );
}

/** Throws {@link UnknownPolicy} where a policy has an element, operator or principal that is not understood. */
export function checkPolicy(policy: PolicyDocument, where: string): void {
  for (const statement of statements(policy)) {
    for (const key of Object.keys(statement)) {
      if (!ELEMENTS.has(key))
        throw new UnknownPolicy(`${where}: unknown element ${key} in a policy statement`);
    }
    if (statement.NotPrincipal !== undefined) {
      throw new UnknownPolicy(`${where}: NotPrincipal in a policy statement is not understood`);
    }
    if (statement.Effect !== 'Allow' && statement.Effect !== 'Deny') {
      throw new UnknownPolicy(`${where}: unknown Effect ${statement.Effect}`);
    }
    for (const [operator, tests] of Object.entries(statement.Condition ?? {})) {
      if (OPERATORS[plain(operator)] === undefined) {
        throw new UnknownPolicy(`${where}: unknown condition operator ${operator}`);
      }
      for (const key of Object.keys(tests)) {
        if (!CONDITION_KEYS.some((known) => matches(known, key.toLowerCase()))) {
          throw new UnknownPolicy(`${where}: unknown condition key ${key}`);
        }
      }
    }
    for (const [kind, names] of Object.entries(
      typeof statement.Principal === 'object' && statement.Principal !== null ? statement.Principal : {},
    )) {
      if (!['AWS', 'Service'].includes(kind))
        throw new UnknownPolicy(`${where}: unknown principal kind ${kind}`);
      if (!list(names).every((name) => typeof name === 'string')) {
        throw new UnknownPolicy(`${where}: a principal is not a text`);
      }
    }
    if (typeof statement.Principal === 'string' && statement.Principal !== '*') {
      throw new UnknownPolicy(`${where}: unknown principal ${statement.Principal}`);
    }
    for (const text of [...list(statement.Resource), ...list(statement.Action)]) {
      if (String(text).includes('${'))
        throw new UnknownPolicy(`${where}: policy variables are not understood`);
    }
  }
}

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
  'ecs:cluster',
  'ecs:container-name',
  'ecs:task',
  'aws:resourcetag/*',
  'ssm:resourcetag/*',
  'aws:ssmmessages:*',
  'sts:externalid',
  'iam:passedtoservice',
  'elasticfilesystem:accesspointarn',
  'elasticfilesystem:accessedviamounttarget',
];

type Test = (actual: string, wanted: string) => boolean;

/** Operators without their `IfExists` and `ForAnyValue:` parts. Those marked negative need every wanted value to hold. */
const OPERATORS: Record<string, { test: Test; negative?: true } | undefined> = {
  StringEquals: { test: (actual, wanted) => actual === wanted },
  StringNotEquals: { test: (actual, wanted) => actual !== wanted, negative: true },
  StringEqualsIgnoreCase: { test: (actual, wanted) => actual.toLowerCase() === wanted.toLowerCase() },
  StringNotEqualsIgnoreCase: {
    test: (actual, wanted) => actual.toLowerCase() !== wanted.toLowerCase(),
    negative: true,
  },
  StringLike: { test: (actual, wanted) => matches(wanted, actual) },
  StringNotLike: { test: (actual, wanted) => !matches(wanted, actual), negative: true },
  ArnEquals: { test: (actual, wanted) => matchesArn(wanted, actual) },
  ArnLike: { test: (actual, wanted) => matchesArn(wanted, actual) },
  ArnNotEquals: { test: (actual, wanted) => !matchesArn(wanted, actual), negative: true },
  ArnNotLike: { test: (actual, wanted) => !matchesArn(wanted, actual), negative: true },
  Bool: { test: (actual, wanted) => actual.toLowerCase() === wanted.toLowerCase() },
  NumericEquals: { test: (actual, wanted) => Number(actual) === Number(wanted) },
  NumericNotEquals: { test: (actual, wanted) => Number(actual) !== Number(wanted), negative: true },
  NumericLessThan: { test: (actual, wanted) => Number(actual) < Number(wanted) },
  NumericLessThanEquals: { test: (actual, wanted) => Number(actual) <= Number(wanted) },
  NumericGreaterThan: { test: (actual, wanted) => Number(actual) > Number(wanted) },
  NumericGreaterThanEquals: { test: (actual, wanted) => Number(actual) >= Number(wanted) },
  Null: { test: () => false },
};

function effects(policy: PolicyDocument, access: Access, ofResource: boolean): ('Allow' | 'Deny')[] {
  checkPolicy(policy, access.resource);
  return statements(policy).flatMap((statement) => {
    if (ofResource && !principalFits(statement, access.principal)) return [];
    if (!actionFits(statement, access.action)) return [];
    if (!resourceFits(statement, access.resource, ofResource)) return [];
    if (!conditionsHold(statement, access)) return [];
    return [statement.Effect === 'Deny' ? 'Deny' : 'Allow'];
  });
}

function statements(policy: PolicyDocument): Statement[] {
  return Array.isArray(policy.Statement) ? policy.Statement : [policy.Statement];
}

function principalFits({ Principal: named }: Statement, principal: Principal): boolean {
  if (named === '*') return true;
  if (typeof named !== 'object' || named === null) return false;
  if (principal.kind === 'service') {
    return 'Service' in named && list(named.Service).includes(principal.service);
  }
  if (!('AWS' in named)) return false;
  return list(named.AWS).some(
    (name) =>
      name === '*' ||
      name === principal.arn ||
      name === principal.identityArn ||
      name === principal.account ||
      name === `arn:aws:iam::${principal.account}:root`,
  );
}

/** Whether an allowing statement names the principal itself, not only its account. */
function namesPrincipal(policies: PolicyDocument[], access: Access): boolean {
  const { principal } = access;
  if (principal.kind !== 'identity') return false;
  return policies
    .flatMap(statements)
    .some(
      (statement) =>
        statement.Effect === 'Allow' &&
        actionFits(statement, access.action) &&
        conditionsHold(statement, access) &&
        typeof statement.Principal === 'object' &&
        statement.Principal !== null &&
        'AWS' in statement.Principal &&
        list(statement.Principal.AWS).some(
          (name) => name === principal.arn || name === principal.identityArn,
        ),
    );
}

function actionFits({ Action, NotAction }: Statement, action: string): boolean {
  const fits = (pattern: unknown) => matches(String(pattern).toLowerCase(), action.toLowerCase());
  return NotAction === undefined ? list(Action).some(fits) : !list(NotAction).some(fits);
}

function resourceFits({ Resource, NotResource }: Statement, resource: string, ofResource: boolean): boolean {
  if (NotResource !== undefined)
    return !list(NotResource).some((pattern) => matches(String(pattern), resource));
  if (Resource === undefined) return ofResource;
  return list(Resource).some((pattern) => matches(String(pattern), resource));
}

function conditionsHold({ Condition }: Statement, access: Access): boolean {
  return Object.entries(Condition ?? {}).every(([operator, tests]) =>
    Object.entries(tests).every(([key, wanted]) => conditionHolds(operator, key, wanted, access)),
  );
}

function conditionHolds(operator: string, key: string, wanted: unknown, access: Access): boolean {
  const values = conditionValues(key, access);
  const known = OPERATORS[plain(operator)];
  if (known === undefined) throw new UnknownPolicy(`unknown condition operator ${operator}`);
  if (operator === 'Null')
    return list(wanted)
      .map(String)
      .includes(String(values === undefined));
  if (operator.startsWith('ForAllValues:') && values === undefined) return true;
  if (values === undefined) return operator.endsWith('IfExists') || known.negative === true;
  const holds = (actual: string) =>
    known.negative === true
      ? list(wanted).every((item) => known.test(actual, String(item)))
      : list(wanted).some((item) => known.test(actual, String(item)));
  return operator.startsWith('ForAllValues:') || known.negative === true
    ? values.every(holds)
    : values.some(holds);
}

function conditionValues(key: string, access: Access): string[] | undefined {
  const lower = key.toLowerCase();
  const { principal } = access;
  const given: Record<string, string | string[] | undefined> = {
    'aws:securetransport': 'true',
    'aws:viaawsservice': 'false',
    ...(principal.kind === 'identity' && {
      'aws:principalarn': principal.identityArn,
      'aws:principalaccount': principal.account,
      'kms:calleraccount': principal.account,
    }),
    ...access.conditions,
  };
  for (const [name, value] of Object.entries(given)) {
    if (name.toLowerCase() === lower && value !== undefined) return Array.isArray(value) ? value : [value];
  }
  return undefined;
}

function plain(operator: string): string {
  return operator.replace(/^For(Any|All)Values?:/, '').replace(/IfExists$/, '');
}

function list(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** IAM's wildcards: `*` any characters, `?` exactly one. */
export function matches(pattern: string, text: string): boolean {
  if (!pattern.includes('*') && !pattern.includes('?')) return pattern === text;
  let expression = expressions.get(pattern);
  if (expression === undefined) {
    const source = pattern
      .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    expression = new RegExp(`^${source}$`, 's');
    expressions.set(pattern, expression);
  }
  return expression.test(text);
}

const expressions = new Map<string, RegExp>();

/** ARNs are compared part by part: a wildcard does not cross one of the first five colons. */
function matchesArn(pattern: string, arn: string): boolean {
  const split = (text: string) => {
    const parts = text.split(':');
    return [...parts.slice(0, 5), parts.slice(5).join(':')];
  };
  const wanted = split(pattern);
  return split(arn).every((part, index) => matches(wanted[index] ?? '', part));
}

function sentence({ principal, action, resource }: Access, reason: string): string {
  const who = principal.kind === 'identity' ? `User: ${principal.arn}` : `Service: ${principal.service}`;
  return `${who} is not authorized to perform: ${action} on resource: ${resource} ${reason}`;
}
