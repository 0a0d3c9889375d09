import { type Fault, GOOD, HOUR, LARGE, SUNDAY } from './fault.ts';

/** What goes wrong of the schedules and of what starts runs. */
export const SCHEDULES_FAULTS: Record<string, Fault> = {
  'first-deploy-failed': {
    description:
      'The first deploy failed late and was rolled back: nothing that it left is in the way of the one that the night is played with',
    deployment: 'latam',
    strike(_target, { aws }) {
      const taken = aws.deployed.inTheWayOfTheNext();
      if (taken.length > 0)
        throw new Error(`The deploy fails: ${taken.map(({ name }) => `${name} already exists`).join(', ')}.`);
    },
    expected: GOOD,
  },
  'scheduled-twice': {
    description: 'EventBridge Scheduler delivers the same schedule twice',
    deployment: 'latam',
    strike(_target, { aws }) {
      aws.scheduler.fault('latam-message-gc', { kind: 'doubled' });
    },
    expected: GOOD,
  },
  'delivered-late': {
    description: 'The schedule is delivered after the downtime window ended; the next night is good',
    deployment: 'latam',
    strike(_target, { aws, clock }) {
      aws.scheduler.fault('latam-message-gc', { kind: 'delayed', milliseconds: 4 * HOUR });
      clock.at(clock.now() + 18 * HOUR, () => {
        aws.scheduler.fault('latam-message-gc', undefined);
      });
    },
    // A skipped night is a night without a success.
    expected: { outcomes: { 'message-gc': ['skipped', 'succeeded'] }, alarms: ['latam-message-gc-missed'] },
    lasts: 36 * HOUR,
  },
  'schedule-never-fires': {
    description: 'The schedule was disabled by hand: nothing fails, and nothing happens',
    deployment: 'emea',
    strike(_target, { aws }) {
      aws.scheduler.fault('emea-message-gc', { kind: 'disabled' });
    },
    expected: {
      outcomes: { 'message-gc': [] },
      alarms: ['emea-message-gc-missed'],
      alarmsOfLargeTables: ['emea-database-size-wa1-large'],
      severalMessages: LARGE,
    },
    lasts: 36 * HOUR,
  },
  'window-no-longer-quiet': {
    description: 'For weeks most callbacks have come in the downtime window',
    deployment: 'emea',
    starts: SUNDAY,
    strike({ name }, { aws, clock }) {
      const place = aws.deployed
        .ofType('AWS::Events::EventBus')
        .find((bus) => bus.name === `${name}-callbacks`);
      if (!place) throw new Error('There is no bus.');
      const rule = { EventBusName: place.name, RuleName: place.name };
      const now = clock.now();
      for (let at = now - 28 * 24 * HOUR; at < now; at += HOUR / 4) {
        // In Berlin from 23:00 to 05:00.
        const isNight = [22, 23, 0, 1, 2, 3].includes(new Date(at).getUTCHours());
        aws.cloudWatch.put(place, 'AWS/Events', 'MatchedEvents', rule, isNight ? 200 : 10, at);
      }
    },
    expected: {
      outcomes: {},
      alarms: ['emea-message-gc-window'],
      problems: [
        /^The downtime window is no longer quiet: 800 of MatchedEvents in an hour of it, 40 in an hour of \S+ to \S+, .*days\. npx wa-upkeep window emea/,
      ],
    },
  },
  'weekly-schedule-never-fires': {
    description: 'The weekly schedules were disabled by hand: nothing fails, and nothing happens',
    deployment: 'emea',
    // Long enough before, that the alarm is no new one any more.
    starts: SUNDAY - 12 * HOUR,
    strike(_target, { aws }) {
      for (const job of ['media-gc', 'application-settings'])
        aws.scheduler.fault(`emea-${job}`, { kind: 'disabled' });
    },
    expected: {
      outcomes: { 'media-gc': [], 'application-settings': [] },
      alarms: ['emea-media-gc-missed', 'emea-application-settings-missed'],
      severalMessages: 'two schedules were disabled, each of its own job',
    },
    lasts: 24 * HOUR,
  },
  'start-run-fails-at-first': {
    description: "start-run's first try fails, its second works",
    deployment: 'latam',
    strike(_target, { aws }) {
      aws.onInvoke(({ functionName, attempt }) =>
        functionName === 'latam-start-run' && attempt === 1 ? new Error('The first try fails') : undefined,
      );
    },
    expected: { ...GOOD, onlyShown: ['latam-start-run-errors'] },
  },
  'start-run-fails': {
    description:
      'start-run fails each time it is tried for a run, of which one message tells, and not another one the next day; the next night is good',
    deployment: 'emea',
    strike(_target, { aws, clock }) {
      const stop = aws.onInvoke(({ functionName, payload }) =>
        functionName === 'emea-start-run' && payload.includes('"database-size"')
          ? new Error('Every try fails')
          : undefined,
      );
      clock.at(clock.now() + 18 * HOUR, stop);
    },
    expected: {
      outcomes: { 'database-size': ['failed', 'succeeded'] },
      alarms: ['emea-start-run-dead-letters'],
      onlyShown: ['emea-start-run-errors'],
    },
    lasts: 36 * HOUR,
  },
};
