import { randomUUID } from 'node:crypto';
import type {
  DescribeEventBusCommandInput,
  DescribeRuleCommandInput,
  ListRulesCommandInput,
  ListTargetsByRuleCommandInput,
  PutEventsCommandInput,
} from '@aws-sdk/client-eventbridge';
import * as client from '@aws-sdk/client-eventbridge';
import { AwsError } from '../aws-error.ts';
import {
  anywhere,
  type Call,
  type Cloud,
  type DefaultBus,
  type Operations,
  operation,
  required,
  type Service,
} from '../cloud.ts';
import type { Place } from '../place.ts';
import { UnknownTemplate } from '../template/properties.ts';
import type { Resource } from '../template/resource.ts';
import { TokenBuckets } from '../token-bucket.ts';
import { isRecord } from '../wire/values.ts';
import { matchesPattern } from './event-pattern.ts';
import { invocationsRate, putEventsRate } from './rates.ts';
import { busArn, type Rule, ruleOf } from './rule.ts';

/** An event as rules and targets see it. */
export interface BusEvent {
  version: '0';
  id: string;
  'detail-type': string;
  source: string;
  account: string;
  /** ISO 8601, to the second. */
  time: string;
  region: string;
  resources: string[];
  detail: Record<string, unknown>;
}

/** PutEvents takes at most so many entries, and together so many bytes (1 MiB since January 2026). */
const MAXIMUM_ENTRIES = 10;
const MAXIMUM_BYTES = 1_048_576;

const EVENTS = { kind: 'service', service: 'events.amazonaws.com' } as const;

/** Amazon EventBridge: buses, rules with patterns, targets SQS and Lambda. */
export class EventBridge implements Service, DefaultBus {
  readonly signingName = 'events';
  readonly client = client;
  /** Every event that a bus took. */
  readonly taken: { busArn: string; event: BusEvent }[] = [];
  /** ARNs of targets that take nothing, as long as EventBridge tries. */
  readonly unreachable = new Set<string>();
  /** By its quotas: requests of PutEvents, and invocations of rules' targets. */
  readonly buckets: Record<'puts' | 'invocations', TokenBuckets>;
  readonly operations: Operations;
  readonly #aws: Cloud;
  readonly #rules: Rule[];
  readonly #buses: Resource[];

  constructor(aws: Cloud) {
    this.#aws = aws;
    this.buckets = {
      puts: new TokenBuckets(aws.clock, putEventsRate),
      invocations: new TokenBuckets(aws.clock, invocationsRate),
    };
    this.#buses = aws.deployed.ofType('AWS::Events::EventBus');
    this.#rules = aws.deployed.ofType('AWS::Events::Rule').map(ruleOf);
    for (const { arn, properties } of this.#buses) {
      if (properties.has('Policy')) aws.access.attach(arn, properties.policy('Policy'));
    }
    for (const { properties, ...place } of aws.deployed.ofType('AWS::Events::EventBusPolicy')) {
      const statement = properties.values.Statement;
      if (!isRecord(statement)) throw new UnknownTemplate(`${properties.where} has no Statement`);
      aws.access.attach(busArn(properties.text('EventBusName', 'default'), place), {
        Statement: { Effect: 'Allow', ...statement },
      });
    }
    for (const bus of this.#buses) {
      const refused = this.#checkKey(bus, ['kms:DescribeKey']);
      if (refused !== undefined) aws.drop(EVENTS.service, bus.arn, refused);
    }
    this.operations = {
      PutEvents: operation(
        ({ Entries: entries = [] }: PutEventsCommandInput, call) =>
          entries.map(({ EventBusName: bus = 'default', Source, DetailType }) => ({
            action: 'events:PutEvents',
            resource: busArn(bus, call),
            conditions: {
              'events:source': Source ?? '',
              'events:detail-type': DetailType ?? '',
              'events:eventBusInvocation': 'false',
            },
          })),
        (input, call) => this.#put(input, call),
      ),
      ListEventBuses: operation(anywhere('events:ListEventBuses'), (_input: object, { account, region }) => ({
        EventBuses: [
          { Name: 'default', Arn: busArn('default', { account, region }) },
          ...this.#buses
            .filter((bus) => bus.account === account && bus.region === region)
            .map(({ name, arn }) => ({ Name: name, Arn: arn })),
        ],
      })),
      DescribeEventBus: operation(
        ({ Name = 'default' }: DescribeEventBusCommandInput, call) => [
          { action: 'events:DescribeEventBus', resource: busArn(Name, call) },
        ],
        ({ Name = 'default' }, call) => {
          const arn = busArn(Name, call);
          if (!this.#exists(arn)) throw noBus(arn);
          return { Name: arn.replace(/^.*\//, ''), Arn: arn };
        },
      ),
      ListRules: operation(
        anywhere('events:ListRules'),
        ({ EventBusName = 'default', NamePrefix = '' }: ListRulesCommandInput, call) => {
          const bus = busArn(EventBusName, call);
          if (!this.#exists(bus)) throw noBus(bus);
          return {
            Rules: this.#rules
              .filter((rule) => rule.bus === bus && rule.name.startsWith(NamePrefix))
              .map(described),
          };
        },
      ),
      DescribeRule: operation(
        ({ Name, EventBusName }: DescribeRuleCommandInput, call) => [
          { action: 'events:DescribeRule', resource: ruleArn(required(Name), EventBusName, call) },
        ],
        ({ Name, EventBusName = 'default' }, call) => described(this.#rule(Name, busArn(EventBusName, call))),
      ),
      ListTargetsByRule: operation(
        ({ Rule: name, EventBusName }: ListTargetsByRuleCommandInput, call) => [
          { action: 'events:ListTargetsByRule', resource: ruleArn(required(name), EventBusName, call) },
        ],
        ({ Rule: name, EventBusName = 'default' }, call) => ({
          Targets: this.#rule(name, busArn(EventBusName, call)).targets.map(({ id, arn }) => ({
            Id: id,
            Arn: arn,
          })),
        }),
      ),
    };
  }

  /** An AWS service's event, on the default bus. */
  emit(
    { account, region }: Place,
    source: string,
    detailType: string,
    detail: Record<string, unknown>,
    resources: string[] = [],
  ): void {
    this.#publish(
      busArn('default', { account, region }),
      this.#event(account, region, source, detailType, detail, resources),
    );
  }

  #put({ Entries: entries = [] }: PutEventsCommandInput, { account, region }: Call) {
    this.buckets.puts.take({ account, region });
    const bytes = entries.reduce(
      (sum, { Detail = '', Source = '', DetailType = '' }) =>
        sum + Buffer.byteLength(Detail) + Buffer.byteLength(Source) + Buffer.byteLength(DetailType),
      0,
    );
    if (entries.length === 0 || entries.length > MAXIMUM_ENTRIES) {
      throw new AwsError(
        'ValidationException',
        `1 to ${MAXIMUM_ENTRIES} entries are allowed, not ${entries.length}`,
      );
    }
    if (bytes > MAXIMUM_BYTES) {
      throw new AwsError(
        'ValidationException',
        'Total size of the entries in the request is over the limit.',
      );
    }
    const results = entries.map((entry) => {
      const { Source: source, DetailType: type, Detail: text } = entry;
      if (source === undefined || type === undefined || text === undefined) {
        return {
          ErrorCode: 'InvalidArgument',
          ErrorMessage: 'Parameter Source, DetailType or Detail is not valid.',
        };
      }
      if (source.startsWith('aws.')) {
        return {
          ErrorCode: 'NotAuthorizedForSourceException',
          ErrorMessage: 'Not authorized for the source.',
        };
      }
      const detail = jsonObject(text);
      if (detail === undefined) {
        return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' };
      }
      const bus = busArn(entry.EventBusName ?? 'default', { account, region });
      if (!this.#exists(bus)) {
        return { ErrorCode: 'ResourceNotFoundException', ErrorMessage: `Event bus ${bus} does not exist.` };
      }
      const event = this.#event(account, region, source, type, detail, entry.Resources ?? [], entry.Time);
      this.#publish(bus, event);
      return { EventId: event.id };
    });
    return {
      FailedEntryCount: results.filter((result) => 'ErrorCode' in result).length,
      Entries: results,
    };
  }

  #event(
    account: string,
    region: string,
    source: string,
    detailType: string,
    detail: Record<string, unknown>,
    resources: string[],
    time = new Date(this.#aws.clock.now()),
  ): BusEvent {
    return {
      version: '0',
      id: randomUUID(),
      'detail-type': detailType,
      source,
      account,
      time: time.toISOString().replace(/\.\d+Z$/, 'Z'),
      region,
      resources,
      detail,
    };
  }

  #publish(bus: string, event: BusEvent): void {
    const { clock } = this.#aws;
    if (!this.#isEncrypted(bus, event)) return;
    this.taken.push({ busArn: bus, event });
    for (const rule of this.#rules) {
      if (rule.bus !== bus || !rule.enabled || !matchesPattern(rule.pattern, { ...event })) continue;
      this.#count(rule, 'MatchedEvents');
      for (const target of rule.targets) {
        const time = clock.now() + this.buckets.invocations.takeLater(rule.resource);
        clock.at(time, () => this.#deliver(rule, target, event));
      }
    }
  }

  /** Whether the key of the bus lets EventBridge use it. What it cannot encrypt goes to the bus's dead-letter queue. */
  #isEncrypted(arn: string, event: BusEvent): boolean {
    const bus = this.#buses.find((other) => other.arn === arn);
    if (bus === undefined) return true;
    const refused = this.#checkKey(bus, ['kms:Decrypt', 'kms:GenerateDataKey'], {
      'kms:EncryptionContext:aws:events:event-bus:arn': arn,
    });
    if (refused === undefined) return true;
    const deadLetter = bus.properties.child('DeadLetterConfig')?.text('Arn');
    const lost =
      deadLetter === undefined
        ? 'the bus has no dead-letter queue'
        : this.#aws.sqs.deliver(
            EVENTS,
            deadLetter,
            JSON.stringify(event),
            errorAttributes('KMS_ACCESS_DENIED', refused),
            { 'aws:SourceArn': arn, 'aws:SourceAccount': bus.account },
          );
    if (lost !== undefined) this.#aws.drop(EVENTS.service, arn, `${refused}; ${lost}`);
    return false;
  }

  /** Undefined, or the refusal. EventBridge's requests to KMS carry neither source ARN nor source account. */
  #checkKey(bus: Resource, actions: string[], conditions: Record<string, string> = {}): string | undefined {
    const keyId = bus.properties.text('KmsKeyIdentifier', undefined);
    return this.#aws.access.checkKey(keyId, EVENTS, actions, conditions, bus);
  }

  #deliver(rule: Rule, target: Rule['targets'][number], event: BusEvent): void {
    const conditions = { 'aws:SourceArn': rule.arn, 'aws:SourceAccount': rule.resource.account };
    const body = target.input ?? JSON.stringify(event);
    const isUnreachable = this.unreachable.has(target.arn);
    const refused = isUnreachable
      ? 'The target did not answer'
      : target.arn.startsWith('arn:aws:sqs:')
        ? this.#aws.sqs.deliver(EVENTS, target.arn, body, {}, conditions)
        : (this.#aws.access.check({
            principal: EVENTS,
            action: 'lambda:InvokeFunction',
            resource: target.arn,
            conditions,
          }) ?? this.#aws.lambda.enqueue(target.arn, body));
    this.#count(rule, 'Invocations');
    if (refused === undefined) return;
    this.#count(rule, 'FailedInvocations');
    const lost =
      target.deadLetter === undefined
        ? 'the rule has no dead-letter queue'
        : this.#aws.sqs.deliver(
            EVENTS,
            target.deadLetter,
            body,
            {
              RULE_ARN: { DataType: 'String', StringValue: rule.arn },
              TARGET_ARN: { DataType: 'String', StringValue: target.arn },
              ...errorAttributes(isUnreachable ? 'RETRY_ATTEMPTS_EXHAUSTED' : 'NO_PERMISSIONS', refused),
            },
            conditions,
          );
    if (lost === undefined) return;
    this.#count(rule, 'InvocationsFailedToBeSentToDlq');
    this.#aws.drop(rule.arn, target.arn, `${refused}; ${lost}`);
  }

  #count(rule: Rule, metric: string): void {
    const dimensions: Record<string, string> = { RuleName: rule.name };
    if (!rule.bus.endsWith('/default')) dimensions.EventBusName = rule.bus.replace(/^.*\//, '');
    this.#aws.cloudWatch.put(rule.resource, 'AWS/Events', metric, dimensions, 1);
  }

  #exists(arn: string): boolean {
    return arn.endsWith(':event-bus/default') || this.#buses.some((bus) => bus.arn === arn);
  }

  #rule(name: string | undefined, bus: string): Rule {
    const rule = this.#rules.find((other) => other.name === name && other.bus === bus);
    if (rule === undefined) throw new AwsError('ResourceNotFoundException', `Rule ${name} does not exist.`);
    return rule;
  }
}

/** As EventBridge adds them to what it gives up. */
function errorAttributes(code: string, message: string) {
  return {
    ERROR_CODE: { DataType: 'String', StringValue: code },
    ERROR_MESSAGE: { DataType: 'String', StringValue: message },
  };
}

function described(rule: Rule) {
  return {
    Name: rule.name,
    Arn: rule.arn,
    EventPattern: JSON.stringify(rule.pattern),
    State: rule.enabled ? 'ENABLED' : 'DISABLED',
    EventBusName: rule.bus.replace(/^.*\//, ''),
  };
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function noBus(arn: string): AwsError {
  return new AwsError('ResourceNotFoundException', `Event bus ${arn} does not exist.`);
}

function ruleArn(name: string, busNameOrArn = 'default', { account, region }: Place): string {
  const bus = busNameOrArn.replace(/^.*\//, '');
  return `arn:aws:events:${region}:${account}:rule/${bus === 'default' ? name : `${bus}/${name}`}`;
}
