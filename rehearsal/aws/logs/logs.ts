import type { GetLogEventsCommandInput } from '@aws-sdk/client-cloudwatch-logs';
import * as client from '@aws-sdk/client-cloudwatch-logs';
import { AwsError } from '../aws-error.ts';
import { type Cloud, type LogGroups, type Operations, operation, required, type Service } from '../cloud.ts';
import type { Place } from '../place.ts';
import type { Principal } from '../policy/policy.ts';

/** A line that a function wrote, or a container. */
export interface LogLine {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  group: string;
  stream: string;
  text: string;
}

/** Of the answer of GetLogEvents. */
const MOST_EVENTS = 10_000;

/** CloudWatch Logs: what Lambda writes to it, and the containers whose log driver is `awslogs`. */
export class Logs implements LogGroups, Service {
  readonly signingName = 'logs';
  readonly client = client;
  readonly operations: Operations;
  readonly lines: LogLine[] = [];
  readonly #aws: Cloud;
  /** What containers wrote, by group and stream: their streams are not among those of the functions. */
  readonly #ofContainers = new Map<string, LogLine[]>();
  /** Per stream: whether the role may write to it. */
  readonly #writable = new Map<string, boolean>();

  constructor(aws: Cloud) {
    this.#aws = aws;
    this.operations = {
      GetLogEvents: operation(
        ({ logGroupName, logStreamName }: GetLogEventsCommandInput, { region, account }) => [
          {
            action: 'logs:GetLogEvents',
            resource: `arn:aws:logs:${region}:${account}:log-group:${required(logGroupName)}:log-stream:${required(logStreamName)}`,
          },
        ],
        (input, place) => this.#getLogEvents(input, place),
      ),
    };
  }

  /** Opens the stream of a container, as its log driver does before it starts. */
  openStream(place: Place, group: string, stream: string): (text: string) => void {
    const lines: LogLine[] = [];
    this.#ofContainers.set(`${place.account}/${place.region}/${group}/${stream}`, lines);
    return (text) => lines.push({ time: this.#aws.clock.now(), group, stream, text });
  }

  #getLogEvents(
    {
      logGroupName,
      logStreamName,
      startFromHead = false,
      limit = MOST_EVENTS,
      nextToken,
    }: GetLogEventsCommandInput,
    { account, region }: Place,
  ) {
    const lines = this.#ofContainers.get(`${account}/${region}/${logGroupName}/${logStreamName}`);
    if (lines === undefined)
      throw new AwsError('ResourceNotFoundException', 'The specified log stream does not exist.');
    const [, direction = startFromHead ? 'f' : 'b', place] = /^([fb])\/(\d+)$/.exec(nextToken ?? '') ?? [];
    const isForward = direction === 'f';
    const at = place === undefined ? (isForward ? 0 : lines.length) : Number(place);
    const [from, to] = isForward ? [at, Math.min(lines.length, at + limit)] : [Math.max(0, at - limit), at];
    return {
      events: lines.slice(from, to).map(({ time, text }) => ({
        timestamp: time,
        ingestionTime: time,
        message: text,
      })),
      nextForwardToken: `f/${to}`,
      nextBackwardToken: `b/${from}`,
    };
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
