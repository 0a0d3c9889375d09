import { REPORT_EVENT_SOURCE, REPORT_EVENT_TYPE, type RunReport } from '../functions/shared/run/report.ts';
import type { Aws } from './aws/server.ts';

/** Those that differ: a report is told at least once, so one that was cut at that comes again, to the letter. */
export function distinctReports(reports: RunReport[]): RunReport[] {
  return [...new Map(reports.map((report) => [JSON.stringify(report), report])).values()];
}

/** The reports of runs, as they came over the default bus. */
export function reportsOf({ events }: Aws): RunReport[] {
  return events.taken.flatMap(({ busArn, event }) =>
    busArn.endsWith('/default') &&
    event.source === REPORT_EVENT_SOURCE &&
    event['detail-type'] === REPORT_EVENT_TYPE
      ? // The functions own this type; whether they keep to it is their tests' affair.
        [event.detail as unknown as RunReport]
      : [],
  );
}
