import { isObject } from '../shared/run/is-object.ts';
import { APPLICATION_SETTINGS, type SettingName, type SettingValue, type SettingValues } from './contract.ts';

/** Of a list, and of a word in it: what goes into a report has bounds. */
const MOST_WORDS = 50;
const LONGEST_WORD = 50;

const NAMES = Object.keys(APPLICATION_SETTINGS) as SettingName[];

/** Those of WebApp's settings that are watched and have a value of their form; no other one is kept. */
export function watchedSettings(all: Record<string, unknown>): SettingValues {
  const values: SettingValues = {};
  for (const name of NAMES) {
    const value = parsed(name, valueAt(all, name));
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/** A setting that is not as it is wanted. */
export interface Difference {
  setting: SettingName;
  wanted: SettingValue;
  /** Undefined: WebApp has none of this name, or of another form. */
  value: SettingValue | undefined;
}

/** Those of wanted values that are not WebApp's. */
export function differences(wanted: SettingValues, values: SettingValues): Difference[] {
  return NAMES.flatMap((setting) => {
    const [want, value] = [wanted[setting], values[setting]];
    if (want === undefined || JSON.stringify(sorted(want)) === JSON.stringify(value)) return [];
    return [{ setting, wanted: sorted(want), value }];
  });
}

/**
 * What is sent to set some of them, one request for each field of the outermost object: a field that WebApp refuses keeps no other
 * from being set. What stands beside a setting in an object of its own goes with it as it was, for whether WebApp leaves
 * it alone is documented of the outermost fields only.
 */
export function requestsFor(
  changes: readonly Pick<Difference, 'setting' | 'wanted'>[],
  all: Record<string, unknown>,
): { settings: SettingName[]; body: Record<string, unknown> }[] {
  const requests = new Map<string, { settings: SettingName[]; body: Record<string, unknown> }>();
  for (const { setting, wanted } of changes) {
    const [field = setting] = setting.split('.');
    const request = requests.get(field) ?? { settings: [], body: { [field]: structuredClone(all[field]) } };
    requests.set(field, request);
    request.settings.push(setting);
    put(request.body, setting.split('.'), wanted);
  }
  return [...requests.values()];
}

function put(object: Record<string, unknown>, [key = '', ...rest]: string[], value: SettingValue): void {
  if (rest.length === 0) {
    object[key] = value;
    return;
  }
  const before = object[key];
  const inner = isObject(before) ? before : {};
  object[key] = inner;
  put(inner, rest, value);
}

function valueAt(all: Record<string, unknown>, name: string): unknown {
  return name.split('.').reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), all);
}

function parsed(name: SettingName, value: unknown): SettingValue | undefined {
  switch (APPLICATION_SETTINGS[name].kind) {
    case 'flag':
      return typeof value === 'boolean' ? value : undefined;
    case 'number': {
      // A text in Meta's table of the parameters, a number in its samples.
      const number = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value;
      return typeof number === 'number' ? number : undefined;
    }
    case 'list':
      return isListOfWords(value) ? sorted(value) : undefined;
  }
}

function isListOfWords(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= MOST_WORDS &&
    value.every((word) => typeof word === 'string' && word.length <= LONGEST_WORD)
  );
}

function sorted<Value extends SettingValue>(value: Value): Value {
  return (Array.isArray(value) ? [...new Set(value)].sort() : value) as Value;
}
