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

const gc = v.object({
  status: v.picklist(['complete', 'failed']),
  node: v.optional(v.pipe(v.string(), v.maxLength(SHOWN_CHARACTERS)), SINGLE_INSTANCE),
  messages_deleted: v.optional(count),
  items_deleted: v.optional(count),
  errors: v.optional(
    v.array(v.object({ code: v.optional(v.number()), details: v.optional(v.string(), '') })),
    [],
  ),
});

const payload = v.object({
  services: v.array(v.record(v.string(), v.object({ gc: v.optional(gc) }))),
});

/**
 * Reads the client's callback for garbage collection.
 * @returns `undefined` for what is none, or not of the known form.
 */
export function parseGcNotifications(callback: unknown): GcNotification[] | undefined {
  const parsed = v.safeParse(payload, callback);
  if (!parsed.success) return undefined;
  return parsed.output.services.flatMap((service) =>
    Object.entries(service).flatMap(([key, value]) => (value.gc ? [notificationOf(key, value.gc)] : [])),
  );
}

/** The count's name tells the kind: media's success is shown under the key `message` in Meta's documentation. */
function notificationOf(key: string, value: v.InferOutput<typeof gc>): GcNotification {
  const deleted = value.messages_deleted ?? value.items_deleted;
  return {
    kind: kindOf(key, value),
    node: value.node,
    status: value.errors.length > 0 ? 'failed' : value.status,
    ...(deleted !== undefined && { deleted }),
    errors: [
      ...new Set(
        value.errors.map(({ code, details }) =>
          [code, details.slice(0, SHOWN_CHARACTERS)].filter(Boolean).join(' '),
        ),
      ),
    ].slice(0, SHOWN_ERRORS),
  };
}

function kindOf(key: string, value: v.InferOutput<typeof gc>): GcNotification['kind'] {
  if (value.messages_deleted !== undefined) return 'message';
  if (value.items_deleted !== undefined || key === 'media') return 'media';
  return 'unsaid';
}
