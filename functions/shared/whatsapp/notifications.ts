import * as v from 'valibot';
import { SINGLE_INSTANCE } from './nodes.ts';

/** What garbage is made of. */
export type GcKind = 'message' | 'media';

/** What one node said of a garbage collection. */
export interface GcNotification {
  /** `unsaid`: it has no count, whose name alone tells the kinds apart. */
  kind: GcKind | 'unsaid';
  node: string;
  status: 'complete' | 'failed';
  /** Messages or items. Undefined: it has no count. */
  deleted?: number;
  /** What the node gives as reasons of its failure. */
  errors: string[];
}

/** More rows than any table has: a count beyond is no count. */
const MOST_DELETED = 1e12;
/** Of a node's own words, in a report that must fit into an event. */
const SHOWN_CHARACTERS = 500;
const SHOWN_ERRORS = 10;

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_DELETED));

/** A node's errors, each as a short text: of whatever form they are, they are errors. */
export const nodeErrors = v.pipe(
  v.nullish(v.array(v.unknown()), []),
  v.transform((errors) => [...new Set(errors.map(errorText))].slice(0, SHOWN_ERRORS)),
);

function errorText(error: unknown): string {
  const { code, title, details }: Record<string, unknown> =
    typeof error === 'object' && error !== null ? { ...error } : { details: error };
  const words = [code, details || title].filter(
    (part) => typeof part === 'number' || typeof part === 'string',
  );
  return words.filter(Boolean).join(' ').slice(0, SHOWN_CHARACTERS) || 'an error that says nothing';
}

const gc = v.object({
  status: v.picklist(['complete', 'failed']),
  node: v.optional(v.pipe(v.string(), v.maxLength(SHOWN_CHARACTERS)), SINGLE_INSTANCE),
  messages_deleted: v.optional(count),
  items_deleted: v.optional(count),
  errors: nodeErrors,
});

const payload = v.object({ services: v.array(v.unknown()) });

/** What a callback says of garbage collection. */
export interface GcCallback {
  notifications: GcNotification[];
  /** Entries that are not of the known form; 1 for a callback that is none. */
  unreadable: number;
}

/** Reads the client's callback for garbage collection: each entry by itself, so that an odd one spoils none beside it. */
export function parseGcCallback(callback: unknown): GcCallback {
  const parsed = v.safeParse(payload, callback);
  if (!parsed.success) return { notifications: [], unreadable: 1 };
  const read: GcCallback = { notifications: [], unreadable: 0 };
  for (const service of parsed.output.services) {
    if (!isObject(service)) read.unreadable += 1;
    else
      for (const [key, value] of Object.entries(service)) {
        if (isObject(value) && value.gc === undefined) continue;
        const one = v.safeParse(gc, isObject(value) ? value.gc : undefined);
        if (one.success) read.notifications.push(notificationOf(key, one.output));
        else read.unreadable += 1;
      }
  }
  return read;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The count's name tells the kind: media's success is shown under the key `message` in Meta's documentation. */
function notificationOf(key: string, value: v.InferOutput<typeof gc>): GcNotification {
  const deleted = value.messages_deleted ?? value.items_deleted;
  return {
    kind: kindOf(key, value),
    node: value.node,
    status: value.errors.length > 0 ? 'failed' : value.status,
    ...(deleted !== undefined && { deleted }),
    errors: value.errors,
  };
}

function kindOf(key: string, value: v.InferOutput<typeof gc>): GcNotification['kind'] {
  if (value.messages_deleted !== undefined) return 'message';
  if (value.items_deleted !== undefined || key === 'media') return 'media';
  return 'unsaid';
}
