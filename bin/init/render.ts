import type { Draft } from './draft.ts';

const WIDTH = 100;

/**
 * The module that exports a configuration.
 * @param library from where `defineUpkeep` is imported
 */
export function renderConfiguration({ configuration, comments }: Draft, library: string): string {
  const commented = Object.fromEntries(
    Object.entries(comments).map(([field, comment]) => [`deployments.0.${field}`, comment]),
  );
  return `import { defineUpkeep } from '${library}';

/** Written by wa-upkeep init. docs/configuration.md names every field, with its default. */
export default defineUpkeep(${literal(configuration, '', '', commented)});
`;
}

/** A value as TypeScript writes it; what is short stands in one line. */
export function literal(
  value: unknown,
  indent = '',
  path = '',
  comments: Record<string, string> = {},
): string {
  if (typeof value === 'string') return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  if (typeof value !== 'object' || value === null) return String(value);
  const isList = Array.isArray(value);
  const deeper = `${indent}  `;
  const items = Object.entries(value).flatMap(([key, item]) => {
    if (item === undefined) return [];
    const at = path === '' ? key : `${path}.${key}`;
    const text = literal(item, deeper, at, comments);
    const comment = comments[at] === undefined ? '' : `// ${comments[at]}\n${deeper}`;
    return [`${comment}${isList ? '' : `${keyText(key)}: `}${text}`];
  });
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  const line = isList ? `[${items.join(', ')}]` : items.length === 0 ? '{}' : `{ ${items.join(', ')} }`;
  if (!line.includes('\n') && indent.length + line.length <= WIDTH) return line;
  return `${open}\n${items.map((item) => `${deeper}${item},\n`).join('')}${indent}${close}`;
}

function keyText(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : `'${key}'`;
}
