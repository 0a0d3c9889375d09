import * as v from 'valibot';
import { matches } from './policy-pattern.ts';

/** What a secret's own policy says to a role that is to read it. */
export type PolicyVerdict =
  /** It has nothing against it. `grants`: it allows it itself, so that the role's own policies need not. */
  | { kind: 'open'; grants: boolean }
  /** It denies it, or is of another account and does not allow it. `sid`: the statement's, if it has one. */
  | { kind: 'closed'; why: 'denied' | 'not allowed'; sid?: string }
  /** A denial depends on what is known only when it is read, such as the network. */
  | { kind: 'depends'; on: string; sid?: string };

const texts = v.pipe(
  v.union([v.string(), v.array(v.string())]),
  v.transform((value) => [value].flat()),
);
const principal = v.union([v.literal('*'), v.record(v.string(), texts)]);
const statement = v.object({
  Sid: v.exactOptional(v.string()),
  Effect: v.picklist(['Allow', 'Deny']),
  Principal: v.exactOptional(principal),
  NotPrincipal: v.exactOptional(principal),
  Action: v.exactOptional(texts),
  NotAction: v.exactOptional(texts),
  Resource: v.exactOptional(texts),
  NotResource: v.exactOptional(texts),
  Condition: v.exactOptional(v.record(v.string(), v.record(v.string(), v.unknown()))),
});
const policy = v.object({
  Statement: v.pipe(
    v.union([statement, v.array(statement)]),
    v.transform((value) => [value].flat()),
  ),
});
type Statement = v.InferOutput<typeof statement>;

/** Of reading a secret, as ECS does it for a task. */
interface Reading {
  role: string;
  secret: string;
}

const READ = 'secretsmanager:GetSecretValue';

/**
 * IAM's simulation judges no resource's policy for a role (API reference, SimulatePrincipalPolicy), so it is done here: what names the
 * role or everybody, with the conditions of which the answer is known.
 * @param document of GetResourcePolicy; undefined where the secret has none.
 * @throws ValiError, SyntaxError if it cannot be understood.
 */
export function judgeSecretPolicy(document: string | undefined, reading: Reading): PolicyVerdict {
  const { Statement: all } =
    document === undefined ? { Statement: [] } : v.parse(policy, JSON.parse(document));
  const applying = all.map((each) => ({ ...each, applies: applies(each, reading) }));
  const sidOf = ({ Sid: sid }: Statement) => (sid === undefined ? {} : { sid });
  const denials = applying.filter(({ Effect }) => Effect === 'Deny');
  const denial = denials.find(({ applies }) => applies === true);
  if (denial) return { kind: 'closed', why: 'denied', ...sidOf(denial) };
  const accountOf = (arn: string) => arn.split(':')[4];
  const isOwn = accountOf(reading.role) === accountOf(reading.secret);
  const allowances = applying.filter(({ Effect }) => Effect === 'Allow');
  if (!isOwn && allowances.every(({ applies }) => applies === false))
    return { kind: 'closed', why: 'not allowed' };
  const open = denials.find(({ applies }) => applies !== false);
  if (open === undefined || typeof open.applies !== 'string')
    return {
      kind: 'open',
      // To an account it only lets that account's own policies allow it; across accounts both must.
      grants: isOwn && allowances.some((each) => each.applies === true && namesItself(each, reading.role)),
    };
  return { kind: 'depends', on: open.applies, ...sidOf(open) };
}

/** Whether a statement is about it; a text: on what it depends. */
function applies(each: Statement, reading: Reading): boolean | string {
  const { role, secret } = reading;
  const { Action, NotAction = [], Resource, NotResource = [] } = each;
  if (Action ? !matches(Action, READ, 'i') : matches(NotAction, READ, 'i')) return false;
  if (Resource ? !matches(Resource, secret) : matches(NotResource, secret)) return false;
  const [isNamed, isExcepted] = [each.Principal, each.NotPrincipal].map((who) => who && names(who, role));
  if (isNamed === false) return false;
  // It would have to except the role's session as well, of which the name is made by ECS.
  if (isExcepted) return 'who is excepted from it (NotPrincipal)';
  const conditions = Object.entries(each.Condition ?? {}).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, value]) => ({ key, holds: holds(operator, key, value, reading) })),
  );
  if (conditions.some(({ holds }) => holds === false)) return false;
  return conditions.find(({ holds }) => holds === undefined)?.key ?? true;
}

function names(who: v.InferOutput<typeof principal>, role: string): boolean {
  if (who === '*') return true;
  const [, partition, , , account = ''] = role.split(':');
  const own = ['*', role, account, `arn:${partition}:iam::${account}:root`];
  return (who.AWS ?? []).some((each) => own.includes(each));
}

/** Whether a statement is for the role, or for everybody, and not for the role's account. */
function namesItself({ Principal: who }: Statement, role: string): boolean {
  return who === '*' || (who?.AWS ?? []).some((each) => each === '*' || each === role);
}

/** Undefined: that is known only when it is read. */
function holds(
  operator: string,
  key: string,
  wanted: unknown,
  { role, secret }: Reading,
): boolean | undefined {
  const values = [wanted].flat().map(String);
  const known: Record<string, string> = {
    'aws:principalarn': role,
    'aws:principalaccount': role.split(':')[4] ?? '',
    'aws:requestedregion': secret.split(':')[3] ?? '',
    // ECS asks by TLS, and as the role.
    'aws:securetransport': 'true',
    'aws:principalisawsservice': 'false',
  };
  const value = known[key.toLowerCase()];
  if (value === undefined) return undefined;
  const [, kind = '', not] = /^(?:(String|Arn)(Not)?(?:Equals|Like)|Bool)(?:IfExists)?$/.exec(operator) ?? [
    undefined,
    'unknown',
  ];
  if (kind === 'unknown') return undefined;
  const isOne = /Like|^Arn/.test(operator) ? matches(values, value) : values.includes(value);
  return not ? !isOne : isOne;
}
