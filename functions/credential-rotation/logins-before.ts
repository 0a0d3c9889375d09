import { createHash } from 'node:crypto';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { LoginMark } from '../shared/database/contract/rotation.ts';
import { type Packed, pack, unpack } from './packed.ts';

/** What the database showed before the first service was rolled. */
export interface LoginsBefore {
  /** Absent: the database could not be asked. */
  mark?: LoginMark;
  /** When that was. Epoch milliseconds. Absent likewise. */
  at?: number;
  /** Why it could not. */
  unread?: string;
  /** By service: its tasks that are to be replaced, and how many of them had logged in. */
  services: Record<string, { tasks: number; seen: number }>;
  /** Of the tasks that are to be replaced, in all services: new ones may be given them again. */
  addresses: string[];
}

/** Bytes of a part, packed: of the 262,144 that a step may give, with room for one part being larger than the others. */
const PART = 150_000;

interface FirstPart {
  /** Whole, where it is one part; else without what the parts have. */
  packed: Packed<LoginsBefore>;
  parts: number;
}

/**
 * Looks once, and again for each part where what was seen is more than one step may give: servers count logins by address, of
 * thousands of tasks and of those long gone. Each part has its addresses from a look of its own. Nothing is rolled meanwhile.
 */
export async function recordedInParts(
  context: DurableContext,
  name: string,
  look: () => Promise<LoginsBefore>,
): Promise<LoginsBefore> {
  const { packed, parts } = await context.step(name, async (): Promise<FirstPart> => {
    const whole = await look();
    const packed = pack(whole);
    const parts = Math.ceil(packed.length / PART);
    return { packed: parts > 1 ? pack(partOf(whole, () => false)) : packed, parts };
  });
  const before = unpack(packed);
  for (let part = 0; parts > 1 && part < parts; part++) {
    const { addresses, mark, unread } = unpack(
      await context.step(`${name}, part ${part + 1} of ${parts}`, async () =>
        pack(partOf(await look(), (key) => numberOf(key) % parts === part)),
      ),
    );
    before.addresses.push(...addresses);
    // What an address had logged in by the later look counts as old too: none of the new tasks is there yet.
    if (before.mark && mark) {
      Object.assign(before.mark.logins, mark.logins);
      Object.assign(before.mark.refusedFrom, mark.refusedFrom);
    } else {
      delete before.mark;
      if (unread !== undefined) before.unread = unread;
    }
  }
  return before;
}

/** With those addresses, and counts by address, that it takes. */
function partOf(
  { mark, at, addresses, services, unread }: LoginsBefore,
  takes: (key: string) => boolean,
): LoginsBefore {
  const some = (counts: Record<string, number>) =>
    Object.fromEntries(Object.entries(counts).filter(([key]) => takes(key)));
  return {
    ...(mark && {
      mark: { ...mark, logins: some(mark.logins), refusedFrom: some(mark.refusedFrom) },
    }),
    ...(at !== undefined && { at }),
    ...(unread !== undefined && { unread }),
    addresses: addresses.filter(takes),
    services,
  };
}

/** The same for the same text, and any. */
function numberOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE();
}
