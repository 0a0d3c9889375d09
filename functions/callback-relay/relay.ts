import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { LambdaFunctionURLEvent, LambdaFunctionURLResult } from 'aws-lambda';
import { METRIC_NAMESPACE } from '../shared/run/report.ts';
import { admission } from './admission.ts';
import { callbacksBus, type OnBus } from './callbacks-bus.ts';
import { contentOf } from './content.ts';
import { type CallbackRelaySettings, RELAY_JOB, RELAY_METRICS } from './contract.ts';
import { type Answer, webhook } from './webhook.ts';

/** The handler of a function URL. */
export type Relay = (event: LambdaFunctionURLEvent) => Promise<LambdaFunctionURLResult>;

/**
 * A handler that passes each callback to the webhook and to the bus at once, and answers what the webhook answered.
 * Nothing that the bus does changes that answer, nor keeps the callback from the webhook.
 */
export function createRelay(settings: CallbackRelaySettings): Relay {
  const logger = new Logger({ serviceName: process.env.AWS_LAMBDA_FUNCTION_NAME ?? RELAY_JOB });
  const admit = admission(settings);
  const { call } = webhook(settings);
  const { put, within } = callbacksBus(settings);
  const publish = metricsOf(settings);

  return async function relay(event) {
    const begin = performance.now();
    const admitted = admit(event);
    if (!('body' in admitted)) {
      publish({ [admitted.metric]: 1 });
      return { statusCode: admitted.status, headers: admitted.headers };
    }
    const called = performance.now();
    const calling = call(event, admitted.body);
    const content = await contentOf(admitted.body, event.headers['content-encoding']);
    const putting = content.kind === 'callback' && !content.mustComeOnce ? put(content.detail) : undefined;
    const answer = await calling;
    const webhookMilliseconds = performance.now() - called;
    let onBus: OnBus = { outcome: 'nothing-to-put' };
    if (content.kind === 'too-large') onBus = { outcome: 'too-large', bytes: content.bytes };
    else if (putting) onBus = await within(putting);
    else if (content.kind === 'callback')
      onBus = answer.status === 200 ? await within(put(content.detail)) : WILL_COME_AGAIN;

    report(logger, answer, onBus);
    const taken = answer.status === 200;
    publish({
      [RELAY_METRICS.relayed]: 1,
      [RELAY_METRICS.notTaken]: taken ? 0 : 1,
      [RELAY_METRICS.notOnBus]: onBus.outcome === 'lost' ? 1 : 0,
      [RELAY_METRICS.tooLargeForBus]: onBus.outcome === 'too-large' ? 1 : 0,
      ...(taken && { [RELAY_METRICS.webhookMilliseconds]: webhookMilliseconds }),
      [RELAY_METRICS.addedMilliseconds]: performance.now() - begin - webhookMilliseconds,
    });
    return { statusCode: answer.status };
  };
}

/** The webhook did not take it: the client sends it again, and then it gets on the bus. */
const WILL_COME_AGAIN: OnBus = { outcome: 'put-later' };

/** Says what did not go well, in words that hold nothing of a message, an address or a secret. */
function report(logger: Logger, answer: Answer, onBus: OnBus): void {
  if ('error' in answer) logger.warn('The webhook gave no answer.', { code: answer.error });
  if (onBus.outcome === 'lost') logger.warn('A callback did not get on the bus.', { code: onBus.code });
  if (onBus.outcome === 'too-large')
    logger.warn('A callback is too large for the bus.', { bytes: onBus.bytes });
}

function metricsOf({ deployment }: CallbackRelaySettings): (values: Record<string, number>) => void {
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE });
  // Powertools' own default dimension, `service`, would make a metric apart from the one that the alarms watch.
  metrics.clearDefaultDimensions();
  return (values) => {
    metrics.addDimensions({ deployment, job: RELAY_JOB });
    for (const [name, value] of Object.entries(values))
      metrics.addMetric(
        name,
        name.endsWith('Milliseconds') ? MetricUnit.Milliseconds : MetricUnit.Count,
        value,
      );
    metrics.publishStoredMetrics();
  };
}
