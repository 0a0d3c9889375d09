import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Place } from '../place.ts';
import { checkPolicy } from '../policy/check-policy.ts';
import type { PolicyDocument } from '../policy/document.ts';
import { type Access, type Judgement, judge, type Principal, principalName } from '../policy/policy.ts';
import { UnknownTemplate } from '../template/properties.ts';
import type { Deployed, Resource } from '../template/resource.ts';
import { AWS_MANAGED_POLICIES } from './managed-policies.ts';

/** A use of AWS that was checked, whether by a caller over HTTP or by one service of another. */
export interface ApiCall {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  /** ARN of the caller, or the name of the service that acted. */
  who: string;
  /** Name of the Lambda function that called, if one did. */
  function?: string;
  /** As in the action's prefix. */
  service: string;
  action: string;
  resource: string;
  allowed: boolean;
  /** AWS's sentence, if it was not allowed. */
  denial?: string;
  /** Of a use of KMS: the condition keys that it had. */
  kms?: Access['conditions'];
}

/** An access that was judged, and by which role or to which resource. */
export interface JudgedAccess {
  access: Access;
  judgement: Judgement;
}

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

export interface Caller {
  principal: Principal & { kind: 'identity' };
  credentials: Credentials;
  /** The Lambda function whose role this is. */
  function?: { name: string; arn: string };
}

/**
 * Who may do what: roles and keys of the templates, and the policies that services attach to their resources. Keeps a record of everything it was asked. Throws
 * `UnknownPolicy` or `UnknownTemplate` where it can't judge a policy.
 */
export class AccessControl {
  readonly calls: ApiCall[] = [];
  /** Each access that was judged, those alike once. */
  readonly judged = new Map<string, JudgedAccess>();
  readonly #clock: Clock;
  readonly #deployed: Deployed;
  readonly #callers = new Map<string, Caller>();
  readonly #resourcePolicies = new Map<string, PolicyDocument[]>();
  /** Roles that no template has, by their ARNs. */
  readonly #otherRoles = new Map<string, { trust: PolicyDocument; policy: PolicyDocument }>();
  /** ARNs of keys that no template has. */
  readonly #otherKeys = new Set<string>();

  constructor(deployed: Deployed, clock: Clock) {
    this.#clock = clock;
    this.#deployed = deployed;
    for (const { arn, properties } of deployed.ofType('AWS::KMS::Key')) {
      this.attach(arn, properties.policy('KeyPolicy'));
    }
    for (const role of deployed.ofType('AWS::IAM::Role')) {
      const trust = role.properties.policy('AssumeRolePolicyDocument');
      checkPolicy(trust, role.properties.where, 'resource');
      for (const policy of this.#rolePolicies(role)) checkPolicy(policy, role.properties.where, 'identity');
    }
  }

  /** Every refusal so far, as AWS's sentence. A good rehearsal has none. */
  get denials(): string[] {
    return this.calls.flatMap((call) => (call.denial === undefined ? [] : [call.denial]));
  }

  /** Adds a policy to those of a resource. */
  attach(arn: string, policy: PolicyDocument): () => void {
    checkPolicy(policy, arn, 'resource');
    const before = this.#resourcePolicies.get(arn) ?? [];
    this.#resourcePolicies.set(arn, [...before, policy]);
    return () => this.#resourcePolicies.set(arn, before);
  }

  /** That of a resource which has one at most. */
  policyOf(arn: string): PolicyDocument | undefined {
    return this.#resourcePolicies.get(arn)?.[0];
  }

  /** Takes a statement out of a resource's policies, as somebody might by hand. Returns the way to put it back. */
  withdraw(arn: string, sid: string): () => void {
    const before = this.#resourcePolicies.get(arn) ?? [];
    const left = before.map((policy) => ({
      ...policy,
      Statement: [policy.Statement].flat().filter(({ Sid }) => Sid !== sid),
    }));
    this.#resourcePolicies.set(arn, left);
    return () => this.#resourcePolicies.set(arn, before);
  }

  /** New temporary credentials of a principal. */
  issue(principal: Principal & { kind: 'identity' }, of?: { name: string; arn: string }): Credentials {
    const id = createHash('sha256').update(`${principal.arn} ${this.#callers.size}`).digest('hex');
    const credentials = {
      accessKeyId: `ASIA${id.slice(0, 16).toUpperCase()}`,
      secretAccessKey: id.slice(16, 56),
      sessionToken: `rehearsal-session-${id}`,
    };
    this.#callers.set(credentials.accessKeyId, {
      principal,
      credentials,
      ...(of !== undefined && { function: of }),
    });
    return credentials;
  }

  caller(accessKeyId: string): Caller | undefined {
    return this.#callers.get(accessKeyId);
  }

  /** A session of a role in the templates. */
  session(roleArn: string, sessionName: string): Principal & { kind: 'identity' } {
    const role = this.#deployed.byArn(roleArn);
    if (role?.type !== 'AWS::IAM::Role') throw new UnknownTemplate(`the role ${roleArn} is in no template`);
    return {
      kind: 'identity',
      arn: `arn:aws:sts::${role.account}:assumed-role/${role.name}/${sessionName}`,
      identityArn: role.arn,
      account: role.account,
      policies: this.#rolePolicies(role),
    };
  }

  /** As {@link session}, for a service that has to be trusted by the role. Undefined if it is not. */
  assume(
    roleArn: string,
    sessionName: string,
    service: string,
    conditions: Record<string, string>,
  ): (Principal & { kind: 'identity' }) | undefined {
    const role = this.#deployed.byArn(roleArn);
    if (role?.type !== 'AWS::IAM::Role') throw new UnknownTemplate(`the role ${roleArn} is in no template`);
    const refused = this.check({
      principal: { kind: 'service', service },
      action: 'sts:AssumeRole',
      resource: roleArn,
      resourcePolicies: [role.properties.policy('AssumeRolePolicyDocument')],
      conditions,
    });
    return refused === undefined ? this.session(roleArn, sessionName) : undefined;
  }

  /** A role that somebody else made. */
  addRole(arn: string, role: { trust: PolicyDocument; policy: PolicyDocument }): void {
    checkPolicy(role.trust, arn, 'resource');
    checkPolicy(role.policy, arn, 'identity');
    this.#otherRoles.set(arn, role);
  }

  /**
   * As {@link session}, for a caller who asks for it, limited to what a session policy allows. A text: the refusal, of a role
   * that is not there too.
   */
  assumeBy(
    { principal, function: fn }: Caller,
    roleArn: string,
    sessionName: string,
    sessionPolicy: PolicyDocument | undefined,
  ): (Principal & { kind: 'identity' }) | string {
    if (sessionPolicy) checkPolicy(sessionPolicy, `the policy of the session ${sessionName}`, 'identity');
    const found = this.#deployed.byArn(roleArn);
    const other = this.#otherRoles.get(roleArn);
    const trust = other?.trust ?? found?.properties.policy('AssumeRolePolicyDocument');
    const refused = this.check({
      principal,
      action: 'sts:AssumeRole',
      resource: roleArn,
      resourcePolicies: trust ? [trust] : [],
      needsResourcePolicy: true,
      ...(fn && { function: fn.name }),
    });
    if (refused !== undefined) return refused;
    const [account = '', name = ''] = [roleArn.split(':')[4], roleArn.split('/').at(-1)];
    const session = other
      ? {
          kind: 'identity' as const,
          arn: `arn:aws:sts::${account}:assumed-role/${name}/${sessionName}`,
          identityArn: roleArn,
          account,
          policies: [other.policy],
        }
      : this.session(roleArn, sessionName);
    return { ...session, ...(sessionPolicy && { sessionPolicy }) };
  }

  /** Judges and records an access: undefined, or AWS's sentence of refusal. */
  check(access: Omit<Access, 'account'> & { function?: string }): string | undefined {
    const { function: _caller, ...asked } = access;
    const whole: Access = {
      resourcePolicies: this.#resourcePolicies.get(access.resource.replace(OBJECT_IN_BUCKET, '$1')) ?? [],
      ...asked,
      account: access.resource.split(':')[4] || accountOf(access.principal),
    };
    const judgement = judge(whole);
    const { principal, action, resource, conditions } = whole;
    const who = principal.kind === 'identity' ? principal.identityArn : principalName(principal);
    this.judged.set(JSON.stringify([who, action, resource, conditions]), { access: whole, judgement });
    this.record(access, judgement.denial);
    return judgement.denial;
  }

  /** The policies of the templates: what roles may do, who may be them, who may do what to a resource, and what comes by an endpoint. */
  everyPolicy(): {
    of: string;
    kind: 'identity' | 'trust' | 'resource' | 'endpoint';
    policy: PolicyDocument;
  }[] {
    const roles = this.#deployed.ofType('AWS::IAM::Role');
    return [
      ...roles.flatMap((role) =>
        this.#rolePolicies(role).map((policy) => ({ of: role.arn, kind: 'identity' as const, policy })),
      ),
      ...roles.map((role) => ({
        of: role.arn,
        kind: 'trust' as const,
        policy: role.properties.policy('AssumeRolePolicyDocument'),
      })),
      ...this.#deployed
        .ofType('AWS::EC2::VPCEndpoint')
        .filter(({ properties }) => properties.has('PolicyDocument'))
        .map(({ arn, properties }) => ({
          of: arn,
          kind: 'endpoint' as const,
          policy: properties.policy('PolicyDocument'),
        })),
      ...[...this.#resourcePolicies].flatMap(([of, policies]) =>
        policies.map((policy) => ({ of, kind: 'resource' as const, policy })),
      ),
    ];
  }

  record(access: Omit<Access, 'account'> & { function?: string }, refused: string | undefined): void {
    const { principal, action, resource } = access;
    this.calls.push({
      time: this.#clock.now(),
      who: principalName(principal),
      ...(access.function !== undefined && { function: access.function }),
      service: action.split(':')[0] ?? '',
      action,
      resource,
      allowed: refused === undefined,
      ...(refused !== undefined && { denial: refused }),
      ...(action.startsWith('kms:') && { kms: access.conditions }),
    });
  }

  /** A key that another stack has, with the policy that KMS gives by default: the account's own policies decide. */
  addKey(arn: string): void {
    const AWS = arn.replace(/^(arn:[^:]+):kms:[^:]+:(\d{12}):.*$/, '$1:iam::$2:root');
    const Statement = { Effect: 'Allow', Principal: { AWS }, Action: 'kms:*', Resource: '*' };
    this.#resourcePolicies.set(arn, [{ Version: '2012-10-17', Statement }]);
    this.#otherKeys.add(arn);
  }

  /** Whether a principal may use the key of an encrypted queue, topic or log group. Undefined, or the refusal. */
  checkKey(
    keyId: string | undefined,
    principal: Principal,
    actions: string[],
    conditions: Record<string, string | undefined>,
    place: Place,
    functionName?: string,
  ): string | undefined {
    if (keyId === undefined) return undefined;
    const key = this.#key(keyId, place);
    for (const action of actions) {
      const refused = this.check({
        principal,
        action,
        ...(key === undefined
          ? { resource: managedKeyArn(keyId, place), resourcePolicies: [managedKeyPolicy(keyId, place)] }
          : { resource: key.arn }),
        needsResourcePolicy: true,
        // A service asks KMS in the name of who asked it.
        conditions: { ...(principal.kind === 'identity' && { 'aws:ViaAWSService': 'true' }), ...conditions },
        ...(functionName !== undefined && { function: functionName }),
      });
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  #key(id: string, place: Place): Pick<Resource, 'arn'> | undefined {
    if (/^(arn:.*:)?alias\/aws\//.test(id)) return undefined;
    if (this.#otherKeys.has(id)) return { arn: id };
    const keys = this.#deployed.ofType('AWS::KMS::Key');
    const alias = this.#deployed
      .ofType('AWS::KMS::Alias')
      .find(
        (other) =>
          (other.name === id || other.arn === id) &&
          other.account === place.account &&
          other.region === place.region,
      );
    const wanted = alias?.properties.text('TargetKeyId') ?? id;
    const key = keys.find((other) => other.arn === wanted || other.arn.endsWith(`/${wanted}`));
    if (key === undefined)
      throw new UnknownTemplate(`the key ${id} is in no template: its policy is unknown`);
    return key;
  }

  #rolePolicies(role: Resource): PolicyDocument[] {
    const inline = role.properties.children('Policies').map((policy) => policy.policy('PolicyDocument'));
    const attached = this.#deployed.resources
      .filter(
        ({ type, account, properties }) =>
          (type === 'AWS::IAM::Policy' || type === 'AWS::IAM::ManagedPolicy') &&
          account === role.account &&
          properties.texts('Roles').includes(role.name),
      )
      .map((policy) => policy.properties.policy('PolicyDocument'));
    const managed = role.properties.texts('ManagedPolicyArns').map((arn) => {
      const own = this.#deployed.byArn(arn);
      if (own?.type === 'AWS::IAM::ManagedPolicy') return own.properties.policy('PolicyDocument');
      const known = AWS_MANAGED_POLICIES[arn.replace(/^.*\//, '')];
      if (known === undefined || !arn.startsWith('arn:aws:iam::aws:policy/')) {
        throw new UnknownTemplate(`${role.properties.where}: the statements of ${arn} are not known here`);
      }
      return known;
    });
    return [...inline, ...attached, ...managed];
  }
}

/** An object of S3's has its bucket's policy. */
const OBJECT_IN_BUCKET = /^(arn:[^:]+:s3:::[^/]+)\/.+$/s;

function accountOf(principal: Principal): string {
  return principal.kind === 'identity' ? principal.account : '';
}

/** Of a key that AWS makes for a service in an account; its id is not known here. */
function managedKeyArn(alias: string, { account, region }: Place): string {
  return alias.startsWith('arn:') ? alias : `arn:aws:kms:${region}:${account}:${alias}`;
}

/** As such a key has it: everybody of the account, through the service; so no service in its own name. */
function managedKeyPolicy(alias: string, { account, region }: Place): PolicyDocument {
  const service = alias.replace(/^.*alias\/aws\//, '');
  return {
    Version: '2012-10-17',
    Statement: {
      Effect: 'Allow',
      Principal: { AWS: '*' },
      Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
      Resource: '*',
      Condition: {
        StringEquals: {
          'kms:CallerAccount': account,
          'kms:ViaService': `${service}.${region}.amazonaws.com`,
        },
      },
    },
  };
}
