import { randomBytes, randomUUID } from 'node:crypto';
import type {
  DescribeSecretCommandInput,
  GetSecretValueCommandInput,
  GetSecretValueCommandOutput,
  PutSecretValueCommandInput,
} from '@aws-sdk/client-secrets-manager';
import type { Finder, Where } from './access.ts';
import { AwsError } from './aws-error.ts';
import type { Aws, Call, Operations } from './server.ts';

interface Version {
  id: string;
  value: string;
  stages: Set<string>;
  created: number;
}

interface Secret {
  arn: string;
  name: string;
  keyId: string | undefined;
  versions: Version[];
}

/** AWS Secrets Manager: the templates' secrets, and those that only configurations name. */
export class SecretsManager implements Pick<Finder, 'secretArn'> {
  readonly operations: Operations;
  readonly #aws: Aws;
  readonly #secrets = new Map<string, Secret>();

  constructor(aws: Aws) {
    this.#aws = aws;
    for (const { arn, name, properties } of aws.deployed.ofType('AWS::SecretsManager::Secret')) {
      const secret = { arn, name, keyId: properties.text('KmsKeyId', undefined), versions: [] };
      this.#secrets.set(arn, secret);
      const generated = properties.child('GenerateSecretString');
      const value = properties.text('SecretString', undefined) ?? (generated && generate(generated.values));
      if (value !== undefined) this.#add(secret, value, randomUUID(), ['AWSCURRENT']);
    }
    this.operations = {
      GetSecretValue: (input: GetSecretValueCommandInput, call: Call) => this.#get(input, call),
      DescribeSecret: ({ SecretId }: DescribeSecretCommandInput, call: Call) => {
        const secret = this.#find(SecretId ?? '', call);
        return {
          ARN: secret.arn,
          Name: secret.name,
          ...(secret.keyId !== undefined && { KmsKeyId: secret.keyId }),
          VersionIdsToStages: Object.fromEntries(secret.versions.map(({ id, stages }) => [id, [...stages]])),
        };
      },
      PutSecretValue: (input: PutSecretValueCommandInput, call: Call) => {
        const secret = this.#find(input.SecretId ?? '', call);
        const { SecretString: value, ClientRequestToken: id = randomUUID() } = input;
        if (value === undefined)
          throw new AwsError('InvalidParameterException', 'only SecretString is understood');
        const stages = input.VersionStages ?? ['AWSCURRENT'];
        this.#add(secret, value, id, stages);
        return { ARN: secret.arn, Name: secret.name, VersionId: id, VersionStages: stages };
      },
      ListSecrets: (_input: object, { account, region }: Call) => ({
        SecretList: [...this.#secrets.values()]
          .filter(({ arn }) => arn.startsWith(`arn:aws:secretsmanager:${region}:${account}:`))
          .map(({ arn, name }) => ({ ARN: arn, Name: name })),
      }),
    };
  }

  /** Gives a secret its value, by full ARN or by name; makes it if no template has it, for which the ARN is needed. */
  put(arnOrName: string, value: string): void {
    let secret = [...this.#secrets.values()].find(({ arn, name }) => arn === arnOrName || name === arnOrName);
    if (secret === undefined) {
      if (!/^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/.test(arnOrName)) {
        throw new Error(`no template has the secret ${arnOrName}: give its full ARN`);
      }
      const name = arnOrName.replace(/^.*:secret:/, '').replace(/-[^-]*$/, '');
      secret = { arn: arnOrName, name, keyId: undefined, versions: [] };
      this.#secrets.set(arnOrName, secret);
    }
    this.#add(secret, value, randomUUID(), ['AWSCURRENT']);
  }

  secretArn(id: string, where: Where): string {
    return (
      this.#lookUp(id, where)?.arn ??
      (id.startsWith('arn:') ? id : `arn:aws:secretsmanager:${where.region}:${where.account}:secret:${id}`)
    );
  }

  #get(input: GetSecretValueCommandInput, call: Call): Omit<GetSecretValueCommandOutput, '$metadata'> {
    const secret = this.#find(input.SecretId ?? '', call);
    const { VersionId: id, VersionStage: stage = 'AWSCURRENT' } = input;
    const version = secret.versions.find((other) =>
      id === undefined ? other.stages.has(stage) : other.id === id,
    );
    if (version === undefined) {
      throw new AwsError(
        'ResourceNotFoundException',
        `Secrets Manager can't find the specified secret value for staging label: ${stage}`,
      );
    }
    const refused = this.#aws.access.checkKey(
      secret.keyId,
      call.caller.principal,
      ['kms:Decrypt'],
      {
        'kms:ViaService': `secretsmanager.${call.region}.amazonaws.com`,
        'kms:EncryptionContext:SecretARN': secret.arn,
      },
      call,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('AccessDeniedException', 'Access to KMS is not allowed');
    return {
      ARN: secret.arn,
      Name: secret.name,
      VersionId: version.id,
      SecretString: version.value,
      VersionStages: [...version.stages],
      CreatedDate: new Date(version.created),
    };
  }

  #add(secret: Secret, value: string, id: string, stages: string[]): void {
    for (const stage of stages) {
      const before = secret.versions.find((version) => version.stages.has(stage));
      if (stage === 'AWSCURRENT' && before !== undefined) {
        for (const version of secret.versions) version.stages.delete('AWSPREVIOUS');
        before.stages.add('AWSPREVIOUS');
      }
      before?.stages.delete(stage);
    }
    secret.versions.push({ id, value, stages: new Set(stages), created: this.#aws.clock.now() });
  }

  #find(id: string, where: Where): Secret {
    const secret = this.#lookUp(id, where);
    if (secret === undefined) {
      throw new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    }
    return secret;
  }

  /** By full ARN, by name, or by an ARN without its last six characters. */
  #lookUp(id: string, { account, region }: Where): Secret | undefined {
    const found = this.#secrets.get(id);
    if (found !== undefined) return found;
    const prefix = `arn:aws:secretsmanager:${region}:${account}:secret:`;
    return [...this.#secrets.values()].find(
      ({ arn, name }) => arn.startsWith(prefix) && (name === id || `${prefix}${name}` === id),
    );
  }
}

function generate(options: Record<string, unknown>): string {
  const length = typeof options.PasswordLength === 'number' ? options.PasswordLength : 32;
  const password = randomBytes(length).toString('base64url').slice(0, length);
  if (typeof options.SecretStringTemplate !== 'string') return password;
  return JSON.stringify({
    ...JSON.parse(options.SecretStringTemplate),
    [String(options.GenerateStringKey)]: password,
  });
}
