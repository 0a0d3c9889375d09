import { type FieldPath, isPlainObject, type Mistake, pathText, valueText } from '../../checks/mistakes.ts';

/**
 * A value without the fields that are `undefined`, so that `{ messageGc: undefined }` is `{}`: all that is looked for
 * afterwards is there or not. Objects of classes stay what they are.
 */
export function plainValue(value: unknown): { value: unknown; mistakes: Mistake[] } {
  const mistakes: Mistake[] = [];
  return { value: copied(value, [], [], mistakes), mistakes };
}

function copied(value: unknown, path: FieldPath, around: object[], mistakes: Mistake[]): unknown {
  const where = pathText(path) || 'The configuration';
  const refuse = (sentence: string) => {
    mistakes.push({ path, sentence });
    return undefined;
  };
  try {
    if (!Array.isArray(value) && !isPlainObject(value)) return value;
  } catch (error) {
    return refuse(`${where} cannot be read: ${reasonOf(error)}.`);
  }
  const outer = around.indexOf(value);
  if (outer >= 0)
    return refuse(
      `${where} refers back to ${pathText(path.slice(0, outer)) || 'the whole configuration'}, in which it stands; it must be a value of its own.`,
    );
  const inside = [...around, value];
  const copy = (item: unknown, key: string | number) => copied(item, [...path, key], inside, mistakes);
  try {
    if (Array.isArray(value)) return Array.from(value, copy);
    const fields = Object.entries(value).filter(([, item]) => item !== undefined);
    return Object.fromEntries(fields.map(([key, item]) => [key, copy(item, key)]));
  } catch (error) {
    return refuse(`${where} cannot be read: ${reasonOf(error)}.`);
  }
}

/** What a getter or a proxy throws can be anything. */
function reasonOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : valueText(error);
  } catch {
    return 'what it throws cannot be told';
  }
}
