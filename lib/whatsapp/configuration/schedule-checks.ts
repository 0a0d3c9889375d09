import { valueText } from '../../checks/mistakes.ts';
import { scheduleProblems, timeLimitProblems, windowFindings } from '../../checks/schedule.ts';
import type { Weekday } from '../../local-time.ts';
import { minutesFromTo } from '../../local-time.ts';
import type { Check } from './check.ts';
import { JOB_NAMES, type JobName } from './jobs-schema.ts';

/** They share one queue of callbacks, so that neither may run beside the other. */
const GC_JOBS = ['messageGc', 'mediaGc'] as const satisfies JobName[];

/** Whether runs fit into the downtime window, into what they wait for, and beside each other. */
export const SCHEDULE_CHECKS: Check[] = [
  {
    needs: ['window'],
    find: ({ window }) =>
      windowFindings(window).map(({ field, problem }) => ({ field: ['window', ...field], problem })),
  },
  ...JOB_NAMES.flatMap(checksOfJob),
  ...GC_JOBS.map(
    (job): Check => ({
      needs: [`jobs.${job}.timeLimitMinutes`, `jobs.${job}.callbackTimeoutMinutes`],
      find({ jobs }) {
        const { callbackTimeoutMinutes = 0, timeLimitMinutes = Infinity } = jobs[job] ?? {};
        if (callbackTimeoutMinutes < timeLimitMinutes) return [];
        return [
          {
            field: ['jobs', job, 'callbackTimeoutMinutes'],
            problem: `is ${callbackTimeoutMinutes}; it must be less than the ${timeLimitMinutes} of timeLimitMinutes.`,
          },
        ];
      },
    }),
  ),
  {
    needs: ['window', ...GC_JOBS.map((job) => `jobs.${job}`)],
    find({ window, jobs: { messageGc, mediaGc } }) {
      if (!messageGc || !mediaGc) return [];
      const [messages, media] = [messageGc, mediaGc].map(({ schedule, timeLimitMinutes }) => {
        const from = minutesFromTo(window.from, schedule.at);
        return { from, to: from + schedule.flexibleMinutes + timeLimitMinutes };
      });
      if (!messages || !media || media.to <= messages.from || messages.to <= media.from) return [];
      return [
        {
          field: ['jobs', 'mediaGc', 'schedule', 'at'],
          problem: `is ${valueText(mediaGc.schedule.at)}, from which on a run can meet one of messageGc, and the later one would be skipped; it must keep both apart, with their flexible minutes and time limits.`,
        },
      ];
    },
  },
  {
    needs: ['jobs.logCleanup.timeLimitMinutes', 'jobs.logCleanup.timeoutMinutes'],
    find({ jobs }) {
      if (!jobs.logCleanup) return [];
      const { timeoutMinutes, timeLimitMinutes } = jobs.logCleanup;
      if (timeoutMinutes < timeLimitMinutes) return [];
      return [
        {
          field: ['jobs', 'logCleanup', 'timeoutMinutes'],
          problem: `is ${timeoutMinutes}; it must be less than the ${timeLimitMinutes} of timeLimitMinutes.`,
        },
      ];
    },
  },
];

function checksOfJob(job: JobName): Check[] {
  const field = ['jobs', job];
  return [
    {
      needs: ['window', 'timeZone', `jobs.${job}`],
      find({ window, timeZone, jobs }) {
        const { timeLimitMinutes, schedule } = jobs[job] ?? {};
        if (!timeLimitMinutes || !schedule) return [];
        const when = { window, timeZone, at: schedule.at, weekday: weekdayOf(schedule) };
        return timeLimitProblems(timeLimitMinutes, when).map((problem) => ({
          field: [...field, 'timeLimitMinutes'],
          problem,
        }));
      },
    },
    {
      needs: ['window', 'timeZone', `jobs.${job}.schedule`],
      find({ window, timeZone, jobs }) {
        const { schedule } = jobs[job] ?? {};
        if (!schedule) return [];
        const { at, flexibleMinutes } = schedule;
        const run = { window, timeZone, at, flexibleMinutes, weekday: weekdayOf(schedule) };
        return scheduleProblems(run).map((problem) => ({ field: [...field, 'schedule', 'at'], problem }));
      },
    },
  ];
}

/** The day on which alone a job runs. */
function weekdayOf(schedule: { at: string; weekday?: Weekday | 'daily' }): Weekday | undefined {
  return schedule.weekday === 'daily' ? undefined : schedule.weekday;
}
