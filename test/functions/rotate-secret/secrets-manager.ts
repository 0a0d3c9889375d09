import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

/**
 * Secrets Manager for the tests of one function: versions and their labels as AWS documents them, behind HTTP, for
 * the real SDK. And the two calls of Lambda that the last step makes.
 */
export interface SecretsManagerStandIn {
  endpoint: string;
  client: SecretsManagerClient;
  lambda: LambdaClient;
  /** Every call so far, by its name. */
  calls: string[];
  /** Payloads of the asynchronous invocations. */
  invocations: { functionName: string; payload: unknown }[];
  /** Names of durable executions that are running, of the function's second version. */
  running: string[];
  /** What a list without a qualifier has, which AWS has said in both ways. */
  unqualifiedList: 'all versions' | '$LATEST';
  secret(arn: string): SecretVersions;
  /** Adds a secret with its first version. */
  add(arn: string, value: object): SecretVersions;
  /** All values that any secret ever had. */
  values(): string[];
  close(): Promise<void>;
}

/** What RotateSecret hands to the function and expects back. */
export const ROTATION_TOKEN = 'rotation-token';

class AwsError extends Error {
  readonly type: string;
  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

export class SecretVersions {
  readonly values = new Map<string, string>();
  readonly labels = new Map<string, string>();
  /** As others play Secrets Manager: without a refusal of another value. */
  isOthers = false;

  /** Begins a rotation: a version with a label and without a value. */
  beginRotation(): string {
    const token = randomUUID();
    this.labels.set('AWSPENDING', token);
    return token;
  }

  /** What an operator does to a rotation that cannot end. */
  abandonRotation(): void {
    this.labels.delete('AWSPENDING');
  }

  read(label: string): { username: string; password: string } {
    return JSON.parse(this.values.get(this.labels.get(label) ?? '') ?? 'null');
  }

  get({ VersionId, VersionStage }: Request) {
    const id = VersionId ?? this.labels.get(VersionStage ?? 'AWSCURRENT');
    const value = id === undefined ? undefined : this.values.get(id);
    const labelled = VersionStage === undefined || this.labels.get(VersionStage) === id;
    // In Secrets Manager's own words.
    if (value !== undefined && !labelled) {
      throw new AwsError(
        'InvalidRequestException',
        'You provided a VersionStage that is not associated to the provided VersionId.',
      );
    }
    if (id === undefined || value === undefined) {
      throw new AwsError(
        'ResourceNotFoundException',
        "Secrets Manager can't find the specified secret value.",
      );
    }
    return { VersionId: id, SecretString: value, VersionStages: this.labelsOf(id) };
  }

  put({
    ClientRequestToken = randomUUID(),
    SecretString = '',
    VersionStages = ['AWSCURRENT'],
    RotationToken,
  }: Request) {
    if (VersionStages.includes('AWSPENDING') && RotationToken !== ROTATION_TOKEN) {
      throw new AwsError('InvalidParameterException', 'The rotation token is wrong.');
    }
    const existing = this.values.get(ClientRequestToken);
    if (existing !== undefined && existing !== SecretString && !this.isOthers) {
      throw new AwsError('ResourceExistsException', 'The version has another value already.');
    }
    this.values.set(ClientRequestToken, SecretString);
    for (const label of VersionStages) this.move(label, ClientRequestToken);
    return { VersionId: ClientRequestToken, VersionStages };
  }

  describe() {
    const versions: Record<string, string[]> = {};
    for (const id of this.labels.values()) versions[id] = this.labelsOf(id);
    return { RotationEnabled: true, VersionIdsToStages: versions };
  }

  updateStage({ VersionStage = '', MoveToVersionId, RemoveFromVersionId }: Request) {
    const holder = this.labels.get(VersionStage);
    // Also where the label is where it shall go already, if another version is named as its holder.
    if (holder !== undefined && holder !== (RemoveFromVersionId ?? MoveToVersionId)) {
      throw new AwsError('InvalidParameterException', `${VersionStage} is attached to another version.`);
    }
    if (MoveToVersionId === undefined) this.labels.delete(VersionStage);
    else this.move(VersionStage, MoveToVersionId);
    return {};
  }

  private move(label: string, id: string): void {
    const before = this.labels.get(label);
    this.labels.set(label, id);
    if (label === 'AWSCURRENT' && before !== undefined && before !== id)
      this.labels.set('AWSPREVIOUS', before);
  }

  private labelsOf(id: string): string[] {
    return [...this.labels].filter(([, holder]) => holder === id).map(([label]) => label);
  }
}

interface Request {
  SecretId?: string;
  VersionId?: string;
  VersionStage?: string;
  ClientRequestToken?: string;
  RotationToken?: string;
  SecretString?: string;
  VersionStages?: string[];
  MoveToVersionId?: string;
  RemoveFromVersionId?: string;
}

export async function startSecretsManager(): Promise<SecretsManagerStandIn> {
  const secrets = new Map<string, SecretVersions>();
  const standIn = { calls: [] as string[], invocations: [] as { functionName: string; payload: unknown }[] };
  const running: string[] = [];
  const secret = (arn: string) => {
    const found = secrets.get(arn);
    if (found === undefined) throw new AwsError('ResourceNotFoundException', `There is no secret ${arn}.`);
    return found;
  };

  const secretsManagerCall = (operation: string, body: Request): object => {
    const versions = secret(body.SecretId ?? '');
    switch (operation) {
      case 'GetSecretValue':
        return versions.get(body);
      case 'PutSecretValue':
        return versions.put(body);
      case 'DescribeSecret':
        return versions.describe();
      case 'UpdateSecretVersionStage':
        return versions.updateStage(body);
      default:
        throw new AwsError('InvalidRequestException', `${operation} is not expected.`);
    }
  };

  const lists: Pick<SecretsManagerStandIn, 'unqualifiedList'> = { unqualifiedList: 'all versions' };
  const lambdaCall = (request: IncomingMessage, body: string): object => {
    const [path = '', query] = (request.url ?? '').split('?');
    const [, functionName = '', call = ''] = /functions\/([^/]+)\/(.*)$/.exec(path) ?? [];
    if (call === 'invocations') {
      standIn.calls.push('Invoke');
      standIn.invocations.push({
        functionName: decodeURIComponent(functionName),
        payload: JSON.parse(body),
      });
      return {};
    }
    if (call === 'versions') {
      standIn.calls.push('ListVersionsByFunction');
      return { Versions: ['$LATEST', '1', '2'].map((Version) => ({ Version })) };
    }
    standIn.calls.push('ListDurableExecutionsByFunction');
    const qualifier = new URLSearchParams(query).get('Qualifier');
    const isListed = qualifier === null ? lists.unqualifiedList === 'all versions' : qualifier === '2';
    return {
      DurableExecutions: (isListed ? running : []).map((name) => ({
        DurableExecutionArn: `${decodeURIComponent(functionName)}:2/durable-execution/${name}/id`,
        DurableExecutionName: name,
      })),
    };
  };

  const server = createServer(async (request, response) => {
    const body = await text(request);
    const target = request.headers['x-amz-target'];
    try {
      let answer: object;
      if (typeof target === 'string') {
        const operation = target.split('.')[1] ?? '';
        standIn.calls.push(operation);
        answer = secretsManagerCall(operation, JSON.parse(body));
      } else {
        answer = lambdaCall(request, body);
      }
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer));
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      response
        .writeHead(400, { 'content-type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify({ __type: error.type, message: error.message }));
    }
  });
  const endpoint = await listen(server);
  const configuration = {
    region: 'eu-central-1',
    endpoint,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  const client = new SecretsManagerClient(configuration);
  const lambda = new LambdaClient(configuration);
  return Object.assign(lists, {
    ...standIn,
    endpoint,
    client,
    lambda,
    running,
    secret,
    add: (arn: string, value: object) => {
      const versions = new SecretVersions();
      versions.put({ SecretString: JSON.stringify(value) });
      secrets.set(arn, versions);
      return versions;
    },
    values: () => [...secrets.values()].flatMap(({ values }) => [...values.values()]),
    close: async () => {
      client.destroy();
      lambda.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return `http://127.0.0.1:${address.port}`;
}
