import { AwsError } from '../aws-error.ts';
import { isRecord } from '../wire/values.ts';

/** Whether a filter pattern takes a log event. */
export type Filter = (text: string) => boolean;

/**
 * Reads a filter pattern of FilterLogEvents (CloudWatch Logs user guide, "Filter pattern syntax"): terms, phrases in quotes,
 * `?either ?or`, `-not`, and conditions on JSON. Regular expressions and patterns of columns are refused.
 */
export function filterOf(pattern: string): Filter {
  const trimmed = pattern.trim();
  if (trimmed === '') return () => true;
  if (trimmed.startsWith('{')) return new JsonPattern(trimmed).read();
  if (trimmed.startsWith('[')) throw refused('patterns of columns, in brackets');
  return termsOf(trimmed);
}

function refused(what: string): AwsError {
  return new AwsError('InvalidParameterException', `the rehearsal's stand-in has no ${what}`);
}

function invalid(pattern: string): AwsError {
  return new AwsError('InvalidParameterException', `Invalid filter pattern: ${pattern}`);
}

const TERM = /([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?:\s+|$)/y;

function termsOf(pattern: string): Filter {
  const [all, some, none]: [string[], string[], string[]] = [[], [], []];
  TERM.lastIndex = 0;
  while (TERM.lastIndex < pattern.length) {
    const match = TERM.exec(pattern);
    if (match === null) throw invalid(pattern);
    const [, sign, quoted, plain = ''] = match;
    if (plain.startsWith('%')) throw refused('regular expressions in filter patterns');
    // What is not a word has to be in quotes.
    if (quoted === undefined && !/^\w+$/.test(plain)) throw invalid(pattern);
    const list = sign === '?' ? some : sign === '-' ? none : all;
    list.push(quoted?.replaceAll(/\\(.)/g, '$1') ?? plain);
  }
  if (some.length > 0 && all.length + none.length > 0)
    throw refused('filter patterns that mix ? with other terms');
  return (text) =>
    all.every((term) => text.includes(term)) &&
    !none.some((term) => text.includes(term)) &&
    (some.length === 0 || some.some((term) => text.includes(term)));
}

type Condition = (document: unknown) => boolean;

/** `{ $.a.b[0] = "x*" && ($.n > 3 || $.gone NOT EXISTS) }` */
class JsonPattern {
  readonly #pattern: string;
  readonly #tokens: string[];

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#tokens =
      pattern.match(/"(?:[^"\\]|\\.)*"|\$[^\s=!<>()&|}]*|&&|\|\||[<>!]=|[{}()=<>]|[^\s{}()=<>!&|"]+|\S/g) ??
      [];
  }

  read(): Filter {
    this.#expect('{');
    const condition = this.#either();
    this.#expect('}');
    if (this.#tokens.length > 0) throw invalid(this.#pattern);
    return (text) => {
      try {
        const document: unknown = JSON.parse(text);
        return isRecord(document) && condition(document);
      } catch {
        return false;
      }
    };
  }

  #expect(token: string): void {
    if (this.#tokens.shift() !== token) throw invalid(this.#pattern);
  }

  #either(): Condition {
    const options = [this.#both()];
    while (this.#tokens[0] === '||') {
      this.#tokens.shift();
      options.push(this.#both());
    }
    return (document) => options.some((option) => option(document));
  }

  #both(): Condition {
    const parts = [this.#one()];
    while (this.#tokens[0] === '&&') {
      this.#tokens.shift();
      parts.push(this.#one());
    }
    return (document) => parts.every((part) => part(document));
  }

  #one(): Condition {
    if (this.#tokens[0] === '(') {
      this.#tokens.shift();
      const inner = this.#either();
      this.#expect(')');
      return inner;
    }
    const path = pathOf(this.#tokens.shift() ?? '');
    const operator = this.#tokens.shift() ?? '';
    const operand = this.#tokens.shift() ?? '';
    if (path === undefined || operand === '') throw invalid(this.#pattern);
    const valueIn = (document: unknown) => path.reduce<unknown>(member, document);
    if (operator === 'NOT' && operand === 'EXISTS') return (document) => valueIn(document) === undefined;
    if (operator === 'IS') {
      const wanted = { TRUE: true, FALSE: false, NULL: null }[operand];
      if (wanted === undefined) throw invalid(this.#pattern);
      return (document) => valueIn(document) === wanted;
    }
    const compare = COMPARISONS[operator];
    if (compare === undefined) throw invalid(this.#pattern);
    if (operand.startsWith('%')) throw refused('regular expressions in filter patterns');
    const text = operand.startsWith('"') ? operand.slice(1, -1).replaceAll(/\\(.)/g, '$1') : operand;
    return (document) => {
      const value = valueIn(document);
      return value !== undefined && compare(value, text);
    };
  }
}

const COMPARISONS: Record<string, (value: unknown, operand: string) => boolean> = {
  '=': equals,
  '!=': (value, operand) => !equals(value, operand),
  '<': (value, operand) => typeof value === 'number' && value < Number(operand),
  '>': (value, operand) => typeof value === 'number' && value > Number(operand),
  '<=': (value, operand) => typeof value === 'number' && value <= Number(operand),
  '>=': (value, operand) => typeof value === 'number' && value >= Number(operand),
};

/** Numbers by their value, texts with `*` for any characters. */
function equals(value: unknown, operand: string): boolean {
  if (typeof value === 'number') return value === Number(operand);
  if (typeof value !== 'string') return false;
  const parts = operand.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(value);
}

/** `$.a.b[0]` as its names and numbers; undefined: it is no such path. */
function pathOf(selector: string): string[] | undefined {
  if (!/^\$(?:\.[\w-]+|\[\d+\])+$/.test(selector)) return undefined;
  return [...selector.matchAll(/\.([\w-]+)|\[(\d+)\]/g)].map(([, name, index]) => name ?? index ?? '');
}

function member(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return value[Number(key)];
  return isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}
