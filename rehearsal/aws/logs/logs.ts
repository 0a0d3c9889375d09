import type {
  DescribeLogGroupsCommandInput,
  DescribeLogStreamsCommandInput,
  FilterLogEventsCommandInput,
  GetLogEventsCommandInput,
  StartLiveTailCommandInput,
} from '@aws-sdk/client-cloudwatch-logs';
import * as client from '@aws-sdk/client-cloudwatch-logs';
import { AwsError } from '../aws-error.ts';
import {
  type Ask,
  type Call,
  type Cloud,
  type LogGroups,
  type Operations,
  operation,
  type Service,
} from '../cloud.ts';
import type { Place } from '../place.ts';
import type { Principal } from '../policy/policy.ts';
import { filterOf } from './filter-pattern.ts';
import { liveTail } from './live-tail.ts';

/** A line that a function wrote, or a container. */
export interface LogLine {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  group: string;
  stream: string;
  text: string;
}

/** A line with its number in its group. */
interface NumberedLine extends LogLine {
  number: number;
}

interface Group extends Place {
  name: string;
  /** Epoch milliseconds. */
  created: number;
  /** Also of containers that have said nothing yet. */
  streams: Set<string>;
  lines: NumberedLine[];
}

/** Events in one answer, and log groups or streams in one (CloudWatch Logs API reference). */
const EVENTS = 10_000;
const DESCRIBED = 50;
/** What one answer may have in bytes, each event with so many more than its text. */
const ANSWER_BYTES = 1024 ** 2;
const EVENT_BYTES = 26;

/** CloudWatch Logs: what Lambda writes to it, and the containers whose log driver is `awslogs`; and how it is read. */
export class Logs implements Service, LogGroups {
  readonly signingName = 'logs';
  readonly client = client;
  readonly operations: Operations;
  /** Whether GetLogEvents begins with a page that is empty though more follow, as it may (API reference). A fault can change it. */
  beginsWithEmptyPage = false;
  /** Of functions, without Lambda's own about their invocations. */
  readonly lines: LogLine[] = [];
  readonly #aws: Cloud;
  readonly #groups = new Map<string, Group>();
  /** Per stream: whether the role may write to it. */
  readonly #writable = new Map<string, boolean>();

  constructor(aws: Cloud) {
    this.#aws = aws;
    for (const resource of aws.deployed.ofType('AWS::Logs::LogGroup')) this.#group(resource);
    this.operations = {
      DescribeLogGroups: operation(
        // As AWS's refusals of it name the resource: of no group.
        (_input: DescribeLogGroupsCommandInput, call) => [ask('DescribeLogGroups', '', '', call)],
        (input, call) => this.#describeGroups(input, call),
      ),
      DescribeLogStreams: operation(
        (input: DescribeLogStreamsCommandInput, call) => [ask('DescribeLogStreams', nameOf(input), '', call)],
        (input, call) => this.#describeStreams(input, call),
      ),
      GetLogEvents: operation(
        (input: GetLogEventsCommandInput, call) => [
          ask('GetLogEvents', nameOf(input), input.logStreamName ?? '', call),
        ],
        (input, call) => this.#events(input, call),
      ),
      FilterLogEvents: operation(
        (input: FilterLogEventsCommandInput, call) => [ask('FilterLogEvents', nameOf(input), '', call)],
        (input, call) => this.#filter(input, call),
      ),
      StartLiveTail: operation(
        ({ logGroupIdentifiers: groups = [] }: StartLiveTailCommandInput, call) =>
          groups.map((arn) => ask('StartLiveTail', nameIn(arn), '', call)),
        (input, call) => ({
          responseStream: liveTail(
            input,
            (input.logGroupIdentifiers ?? []).map((identifier) => {
              const group = this.#known(nameIn(identifier), call);
              return { arn: arnOf(group), lines: group.lines };
            }),
            call.requestId,
          ),
        }),
      ),
    };
  }

  #describeGroups(input: DescribeLogGroupsCommandInput, call: Call) {
    const { logGroupNamePrefix: prefix = '', logGroupNamePattern: pattern = '' } = input;
    const found = [...this.#groups.values()]
      .filter((group) => isIn(group, call) && group.name.startsWith(prefix))
      .filter(({ name }) => name.toLowerCase().includes(pattern.toLowerCase()))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    const { items, nextToken } = page(found, input);
    return {
      logGroups: items.map((group) => {
        const { name, created } = group;
        const properties = this.#aws.deployed.byArn(`${arnOf(group)}:*`)?.properties;
        const retentionInDays = properties?.number('RetentionInDays', 0);
        const kmsKeyId = properties?.text('KmsKeyId', '');
        return {
          logGroupName: name,
          logGroupArn: arnOf(group),
          arn: `${arnOf(group)}:*`,
          creationTime: Math.floor(created),
          metricFilterCount: 0,
          storedBytes: bytesOf(this.#kept(group)),
          logGroupClass: 'STANDARD' as const,
          ...(retentionInDays && { retentionInDays }),
          ...(kmsKeyId && { kmsKeyId }),
        };
      }),
      nextToken,
    };
  }

  #describeStreams(input: DescribeLogStreamsCommandInput, call: Call) {
    const { logStreamNamePrefix: prefix = '', orderBy = 'LogStreamName', descending = false } = input;
    const group = this.#known(nameOf(input), call);
    const streams = Map.groupBy(
      this.#kept(group).filter(({ stream }) => stream.startsWith(prefix)),
      ({ stream }) => stream,
    );
    const found = [...streams].map(([name, lines]) => {
      const [first, last] = [lines[0]?.time ?? 0, lines.at(-1)?.time ?? 0].map(Math.floor);
      return {
        logStreamName: name,
        arn: `${arnOf(group)}:log-stream:${name}`,
        creationTime: first,
        firstEventTimestamp: first,
        lastEventTimestamp: last,
        lastIngestionTime: last,
        uploadSequenceToken: String(lines.at(-1)?.number ?? 0),
        storedBytes: 0,
      };
    });
    found.sort((one, other) =>
      orderBy === 'LastEventTime'
        ? (one.lastEventTimestamp ?? 0) - (other.lastEventTimestamp ?? 0)
        : one.logStreamName < other.logStreamName
          ? -1
          : 1,
    );
    const { items, nextToken } = page(descending ? found.reverse() : found, input);
    return { logStreams: items, nextToken };
  }

  #events(input: GetLogEventsCommandInput, call: Call) {
    const { startTime = 0, endTime = Number.POSITIVE_INFINITY, limit = EVENTS, startFromHead } = input;
    const group = this.#known(nameOf(input), call);
    const ofStream = this.#kept(group).filter(({ stream }) => stream === input.logStreamName);
    if (!group.streams.has(input.logStreamName ?? ''))
      throw new AwsError('ResourceNotFoundException', 'The specified log stream does not exist.');
    const within = ofStream.filter(({ time }) => time >= startTime && time < endTime);
    const [, direction, text] = /^([fb])\/(\d+)$/.exec(input.nextToken ?? '') ?? [];
    if (input.nextToken !== undefined && text === undefined)
      throw new AwsError('InvalidParameterException', 'The specified nextToken is invalid.');
    if (input.nextToken === undefined && this.beginsWithEmptyPage)
      return {
        events: [],
        nextForwardToken: `f/${within[0]?.number ?? 0}`,
        nextBackwardToken: `b/${(within.at(-1)?.number ?? -1) + 1}`,
      };
    const place = Number(text);
    const events =
      direction === 'f' || (direction === undefined && startFromHead)
        ? fitting(within.filter(({ number }) => direction === undefined || number >= place).slice(0, limit))
        : fitting(
            within
              .filter(({ number }) => direction === undefined || number < place)
              .reverse()
              .slice(0, limit),
          ).reverse();
    const [first, last] = [events[0]?.number, events.at(-1)?.number];
    return {
      events: events.map(({ time, text: message }) => ({
        timestamp: Math.floor(time),
        ingestionTime: Math.floor(time),
        message,
      })),
      // At either end the token stays what it was.
      nextForwardToken: `f/${last === undefined ? place || (within.at(-1)?.number ?? -1) + 1 : last + 1}`,
      nextBackwardToken: `b/${first ?? (place || 0)}`,
    };
  }

  #filter(input: FilterLogEventsCommandInput, call: Call) {
    const { startTime = 0, endTime = Number.POSITIVE_INFINITY, limit = EVENTS, nextToken } = input;
    const { logStreamNames: streams, logStreamNamePrefix: prefix = '' } = input;
    if (nextToken !== undefined && !/^\d+$/.test(nextToken))
      throw new AwsError('InvalidParameterException', 'The specified nextToken is invalid.');
    const takes = filterOf(input.filterPattern ?? '');
    const from = Number(nextToken ?? 0);
    const found = this.#kept(this.#known(nameOf(input), call)).filter(
      ({ number, time, stream, text }) =>
        number >= from &&
        time >= startTime &&
        time <= endTime &&
        (streams?.includes(stream) ?? true) &&
        stream.startsWith(prefix) &&
        takes(text),
    );
    const events = fitting(found.slice(0, limit));
    const rest = found[events.length];
    return {
      events: events.map(({ number, time, stream, text }) => ({
        logStreamName: stream,
        timestamp: Math.floor(time),
        ingestionTime: Math.floor(time),
        message: text,
        eventId: String(number).padStart(56, '0'),
      })),
      searchedLogStreams: [],
      ...(rest && { nextToken: String(rest.number) }),
    };
  }

  #known(name: string, { account, region }: Place): Group {
    const group = this.#groups.get(`${account}/${region}/${name}`);
    if (group === undefined)
      throw new AwsError('ResourceNotFoundException', 'The specified log group does not exist.');
    return group;
  }

  #group({ name, account, region }: Place & { name: string }): Group {
    const key = `${account}/${region}/${name}`;
    const group = this.#groups.get(key) ?? {
      name,
      account,
      region,
      created: this.#aws.clock.now(),
      streams: new Set<string>(),
      lines: [],
    };
    this.#groups.set(key, group);
    return group;
  }

  /** Opens the stream of a container, as its log driver does before it starts. */
  openStream(place: Place, name: string, stream: string): (text: string) => void {
    const group = { account: place.account, region: place.region, name };
    this.#group(group).streams.add(stream);
    return (text) => this.#keep(group, { time: this.#aws.clock.now(), group: name, stream, text });
  }

  #keep(place: Place & { name: string }, line: LogLine): void {
    const { lines, streams } = this.#group(place);
    streams.add(line.stream);
    lines.push({ ...line, number: lines.length });
  }

  /** What a group's retention has left of it. */
  #kept(group: Group): NumberedLine[] {
    const days = this.#aws.deployed.byArn(`${arnOf(group)}:*`)?.properties.number('RetentionInDays', 0);
    if (!days) return group.lines;
    const oldest = this.#aws.clock.now() - days * DAY;
    return group.lines.filter(({ time }) => time >= oldest);
  }

  /** Keeps a function's line, and the metrics in it. Lines that the role may not write are lost, and noted. */
  write(
    group: Place & { name: string },
    stream: string,
    text: string,
    role: Principal,
    functionName: string,
    isPlatform = false,
  ): void {
    const key = `${group.account}/${group.region}/${group.name}/${stream}`;
    let writable = this.#writable.get(key);
    if (writable === undefined) {
      writable = this.#mayWrite(group, stream, role, functionName);
      this.#writable.set(key, writable);
    }
    if (!writable) return;
    const time = this.#aws.clock.now();
    const line: LogLine = { time, group: group.name, stream, text };
    if (!isPlatform) this.lines.push(line);
    this.#keep(group, line);
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

const DAY = 24 * 3600 * 1000;

function ask(action: string, group: string, stream: string, { account, region }: Place): Ask {
  // As AWS's refusals name it, so that a policy on `…:log-group:NAME:*` allows it.
  const resource = `arn:aws:logs:${region}:${account}:log-group:${group}:log-stream:${stream}`;
  return { action: `logs:${action}`, resource };
}

function arnOf({ name, account, region }: Place & { name: string }): string {
  return `arn:aws:logs:${region}:${account}:log-group:${name}`;
}

function nameOf(input: {
  logGroupName?: string | undefined;
  logGroupIdentifier?: string | undefined;
}): string {
  const { logGroupName: name, logGroupIdentifier: identifier } = input;
  if ((name === undefined) === (identifier === undefined))
    throw new AwsError(
      'InvalidParameterException',
      'Exactly one of logGroupName and logGroupIdentifier is needed.',
    );
  return name ?? nameIn(identifier ?? '');
}

/** A log group's name, from its ARN or from itself. */
function nameIn(identifier: string): string {
  return identifier.replace(/^arn:.*:log-group:/, '');
}

function isIn(place: Place, { account, region }: Place): boolean {
  return place.account === account && place.region === region;
}

function bytesOf(lines: LogLine[]): number {
  return lines.reduce((sum, { text }) => sum + Buffer.byteLength(text) + EVENT_BYTES, 0);
}

/** As many as one answer holds, of which there is one at least. */
function fitting(lines: NumberedLine[]): NumberedLine[] {
  let bytes = 0;
  const end = lines.findIndex(({ text }, index) => {
    bytes += Buffer.byteLength(text) + EVENT_BYTES;
    return index > 0 && bytes > ANSWER_BYTES;
  });
  return end === -1 ? lines : lines.slice(0, end);
}

function page<Item>(
  items: Item[],
  { limit = DESCRIBED, nextToken }: { limit?: number | undefined; nextToken?: string | undefined },
): { items: Item[]; nextToken?: string } {
  if (limit < 1 || limit > DESCRIBED)
    throw new AwsError('InvalidParameterException', `limit must be from 1 to ${DESCRIBED}.`);
  const from = Number(nextToken ?? 0);
  const end = from + limit;
  return { items: items.slice(from, end), ...(end < items.length && { nextToken: String(end) }) };
}
