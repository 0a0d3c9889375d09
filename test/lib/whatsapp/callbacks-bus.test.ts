import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { createEncryptionKey, letServicesEncrypt } from '../../../lib/encryption.ts';
import { CallbacksBus } from '../../../lib/whatsapp/callbacks-bus.ts';
import { deploy, MINUTE, START } from '../../rehearsal/aws/deploy.ts';

const GC = { services: [{ message: { gc: { messages_deleted: 11, status: 'complete' } } }] };
const INBOUND = { messages: [{ id: 'wamid.1', from: '5511', timestamp: '1', type: 'text' }] };

test("whatever of the key's policy is taken from EventBridge, a callback is kept, and an alarm rings", () =>
  deploy(
    (stack) => {
      const encryptionKey = createEncryptionKey(stack, 'Key', 'latam');
      letServicesEncrypt(encryptionKey, 'latam');
      new CallbacksBus(stack, 'Callbacks', {
        deployment: 'latam',
        topic: new Topic(stack, 'Alarms'),
        encryptionKey,
        keepUnreadMessages: true,
      });
    },
    async ({ aws, clock, client }) => {
      const events = new EventBridgeClient(client());
      const key = aws.deployed.ofType('AWS::KMS::Key')[0]?.arn ?? '';
      const put = (detail: object) =>
        events.send(
          new PutEventsCommand({
            Entries: [
              {
                EventBusName: 'latam-callbacks',
                Source: 'whatsapp',
                DetailType: 'WhatsApp Callback',
                Detail: JSON.stringify(detail),
              },
            ],
          }),
        );
      let until = START;
      for (const { without, detail } of [
        { without: ['BusEncrypts'], detail: INBOUND },
        { without: ['RulesReachTheQueues'], detail: INBOUND },
        { without: ['RulesReachTheQueues'], detail: GC },
        { without: ['BusDescribesKey', 'BusEncrypts', 'RulesReachTheQueues'], detail: GC },
      ]) {
        const putBack = without.map((sid) => aws.access.withdraw(key, sid));
        await put(detail);
        const before = aws.alarms.length;
        until += 90 * MINUTE;
        await clock.runUntil(until);
        for (const each of putBack.reverse()) each();
        const last = JSON.parse(aws.sqs.bodies('latam-callbacks-dead-letters').at(-1) ?? '{}');
        assert.deepEqual(last.detail, detail, without.join());
        // What lies there from before hides nothing, and one cause rings one alarm.
        const rang = aws.alarms.slice(before).filter(({ to }) => to === 'ALARM');
        assert.deepEqual(
          rang.map(({ alarm }) => alarm),
          ['latam-callbacks-dead-letters'],
          without.join(),
        );
      }
      // Kept until somebody looks; nothing was lost on the way.
      assert.equal(aws.sqs.bodies('latam-callbacks-dead-letters').length, 4);
      assert.deepEqual(aws.dropped, []);
      events.destroy();
    },
  ));
