import { checkPolicy } from './check-policy.ts';
import {
  isObject,
  list,
  type PolicyDocument,
  type Statement,
  statements,
  UnknownPolicy,
} from './document.ts';
import { matches, matchesWithin, readOperator } from './operators.ts';

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
      /** What the session was limited to when its role was assumed. */
      sessionPolicy?: PolicyDocument;
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
  const limit = principal.kind === 'identity' ? principal.sessionPolicy : undefined;
  const inSession = limit && applying(limit, access);
  if (inSession?.some(denies)) return refuse('with an explicit deny in a session policy');
  const allowing = [...identity, ...resource, ...(inSession ?? []), ...(passing ?? [])];
  const allowed: Judgement = { denial: undefined, allowing };
  const noResourcePolicy = `because no resource-based policy allows the ${access.action} action`;
  if (principal.kind !== 'identity') return resource.length > 0 ? allowed : refuse(noResourcePolicy);
  if (inSession?.length === 0 && !namesSession(resource, principal, access))
    return refuse(`because no session policy allows the ${access.action} action`);
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

/** What a resource's policy allows a session by its own name, it may whatever the session was limited to. */
function namesSession(
  resource: Statement[],
  { arn, account }: Principal & { kind: 'identity' },
  access: Access,
): boolean {
  if (account === access.account && resource.some(({ Principal }) => isEverybody(Principal)))
    throw new UnknownPolicy(`${access.resource}: what everybody may, to a session with a policy of its own`);
  return resource.some(({ Principal }) => isObject(Principal) && list(Principal.AWS).includes(arn));
}

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
  const fits = (pattern: unknown) => resourceMatches(String(pattern), resource);
  if (NotResource !== undefined) return !list(NotResource).some(fits);
  if (Resource === undefined) return ofResource;
  return list(Resource).some(fits);
}

/**
 * Wildcards stand within a part of an ARN; a star that ends one may reach over the colon after it. Whether others do is said
 * nowhere.
 */
function resourceMatches(pattern: string, resource: string): boolean {
  const loosely = matches(pattern, resource);
  if (loosely && !matchesWithin(pattern, resource))
    throw new UnknownPolicy(`whether the wildcards of ${pattern} reach over the colons of ${resource}`);
  return loosely;
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

function sentence({ principal, action, resource }: Access, reason: string): string {
  const who = `${principal.kind === 'service' ? 'Service' : 'User'}: ${principalName(principal)}`;
  return `${who} is not authorized to perform: ${action} on resource: ${resource} ${reason}`;
}

/** As messages and records name it. */
export function principalName(principal: Principal): string {
  if (principal.kind === 'identity') return principal.arn;
  return principal.kind === 'service' ? principal.service : 'anonymous';
}
