import { inspect } from 'node:util';
import * as v from 'valibot';
import type { FieldText } from './fields.ts';
import { nearest } from './nearest.ts';

/** Keys and indices. */
export type FieldPath = (string | number)[];

/** Something wrong with a value, at a field of it. */
export interface Finding {
  field: FieldPath;
  /** What follows the field's path in the sentence. */
  problem: string;
}

/** Something wrong, as a sentence. */
export interface Mistake {
  path: FieldPath;
  /** One sentence: the field's path, what is wrong, what is allowed. */
  sentence: string;
}

/** A value that goes into what is generated, such as a token of the CDK: it is known only later, and allowed everywhere. */
type KnownLater = (value: unknown) => boolean;

/**
 * What a schema finds wrong with a value: unknown fields with the nearest known one, what is named twice, the others
 * with what is allowed.
 * @param name of the value itself, which begins a sentence.
 */
export function shapeMistakes(
  schema: v.GenericSchema,
  value: unknown,
  issues: readonly v.BaseIssue<unknown>[],
  { name, isKnownLater = () => false }: { name: string; isKnownLater?: KnownLater },
): Mistake[] {
  const parts = partsOf(schema, value, []);
  const noObjects = parts.filter(isNoObject);
  const isLater = (path: FieldPath, issue: v.BaseIssue<unknown>) =>
    isKnownLater(issueValue(issue)) && !textOf(schemaAt(schema, value, path))?.isComputedWith;
  const wrong = issues.flatMap((issue) => {
    const path = (issue.path ?? []).map((item) => item.key as string | number);
    const isInside = noObjects.some((part) => part.path.every((key, index) => key === path[index]));
    if (issue.expected === 'never' || isInside || isLater(path, issue)) return [];
    const kind = issue.expected ?? '';
    return [mistakeOf(schemaAt(schema, value, path), { path, value: issueValue(issue), kind }, name)];
  });
  return [
    ...parts.flatMap(unknownFields),
    ...noObjects.map((part) =>
      mistakeOf(schemaAt(schema, value, part.path), { ...part, kind: 'Object' }, name),
    ),
    ...wrong,
    ...parts.flatMap(repeatedItems),
  ];
}

/** `deployments[0].window.from` */
export function pathText(path: FieldPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    if (!/^[\w$-]+$/.test(key)) return `${text}[${valueText(key)}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');
}

const LONGEST_SHOWN = 120;

/** A value as a message shows it: short, on one line. */
export function valueText(value: unknown): string {
  const text = shown(value).replaceAll(/\s+/g, ' ');
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 3)}...` : text;
}

function shown(value: unknown): string {
  // A Duration of the CDK.
  if (
    typeof value === 'object' &&
    value &&
    'toHumanString' in value &&
    typeof value.toHumanString === 'function'
  )
    return String(value.toHumanString());
  if (typeof value === 'bigint') return `${value}n`;
  const path = constructPath(value);
  if (path !== undefined) return `the construct ${path}`;
  const isPlain = Array.isArray(value) || typeof value !== 'object' || value === null || isPlainObject(value);
  try {
    const text = isPlain && JSON.stringify(value);
    if (text) return text;
  } catch {
    // It refers to itself, or holds what JSON has not.
  }
  return inspect(value, { depth: 1 });
}

function constructPath(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('node' in value)) return undefined;
  const { node } = value;
  return typeof node === 'object' && node !== null && 'path' in node ? String(node.path) : undefined;
}

/** Whether it is made by `{}`, and no object of a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function issueValue(issue: v.BaseIssue<unknown>): unknown {
  const last = issue.path?.at(-1);
  return last && 'value' in last ? last.value : issue.input;
}

function mistakeOf(
  at: v.GenericSchema | undefined,
  { path, value, kind }: { path: FieldPath; value: unknown; kind: string },
  name: string,
): Mistake {
  const where = pathText(path) || name;
  const { allowed = KINDS[kind] ?? `of the type ${kind}`, allowedInstead } = textOf(at) ?? {};
  if (value === undefined) return { path, sentence: `${where} is missing; it must be ${allowed}.` };
  const found = mayHoldSecret(at, value) ? 'not what it must be:' : `${valueText(value)}; it must be`;
  return { path, sentence: `${where} is ${found} ${allowedInstead?.(value) ?? allowed}.` };
}

/** What the schema's own words for kinds of values are, where a field has no text. */
const KINDS: Record<string, string> = { Object: 'an object', Array: 'a list' };

/** Whether a message must not repeat the value: it may be the secret, or what holds it. */
function mayHoldSecret(schema: v.GenericSchema | undefined, value: unknown): boolean {
  if (!schema) return false;
  if (textOf(schema)?.secret) return true;
  const isEmpty = value === null || value === '' || (Array.isArray(value) && value.length === 0);
  if (isEmpty || !['object', 'string'].includes(typeof value)) return false;
  const plain = unwrappedOptional(schema);
  if (isArraySchema(plain)) return mayHoldSecret(plain.item, value);
  return isObjectSchema(plain) && Object.values(plain.entries).some((entry) => mayHoldSecret(entry, value));
}

/** A part of a value, with the schema of it. */
interface Part {
  schema: v.GenericSchema;
  value: unknown;
  path: FieldPath;
}

/** The value and all in it that the schema knows of. */
function partsOf(schema: v.GenericSchema | undefined, value: unknown, path: FieldPath): Part[] {
  const plain = schema && meantFor(schema, value);
  if (!plain || typeof value !== 'object' || value === null) return [];
  const part = { schema: plain, value, path };
  if (isRecordSchema(plain))
    return Object.entries(value).flatMap(([key, item]) => partsOf(plain.value, item, [...path, key]));
  if (isArraySchema(plain))
    return Array.isArray(value)
      ? [part, ...value.flatMap((item, index) => partsOf(plain.item, item, [...path, index]))]
      : [];
  if (!isObjectSchema(plain)) return [];
  if (isNoObject(part)) return [part];
  return [
    part,
    ...Object.entries(value).flatMap(([key, item]) => partsOf(entryOf(plain, key), item, [...path, key])),
  ];
}

/** The schema's own check takes a list, and an object of any class, for an object without fields. */
function isNoObject({ schema, value }: Part): boolean {
  return isObjectSchema(schema) && schema.type === 'strict_object' && !isPlainObject(value);
}

function unknownFields({ schema, value, path }: Part): Mistake[] {
  // A loose one tells of some fields only.
  if (!isObjectSchema(schema) || schema.type !== 'strict_object' || !isPlainObject(value)) return [];
  const names = Object.keys(schema.entries);
  return Object.keys(value)
    .filter((key) => !entryOf(schema, key))
    .map((key) => {
      const near = nearest(key, names);
      const meant = near ? `; did you mean "${near}"?` : '.';
      const field = [...path, key];
      return {
        path: field,
        sentence: `${pathText(field)} is not a known field${meant} Allowed here: ${names.join(', ')}.`,
      };
    });
}

/** Texts that a list has twice: none of our lists has a use for that. */
function repeatedItems({ schema, value, path }: Part): Mistake[] {
  if (!isArraySchema(schema) || !Array.isArray(value)) return [];
  return value.flatMap((item: unknown, index) => {
    const first = value.indexOf(item);
    if (typeof item !== 'string' || first === index) return [];
    const field = [...path, index];
    const same = `as ${pathText([...path, first])}`;
    const found = mayHoldSecret(schema.item, item) ? `the same ${same}` : `${valueText(item)}, ${same} is`;
    return [{ path: field, sentence: `${pathText(field)} is ${found}; each must be named once.` }];
  });
}

function entryOf(
  schema: { entries: Record<string, v.GenericSchema> },
  key: string | number,
): v.GenericSchema | undefined {
  return Object.hasOwn(schema.entries, key) ? schema.entries[key] : undefined;
}

/** The schema of a field of a value, by its path. */
function schemaAt(schema: v.GenericSchema, value: unknown, path: FieldPath): v.GenericSchema | undefined {
  let current: v.GenericSchema | undefined = schema;
  let within = value;
  for (const key of path) {
    const plain: v.GenericSchema | undefined = current && meantFor(current, within);
    if (plain && isArraySchema(plain)) current = plain.item;
    else if (plain && isRecordSchema(plain)) current = plain.value;
    else if (plain && isObjectSchema(plain)) current = entryOf(plain, key);
    else return undefined;
    within = typeof within === 'object' && within !== null ? Reflect.get(within, key) : undefined;
  }
  return current;
}

/** A schema without `optional` around it; of a variant, the one that the value says it is of. */
function meantFor(schema: v.GenericSchema, value: unknown): v.GenericSchema {
  const plain = unwrappedOptional(schema);
  if (plain.type !== 'variant' || !('options' in plain) || !('key' in plain)) return plain;
  const key = String(plain.key);
  const said = isPlainObject(value) ? value[key] : undefined;
  const option = (plain.options as v.GenericSchema[]).find((each) => {
    const entry = isObjectSchema(each) ? entryOf(each, key) : undefined;
    return entry && 'literal' in entry && entry.literal === said;
  });
  return option ?? plain;
}

/** What the documentation and the messages say of a field. */
export function textOf(schema: v.GenericSchema | undefined): FieldText | undefined {
  if (!schema) return undefined;
  const { allowed, description, secret, isComputedWith, allowedInstead } = v.getMetadata(
    unwrappedOptional(schema),
  );
  if (typeof allowed !== 'string' || typeof description !== 'string') return undefined;
  return {
    allowed,
    description,
    secret: secret === true,
    isComputedWith: isComputedWith === true,
    ...(typeof allowedInstead === 'function' && {
      allowedInstead: allowedInstead as NonNullable<FieldText['allowedInstead']>,
    }),
  };
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

function isRecordSchema(schema: v.GenericSchema): schema is v.GenericSchema & { value: v.GenericSchema } {
  return schema.type === 'record' && 'value' in schema;
}

export function isArraySchema(
  schema: v.GenericSchema,
): schema is v.GenericSchema & { item: v.GenericSchema } {
  return 'item' in schema;
}
