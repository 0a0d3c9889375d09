const ARN_PARTS = 6;

/** How AWS compares a value of a request with one of a policy's condition. */
interface Test {
  holds(actual: string, wanted: string): boolean;
  /** A negated one needs every wanted value to hold, and holds where the key is missing. */
  negated?: true;
  /** Which wanted values AWS documents. @default any */
  takes?(wanted: string): boolean;
}

const isNumber = (text: string) => /^[+-]?\d+(\.\d+)?$/.test(text);
const isBoolean = (text: string) => text === 'true' || text === 'false';

function numeric(compare: (actual: number, wanted: number) => boolean): Test {
  return {
    holds: (actual, wanted) =>
      isNumber(actual) && isNumber(wanted) && compare(Number(actual), Number(wanted)),
    takes: isNumber,
  };
}

function not(test: Test): Test {
  return { ...test, holds: (actual, wanted) => !test.holds(actual, wanted), negated: true };
}

const stringEquals: Test = { holds: (actual, wanted) => actual === withoutEscapes(wanted) };
const stringEqualsIgnoreCase: Test = {
  holds: (actual, wanted) => actual.toLowerCase() === withoutEscapes(wanted).toLowerCase(),
};
const stringLike: Test = { holds: (actual, wanted) => matches(wanted, actual) };
// ArnEquals and ArnLike behave identically.
const arnLike: Test = {
  holds: (actual, wanted) => matchesArn(wanted, actual),
  // Of one with fewer parts no page says what it is compared with.
  takes: (wanted) => wanted.startsWith('arn:') && wanted.split(':').length >= ARN_PARTS,
};

const OPERATORS = new Map<string, Test>([
  ['StringEquals', stringEquals],
  ['StringNotEquals', not(stringEquals)],
  ['StringEqualsIgnoreCase', stringEqualsIgnoreCase],
  ['StringNotEqualsIgnoreCase', not(stringEqualsIgnoreCase)],
  ['StringLike', stringLike],
  ['StringNotLike', not(stringLike)],
  ['ArnEquals', arnLike],
  ['ArnLike', arnLike],
  ['ArnNotEquals', not(arnLike)],
  ['ArnNotLike', not(arnLike)],
  ['Bool', { holds: (actual, wanted) => actual.toLowerCase() === wanted, takes: isBoolean }],
  ['NumericEquals', numeric((actual, wanted) => actual === wanted)],
  ['NumericNotEquals', not(numeric((actual, wanted) => actual === wanted))],
  ['NumericLessThan', numeric((actual, wanted) => actual < wanted)],
  ['NumericLessThanEquals', numeric((actual, wanted) => actual <= wanted)],
  ['NumericGreaterThan', numeric((actual, wanted) => actual > wanted)],
  ['NumericGreaterThanEquals', numeric((actual, wanted) => actual >= wanted)],
  // Of whether there is a value; it takes neither IfExists nor a set.
  ['Null', { holds: (actual, wanted) => actual === wanted, takes: isBoolean }],
]);

/** Undefined for an operator that AWS has not, or that is not understood. */
export function readOperator(
  operator: string,
): { name: string; test: Test; set: 'any' | 'all' | undefined; ifExists: boolean } | undefined {
  const [, set, name = '', ifExists] =
    /^(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?$/.exec(operator) ?? [];
  const test = OPERATORS.get(name);
  if (!test || (name === 'Null' && (set || ifExists))) return undefined;
  const of = set === 'ForAnyValue' ? 'any' : set === 'ForAllValues' ? 'all' : undefined;
  return { name, test, set: of, ifExists: ifExists !== undefined };
}

/** IAM's wildcards: `*` any characters, `?` exactly one; `${*}`, `${?}` and `${$}` are those characters themselves. */
export function matches(pattern: string, text: string): boolean {
  if (!WILDCARD.test(pattern)) return pattern === text;
  return expressionOf(pattern, { star: '.*', lastStar: '.*', one: '.' }).test(text);
}

/** Likewise of an ARN: but for a star that ends a part, none stands for a colon. */
export function matchesWithin(pattern: string, arn: string): boolean {
  if (!WILDCARD.test(pattern)) return pattern === arn;
  return expressionOf(pattern, { star: '[^:]*', lastStar: '.*', one: '[^:]' }).test(arn);
}

const WILDCARD = /[*?]|\$\{/;
const expressions = new Map<string, RegExp>();

function expressionOf(
  pattern: string,
  { star, lastStar, one }: { star: string; lastStar: string; one: string },
): RegExp {
  const key = `${star} ${pattern}`;
  let expression = expressions.get(key);
  if (expression === undefined) {
    const source = pattern.replace(
      /\$\{([*?$])\}|[\\^$.|+()[\]{}*?]/g,
      (found, escaped: string | undefined, at: number) => {
        if (escaped !== undefined) return `\\${escaped}`;
        if (found === '?') return one;
        if (found !== '*') return `\\${found}`;
        return /^(:|$)/.test(pattern.slice(at + 1)) ? lastStar : star;
      },
    );
    expression = new RegExp(`^${source}$`, 's');
    expressions.set(key, expression);
  }
  return expression;
}

function withoutEscapes(text: string): string {
  return text.replace(/\$\{([*?$])\}/g, '$1');
}

/** ARNs are compared part by part: a wildcard does not cross one of the first five colons. */
function matchesArn(pattern: string, arn: string): boolean {
  const split = (text: string) => {
    const parts = text.split(':');
    return [...parts.slice(0, ARN_PARTS - 1), parts.slice(ARN_PARTS - 1).join(':')];
  };
  const wanted = split(pattern);
  return split(arn).every((part, index) => matches(wanted[index] ?? '', part));
}
