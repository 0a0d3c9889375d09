import { AwsError } from '../aws/aws-error.ts';
import { MALFORMED_NOTIFICATIONS } from '../whatsapp/webhook.ts';
import { type Fault, GOOD, isGcRequest, MINUTE, once } from './fault.ts';

/** What goes wrong of the callbacks and their ways. */
export const CALLBACKS_FAULTS: Record<string, Fault> = {
  'callback-never-comes': {
    description: 'GC is done, but no callback ever comes',
    deployment: 'latam',
    strike({ webApp }) {
      webApp.faults.callback = 'never';
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-failed'] },
  },
  'callback-twice': {
    description: 'Each callback comes twice',
    deployment: 'emea',
    strike({ webApp }) {
      webApp.faults.callback = 'twice';
    },
    expected: GOOD,
  },
  'callback-of-unknown-node': {
    description:
      'Callbacks come of a node that was never asked, too, and one that is larger than the bus takes',
    deployment: 'emea',
    async strike({ webApp }) {
      webApp.faults.callback = 'also-unknown-node';
      await webApp.sendCallback({ messages: [{ id: 'large', text: { body: 'x'.repeat(1_200_000) } }] });
    },
    expected: { ...GOOD, alarms: ['emea-callback-relay-too-large-for-bus'] },
  },
  'callback-failed-then-success': {
    description: 'The first GC ends with errors, the next one does not',
    deployment: 'latam',
    strike({ webApp }) {
      webApp.faults.failingRequests = 1;
    },
    expected: GOOD,
  },
  'node-replaced': {
    description: "A CoreApp's task is replaced while it collects: its callback never comes",
    deployment: 'emea',
    strike({ webApp }, { clock }, hooks) {
      hooks.onRequest = once(isGcRequest, () => {
        clock.at(clock.now() + 2000, () => {
          webApp.replaceNode(webApp.nodes()[0] ?? '');
        });
      });
    },
    expected: GOOD,
  },
  'malformed-notification': {
    description: 'Notifications that the client never sends come over the bus',
    deployment: 'latam',
    async strike({ webhook }) {
      for (const detail of MALFORMED_NOTIFICATIONS) await webhook.put(detail);
    },
    expected: { outcomes: {}, alarms: ['latam-gc-notifications-dead-letters'] },
  },
  'relay-without-bus': {
    description:
      'EventBridge refuses what the relay puts on the bus; the webhook gets every callback nonetheless',
    deployment: 'emea',
    strike(_target, { aws }) {
      aws.onCall(({ service, caller }) =>
        service === 'events' && caller.function?.name === 'emea-callback-relay'
          ? new AwsError('InternalFailure', 'EventBridge is down')
          : undefined,
      );
    },
    expected: {
      outcomes: { 'message-gc': ['failed'] },
      alarms: ['emea-callback-relay-not-on-bus'],
    },
  },
  'webhook-down-behind-relay': {
    description: 'The webhook behind the relay is down, and back some minutes later: the client sends again',
    deployment: 'emea',
    async strike({ webhook }, { clock }, hooks) {
      await webhook.goDown();
      // From the first callback on, which comes later the more rows there are: long enough for the alarm.
      hooks.onCollection = once(
        ({ outcome }) => outcome !== 'running',
        () => clock.at(clock.now() + 20 * MINUTE, () => webhook.comeBack()),
      );
    },
    expected: { ...GOOD, alarms: ['emea-callback-relay-webhook-fails'] },
  },
};
