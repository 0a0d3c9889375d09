import { type IResolvable, Stack, Token } from 'aws-cdk-lib';
import {
  AnyPrincipal,
  CfnRole,
  Effect,
  type IRole,
  PolicyDocument,
  PolicyStatement,
} from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';
import { refuse } from '../checks/props.ts';

/** What a client of a file system may do with it: mount, write, and act as root. */
const CLIENT_ACTIONS = {
  mount: 'elasticfilesystem:ClientMount',
  write: 'elasticfilesystem:ClientWrite',
  root: 'elasticfilesystem:ClientRootAccess',
} as const;

/**
 * A file system policy that keeps everybody out but the named roles, and these too unless they come by TLS and
 * through an access point.
 *
 * It denies, for an allow keeps nobody out: EFS lets in whom the role's own policy or the file system's allows.
 * It allows nothing: what a role may do stands in the role's own policy. It names the roles by `aws:PrincipalArn`,
 * which compares text: named as principals, they would be locked out once they are made anew. It names no access
 * point, for CloudFormation has no resource for the policy alone, and an access point waits for its file system.
 *
 * It denies only what clients do, so the account can change it as long as IAM lets it.
 * @param roleArns the list, or a token of it.
 */
export function onlyNamedRoles(roleArns: string[] | IResolvable): PolicyDocument {
  const deny = (sid: string, conditions: Record<string, unknown>) =>
    new PolicyStatement({
      sid,
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions: Object.values(CLIENT_ACTIONS),
      conditions,
    });
  return new PolicyDocument({
    statements: [
      deny('WithoutTls', { Bool: { 'aws:SecureTransport': 'false' } }),
      deny('WithoutAccessPoint', { Null: { 'elasticfilesystem:AccessPointArn': 'true' } }),
      deny('OtherRoles', { ArnNotEquals: { 'aws:PrincipalArn': roleArns } }),
    ],
  });
}

/** Lets a role mount a file system through one access point, and no other. */
export function mountStatement(mount: {
  readonly fileSystemArn: string;
  readonly accessPointArn: string;
  readonly readOnly: boolean;
  /** Whether the client may act as root: else what it does as root is done as nobody. */
  readonly asRoot: boolean;
}): PolicyStatement {
  return new PolicyStatement({
    sid: mount.readOnly ? 'ReadFileSystem' : 'WriteFileSystem',
    actions: [
      CLIENT_ACTIONS.mount,
      ...(mount.readOnly ? [] : [CLIENT_ACTIONS.write]),
      ...(mount.asRoot ? [CLIENT_ACTIONS.root] : []),
    ],
    resources: [mount.fileSystemArn],
    conditions: { StringEquals: { 'elasticfilesystem:AccessPointArn': mount.accessPointArn } },
  });
}

/**
 * Checks a role's ARN that is given as text.
 * @throws PropsError if it is not one. A wildcard in it would let in all that match.
 */
export function checkRoleArn(roleArn: string, scope: IConstruct): void {
  if (Token.isUnresolved(roleArn)) return;
  if (/^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/.test(roleArn)) return;
  refuse(
    scope,
    `"${roleArn}" is not the ARN of a role. Give the task role whole, without a wildcard: arn:aws:iam::111111111111:role/NAME.`,
  );
}

/**
 * A role's ARN for use in a stack, without a reference back to the role's own: two stacks that refer to each other
 * cannot be deployed.
 * @throws Error if the role belongs to another stack and has no name of its own.
 */
export function roleArnWithoutReference(role: IRole, stack: Stack): string {
  const owner = Stack.of(role);
  const made = role.node.defaultChild;
  if (owner === stack || !(made instanceof CfnRole)) return role.roleArn;
  const { roleName, path = '/' } = made;
  if (roleName === undefined || Token.isUnresolved(roleName))
    throw new Error(
      `${role.node.path}: the volume's stack must name this role, and cannot refer to the stack that refers to it. Give the role a name (roleName), for example by a taskRole of your own for the task definition.`,
    );
  return owner.formatArn({
    service: 'iam',
    region: '',
    resource: 'role',
    resourceName: `${path}${roleName}`.slice(1),
  });
}
