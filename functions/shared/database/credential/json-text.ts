/** A member of a JSON object in its text. */
interface Member {
  key: string;
  value: unknown;
  /** Where the value stands in the text. */
  from: number;
  to: number;
}

/** The value of a key of the object that a JSON text is: whatever the key is called. `undefined` if it has none. */
export function memberOf(text: string, key: string): unknown {
  return members(text).findLast((member) => member.key === key)?.value;
}

/** All keys of the object that a JSON text is, with their values, in their order; one that stands twice too. */
export function membersOf(text: string): { key: string; value: unknown }[] {
  return members(text).map(({ key, value }) => ({ key, value }));
}

/**
 * The same JSON text with other values for some keys. Everything else stays as it is written: numbers, order, spaces. A key
 * that is not there is added at the end.
 */
export function withMembers(text: string, values: ReadonlyMap<string, string>): string {
  const found = members(text);
  let changed = text;
  for (const { key, from, to } of found.toReversed()) {
    const value = values.get(key);
    if (value !== undefined)
      changed = `${changed.slice(0, from)}${JSON.stringify(value)}${changed.slice(to)}`;
  }
  const added = [...values].filter(([key]) => !found.some((member) => member.key === key));
  const end = changed.lastIndexOf('}');
  const more = added.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const comma = found.length > 0 && more.length > 0 ? ',' : '';
  return `${changed.slice(0, end)}${comma}${more.join(',')}${changed.slice(end)}`;
}

/** @throws SyntaxError if the text is no JSON object */
function members(text: string): Member[] {
  const whole: unknown = JSON.parse(text);
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole)) {
    throw new SyntaxError('The text is no JSON object.');
  }
  // The parser has found it well-formed, so that what follows need only find the members' ends.
  const found: Member[] = [];
  let at = text.indexOf('{') + 1;
  for (;;) {
    at = pastSpace(text, at);
    if (text[at] === ',') at = pastSpace(text, at + 1);
    if (text[at] === '}') return found;
    const keyEnd = pastValue(text, at);
    const from = pastSpace(text, pastSpace(text, keyEnd) + 1);
    const to = pastValue(text, from);
    found.push({
      key: JSON.parse(text.slice(at, keyEnd)),
      value: JSON.parse(text.slice(from, to)),
      from,
      to,
    });
    at = to;
  }
}

function pastSpace(text: string, at: number): number {
  let next = at;
  while (/[ \t\r\n]/.test(text[next] ?? '')) next += 1;
  return next;
}

/** Past a string, a number or word, or an object or list with all that is in it. */
function pastValue(text: string, at: number): number {
  let depth = 0;
  let next = at;
  for (;;) {
    const character = text[next] ?? '';
    if (character === '"') next = pastString(text, next);
    else if (character === '{' || character === '[') {
      depth += 1;
      next += 1;
    } else if (character === '}' || character === ']') {
      depth -= 1;
      next += 1;
    } else if (depth > 0) next += 1;
    else {
      while (/[^\s,}\]]/.test(text[next] ?? ' ')) next += 1;
      return next;
    }
    if (depth === 0) return next;
  }
}

function pastString(text: string, at: number): number {
  let next = at + 1;
  while (text[next] !== '"') next += text[next] === '\\' ? 2 : 1;
  return next + 1;
}
