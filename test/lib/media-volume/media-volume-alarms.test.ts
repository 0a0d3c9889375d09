import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Size, type Stack } from 'aws-cdk-lib';
import { AlarmTopic } from '../../../lib/alarm-topic.ts';
import { MediaVolume } from '../../../lib/media-volume/media-volume.ts';
import { MediaVolumeAlarms } from '../../../lib/media-volume/media-volume-alarms.ts';
import type { Aws } from '../../../rehearsal/aws/server.ts';
import { ACCOUNT, deploy, HOUR, MINUTE, REGION } from '../../rehearsal/aws/deploy.ts';

const PLACE = { account: ACCOUNT, region: REGION };
const FILE_SYSTEM = 'fs-0123456789abcdef0';
const GIBIBYTE = 1024 ** 3;

function define(stack: Stack): void {
  new MediaVolumeAlarms(stack, 'Alarms', {
    volume: MediaVolume.fromFileSystem(stack, 'Volume', {
      deployment: 'latam',
      fileSystemId: FILE_SYSTEM,
      securityGroupId: 'sg-0123456789abcdef0',
      accessPointId: 'fsap-0123456789abcdef0',
    }),
    topic: new AlarmTopic(stack, 'Topic', { deployment: 'latam' }).topic,
    bursting: true,
    maximumSize: Size.gibibytes(100),
  });
}

function put(aws: Aws, metric: string, value: number, dimensions: Record<string, string> = {}): void {
  aws.cloudWatch.put(PLACE, 'AWS/EFS', metric, { FileSystemId: FILE_SYSTEM, ...dimensions }, value);
}

function putSize(aws: Aws, gibibytes: number): void {
  put(aws, 'StorageBytes', gibibytes * GIBIBYTE, { StorageClass: 'Total' });
}

function putBackupAge(aws: Aws, hours: number): void {
  const dimensions = { deployment: 'latam', job: 'database-size' };
  aws.cloudWatch.put(PLACE, 'Upkeep', 'LastBackupAgeHours', dimensions, hours);
}

/** What each alarm's state was last. */
function states(aws: Aws): Record<string, string> {
  return Object.fromEntries(aws.alarms.map(({ alarm, to }) => [alarm.replace('latam-media-', ''), to]));
}

it('rings while the volume is too large, and a gap in the figure does not make it quiet', () =>
  deploy(define, async ({ aws, clock }) => {
    putSize(aws, 99);
    await clock.runUntil(clock.now() + 2 * HOUR);
    assert.equal(states(aws).size, 'OK');
    putSize(aws, 101);
    await clock.runUntil(clock.now() + 26 * HOUR);
    assert.equal(states(aws).size, 'ALARM');
    putSize(aws, 60);
    await clock.runUntil(clock.now() + 2 * HOUR);
    assert.equal(states(aws).size, 'OK');
  }));

it('rings for an old backup until there is a new one, by one figure a day', () =>
  deploy(define, async ({ aws, clock }) => {
    putBackupAge(aws, 12);
    await clock.runUntil(clock.now() + 24 * HOUR);
    assert.equal(states(aws).backup, 'OK');
    putBackupAge(aws, 60);
    await clock.runUntil(clock.now() + 30 * HOUR);
    assert.equal(states(aws).backup, 'ALARM');
    putBackupAge(aws, 10);
    await clock.runUntil(clock.now() + 2 * HOUR);
    assert.equal(states(aws).backup, 'OK');
  }));

it('rings near the limits after a quarter of an hour, not at a passing peak', () =>
  deploy(define, async ({ aws, clock }) => {
    /** Minute by minute: the share of 100 MiB a second that is moved, and of the operations that are done. */
    const work = async (minutes: number, share: number) => {
      for (let minute = 0; minute < minutes; minute += 1) {
        put(aws, 'MeteredIOBytes', share * 100 * 1024 ** 2 * 60);
        put(aws, 'PermittedThroughput', 100 * 1024 ** 2);
        put(aws, 'PercentIOLimit', share * 100);
        put(aws, 'BurstCreditBalance', share > 0.8 ? 300 * GIBIBYTE : 2_000 * GIBIBYTE);
        await clock.runUntil(clock.now() + MINUTE);
      }
    };
    await work(30, 0.3);
    await work(5, 0.95);
    await work(20, 0.3);
    assert.deepEqual(
      aws.alarms.filter(({ to }) => to === 'ALARM'),
      [],
    );
    await work(30, 0.95);
    const { throughput, operations, 'burst-credits': credits } = states(aws);
    assert.deepEqual([throughput, operations, credits], ['ALARM', 'ALARM', 'ALARM']);
    await work(30, 0.3);
    assert.ok(Object.values(states(aws)).every((state) => state !== 'ALARM'));
    assert.ok(aws.notifications.some(({ subject }) => subject?.includes('latam-media-throughput')));
  }));
