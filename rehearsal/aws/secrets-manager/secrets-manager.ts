// In one file though long: a secret, and what its rotation does to it step by step.

import { randomUUID } from 'node:crypto';
import type {
  DescribeSecretCommandInput,
  GetResourcePolicyCommandInput,
  GetSecretValueCommandInput,
  GetSecretValueCommandOutput,
  ListSecretsCommandInput,
  ListSecretVersionIdsCommandInput,
  PutSecretValueCommandInput,
  RotateSecretCommandInput,
  UpdateSecretVersionStageCommandInput,
} from '@aws-sdk/client-secrets-manager';
import * as client from '@aws-sdk/client-secrets-manager';
import { AwsError } from '../aws-error.ts';
import { anywhere, type Call, type Cloud, type Operations, operation, type Service } from '../cloud.ts';
import type { Place } from '../place.ts';
import { secretAsks } from './asks.ts';
import {
  described,
  generate,
  label,
  labelled,
  listed,
  listedVersions,
  nameOf,
  type RotationEnd,
  type Secret,
  type Version,
} from './secret.ts';

/** The steps of a rotation, in their order. */
const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
/** A rotation that failed is tried again from its first step; AWS says "several times" and not when. */
const ROTATION_ATTEMPTS = 5;
const ROTATION_RETRY = 60_000;

/** AWS Secrets Manager: the templates' secrets, and those that only configurations name. */
export class SecretsManager implements Service {
  readonly signingName = 'secretsmanager';
  readonly client = client;
  readonly operations: Operations;
  readonly #aws: Cloud;
  readonly #secrets = new Map<string, Secret>();
  readonly #rotating = new Set<string>();
  /** Rotations that ended, and the tests of rotation functions at their deployment. */
  readonly rotations: RotationEnd[] = [];

  constructor(aws: Cloud) {
    this.#aws = aws;
    for (const { arn, name, properties } of aws.deployed.ofType('AWS::SecretsManager::Secret')) {
      const secret = this.#make(arn, name, properties.text('KmsKeyId', undefined));
      const generated = properties.child('GenerateSecretString');
      const value = properties.text('SecretString', undefined) ?? (generated && generate(generated.values));
      if (value !== undefined) this.#add(secret, value, randomUUID(), ['AWSCURRENT']);
    }
    for (const { properties, account, region } of aws.deployed.ofType(
      'AWS::SecretsManager::RotationSchedule',
    )) {
      const id = properties.text('SecretId');
      const secret = this.#lookUp(id, { account, region }) ?? this.#make(id, nameOf(id), undefined);
      secret.rotationFunctionArn = properties.text('RotationLambdaARN');
      const immediately = properties.boolean('RotateImmediatelyOnUpdate', true);
      aws.clock.at(aws.clock.now(), () =>
        immediately ? this.#rotate(secret, randomUUID(), 1) : this.#test(secret),
      );
    }
    for (const { properties } of aws.deployed.ofType('AWS::SecretsManager::ResourcePolicy')) {
      aws.access.attach(properties.text('SecretId'), properties.policy('ResourcePolicy'));
    }
    const asks = secretAsks((id, call) => this.secretArn(id, call));
    this.operations = {
      GetSecretValue: operation(asks.GetSecretValue, (input, call) => this.#get(input, call)),
      DescribeSecret: operation(asks.DescribeSecret, ({ SecretId }: DescribeSecretCommandInput, call) => {
        const secret = this.#find(SecretId ?? '', call);
        return described(secret);
      }),
      GetResourcePolicy: operation(
        asks.GetResourcePolicy,
        ({ SecretId }: GetResourcePolicyCommandInput, call) => {
          const { arn, name } = this.#find(SecretId ?? '', call);
          const policy = aws.access.policyOf(arn);
          return { ARN: arn, Name: name, ...(policy && { ResourcePolicy: JSON.stringify(policy) }) };
        },
      ),
      ListSecretVersionIds: operation(
        asks.ListSecretVersionIds,
        ({ SecretId }: ListSecretVersionIdsCommandInput, call) =>
          listedVersions(this.#find(SecretId ?? '', call)),
      ),
      PutSecretValue: operation(asks.PutSecretValue, (input: PutSecretValueCommandInput, call) =>
        this.#put(input, call),
      ),
      UpdateSecretVersionStage: operation(asks.UpdateSecretVersionStage, (input, call) =>
        this.#updateStage(input, call),
      ),
      RotateSecret: operation(asks.RotateSecret, (input, call) => this.#startRotation(input, call)),
      ListSecrets: operation(anywhere('secretsmanager:ListSecrets'), (input: ListSecretsCommandInput, call) =>
        listed([...this.#secrets.values()], input, call),
      ),
    };
  }

  /**
   * Gives a secret its value, by full ARN or by name; makes it if no template has it, for which the ARN is needed.
   * @param since when it was given it, in epoch milliseconds. Default: now, of which an event tells.
   */
  put(arnOrName: string, value: string, since?: number): void {
    let secret = [...this.#secrets.values()].find(({ arn, name }) => arn === arnOrName || name === arnOrName);
    if (secret === undefined) {
      if (!/^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/.test(arnOrName)) {
        throw new Error(`no template has the secret ${arnOrName}: give its full ARN`);
      }
      secret = this.#make(arnOrName, nameOf(arnOrName), undefined);
    }
    this.#add(secret, value, randomUUID(), ['AWSCURRENT'], since);
  }

  /** Makes a version that is not in use yet, as the first step of a rotation does. Its id. */
  begin(arn: string, value: string): string {
    const id = randomUUID();
    const secret = this.#secrets.get(arn);
    if (secret === undefined) throw new Error(`there is no secret ${arn}`);
    this.#add(secret, value, id, ['AWSPENDING']);
    return id;
  }

  /**
   * Moves a label, as somebody does in the console.
   * @param to the id of the version, or a label on it.
   */
  label(arn: string, stage: string, to: string): void {
    const secret = this.#secrets.get(arn);
    const version = secret?.versions.find(({ id, stages }) => id === to || stages.has(to));
    if (secret === undefined || version === undefined) throw new Error(`${arn} has no version ${to}`);
    this.#label(secret, version, stage);
    secret.changedAt = this.#aws.clock.now();
  }

  /** The value that a label is on, as the containers of a task are given it. */
  value(arnOrName: string, stage = 'AWSCURRENT'): string | undefined {
    const secret = [...this.#secrets.values()].find(
      ({ arn, name }) => arn === arnOrName || name === arnOrName,
    );
    return secret && labelled(secret, stage)?.value;
  }

  /** What ECS gives a container for the `valueFrom` of its definition: `ARN:KEY:STAGE:ID`. Undefined where there is none. */
  valueFrom(reference: string): string | undefined {
    const parts = reference.split(':');
    const [key = '', stage = ''] = parts.slice(7);
    const value = this.value(parts.slice(0, 7).join(':'), stage || 'AWSCURRENT');
    if (value === undefined || key === '') return value;
    const field: unknown = JSON.parse(value)[key];
    return field === undefined ? undefined : String(field);
  }

  /** A secret as it is, which a fault can change. */
  secret(arn: string): Secret {
    const found = this.#secrets.get(arn);
    if (found === undefined) throw new Error(`there is no secret ${arn}`);
    return found;
  }

  /** Of a secret, in other regions. */
  replicas(arn: string): Secret['replicas'] {
    return this.#secrets.get(arn)?.replicas ?? [];
  }

  /** Whether a secret's rotation has begun, and neither succeeded nor was given up. */
  isRotating(arn: string): boolean {
    return this.#rotating.has(arn);
  }

  /** Every value that a secret ever had. */
  everyValue(): string[] {
    return [...this.#secrets.values()].flatMap(({ versions }) =>
      versions.flatMap(({ value }) => value ?? []),
    );
  }

  secretArn(id: string, where: Place): string {
    return (
      this.#lookUp(id, where)?.arn ??
      (id.startsWith('arn:') ? id : `arn:aws:secretsmanager:${where.region}:${where.account}:secret:${id}`)
    );
  }

  #get(input: GetSecretValueCommandInput, call: Call): Omit<GetSecretValueCommandOutput, '$metadata'> {
    const secret = this.#find(input.SecretId ?? '', call);
    const { VersionId: id, VersionStage: stage } = input;
    const version =
      id === undefined
        ? labelled(secret, stage ?? 'AWSCURRENT')
        : secret.versions.find((other) => other.id === id);
    if (version !== undefined && stage !== undefined && !version.stages.has(stage)) {
      throw new AwsError(
        'InvalidRequestException',
        'You provided a VersionStage that is not associated to the provided VersionId.',
      );
    }
    if (version?.value === undefined) {
      throw new AwsError(
        'ResourceNotFoundException',
        `Secrets Manager can't find the specified secret value for ${id === undefined ? `staging label: ${stage ?? 'AWSCURRENT'}` : `VersionId: ${id}`}`,
      );
    }
    this.#checkKey(secret, ['kms:Decrypt'], call);
    return {
      ARN: secret.arn,
      Name: secret.name,
      VersionId: version.id,
      SecretString: version.value,
      VersionStages: [...version.stages],
      CreatedDate: new Date(version.created),
    };
  }

  #checkKey(secret: Secret, actions: string[], call: Call): void {
    const refused = this.#aws.access.checkKey(
      secret.keyId,
      call.caller.principal,
      actions,
      {
        'kms:ViaService': `secretsmanager.${call.region}.amazonaws.com`,
        'kms:EncryptionContext:SecretARN': secret.arn,
      },
      call,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('AccessDeniedException', 'Access to KMS is not allowed');
  }

  #put(input: PutSecretValueCommandInput, call: Call) {
    const secret = this.#find(input.SecretId ?? '', call);
    const { SecretString: value, ClientRequestToken: id = randomUUID(), RotationToken: token } = input;
    if (value === undefined)
      throw new AwsError('InvalidParameterException', 'only SecretString is understood');
    if (token !== undefined && token !== secret.rotationToken)
      throw new AwsError('InvalidParameterException', 'The rotation token is not valid.');
    const stages = input.VersionStages ?? ['AWSCURRENT'];
    this.#checkKey(secret, ['kms:GenerateDataKey', 'kms:Decrypt'], call);
    const existing = secret.versions.find((version) => version.id === id)?.value;
    if (existing !== undefined && existing !== value) {
      throw new AwsError(
        'ResourceExistsException',
        `The operation failed because the secret version ${id} has another value already.`,
      );
    }
    if (existing === undefined) this.#add(secret, value, id, stages);
    return { ARN: secret.arn, Name: secret.name, VersionId: id, VersionStages: stages };
  }

  #updateStage(input: UpdateSecretVersionStageCommandInput, call: Call) {
    const secret = this.#find(input.SecretId ?? '', call);
    const { VersionStage: stage = '', MoveToVersionId: to, RemoveFromVersionId: from } = input;
    const holder = labelled(secret, stage);
    const target = secret.versions.find(({ id }) => id === to);
    if (to !== undefined && target === undefined) {
      throw new AwsError('ResourceNotFoundException', `There is no version ${to}.`);
    }
    if (from !== undefined && holder?.id !== from) {
      throw new AwsError(
        'InvalidParameterException',
        `The staging label ${stage} is not attached to the version ${from}.`,
      );
    }
    if (to !== undefined && holder !== undefined && holder.id !== to && from === undefined) {
      throw new AwsError(
        'InvalidParameterException',
        `The staging label ${stage} is currently attached to version ${holder.id}, so you must explicitly reference that version in RemoveFromVersionId.`,
      );
    }
    if (stage === 'AWSCURRENT' && to === undefined) {
      throw new AwsError('InvalidParameterException', 'AWSCURRENT can only be moved to another version.');
    }
    if (target === undefined) holder?.stages.delete(stage);
    else this.#label(secret, target, stage);
    secret.changedAt = this.#aws.clock.now();
    return { ARN: secret.arn, Name: secret.name };
  }

  #startRotation(input: RotateSecretCommandInput, call: Call) {
    const secret = this.#find(input.SecretId ?? '', call);
    const {
      ClientRequestToken: id = randomUUID(),
      RotationLambdaARN,
      RotateImmediately: immediately,
    } = input;
    if (RotationLambdaARN !== undefined) secret.rotationFunctionArn = RotationLambdaARN;
    if (secret.rotationFunctionArn === undefined) {
      throw new AwsError(
        'InvalidRequestException',
        'No Lambda rotation function ARN is associated with this secret.',
      );
    }
    const refused = this.#aws.access.check({
      principal: call.caller.principal,
      action: 'lambda:InvokeFunction',
      resource: secret.rotationFunctionArn,
      ...(call.caller.function && { function: call.caller.function.name }),
    });
    if (refused !== undefined) throw new AwsError('AccessDeniedException', refused);
    const answer = { ARN: secret.arn, Name: secret.name, VersionId: id };
    // The same request again: that rotation goes on, or is over.
    if (secret.versions.some((version) => version.id === id)) return answer;
    const pending = labelled(secret, 'AWSPENDING');
    if (pending !== undefined && !pending.stages.has('AWSCURRENT')) {
      throw new AwsError(
        'InvalidRequestException',
        "A previous rotation isn't complete. That rotation will be reattempted.",
      );
    }
    const { clock } = this.#aws;
    if (immediately === false) clock.at(clock.now(), () => this.#test(secret));
    else {
      this.#begin(secret, id);
      clock.at(clock.now(), () => this.#rotate(secret, id, 1));
    }
    return answer;
  }

  /** A version with a label and without a value. */
  #begin(secret: Secret, id: string): Version {
    const version: Version = { id, value: undefined, stages: new Set(), created: this.#aws.clock.now() };
    secret.versions.push(version);
    label(secret, version, 'AWSPENDING');
    secret.rotationToken = randomUUID();
    return version;
  }

  /** All four steps; after a failure anew from the first, as long as nobody has taken the label away. */
  async #rotate(secret: Secret, id: string, attempt: number): Promise<void> {
    const version = secret.versions.find((each) => each.id === id) ?? this.#begin(secret, id);
    const { clock } = this.#aws;
    this.#rotating.add(secret.arn);
    let error: string | undefined;
    for (const step of STEPS) {
      error = await this.#step(secret, id, step);
      if (error !== undefined) break;
    }
    const over = error === undefined || version.stages.has('AWSCURRENT') || !version.stages.has('AWSPENDING');
    if (!over && attempt < ROTATION_ATTEMPTS) {
      clock.at(clock.now() + ROTATION_RETRY, () => this.#rotate(secret, id, attempt + 1));
      return;
    }
    this.#rotating.delete(secret.arn);
    if (error === undefined) secret.rotatedAt = clock.now();
    this.rotations.push({ time: clock.now(), secretArn: secret.arn, versionId: id, error });
  }

  /** What a deployment without a rotation at once does: one step, on a version that goes away again. */
  async #test(secret: Secret): Promise<void> {
    const version = this.#begin(secret, randomUUID());
    const error = await this.#step(secret, version.id, 'testSecret');
    secret.versions = secret.versions.filter((each) => each !== version);
    this.rotations.push({
      time: this.#aws.clock.now(),
      secretArn: secret.arn,
      versionId: version.id,
      error,
      isTest: true,
    });
  }

  async #step(secret: Secret, id: string, step: string): Promise<string | undefined> {
    const { access, lambda } = this.#aws;
    const functionArn = secret.rotationFunctionArn ?? '';
    const refused = access.check({
      principal: { kind: 'service', service: 'secretsmanager.amazonaws.com' },
      action: 'lambda:InvokeFunction',
      resource: functionArn,
      conditions: { 'aws:SourceArn': secret.arn, 'aws:SourceAccount': secret.arn.split(':')[4] },
    });
    if (refused !== undefined) return refused;
    const event = {
      Step: step,
      SecretId: secret.arn,
      ClientRequestToken: id,
      RotationToken: secret.rotationToken,
    };
    const outcome = await lambda.call(functionArn, JSON.stringify(event));
    return outcome.outcome === 'failed' ? outcome.error.errorMessage : undefined;
  }

  #make(arn: string, name: string, keyId: string | undefined): Secret {
    const secret: Secret = {
      arn,
      name,
      keyId,
      versions: [],
      rotationFunctionArn: undefined,
      rotationToken: undefined,
      rotatedAt: undefined,
      replicas: [],
      changedAt: this.#aws.clock.now(),
    };
    this.#secrets.set(arn, secret);
    return secret;
  }

  #add(secret: Secret, value: string, id: string, stages: string[], since?: number): void {
    const now = since ?? this.#aws.clock.now();
    let version = secret.versions.find((each) => each.id === id);
    if (version === undefined) {
      version = { id, value, stages: new Set(), created: now };
      secret.versions.push(version);
    }
    version.value = value;
    for (const stage of stages)
      if (since === undefined) this.#label(secret, version, stage);
      else label(secret, version, stage);
    secret.changedAt = now;
  }

  /** Moves a label and tells it: of each but these two (Secrets Manager's user guide, Secret Label Updated event). */
  #label(secret: Secret, version: Version, stage: string): void {
    if (version.stages.has(stage)) return;
    label(secret, version, stage);
    if (stage === 'AWSPENDING' || stage === 'AWSPREVIOUS') return;
    const [region = '', account = ''] = secret.arn.split(':').slice(3);
    this.#aws.events.emit(
      { account, region },
      'aws.secretsmanager',
      'Secret Label Updated',
      { name: secret.name, labelUpdated: stage, versionId: version.id },
      [secret.arn],
    );
  }

  #find(id: string, where: Place): Secret {
    const secret = this.#lookUp(id, where);
    if (secret === undefined) {
      throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    }
    return secret;
  }

  /**
   * By full ARN, by name, or by an ARN without its last six characters; unless the name itself ends in a hyphen and six
   * characters, for Secrets Manager then takes these for the ones that are missing (its API reference, GetSecretValue).
   */
  #lookUp(id: string, { account, region }: Place): Secret | undefined {
    const found = this.#secrets.get(id);
    if (found !== undefined) return found;
    if (/:secret:.+-[A-Za-z0-9]{6}$/.test(id)) return undefined;
    const prefix = `arn:aws:secretsmanager:${region}:${account}:secret:`;
    return [...this.#secrets.values()].find(
      ({ arn, name }) => arn.startsWith(prefix) && (name === id || `${prefix}${name}` === id),
    );
  }
}
