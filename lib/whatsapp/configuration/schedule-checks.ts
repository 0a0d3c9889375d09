import { firstSkip, minutesFromTo, windowMinutes } from '../../local-time.ts';
import type { Check } from './check.ts';
import { JOB_NAMES, type JobName } from './jobs-schema.ts';
import { valueText } from './mistakes.ts';

/** EventBridge Scheduler does not make up for a skipped time: so far ahead a schedule must not meet one. */
const YEARS_AHEAD = 10;

/** They share one queue of callbacks, so that neither may run beside the other. */
const GC_JOBS = ['messageGc', 'mediaGc'] as const satisfies JobName[];

/** Whether runs fit into the downtime window, into what they wait for, and beside each other. */
export const SCHEDULE_CHECKS: Check[] = [
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
  return [
    {
      needs: ['window', `jobs.${job}.timeLimitMinutes`],
      find({ window, jobs }) {
        const { timeLimitMinutes = 0 } = jobs[job] ?? {};
        if (timeLimitMinutes <= windowMinutes(window)) return [];
        return [
          {
            field: ['window'],
            problem: `from ${window.from} to ${window.to} has ${windowMinutes(window)} minutes; it must have at least the ${timeLimitMinutes} of jobs.${job}.timeLimitMinutes.`,
          },
        ];
      },
    },
    {
      needs: ['window', `jobs.${job}.schedule`],
      find({ window, jobs }) {
        const { schedule } = jobs[job] ?? {};
        if (!schedule) return [];
        const { at, flexibleMinutes } = schedule;
        if (minutesFromTo(window.from, at) + flexibleMinutes < windowMinutes(window)) return [];
        const span = flexibleMinutes > 0 ? ` with its ${flexibleMinutes} flexible minutes` : '';
        return [
          {
            field: ['jobs', job, 'schedule', 'at'],
            problem: `is ${valueText(at)}; it must lie${span} inside the downtime window, from ${window.from} to ${window.to}.`,
          },
        ];
      },
    },
    {
      needs: ['timeZone', `jobs.${job}.schedule.at`],
      find({ timeZone, jobs }) {
        const { at } = jobs[job]?.schedule ?? {};
        const skip = at && firstSkip(at, timeZone, { after: new Date(), years: YEARS_AHEAD });
        if (!skip) return [];
        return [
          {
            field: ['jobs', job, 'schedule', 'at'],
            problem: `is ${valueText(at)}, a time that ${timeZone} skips when daylight saving begins (first on ${skip.date}) and EventBridge Scheduler then skips too; it must lie outside ${skip.from} to ${skip.to}.`,
          },
        ];
      },
    },
  ];
}
