import type { GetParameterCommandInput, PutParameterCommandInput } from '@aws-sdk/client-ssm';
import { AwsError } from '../aws-error.ts';
import { type Ask, type Call, type Cloud, type Operations, operation, required } from '../cloud.ts';
import type { Place } from '../place.ts';

/** A value of Parameter Store. */
export interface Parameter {
  type: 'String' | 'StringList' | 'SecureString';
  value: string;
  /** Of a SecureString. */
  keyId: string | undefined;
  version: number;
  /** Epoch milliseconds on the rehearsal's clock. */
  modified: number;
}

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
  };
  readonly #aws: Pick<Cloud, 'clock' | 'access'>;
  readonly #parameters = new Map<string, Parameter>();

  constructor(aws: Pick<Cloud, 'clock' | 'access'>) {
    this.#aws = aws;
  }

  /** Writes a parameter, as somebody else does. */
  put(name: string, value: string, { keyId, ...where }: Place & { keyId?: string }): void {
    this.#write(parameterArn(name, where), {
      type: keyId === undefined ? 'String' : 'SecureString',
      value,
      keyId,
    });
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
    const { type, value, keyId, version, modified } = parameter;
    const secure = type === 'SecureString';
    if (secure && decrypted) this.#checkKey(keyId, 'kms:Decrypt', arn, call);
    return {
      Parameter: {
        ARN: arn,
        Name: name.startsWith('arn:') ? nameOfParameter(name) : name,
        Type: type,
        // What is not decrypted is of no use to anybody.
        Value: secure && !decrypted ? Buffer.from(arn).toString('base64') : value,
        Version: version,
        LastModifiedDate: new Date(modified),
        DataType: 'text',
      },
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
    const keyId = type === 'SecureString' ? (input.KeyId ?? DEFAULT_PARAMETER_KEY) : undefined;
    if (keyId !== undefined) this.#checkKey(keyId, 'kms:Encrypt', arn, call);
    return { Version: this.#write(arn, { type, value, keyId }).version, Tier: 'Standard' };
  }

  #write(arn: string, parameter: Pick<Parameter, 'type' | 'value' | 'keyId'>): Parameter {
    const written = {
      ...parameter,
      version: (this.#parameters.get(arn)?.version ?? 0) + 1,
      modified: this.#aws.clock.now(),
    };
    this.#parameters.set(arn, written);
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
