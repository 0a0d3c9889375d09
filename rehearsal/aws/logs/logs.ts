import type { Cloud, LogGroups } from '../cloud.ts';
import type { Place } from '../place.ts';
import type { Principal } from '../policy/policy.ts';

/** A line that a function wrote. */
export interface LogLine {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  group: string;
  stream: string;
  text: string;
}

/** CloudWatch Logs, as Lambda writes to it. */
export class Logs implements LogGroups {
  readonly lines: LogLine[] = [];
  readonly #aws: Cloud;
  /** Per stream: whether the role may write to it. */
  readonly #writable = new Map<string, boolean>();

  constructor(aws: Cloud) {
    this.#aws = aws;
  }

  /** Keeps a function's line, and the metrics in it. Lines that the role may not write are lost, and noted. */
  write(
    group: Place & { name: string },
    stream: string,
    text: string,
    role: Principal,
    functionName: string,
  ): void {
    const key = `${group.account}/${group.region}/${group.name}/${stream}`;
    let writable = this.#writable.get(key);
    if (writable === undefined) {
      writable = this.#mayWrite(group, stream, role, functionName);
      this.#writable.set(key, writable);
    }
    if (!writable) return;
    this.lines.push({ time: this.#aws.clock.now(), group: group.name, stream, text });
    if (text.startsWith('{') && text.includes('"_aws"')) this.#aws.cloudWatch.readEmbedded(text, group);
  }

  #mayWrite(group: Place & { name: string }, stream: string, role: Principal, functionName: string): boolean {
    const arn = `arn:aws:logs:${group.region}:${group.account}:log-group:${group.name}`;
    const exists = this.#aws.deployed.byArn(`${arn}:*`);
    const asks: [string, string][] = [
      ...(exists === undefined ? [['logs:CreateLogGroup', `${arn}:*`] satisfies [string, string]] : []),
      ['logs:CreateLogStream', `${arn}:log-stream:${stream}`],
      ['logs:PutLogEvents', `${arn}:log-stream:${stream}`],
    ];
    for (const [action, resource] of asks) {
      // These that Lambda makes outside of the function carry the function's ARN too (Lambda developer guide, source ARN).
      const refused = this.#aws.access.check({
        principal: role,
        action,
        resource,
        function: functionName,
        conditions: {
          'lambda:SourceFunctionArn': `arn:aws:lambda:${group.region}:${group.account}:function:${functionName}`,
        },
      });
      if (refused !== undefined) {
        this.#aws.drop(functionName, group.name, refused);
        return false;
      }
    }
    const refused = this.#aws.access.checkKey(
      exists?.properties.text('KmsKeyId', undefined),
      { kind: 'service', service: `logs.${group.region}.amazonaws.com` },
      ['kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey'],
      { 'kms:EncryptionContext:aws:logs:arn': arn },
      group,
    );
    if (refused !== undefined) this.#aws.drop(functionName, group.name, refused);
    return refused === undefined;
  }
}
