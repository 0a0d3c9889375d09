import type { LookupEventsCommandInput } from '@aws-sdk/client-cloudtrail';
import * as client from '@aws-sdk/client-cloudtrail';
import type { ApiCall } from '../access/access-control.ts';
import { AwsError } from '../aws-error.ts';
import { anywhere, type Cloud, type Operations, operation, type Service } from '../cloud.ts';

/** CloudTrail's limit, and its default. */
const PAGE = 50;

/** Data events, which the event history has not, and uses of a role that are no calls of somebody. */
const NOT_IN_HISTORY =
  /^(lambda:Invoke|lambda:CheckpointDurable|sqs:(Send|Receive|Delete|Change)|events:PutEvents|logs:PutLogEvents|cloudwatch:(Get|Put)Metric|ssmmessages:|elasticfilesystem:)/;

/** AWS CloudTrail: the event history, of what the stand-in judged. */
export class CloudTrail implements Service {
  readonly signingName = 'cloudtrail';
  readonly client = client;
  readonly operations: Operations;

  constructor({ access }: Pick<Cloud, 'access'>) {
    this.operations = {
      LookupEvents: operation(
        anywhere('cloudtrail:LookupEvents'),
        (input: LookupEventsCommandInput, { account, region }) => {
          const {
            StartTime: from = new Date(0),
            EndTime: to = new Date(8.64e15),
            MaxResults: most = PAGE,
          } = input;
          const [wanted, ...others] = input.LookupAttributes ?? [];
          if (others.length > 0)
            throw new AwsError(
              'InvalidLookupAttributesException',
              'There is more than one lookup attribute.',
            );
          const fits = (event: ReturnType<typeof eventOf>) =>
            wanted === undefined ||
            attributesOf(event)[wanted.AttributeKey ?? '']?.includes(wanted.AttributeValue ?? '');
          const events = access.calls
            .filter(
              ({ time, action }) =>
                time >= from.getTime() && time <= to.getTime() && !NOT_IN_HISTORY.test(action),
            )
            .map((call, index) => eventOf(call, index, region))
            .filter((event) => event.recipientAccountId === account && fits(event))
            .reverse();
          const first = Number(input.NextToken ?? 0);
          return {
            Events: events.slice(first, first + most).map((event) => ({
              EventId: event.eventID,
              EventName: event.eventName,
              EventSource: event.eventSource,
              EventTime: new Date(event.eventTime),
              Username: event.userName,
              Resources: event.resources.map(({ ARN }) => ({ ResourceName: ARN })),
              CloudTrailEvent: JSON.stringify(event),
            })),
            ...(events.length > first + most && { NextToken: String(first + most) }),
          };
        },
      ),
    };
  }
}

/** As CloudTrail records it: what a service asks in a caller's name bears the service's name as well. */
function eventOf(
  { time, who, service, action, resource, denial, kms }: ApiCall,
  index: number,
  region: string,
) {
  const isIdentity = who.startsWith('arn:');
  const [, via] = /^([a-z0-9-]+)\./.exec(String(kms?.['kms:ViaService'] ?? '')) ?? [];
  const context = Object.entries(kms ?? {}).flatMap(([key, value]) => {
    const [, name] = /^kms:EncryptionContext:(.+)$/.exec(key) ?? [];
    return name === undefined ? [] : [[name, value]];
  });
  return {
    eventID: String(index),
    eventTime: new Date(time).toISOString(),
    eventName: action.split(':')[1] ?? '',
    eventSource: `${service}.amazonaws.com`,
    awsRegion: region,
    recipientAccountId: (isIdentity ? who : resource).split(':')[4] ?? '',
    userName: who.split('/').at(-1) ?? '',
    userIdentity: {
      type: isIdentity ? 'AssumedRole' : 'AWSService',
      ...(isIdentity && { arn: who }),
      ...(via !== undefined ? { invokedBy: `${via}.amazonaws.com` } : !isIdentity && { invokedBy: who }),
    },
    ...(kms && { requestParameters: { encryptionContext: Object.fromEntries(context) } }),
    resources: resource === '*' ? [] : [{ ARN: resource }],
    ...(denial !== undefined && { errorCode: 'AccessDenied', errorMessage: denial }),
  };
}

function attributesOf({
  eventName,
  userName,
  resources,
}: ReturnType<typeof eventOf>): Record<string, string[]> {
  return { EventName: [eventName], Username: [userName], ResourceName: resources.map(({ ARN }) => ARN) };
}
