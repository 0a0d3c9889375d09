import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  LiveTailSessionLogEvent,
  StartLiveTailCommandInput,
  StartLiveTailResponseStream,
} from '@aws-sdk/client-cloudwatch-logs';
import { AwsError } from '../aws-error.ts';
import { filterOf } from './filter-pattern.ts';

/** What a session looks at: a group's lines, to which others are added. */
export interface TailedGroup {
  arn: string;
  lines: readonly { time: number; stream: string; text: string }[];
}

/** Groups of one session, and events of a second beyond which only some are shown (CloudWatch Logs API reference). */
const MOST_GROUPS = 10;
const MOST_EVENTS = 500;
/** By the real clock: who tails is a person. */
const UPDATE_MS = 1000;

/** What comes to some groups from now on, as StartLiveTail streams it until whoever asked goes away: here not after three hours. */
export function liveTail(
  input: StartLiveTailCommandInput,
  groups: readonly TailedGroup[],
  requestId: string,
): AsyncIterable<Partial<StartLiveTailResponseStream>> {
  const { logStreamNames: names, logStreamNamePrefixes: prefixes, logEventFilterPattern: pattern } = input;
  if (groups.length === 0 || groups.length > MOST_GROUPS)
    throw new AwsError('InvalidParameterException', `logGroupIdentifiers must be 1 to ${MOST_GROUPS}.`);
  if ((names ?? prefixes) && groups.length > 1)
    throw new AwsError('InvalidParameterException', 'Streams can be named of one log group only.');
  if (names && prefixes)
    throw new AwsError(
      'InvalidParameterException',
      'logStreamNames and logStreamNamePrefixes exclude each other.',
    );
  const takes = filterOf(pattern ?? '');
  const shown = groups.map(({ lines }) => lines.length);

  function news(): LiveTailSessionLogEvent[] {
    return groups.flatMap(({ arn, lines }, index) => {
      const fresh = lines.slice(shown[index]);
      shown[index] = lines.length;
      return fresh
        .filter(
          ({ stream, text }) =>
            (names?.includes(stream) ?? true) &&
            (prefixes?.some((prefix) => stream.startsWith(prefix)) ?? true) &&
            takes(text),
        )
        .map(({ time, stream, text }) => ({
          ...{ logStreamName: stream, logGroupIdentifier: arn, message: text },
          ...{ timestamp: Math.floor(time), ingestionTime: Math.floor(time) },
        }));
    });
  }

  async function* session(): AsyncIterable<Partial<StartLiveTailResponseStream>> {
    const { logGroupIdentifiers } = input;
    yield {
      sessionStart: {
        ...{ requestId, sessionId: randomUUID(), logGroupIdentifiers },
        ...{ logStreamNames: names, logStreamNamePrefixes: prefixes, logEventFilterPattern: pattern },
      },
    };
    for (;;) {
      await delay(UPDATE_MS, undefined, { ref: false });
      const events = news();
      yield {
        sessionUpdate: {
          sessionMetadata: { sampled: events.length > MOST_EVENTS },
          sessionResults: events.slice(0, MOST_EVENTS),
        },
      };
    }
  }
  return session();
}
