import type { DurableContext } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';

/**
 * What `wa-upkeep doctor` invokes a job's function with, by its alias and not through start-run: it is no run, keeps none from
 * starting, and has neither a report nor metrics. It looks from where the function is, with the rights that the function has.
 */
export const EXAMINATION_EVENT = { examine: true } as const;

/** What the names of such executions begin with: runs are listed without them. */
export const EXAMINATION_PREFIX = 'doctor-';

/** What a job found of one thing that its runs need. */
export type ExaminationFinding = {
  /** Which one: a database, a node. */
  of: string;
  /** A sentence. Never a secret's value: it is kept in the history of the execution. */
  saw: string;
} & (
  | { status: 'ok' }
  /** `mend`: the command, or the lines of the configuration. */
  | { status: 'warning' | 'failed'; mend: string }
);

/** The result of such an execution. */
export interface Examination {
  /** One for each thing that was looked at. */
  findings: ExaminationFinding[];
}

/** Looks at what the job's runs need, and changes nothing. */
export type Look = (context: DurableContext) => Promise<ExaminationFinding[]>;

const examinationEvent = v.object({ examine: v.literal(true) });

export function isExamination(event: unknown): boolean {
  return v.is(examinationEvent, event);
}

/** Never fails: an execution that does rings as a lost run. */
export async function examined(context: DurableContext, look: Look): Promise<Examination> {
  try {
    return { findings: await context.runInChildContext('examine', look) };
  } catch (error) {
    const saw = error instanceof Error ? error.message : String(error);
    return { findings: [{ of: 'settings', status: 'failed', saw, mend: 'npx cdk deploy --all' }] };
  }
}
