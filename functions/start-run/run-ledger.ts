import {
  DeleteParametersCommand,
  ParameterAlreadyExists,
  PutParameterCommand,
  paginateGetParametersByPath,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import type { RunEvent } from '../shared/run/run-event.ts';

/** A run that was let begin. */
export interface LedgerEntry {
  job: string;
  runId: string;
  /** Of the request that let it begin. */
  claim: string;
  /** When it was let begin. ISO 8601, UTC. */
  at: string;
  /** When it has ended at the latest, whatever became of it. ISO 8601, UTC. */
  until: string;
  /** Of its durable execution, once that is on record. */
  durableExecutionArn?: string;
  /** Until then: what the job is invoked with, so that whoever comes next can finish the start. */
  event?: RunEvent;
}

/** What the ledger says, and the number of the page that says it. */
export interface LedgerPage {
  number: number;
  entries: LedgerEntry[];
}

/** Pages older than this are thrown away: no start-run that still reads one can be running. */
const KEPT_MS = 3600_000;
const DIGITS = 12;
/** DeleteParameters takes ten names. */
const DELETED_AT_ONCE = 10;

const pageSchema = v.object({
  writer: v.string(),
  entries: v.array(
    v.object({
      job: v.string(),
      runId: v.string(),
      claim: v.string(),
      at: v.string(),
      until: v.string(),
      durableExecutionArn: v.exactOptional(v.string()),
      event: v.exactOptional(v.custom<RunEvent>((value) => typeof value === 'object' && value !== null)),
    }),
  ),
});

/**
 * The runs that were let begin, as numbered pages in Parameter Store, each of which says all of it. A page is never
 * written over: who wants to change what the last one says writes the next number, and Parameter Store lets only one do
 * so. Who reads too old a page finds the next number taken.
 */
export class RunLedger {
  readonly #ssm: SSMClient;
  readonly #path: string;

  constructor(ssm: SSMClient, path: string) {
    this.#ssm = ssm;
    this.#path = path;
  }

  /** @throws Error if the last page is none of this ledger's. */
  async read(): Promise<LedgerPage> {
    let last: { number: number; value: string } = { number: 0, value: '{"writer":"","entries":[]}' };
    const pages = paginateGetParametersByPath({ client: this.#ssm }, { Path: this.#path });
    for await (const { Parameters: parameters = [] } of pages)
      for (const { Name: name = '', Value: value = '' } of parameters) {
        const number = this.#numberOf(name);
        if (number !== undefined && number > last.number) last = { number, value };
      }
    const parsed = v.safeParse(pageSchema, parsedJson(last.value));
    if (!parsed.success)
      throw new Error(
        `The parameter ${this.#name(last.number)} is not a page of the ledger of runs. Somebody wrote it by hand: look which runs go on, then delete it.`,
      );
    return { number: last.number, entries: parsed.output.entries };
  }

  /**
   * Writes the page after one that was read.
   * @returns whether it was: another may have been first.
   */
  async write(before: LedgerPage, entries: LedgerEntry[], writer: string): Promise<boolean> {
    const name = this.#name(before.number + 1);
    try {
      await this.#ssm.send(
        new PutParameterCommand({
          Name: name,
          Type: 'String',
          // Above 4 KB, which takes more than a dozen runs at once, an advanced parameter.
          Tier: 'Intelligent-Tiering',
          Value: JSON.stringify({ writer, entries }),
          Overwrite: false,
        }),
      );
    } catch (error) {
      // The client may have said it twice, because the first answer was lost: then what stands there is its own, and the
      // next look finds it.
      if (error instanceof ParameterAlreadyExists) return false;
      throw error;
    }
    return true;
  }

  /** Deletes pages that nobody can be reading any more. */
  async forgetOldPages(now: number): Promise<void> {
    const old: string[] = [];
    let last = 0;
    const pages = paginateGetParametersByPath({ client: this.#ssm }, { Path: this.#path });
    for await (const { Parameters: parameters = [] } of pages)
      for (const { Name: name = '', LastModifiedDate: modified } of parameters) {
        const number = this.#numberOf(name);
        if (number === undefined) continue;
        last = Math.max(last, number);
        if (modified && now - modified.getTime() > KEPT_MS) old.push(name);
      }
    const names = old.filter((name) => this.#numberOf(name) !== last);
    for (let first = 0; first < names.length; first += DELETED_AT_ONCE)
      await this.#ssm.send(
        new DeleteParametersCommand({ Names: names.slice(first, first + DELETED_AT_ONCE) }),
      );
  }

  #name(number: number): string {
    return `${this.#path}/${String(number).padStart(DIGITS, '0')}`;
  }

  #numberOf(name: string): number | undefined {
    const last = name.slice(this.#path.length + 1);
    return name.startsWith(`${this.#path}/`) && /^\d+$/.test(last) ? Number(last) : undefined;
  }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
