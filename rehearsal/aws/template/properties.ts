import type { PolicyDocument } from '../policy/document.ts';
import { isRecord } from '../wire/values.ts';

/** Something in a template that the rehearsal does not understand: it stops rather than guess. */
export class UnknownTemplate extends Error {
  override readonly name = 'UnknownTemplate';
}

/** Resolved properties, read with their types checked. */
export class Properties {
  readonly values: Record<string, unknown>;
  readonly where: string;

  constructor(values: unknown, where: string) {
    if (!isRecord(values)) throw new UnknownTemplate(`${where} is not an object`);
    this.values = values;
    this.where = where;
  }

  has(key: string): boolean {
    return this.values[key] !== undefined;
  }

  text(key: string): string;
  text(key: string, otherwise: undefined): string | undefined;
  text(key: string, otherwise: string): string;
  text(key: string, ...otherwise: [] | [string | undefined]): string | undefined {
    const value = this.values[key];
    if (typeof value === 'string') return value;
    if (typeof value === 'number') return String(value);
    if (value === undefined && otherwise.length === 1) return otherwise[0];
    throw this.#wrong(key, 'a text');
  }

  number(key: string): number;
  number(key: string, otherwise: undefined): number | undefined;
  number(key: string, otherwise: number): number;
  number(key: string, ...otherwise: [] | [number | undefined]): number | undefined {
    const value = this.values[key];
    const number = typeof value === 'string' && value !== '' ? Number(value) : value;
    if (typeof number === 'number' && !Number.isNaN(number)) return number;
    if (value === undefined && otherwise.length === 1) return otherwise[0];
    throw this.#wrong(key, 'a number');
  }

  boolean(key: string, otherwise: boolean): boolean {
    const value = this.values[key];
    if (value === undefined) return otherwise;
    if (typeof value === 'boolean') return value;
    if (value === 'true' || value === 'false') return value === 'true';
    throw this.#wrong(key, 'a boolean');
  }

  list(key: string): unknown[] {
    const value = this.values[key];
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.#wrong(key, 'a list');
    return value;
  }

  texts(key: string): string[] {
    return this.list(key).map(String);
  }

  child(key: string): Properties | undefined {
    const value = this.values[key];
    return value === undefined ? undefined : new Properties(value, `${this.where}.${key}`);
  }

  children(key: string): Properties[] {
    return this.list(key).map((item, index) => new Properties(item, `${this.where}.${key}[${index}]`));
  }

  policy(key: string): PolicyDocument {
    const value = this.values[key];
    if (!isPolicy(value)) throw this.#wrong(key, 'a policy document');
    return value;
  }

  /** Stops at a property that is not among these. */
  only(...known: string[]): this {
    for (const key of Object.keys(this.values)) {
      if (!known.includes(key)) throw new UnknownTemplate(`${this.where}.${key} is not understood`);
    }
    return this;
  }

  #wrong(key: string, wanted: string): UnknownTemplate {
    return new UnknownTemplate(`${this.where}.${key} should be ${wanted}`);
  }
}

export function isPolicy(value: unknown): value is PolicyDocument {
  return isRecord(value) && (Array.isArray(value.Statement) || isRecord(value.Statement));
}
