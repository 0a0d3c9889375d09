import * as v from 'valibot';
import type { FieldText } from './fields.ts';

/** Something wrong in a configuration. */
export interface Mistake {
  /** Keys and indices, from the root. */
  path: (string | number)[];
  /** One sentence: the field's path, what is wrong, what is allowed. */
  sentence: string;
}

/** What valibot found, as sentences: unknown fields with the nearest known one, the others with what is allowed. */
export function shapeMistakes(
  schema: v.GenericSchema,
  configuration: unknown,
  issues: readonly v.BaseIssue<unknown>[],
): Mistake[] {
  return [
    ...unknownFields(schema, configuration, []),
    ...issues.filter((issue) => issue.expected !== 'never').map((issue) => mistakeOf(schema, issue)),
  ];
}

/** `deployments[0].window.from` */
export function pathText(path: (string | number)[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');
}

/** A value as a message shows it: short, on one line. */
export function valueText(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

function mistakeOf(schema: v.GenericSchema, issue: v.BaseIssue<unknown>): Mistake {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const name = pathText(path) || 'The configuration';
  const { allowed = `of the type ${issue.expected}`, secret } = textOf(schemaAt(schema, path)) ?? {};
  const last = issue.path?.at(-1);
  const value = last && 'value' in last ? last.value : issue.input;
  if (value === undefined) return { path, sentence: `${name} is missing; it must be ${allowed}.` };
  const found = secret ? 'not what it must be:' : `${valueText(value)}; it must be`;
  return { path, sentence: `${name} is ${found} ${allowed}.` };
}

function unknownFields(
  schema: v.GenericSchema | undefined,
  value: unknown,
  path: Mistake['path'],
): Mistake[] {
  const plain = schema && unwrappedOptional(schema);
  if (!plain || typeof value !== 'object' || value === null) return [];
  if (isArraySchema(plain))
    return Array.isArray(value)
      ? value.flatMap((item, index) => unknownFields(plain.item, item, [...path, index]))
      : [];
  if (!isObjectSchema(plain) || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const known = plain.entries[key];
    if (known) return unknownFields(known, item, [...path, key]);
    const names = Object.keys(plain.entries);
    const sentence = `${pathText([...path, key])} is not a known field; did you mean "${nearest(key, names)}"? Allowed here: ${names.join(', ')}.`;
    return [{ path: [...path, key], sentence }];
  });
}

/** The schema of a field, by its path. */
function schemaAt(schema: v.GenericSchema, path: (string | number)[]): v.GenericSchema | undefined {
  let current: v.GenericSchema | undefined = schema;
  for (const key of path) {
    const plain: v.GenericSchema | undefined = current && unwrappedOptional(current);
    if (plain && isArraySchema(plain)) current = plain.item;
    else if (plain && isObjectSchema(plain)) current = plain.entries[key];
    else return undefined;
  }
  return current;
}

/** What the documentation and the messages say of a field. */
export function textOf(schema: v.GenericSchema | undefined): FieldText | undefined {
  if (!schema) return undefined;
  const { allowed, description, secret } = v.getMetadata(unwrappedOptional(schema));
  return typeof allowed === 'string' && typeof description === 'string'
    ? { allowed, description, secret: secret === true }
    : undefined;
}

/** A schema without `optional` around it; its pipe stays. */
export function unwrappedOptional(schema: v.GenericSchema): v.GenericSchema {
  return 'wrapped' in schema ? unwrappedOptional(schema.wrapped as v.GenericSchema) : schema;
}

export function isObjectSchema(
  schema: v.GenericSchema,
): schema is v.GenericSchema & { entries: Record<string, v.GenericSchema> } {
  return 'entries' in schema;
}

export function isArraySchema(
  schema: v.GenericSchema,
): schema is v.GenericSchema & { item: v.GenericSchema } {
  return 'item' in schema;
}

/** The candidate that takes the fewest insertions, deletions and replacements of letters. */
function nearest(word: string, candidates: string[]): string {
  const distances = candidates.map((candidate) => ({
    candidate,
    distance: editDistance(word.toLowerCase(), candidate.toLowerCase()),
  }));
  return distances.sort((a, b) => a.distance - b.distance)[0]?.candidate ?? '';
}

function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [row, letter] of [...from].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...to].entries())
      current.push(
        Math.min(
          (previous[column] ?? 0) + (letter === other ? 0 : 1),
          (previous[column + 1] ?? 0) + 1,
          (current[column] ?? 0) + 1,
        ),
      );
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
