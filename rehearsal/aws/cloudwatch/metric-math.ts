/** One value per period, oldest first; undefined where there is no data. */
export type Series = (number | undefined)[];

/** A parsed expression of CloudWatch's metric math. */
export interface MathExpression {
  /** Identifiers of the metrics and expressions that it uses. */
  uses: string[];
  /** @param range the periods that the series are of: the beginning of the first, and their length, in milliseconds. */
  evaluate(inputs: Map<string, MathInput>, range: MathRange): Series;
}

export interface MathRange {
  start: number;
  period: number;
}

export interface MathInput {
  series: Series;
  /** Whether the metric has ever had a point: `FILL` can only fill the gaps of a metric that exists. */
  exists: boolean;
}

/** Metric math that the rehearsal does not understand: it stops rather than guess. */
export class UnknownMetricMath extends Error {
  override readonly name = 'UnknownMetricMath';
}

/** Parses what templates use: arithmetic, comparisons, AND, OR, FILL, IF, SUM, AVG, MIN, MAX, ABS, CEIL, FLOOR, DATE, DAY, EPOCH, HOUR. */
export function parseMetricMath(text: string): MathExpression {
  const tokens = tokenize(text);
  const uses = new Set<string>();
  let position = 0;

  const peek = () => tokens[position];
  const take = () => tokens[position++];
  const fail = (): never => {
    throw new UnknownMetricMath(`metric math that is not understood: ${text}, at ${peek() ?? 'its end'}`);
  };
  const expect = (token: string) => {
    if (take() !== token) {
      position--;
      fail();
    }
  };

  function level(index: number): Node {
    const operators = PRECEDENCE[index];
    if (operators === undefined) return unary();
    let left = level(index + 1);
    for (let token = peek(); token !== undefined && token in operators; token = peek()) {
      const apply = operators[token];
      if (apply === undefined) return fail();
      take();
      const right = level(index + 1);
      const before = left;
      left = (scope) =>
        combine([before(scope), right(scope)], ([first, second]) => apply(first ?? 0, second ?? 0));
    }
    return left;
  }

  function unary(): Node {
    if (peek() !== '-') return primary();
    take();
    const operand = unary();
    return (scope) => combine([operand(scope)], ([value]) => -(value ?? 0));
  }

  function primary(): Node {
    const token = take();
    if (token === undefined) return fail();
    if (token === '(') {
      const inner = level(0);
      expect(')');
      return inner;
    }
    if (token === '[') {
      const items = list(']');
      return (scope) => ({ list: items.map((item) => series(item(scope), scope)) });
    }
    if (/^[\d.]/.test(token)) {
      const number = Number(token);
      return () => number;
    }
    if (peek() === '(') {
      take();
      return call(token, list(')'));
    }
    if (!/^[a-z]\w*$/.test(token)) {
      position--;
      return fail();
    }
    uses.add(token);
    return (scope) => {
      const input = scope.inputs.get(token);
      if (input === undefined)
        throw new UnknownMetricMath(`${text} uses ${token}, which the alarm does not have`);
      return { ...input };
    };
  }

  function list(end: string): Node[] {
    const items: Node[] = [];
    if (peek() === end) {
      take();
      return items;
    }
    for (;;) {
      const token = peek();
      // FILL's second parameter may be a word.
      if (token === 'REPEAT') {
        take();
        items.push(() => 'REPEAT');
      } else {
        items.push(level(0));
      }
      const next = take();
      if (next === end) return items;
      if (next !== ',') {
        position--;
        fail();
      }
    }
  }

  function call(name: string, parameters: Node[]): Node {
    const [first, second, third] = parameters;
    const scalar = SCALAR[name];
    const over = AGGREGATES[name];
    const ofTime = OF_TIME[name];
    if (first !== undefined) {
      if (name === 'FILL' && second !== undefined && parameters.length === 2) {
        return (scope) => fill(first(scope), second(scope), scope);
      }
      if (name === 'IF' && second !== undefined && third !== undefined && parameters.length === 3) {
        return (scope) => choose(first(scope), second(scope), third(scope), scope);
      }
      if (ofTime !== undefined && parameters.length === 1) {
        return (scope) => eachPeriod(first(scope), ofTime, scope);
      }
      if (scalar !== undefined && parameters.length === 1) {
        return (scope) => combine([first(scope)], ([value]) => scalar(value ?? 0));
      }
      if (over !== undefined && parameters.length === 1) {
        return (scope) => aggregate(over, first(scope), scope);
      }
    }
    throw new UnknownMetricMath(
      `metric math that is not understood: ${name} with ${parameters.length} parameters in ${text}`,
    );
  }

  const root = level(0);
  if (position < tokens.length) fail();
  return {
    uses: [...uses],
    evaluate: (inputs, range) => {
      const length = Math.max(0, ...[...inputs.values()].map((input) => input.series.length));
      const scope = { inputs, length, range };
      return series(root(scope), scope);
    },
  };
}

interface Scope {
  inputs: Map<string, MathInput>;
  length: number;
  range: MathRange;
}

type Value = number | 'REPEAT' | MathInput | { list: Series[] };
type Node = (scope: Scope) => Value;

const truth = (holds: boolean) => (holds ? 1 : 0);

/** Weakest first. */
const PRECEDENCE: Record<string, (left: number, right: number) => number>[] = [
  {
    '||': (left, right) => truth(left !== 0 || right !== 0),
    OR: (left, right) => truth(left !== 0 || right !== 0),
  },
  {
    '&&': (left, right) => truth(left !== 0 && right !== 0),
    AND: (left, right) => truth(left !== 0 && right !== 0),
  },
  {
    '==': (left, right) => truth(left === right),
    '!=': (left, right) => truth(left !== right),
    '<': (left, right) => truth(left < right),
    '<=': (left, right) => truth(left <= right),
    '>': (left, right) => truth(left > right),
    '>=': (left, right) => truth(left >= right),
  },
  { '+': (left, right) => left + right, '-': (left, right) => left - right },
  { '*': (left, right) => left * right, '/': (left, right) => left / right },
  { '^': (left, right) => left ** right },
];

const SCALAR: Record<string, (value: number) => number> = {
  ABS: Math.abs,
  CEIL: Math.ceil,
  FLOOR: Math.floor,
};

/** Of the beginning of a period, in UTC. A week's days are 1, Monday, to 7. */
const OF_TIME: Record<string, (time: Date) => number> = {
  DATE: (time) => time.getUTCDate(),
  DAY: (time) => time.getUTCDay() || 7,
  EPOCH: (time) => time.getTime() / 1000,
  HOUR: (time) => time.getUTCHours(),
};

const AGGREGATES: Record<string, (values: number[]) => number> = {
  SUM: (values) => values.reduce((sum, value) => sum + value, 0),
  AVG: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  MIN: (values) => Math.min(...values),
  MAX: (values) => Math.max(...values),
};

function tokenize(text: string): string[] {
  const tokens = text.match(/\|\||&&|[<>=!]=|[<>+\-*/^()[\],]|\d+(?:\.\d+)?|\w+|\S/g);
  return tokens ?? [];
}

function series(value: Value, { length }: Scope): Series {
  if (value === 'REPEAT')
    throw new UnknownMetricMath('REPEAT is understood only as the second parameter of FILL');
  if (typeof value === 'number') return new Array<number>(length).fill(value);
  if ('list' in value) throw new UnknownMetricMath('a list is not understood as a result');
  return value.series;
}

/**
 * Point by point. Where one of two series has no data it counts as 0, and where neither has any there is none in the result
 * (CloudWatch User Guide, "Using metric math", of arithmetic and comparisons).
 */
function combine(values: Value[], apply: (values: number[]) => number): Value {
  if (values.every((value) => typeof value === 'number')) return apply(values);
  const inputs = values.map((value) => {
    if (value === 'REPEAT' || (typeof value === 'object' && 'list' in value)) {
      throw new UnknownMetricMath('arithmetic with a list is not understood');
    }
    return value;
  });
  const length = Math.max(...inputs.map((input) => (typeof input === 'number' ? 0 : input.series.length)));
  const result: Series = [];
  for (let index = 0; index < length; index++) {
    const isAny = inputs.some((input) => typeof input !== 'number' && input.series[index] !== undefined);
    const points = inputs.map((input) => (typeof input === 'number' ? input : (input.series[index] ?? 0)));
    const applied = isAny ? apply(points) : undefined;
    // Divided by zero: the point is dropped.
    result.push(Number.isFinite(applied) ? applied : undefined);
  }
  return { series: result, exists: inputs.some((input) => typeof input !== 'number' && input.exists) };
}

/** Of each period, whether the series has a point in it or not. */
function eachPeriod(value: Value, ofTime: (time: Date) => number, { length, range }: Scope): Value {
  if (typeof value !== 'object' || 'list' in value) {
    throw new UnknownMetricMath('functions of time are understood only of one series');
  }
  const { start, period } = range;
  return {
    series: Array.from({ length }, (_, index) => ofTime(new Date(start + index * period))),
    exists: true,
  };
}

function fill(value: Value, filler: Value, scope: Scope): Value {
  if (typeof value !== 'object' || 'list' in value) {
    throw new UnknownMetricMath('FILL is understood only of one series');
  }
  if (!value.exists) return value;
  let last: number | undefined;
  const other = filler === 'REPEAT' ? undefined : series(filler, scope);
  const filled = value.series.map((point, index) => {
    last = point ?? last;
    return point ?? (other === undefined ? last : other[index]);
  });
  return { series: filled, exists: true };
}

function choose(condition: Value, yes: Value, no: Value, scope: Scope): Value {
  const conditions = series(condition, scope);
  const [whenTrue, whenFalse] = [series(yes, scope), series(no, scope)];
  // What is missing where the condition holds is 0, where it does not nothing (the same guide, "Using IF expressions").
  const result = conditions.map((point, index) =>
    point === undefined ? undefined : point !== 0 ? (whenTrue[index] ?? 0) : whenFalse[index],
  );
  return { series: result, exists: result.some((point) => point !== undefined) };
}

/** Of a list: point by point, over those that have data. Of one series: over all its points, one number. */
function aggregate(over: (values: number[]) => number, value: Value, scope: Scope): Value {
  const present = (points: Series) => points.filter((point) => point !== undefined);
  if (typeof value === 'object' && 'list' in value) {
    const result: Series = [];
    for (let index = 0; index < scope.length; index++) {
      const points = present(value.list.map((item) => item[index]));
      result.push(points.length === 0 ? undefined : over(points));
    }
    return { series: result, exists: result.some((point) => point !== undefined) };
  }
  const points = present(series(value, scope));
  return points.length === 0 ? { series: [], exists: false } : over(points);
}
