import type { Statement } from '../../../../../rehearsal/aws/policy/document.ts';
import type { Access, Principal } from '../../../../../rehearsal/aws/policy/policy.ts';

/** What AWS documents of a policy and a request. */
export interface PolicyCase {
  /** Of AWS's documentation, that says so. */
  page: string;
  what: string;
  /** `stops`: AWS refuses such a policy, or no page says what it does. */
  answer: 'allowed' | 'denied' | 'stops';
  access: Access;
}

/** A row of a table: what is tried, AWS's answer, and the policies and the request. */
export type Row = [what: string, answer: PolicyCase['answer'], access: Access];

export const ACCOUNT = '123456789012';
export const OTHER_ACCOUNT = '210987654321';
export const QUEUE = `arn:aws:sqs:eu-central-1:${ACCOUNT}:orders`;
export const ROLE = `arn:aws:iam::${ACCOUNT}:role/worker`;
export const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/worker/run`;
export const RULE = `arn:aws:events:eu-central-1:${ACCOUNT}:rule/nightly`;

export const EVENTS: Principal = { kind: 'service', service: 'events.amazonaws.com' };
export const NOBODY: Principal = { kind: 'anonymous' };

export function casesOf(page: string, rows: Row[]): PolicyCase[] {
  return rows.map(([what, answer, access]) => ({ page, what, answer, access }));
}

type Part = Partial<Statement> & { Version?: string };

/** A session of the role `worker` that sends a message, unless it is said otherwise. */
export function asks({
  identity = [],
  resource = [],
  session,
  by,
  ...others
}: {
  identity?: Part[];
  resource?: Part[];
  /** What the session was limited to. */
  session?: Part;
  by?: Principal;
} & Partial<Omit<Access, 'principal' | 'resource'>> & { of?: string }): Access {
  const { of = QUEUE, ...request } = others;
  return {
    principal: by ?? {
      kind: 'identity',
      arn: SESSION,
      identityArn: ROLE,
      account: ACCOUNT,
      policies: identity.map(policy),
      ...(session && { sessionPolicy: policy(session) }),
    },
    action: 'sqs:SendMessage',
    resource: of,
    account: of.split(':')[4] || ACCOUNT,
    resourcePolicies: resource.map(policy),
    ...request,
  };
}

function policy({ Version = '2012-10-17', ...statement }: Part) {
  const Action = statement.NotAction === undefined ? 'sqs:SendMessage' : undefined;
  const Resource = statement.NotResource === undefined ? '*' : undefined;
  return {
    Version,
    Statement: { Effect: 'Allow', ...(Action && { Action }), ...(Resource && { Resource }), ...statement },
  };
}
