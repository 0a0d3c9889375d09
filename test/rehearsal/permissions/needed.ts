import type { JudgedAccess } from '../../../rehearsal/aws/access/access-control.ts';
import type { PolicyDocument, Statement } from '../../../rehearsal/aws/policy/document.ts';
import { matches } from '../../../rehearsal/aws/policy/operators.ts';
import { judge } from '../../../rehearsal/aws/policy/policy.ts';
import type { World } from '../../../rehearsal/world.ts';

/** An action of an allowing statement of the templates. What each deployment has of the same code is one. */
export interface AllowedAction {
  /** Whose policy it is in, without the deployment's name: a job's role, a queue, a key, a VPC endpoint. */
  of: string;
  /** What the role may do, who may be it; who may do what to the resource. */
  kind: 'identity' | 'trust' | 'resource' | 'endpoint';
  /** The statement's own name, or whom and under which conditions it allows. */
  statement: string;
  /** With wildcards, where it has some. */
  action: string;
}

/** What the templates allow, and what of it some nights needed. */
export class Evidence {
  readonly #allowed = new Map<string, AllowedAction>();
  /** By the statement: actions without which some access would have been denied. */
  readonly #needed = new Map<string, Set<string>>();

  /** Takes the accesses of a night that is over. */
  add({ aws: { access, deployed } }: Pick<World, 'aws'>): void {
    const nameOf = (arn: string) => {
      const { stack = '', logicalId = '' } = deployed.byArn(arn) ?? {};
      return stack === ''
        ? arn
        : `${stack.replace(/^upkeep-(latam|emea|apac)/, '').replace(/^-/, '')} ${logicalId}`.trim();
    };
    for (const { of, kind, policy } of access.everyPolicy())
      for (const statement of statementsOf(policy)) {
        if (statement.Effect !== 'Allow') continue;
        for (const action of [statement.Action ?? []].flat()) {
          const allowed = { of: nameOf(of), kind, statement: labelOf(statement), action };
          this.#allowed.set(JSON.stringify(allowed), allowed);
        }
      }
    for (const judged of access.judged.values()) this.#weigh(judged, nameOf);
  }

  /** Everything that is allowed. */
  get allowed(): AllowedAction[] {
    return [...this.#allowed.values()];
  }

  /** Whether some access needed it. */
  isNeeded({ of, statement, action }: AllowedAction): boolean {
    const needed = this.#needed.get(`${of} ${statement}`) ?? new Set();
    return [...needed].some((each) => matches(action.toLowerCase(), each));
  }

  #weigh({ access, judgement }: JudgedAccess, nameOf: (arn: string) => string): void {
    if (judgement.denial !== undefined) return;
    const { principal, action, resourcePolicies = [], endpoint } = access;
    const own = principal.kind === 'identity' ? principal.policies : [];
    for (const statement of judgement.allowing) {
      const without = (policies: PolicyDocument[]) =>
        policies.map((policy) => ({
          ...policy,
          Statement: statementsOf(policy).filter((each) => each !== statement),
        }));
      const { denial } = judge({
        ...access,
        principal: principal.kind === 'identity' ? { ...principal, policies: without(own) } : principal,
        resourcePolicies: without(resourcePolicies),
        ...(endpoint && {
          endpoint: { ...endpoint, policy: without([endpoint.policy])[0] ?? endpoint.policy },
        }),
      });
      if (denial === undefined) continue;
      const isOwn = own.flatMap(statementsOf).includes(statement);
      const isOfEndpoint = endpoint && statementsOf(endpoint.policy).includes(statement);
      const of =
        isOwn && principal.kind === 'identity'
          ? principal.identityArn
          : isOfEndpoint
            ? endpoint.arn
            : access.resource;
      const key = `${nameOf(of)} ${labelOf(statement)}`;
      this.#needed.set(key, (this.#needed.get(key) ?? new Set()).add(action.toLowerCase()));
    }
  }
}

function statementsOf({ Statement }: PolicyDocument): Statement[] {
  return [Statement].flat();
}

/** The name that the code gives it; CDK's own have names with the deployment's, and none at all. */
function labelOf({ Sid, Principal, Condition }: Statement): string {
  if (Sid !== undefined && !/upkeep(latam|emea|apac)/.test(Sid)) return Sid;
  const text = JSON.stringify({ Principal, Condition }) ?? '';
  return text
    .replace(/arn:aws:[^"]*?:(\d{12})?:/g, '…')
    .replace(/upkeep-(latam|emea|apac)|\b(latam|emea|apac)\b/g, '…')
    .replace(/-[0-9A-F]{12}\b/g, '')
    .replace(/\d{12}/g, '…');
}
