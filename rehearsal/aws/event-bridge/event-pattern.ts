import { UnknownTemplate } from '../template/properties.ts';
import { isRecord } from '../wire/values.ts';

/**
 * Whether an event fits a pattern, after AWS's Ruler: the event is flattened to fields, and fields that come through the
 * same array must come from the same element of it. Operators: values, `exists`, `prefix`, `suffix`, `anything-but`,
 * `equals-ignore-case`, `wildcard`, `numeric`, `$or`.
 */
export function matchesPattern(pattern: Record<string, unknown>, event: Record<string, unknown>): boolean {
  const fields = flatten(event, '', {});
  return alternatives(pattern, '').some((conditions) => fits(conditions, fields, {}));
}

/** Characters (EventBridge quotas, "Event pattern size", read November 2026). */
const LARGEST_PATTERN = 2048;

/**
 * Throws {@link UnknownTemplate} at an operator that {@link matchesPattern} does not know.
 * @throws Error at a pattern that EventBridge would refuse for its size.
 */
export function checkPattern(pattern: Record<string, unknown>, where: string): void {
  const size = JSON.stringify(pattern).length;
  if (size > LARGEST_PATTERN)
    throw new Error(`${where}: the pattern has ${size} characters, EventBridge takes ${LARGEST_PATTERN}`);
  for (const conditions of alternatives(pattern, '')) {
    for (const { tests } of conditions) {
      for (const test of tests) {
        if (isRecord(test)) {
          const operators = Object.keys(test);
          if (operators.length !== 1 || !operators.every((operator) => operator in OPERATORS)) {
            throw new UnknownTemplate(
              `${where}: the pattern operator ${operators.join(', ')} is not understood`,
            );
          }
          if ('anything-but' in test && isRecord(test['anything-but'])) {
            const [inner] = Object.keys(test['anything-but']);
            if (inner !== 'prefix' && inner !== 'suffix') {
              throw new UnknownTemplate(`${where}: anything-but ${inner} is not understood`);
            }
          }
        }
      }
    }
  }
}

interface Field {
  path: string;
  value: unknown;
  /** Which element of each array, by the array's path, the field came through. */
  elements: Record<string, number>;
}

interface Condition {
  path: string;
  tests: unknown[];
}

const OPERATORS: Record<string, (wanted: unknown, actual: unknown) => boolean> = {
  exists: () => true,
  prefix: (wanted, actual) => typeof actual === 'string' && startsWith(actual, wanted),
  suffix: (wanted, actual) => typeof actual === 'string' && actual.endsWith(String(wanted)),
  'equals-ignore-case': (wanted, actual) =>
    typeof actual === 'string' && actual.toLowerCase() === String(wanted).toLowerCase(),
  wildcard: (wanted, actual) =>
    typeof actual === 'string' &&
    new RegExp(
      `^${String(wanted)
        .split('*')
        .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
        .join('.*')}$`,
      's',
    ).test(actual),
  'anything-but': (wanted, actual) => {
    if (isRecord(wanted)) {
      const [[operator, value] = ['', undefined]] = Object.entries(wanted);
      return !list(value).some((item) => OPERATORS[operator]?.(item, actual));
    }
    return !list(wanted).includes(actual);
  },
  numeric: (wanted, actual) => typeof actual === 'number' && numeric(list(wanted), actual),
};

/** `$or` gives one list of conditions per alternative. */
function alternatives(pattern: Record<string, unknown>, prefix: string): Condition[][] {
  let result: Condition[][] = [[]];
  for (const [key, value] of Object.entries(pattern)) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    let parts: Condition[][];
    if (key === '$or' && Array.isArray(value) && value.every(isRecord)) {
      parts = value.flatMap((choice) => alternatives(choice, prefix));
    } else if (Array.isArray(value)) {
      parts = [[{ path, tests: value }]];
    } else if (isRecord(value)) {
      parts = alternatives(value, path);
    } else {
      throw new UnknownTemplate(`the pattern field ${path} is neither a list nor an object`);
    }
    result = result.flatMap((conditions) => parts.map((part) => [...conditions, ...part]));
  }
  return result;
}

function flatten(value: unknown, path: string, elements: Record<string, number>): Field[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => flatten(item, path, { ...elements, [path]: index }));
  }
  if (isRecord(value)) {
    return Object.entries(value).flatMap(([key, item]) =>
      flatten(item, path === '' ? key : `${path}.${key}`, elements),
    );
  }
  return [{ path, value, elements }];
}

function fits(conditions: Condition[], fields: Field[], chosen: Record<string, number>): boolean {
  const [condition, ...rest] = conditions;
  if (condition === undefined) return true;
  const { path, tests } = condition;
  const candidates = fields.filter((field) => field.path === path);
  if (candidates.length === 0 && tests.some((test) => isRecord(test) && test.exists === false)) {
    return fits(rest, fields, chosen);
  }
  return candidates.some(
    (field) =>
      tests.some((test) => passes(test, field.value)) &&
      Object.entries(field.elements).every(([array, index]) => (chosen[array] ?? index) === index) &&
      fits(rest, fields, { ...chosen, ...field.elements }),
  );
}

function passes(test: unknown, actual: unknown): boolean {
  if (!isRecord(test)) return test === actual;
  const [[operator, wanted] = ['', undefined]] = Object.entries(test);
  if (operator === 'exists') return wanted === true;
  return OPERATORS[operator]?.(wanted, actual) === true;
}

function startsWith(actual: string, wanted: unknown): boolean {
  if (isRecord(wanted)) {
    return actual.toLowerCase().startsWith(String(wanted['equals-ignore-case']).toLowerCase());
  }
  return actual.startsWith(String(wanted));
}

function numeric(terms: unknown[], actual: number): boolean {
  for (let index = 0; index < terms.length; index += 2) {
    const limit = Number(terms[index + 1]);
    const holds =
      (terms[index] === '=' && actual === limit) ||
      (terms[index] === '<' && actual < limit) ||
      (terms[index] === '<=' && actual <= limit) ||
      (terms[index] === '>' && actual > limit) ||
      (terms[index] === '>=' && actual >= limit);
    if (!holds) return false;
  }
  return true;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}
