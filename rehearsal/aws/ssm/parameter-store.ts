import type {
  DeleteParametersCommandInput,
  DescribeParametersCommandInput,
  GetParameterCommandInput,
  GetParametersByPathCommandInput,
  PutParameterCommandInput,
} from '@aws-sdk/client-ssm';
import { AwsError } from '../aws-error.ts';
import { type Ask, anywhere, type Call, type Cloud, type Operations, operation, required } from '../cloud.ts';
import { pageOf } from '../page-of.ts';
import type { Place } from '../place.ts';

/** A value of Parameter Store. */
export interface Parameter {
  type: 'String' | 'StringList' | 'SecureString';
  value: string;
  /** Of a SecureString. */
  keyId: string | undefined;
  /** One of the advanced tier never goes back to the standard one. */
  tier: 'Standard' | 'Advanced';
  version: number;
  /** Epoch milliseconds on the rehearsal's clock. */
  modified: number;
}

/** Systems Manager's limits on the value of a parameter, by tier. */
const STANDARD_BYTES = 4096;
const ADVANCED_BYTES = 8192;
/** Of parameters in one request, and in one page. */
const NAMES_AT_ONCE = 10;
/** Of descriptions on a page, at most. */
const DESCRIBED_PER_PAGE = 50;

/** The key of a SecureString for which none is named. */
const DEFAULT_PARAMETER_KEY = 'alias/aws/ssm';

/** Parameter Store. */
export class ParameterStore {
  readonly operations: Operations = {
    GetParameter: operation(onParameter('GetParameter'), (input: GetParameterCommandInput, call) =>
      this.#getParameter(input, call),
    ),
    PutParameter: operation(onParameter('PutParameter'), (input: PutParameterCommandInput, call) =>
      this.#putParameter(input, call),
    ),
    GetParametersByPath: operation(
      ({ Path }: GetParametersByPathCommandInput, call) => [
        { action: 'ssm:GetParametersByPath', resource: parameterArn(required(Path), call) },
      ],
      (input, call) => this.#getParametersByPath(input, call),
    ),
    DescribeParameters: operation(
      anywhere('ssm:DescribeParameters'),
      (input: DescribeParametersCommandInput, call) => this.#describeParameters(input, call),
    ),
    DeleteParameters: operation(
      ({ Names: names = [] }: DeleteParametersCommandInput, call) =>
        names.map((name) => ({ action: 'ssm:DeleteParameters', resource: parameterArn(name, call) })),
      ({ Names: names = [] }, call) => {
        if (names.length > NAMES_AT_ONCE)
          throw new AwsError('ValidationException', `At most ${NAMES_AT_ONCE} parameters at once.`);
        const deleted = names.filter((name) => this.#parameters.delete(parameterArn(name, call)));
        return {
          DeletedParameters: deleted,
          InvalidParameters: names.filter((name) => !deleted.includes(name)),
        };
      },
    ),
  };
  readonly #aws: Pick<Cloud, 'clock' | 'access' | 'deployed' | 'events'>;
  readonly #parameters = new Map<string, Parameter>();

  constructor(aws: Pick<Cloud, 'clock' | 'access' | 'deployed' | 'events'>) {
    this.#aws = aws;
    for (const { arn, properties } of aws.deployed.ofType('AWS::SSM::Parameter'))
      this.#parameters.set(arn, {
        type: 'String',
        value: properties.text('Value'),
        keyId: undefined,
        tier: 'Standard',
        version: 1,
        modified: aws.clock.now(),
      });
  }

  /**
   * Writes a parameter, as somebody else does.
   * @param where `since`: when that was, in epoch milliseconds. Default: now, of which an event tells.
   */
  put(
    name: string,
    value: string,
    {
      keyId,
      tier = 'Standard',
      since,
      ...where
    }: Place & { keyId?: string; tier?: Parameter['tier']; since?: number },
  ): void {
    const type = keyId === undefined ? 'String' : 'SecureString';
    this.#write(parameterArn(name, where), { type, value, keyId, tier }, since);
  }

  /** A parameter, as the instance role of a container reads it. */
  get(name: string, where: Place): Parameter | undefined {
    return this.#parameters.get(parameterArn(name, where));
  }

  #getParameter(
    { Name: name = '', WithDecryption: decrypted = false }: GetParameterCommandInput,
    call: Call,
  ) {
    const arn = parameterArn(name, call);
    const parameter = this.#parameters.get(arn);
    if (parameter === undefined) throw new AwsError('ParameterNotFound', `There is no parameter ${name}.`);
    return { Parameter: this.#shown(name, arn, parameter, decrypted, call) };
  }

  /** One level of a path, in pages of ten. */
  #getParametersByPath(input: GetParametersByPathCommandInput, call: Call) {
    const { Path: path = '', WithDecryption: decrypted = false } = input;
    if (input.Recursive || input.ParameterFilters?.length)
      throw new AwsError('ValidationException', "the rehearsal's stand-in knows one level, unfiltered");
    const prefix = `${parameterArn(path.replace(/\/$/, ''), call)}/`;
    const found = [...this.#parameters]
      .filter(([arn]) => arn.startsWith(prefix) && !arn.slice(prefix.length).includes('/'))
      .sort(([left], [right]) => (left < right ? -1 : 1));
    const from = Number(input.NextToken ?? 0);
    const next = from + Math.min(input.MaxResults ?? NAMES_AT_ONCE, NAMES_AT_ONCE);
    return {
      Parameters: found
        .slice(from, next)
        .map(([arn, parameter]) => this.#shown(`/${nameOfParameter(arn)}`, arn, parameter, decrypted, call)),
      ...(next < found.length && { NextToken: String(next) }),
    };
  }

  /** Without their values; by their names only. */
  #describeParameters(input: DescribeParametersCommandInput, call: Call) {
    const { ParameterFilters: filters = [], Filters, NextToken, MaxResults = DESCRIBED_PER_PAGE } = input;
    if (Filters?.length || filters.some(({ Key }) => Key !== 'Name'))
      throw new AwsError('ValidationException', "the rehearsal's stand-in filters by Name only");
    const own = parameterArn('', call);
    const found = [...this.#parameters]
      .filter(([arn]) => arn.startsWith(own))
      .map(([arn, parameter]) => ({ arn, name: nameOfParameter(arn), parameter }))
      .filter(({ name }) =>
        filters.every(({ Option = 'Equals', Values = [] }) => Values.some(MATCHES[Option]?.(name) ?? refuse)),
      )
      .sort((one, other) => one.name.localeCompare(other.name));
    const { items, next } = pageOf(found, NextToken, Math.min(MaxResults, DESCRIBED_PER_PAGE));
    return {
      Parameters: items.map(({ arn, name, parameter: { type, keyId, version, modified, tier } }) => ({
        ARN: arn,
        Name: name.includes('/') ? `/${name}` : name,
        Type: type,
        ...(keyId !== undefined && { KeyId: keyId }),
        LastModifiedDate: new Date(modified),
        Version: version,
        Tier: tier,
        DataType: 'text',
      })),
      NextToken: next,
    };
  }

  #shown(name: string, arn: string, parameter: Parameter, decrypted: boolean, call: Call) {
    const { type, value, keyId, version, modified } = parameter;
    const secure = type === 'SecureString';
    if (secure && decrypted) this.#checkKey(keyId, 'kms:Decrypt', arn, call);
    return {
      ARN: arn,
      Name: name.startsWith('arn:') ? nameOfParameter(name) : name,
      Type: type,
      // What is not decrypted is of no use to anybody.
      Value: secure && !decrypted ? Buffer.from(arn).toString('base64') : value,
      Version: version,
      LastModifiedDate: new Date(modified),
      DataType: 'text',
    };
  }

  #putParameter(input: PutParameterCommandInput, call: Call) {
    const { Name: name = '', Value: value = '', Overwrite: overwrite = false } = input;
    const arn = parameterArn(name, call);
    const before = this.#parameters.get(arn);
    if (before !== undefined && !overwrite) {
      throw new AwsError('ParameterAlreadyExists', 'The parameter already exists.');
    }
    const type = input.Type ?? before?.type;
    if (type === undefined) throw new AwsError('ValidationException', 'A parameter type is required.');
    const bytes = Buffer.byteLength(value);
    const isAdvanced =
      before?.tier === 'Advanced' ||
      input.Tier === 'Advanced' ||
      (input.Tier === 'Intelligent-Tiering' && bytes > STANDARD_BYTES);
    const tier = isAdvanced ? 'Advanced' : 'Standard';
    const limit = isAdvanced ? ADVANCED_BYTES : STANDARD_BYTES;
    if (bytes > limit)
      throw new AwsError('ValidationException', `The value has ${bytes} bytes, more than ${limit}.`);
    const keyId = type === 'SecureString' ? (input.KeyId ?? DEFAULT_PARAMETER_KEY) : undefined;
    // One of the advanced tier is encrypted with a data key (Systems Manager user guide, SecureString parameters).
    if (keyId !== undefined)
      this.#checkKey(keyId, isAdvanced ? 'kms:GenerateDataKey' : 'kms:Encrypt', arn, call);
    return { Version: this.#write(arn, { type, value, keyId, tier }).version, Tier: tier };
  }

  #write(
    arn: string,
    parameter: Pick<Parameter, 'type' | 'value' | 'keyId' | 'tier'>,
    since?: number,
  ): Parameter {
    const before = this.#parameters.get(arn);
    const written = {
      ...parameter,
      version: (before?.version ?? 0) + 1,
      modified: since ?? this.#aws.clock.now(),
    };
    this.#parameters.set(arn, written);
    // Of long ago.
    if (since !== undefined) return written;
    const [region = '', account = ''] = arn.split(':').slice(3);
    // Systems Manager user guide, "Monitoring events": without a trail.
    this.#aws.events.emit(
      { account, region },
      'aws.ssm',
      'Parameter Store Change',
      { operation: before ? 'Update' : 'Create', name: nameOfParameter(arn), type: parameter.type },
      [arn],
    );
    return written;
  }

  #checkKey(keyId: string | undefined, action: string, arn: string, call: Call): void {
    const refused = this.#aws.access.checkKey(
      keyId,
      call.caller.principal,
      [action],
      {
        'kms:ViaService': `ssm.${call.region}.amazonaws.com`,
        'kms:EncryptionContext:PARAMETER_ARN': arn,
      },
      call,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('AccessDeniedException', refused);
  }
}

/** How a parameter's name is filtered, by the filter's option. */
const MATCHES: Record<string, ((name: string) => (value: string) => boolean) | undefined> = {
  Equals: (name) => (value) => name === value.replace(/^\//, ''),
  BeginsWith: (name) => (value) => name.startsWith(value.replace(/^\//, '')),
  Contains: (name) => (value) => `/${name}`.includes(value),
};

function refuse(): never {
  throw new AwsError('InvalidFilterOption', "the rehearsal's stand-in has no such filter option");
}

function onParameter(action: string) {
  return ({ Name }: { Name: string | undefined }, call: Call): Ask[] => [
    { action: `ssm:${action}`, resource: parameterArn(required(Name), call) },
  ];
}

/** The ARN of a parameter that is named or given by ARN. */
function parameterArn(name: string, { account, region }: Place): string {
  return name.startsWith('arn:')
    ? name
    : `arn:aws:ssm:${region}:${account}:parameter/${name.replace(/^\//, '')}`;
}

function nameOfParameter(arn: string): string {
  return arn.replace(/^.*:parameter\//, '');
}
