import type {
  GetPolicyCommandInput,
  GetPolicyVersionCommandInput,
  GetRoleCommandInput,
  SimulatePrincipalPolicyCommandInput,
} from '@aws-sdk/client-iam';
import * as client from '@aws-sdk/client-iam';
import { AwsError } from '../aws-error.ts';
import { type Cloud, type Operations, operation, required, type Service } from '../cloud.ts';
import { checkPolicy } from '../policy/check-policy.ts';
import type { PolicyDocument } from '../policy/document.ts';
import { judge, type Principal } from '../policy/policy.ts';

/** A role that is in no template, with its identity policies: of tasks that somebody else deployed. */
export interface OtherRole {
  arn: string;
  policies: PolicyDocument[];
  /** Its permissions boundary. @default none */
  boundary?: PolicyDocument;
}

/** IAM, of which it is asked what there is, and what a role may do. */
export class Iam implements Service {
  readonly signingName = 'iam';
  readonly client = client;
  readonly accessDenied = 'AccessDenied';
  readonly namespace = 'https://iam.amazonaws.com/doc/2010-05-08/';
  readonly operations: Operations;
  readonly #aws: Cloud;
  readonly #others = new Map<string, OtherRole>();
  /** Managed policies that are in no template, by ARN. */
  readonly policies = new Map<string, PolicyDocument>();

  constructor(aws: Cloud) {
    this.#aws = aws;
    this.operations = {
      SimulatePrincipalPolicy: operation(
        ({ PolicySourceArn }: SimulatePrincipalPolicyCommandInput) => [
          { action: 'iam:SimulatePrincipalPolicy', resource: required(PolicySourceArn) },
        ],
        (input) => this.#simulate(input),
      ),
      GetRole: operation(
        ({ RoleName }: GetRoleCommandInput, { account }) => [
          { action: 'iam:GetRole', resource: `arn:aws:iam::${account}:role/${required(RoleName)}` },
        ],
        ({ RoleName = '' }, { account }) => {
          const arn = [
            ...this.#others.keys(),
            ...aws.deployed.ofType('AWS::IAM::Role').map((role) => role.arn),
          ].find((each) => each.startsWith(`arn:aws:iam::${account}:`) && each.endsWith(`/${RoleName}`));
          if (arn === undefined)
            throw new AwsError('NoSuchEntity', `The role with name ${RoleName} cannot be found.`);
          const [, path = '/'] = /:role(\/.*?)[^/]*$/.exec(arn) ?? [];
          return {
            Role: { Arn: arn, RoleName, Path: path, RoleId: 'AROAIOSFODNN7EXAMPLE', CreateDate: new Date(0) },
          };
        },
      ),
      GetPolicy: operation(
        ({ PolicyArn }: GetPolicyCommandInput) => [
          { action: 'iam:GetPolicy', resource: required(PolicyArn) },
        ],
        ({ PolicyArn = '' }) => {
          this.#policy(PolicyArn);
          return { Policy: { Arn: PolicyArn, DefaultVersionId: 'v1' } };
        },
      ),
      GetPolicyVersion: operation(
        ({ PolicyArn }: GetPolicyVersionCommandInput) => [
          { action: 'iam:GetPolicyVersion', resource: required(PolicyArn) },
        ],
        ({ PolicyArn = '', VersionId }) => ({
          PolicyVersion: {
            VersionId,
            IsDefaultVersion: true,
            Document: encodeURIComponent(JSON.stringify(this.#policy(PolicyArn))),
          },
        }),
      ),
    };
  }

  /** Makes a role, or gives it other policies. */
  putRole(role: OtherRole): void {
    for (const policy of role.policies) checkPolicy(policy, role.arn, 'identity');
    this.#others.set(role.arn, role);
  }

  /** Takes a role away that is in no template. Returns the way back. */
  deleteRole(arn: string): () => void {
    const role = this.#others.get(arn);
    this.#others.delete(arn);
    return () => void (role && this.#others.set(arn, role));
  }

  #policy(arn: string): PolicyDocument {
    const made = this.#aws.deployed.byArn(arn);
    const found =
      this.policies.get(arn) ??
      (made?.type === 'AWS::IAM::ManagedPolicy' ? made.properties.policy('PolicyDocument') : undefined);
    if (found === undefined)
      throw new AwsError('NoSuchEntity', `Policy ${arn} does not exist or is not attachable.`);
    return found;
  }

  #simulate({
    PolicySourceArn,
    ActionNames = [],
    ResourceArns = ['*'],
  }: SimulatePrincipalPolicyCommandInput) {
    const principal = this.#principal(required(PolicySourceArn));
    const { boundary } = this.#others.get(required(PolicySourceArn)) ?? {};
    return {
      IsTruncated: false,
      EvaluationResults: ActionNames.flatMap((action) =>
        ResourceArns.map((resource) => {
          const account = resource.split(':')[4] || principal.account;
          const denialBy = (policies: PolicyDocument[]) =>
            judge({ principal: { ...principal, policies }, action, resource, account, conditions: {} })
              .denial;
          const beyond = boundary && denialBy([boundary]);
          const denials = [denialBy(principal.policies), beyond].filter((denial) => denial !== undefined);
          return {
            EvalActionName: action,
            EvalResourceName: resource,
            EvalDecision:
              denials.length === 0
                ? ('allowed' as const)
                : denials.some((denial) => denial.includes('explicit deny'))
                  ? ('explicitDeny' as const)
                  : ('implicitDeny' as const),
            ...(boundary && {
              PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: beyond === undefined },
            }),
          };
        }),
      ),
    };
  }

  #principal(arn: string): Principal & { kind: 'identity' } {
    const other = this.#others.get(arn);
    if (other !== undefined)
      return {
        kind: 'identity',
        arn,
        identityArn: arn,
        account: arn.split(':')[4] ?? '',
        policies: other.policies,
      };
    if (this.#aws.deployed.byArn(arn)?.type !== 'AWS::IAM::Role')
      throw new AwsError('NoSuchEntity', `The role with name ${arn.replace(/^.*\//, '')} cannot be found.`);
    return this.#aws.access.session(arn, 'simulated');
  }
}
