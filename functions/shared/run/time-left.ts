import {
  type DurableContext,
  retryPresets,
  type StepConfig,
  type StepFunc,
  StepSemantics,
  type WaitForConditionCheckFunc,
  type WaitForConditionConfig,
} from '@aws/durable-execution-sdk-js';
import { recordable, recordableError, recordableName, TooLargeToRecord } from './recordable.ts';

/** Of a whole invocation, kept at its end for recording what was done: half a minute of Lambda's fifteen. */
const RESERVED_SHARE = 1 / 30;

/** With less than this left besides, nothing is begun: two and a half minutes of fifteen, more than most steps can take. */
const WORTH_A_STEP_SHARE = 1 / 6;

/** Of what its time was over for. Begun early in an invocation, a step that does not fit by then never will. */
const TRIES = 3;

/** Nothing was begun, for this invocation has too little time left: the next one has. */
class TooLittleTimeLeft extends Error {
  override readonly name = 'TooLittleTimeLeft';
}

/** It was left where it was, before Lambda would have ended it: what it did of its work is not known. */
class OutOfTime extends Error {
  override readonly name = 'OutOfTime';
}

/** So long nothing is retried: only until the invocation has ended. */
const AT_ONCE = { seconds: 1 } as const;

/** Milliseconds. */
interface Invocation {
  whole: number;
  left(): number;
}

/**
 * A context in which Lambda's timeout cuts nothing: each step, and each look for a condition, is begun with enough of the
 * invocation left or waits for the next one, and is left shortly before the invocation's end. A step that was left is tried again
 * from its beginning, three times; one that must not be done twice counts as interrupted; a look is repeated with what was
 * known before it. What Lambda would refuse to record is an error of the step, and names are cut to what it takes.
 * What submits a callback, and conditions whose state has its own way to be written, are as the SDK has them.
 * @param context at the beginning of an invocation.
 */
export function insideInvocations(context: DurableContext): DurableContext {
  const whole = context.lambdaContext.getRemainingTimeInMillis();
  return inside(context, { whole, left: () => context.lambdaContext.getRemainingTimeInMillis() });
}

/** Milliseconds of this invocation, but for a share of `whole` at its end, by which something has to be done with it. */
export function leftOfInvocation(context: DurableContext, reservedShare: number): number {
  const { whole, left } = invocationOf(context);
  return left() - whole * reservedShare;
}

/** Begins a step's work only with so much of the invocation left, besides what recording takes. */
export async function withTimeLeft<Result>(
  context: DurableContext,
  milliseconds: number,
  work: () => Promise<Result>,
): Promise<Result> {
  const { whole, left } = invocationOf(context);
  // No invocation has more than a whole one.
  const needed = Math.min(milliseconds + whole * RESERVED_SHARE, whole * (1 - WORTH_A_STEP_SHARE));
  if (left() < needed) throw new TooLittleTimeLeft('Too little of this invocation is left.');
  return work();
}

const invocations = new WeakMap<DurableContext, Invocation>();

function invocationOf(context: DurableContext): Invocation {
  const known = invocations.get(context);
  if (known) return known;
  throw new Error('The context is none of insideInvocations.');
}

function inside(context: DurableContext, invocation: Invocation): DurableContext {
  const guarded = new Proxy(context, {
    get(target, key) {
      if (key === 'step') return stepOf(target, invocation);
      if (key === 'waitForCondition') return waitForConditionOf(target, invocation);
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return OF_CHILDREN.has(key) ? ofChildren(value.bind(target), invocation) : value.bind(target);
    },
  });
  invocations.set(guarded, invocation);
  return guarded;
}

/** Operations whose work is given contexts of its own. */
const OF_CHILDREN = new Set<string | symbol>(['runInChildContext', 'map', 'parallel']);

type ChildWork = (child: DurableContext, ...others: unknown[]) => unknown;

/** Guards the contexts that an operation's work is given: each function among its parameters, or in a list of branches. */
function ofChildren(operation: (...parameters: unknown[]) => unknown, invocation: Invocation) {
  const guarded = (value: unknown): unknown => {
    if (isWork(value))
      return (child: DurableContext, ...others: unknown[]) => value(inside(child, invocation), ...others);
    const isBranch = typeof value === 'object' && value !== null && 'func' in value;
    return isBranch ? { ...value, func: guarded(value.func) } : value;
  };
  const isListOfWork = (value: unknown): value is unknown[] =>
    Array.isArray(value) && value.every((each) => guarded(each) !== each);
  return (...parameters: unknown[]) =>
    operation(
      ...parameters.map((parameter) => {
        if (typeof parameter === 'string') return recordableName(parameter);
        return isListOfWork(parameter) ? parameter.map(guarded) : guarded(parameter);
      }),
    );
}

function isWork(value: unknown): value is ChildWork {
  return typeof value === 'function';
}

function stepOf(context: DurableContext, invocation: Invocation) {
  return <Output>(
    ...parameters:
      | [StepFunc<Output>, StepConfig<Output>?]
      | [string | undefined, StepFunc<Output>, StepConfig<Output>?]
  ) => {
    const [name, work, config = {}] = named(parameters);
    const { semantics, retryStrategy = retryPresets.default } = config;
    const told = name ?? 'a step';
    return context.step(name, (step) => inTime(invocation, told, () => work(step)), {
      ...config,
      retryStrategy: (error, attempt) => {
        if (error instanceof TooLargeToRecord) return { shouldRetry: false };
        if (error instanceof TooLittleTimeLeft) return { shouldRetry: true, delay: AT_ONCE };
        if (!(error instanceof OutOfTime)) return retryStrategy(error, attempt);
        const isRepeatable = semantics !== StepSemantics.AtMostOncePerRetry;
        return { shouldRetry: isRepeatable && attempt < TRIES, delay: AT_ONCE };
      },
    });
  };
}

/** The SDK's operations take a name before the work, or none. */
function named<Work extends (...parameters: never[]) => unknown, Config>(
  parameters: [Work, Config?] | [string | undefined, Work, Config?],
): [name: string | undefined, work: Work, config: Config | undefined] {
  const [first, second, third] = parameters;
  return typeof first === 'function'
    ? [undefined, first, second as Config | undefined]
    : [first === undefined ? undefined : recordableName(first), second as Work, third];
}

/** What is recorded of looks that were not made, or left: what was known before them. */
interface NotLooked<State> {
  lookedBefore: State;
  /** Looks in a row that were left. */
  outOfTime: number;
}

function waitForConditionOf(context: DurableContext, invocation: Invocation) {
  return async <State>(
    ...parameters:
      | [WaitForConditionCheckFunc<State>, WaitForConditionConfig<State>]
      | [string | undefined, WaitForConditionCheckFunc<State>, WaitForConditionConfig<State>]
  ): Promise<State> => {
    const [name, look, config] = named<WaitForConditionCheckFunc<State>, WaitForConditionConfig<State>>(
      parameters,
    );
    if (!config) throw new Error('A condition has a state to begin with, and a way to wait.');
    // What is known before a look cannot be written by what writes a state.
    if (config.serdes) return context.waitForCondition(name, look, config);
    const { initialState, waitStrategy } = config;
    const recorded = await context.waitForCondition(
      name,
      lookInTime(invocation, name ?? 'a condition', look),
      {
        initialState: initialState as State | NotLooked<State>,
        waitStrategy: (state, attempt) =>
          isNotLooked(state) ? { shouldContinue: true, delay: AT_ONCE } : waitStrategy(state, attempt),
      },
    );
    if (isNotLooked(recorded)) throw new Error(`"${name}" ended without a look.`);
    return recorded;
  };
}

function lookInTime<State>(
  invocation: Invocation,
  name: string,
  look: WaitForConditionCheckFunc<State>,
): WaitForConditionCheckFunc<State | NotLooked<State>> {
  return async (before, condition) => {
    const known = isNotLooked(before) ? before : { lookedBefore: before, outOfTime: 0 };
    try {
      return await inTime(invocation, name, () => look(known.lookedBefore, condition));
    } catch (error) {
      if (error instanceof TooLittleTimeLeft) return known;
      if (!(error instanceof OutOfTime) || known.outOfTime + 1 >= TRIES) throw error;
      return { ...known, outOfTime: known.outOfTime + 1 };
    }
  };
}

function isNotLooked<State>(state: State | NotLooked<State>): state is NotLooked<State> {
  return typeof state === 'object' && state !== null && 'lookedBefore' in state && 'outOfTime' in state;
}

async function inTime<Result>(
  { whole, left }: Invocation,
  name: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const most = left() - whole * RESERVED_SHARE;
  if (most < whole * WORTH_A_STEP_SHARE)
    throw new TooLittleTimeLeft('Too little of this invocation is left.');
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const what = `"${name}" was left after ${Math.round(most / 1000)} seconds: Lambda would have ended the invocation.`;
    timer = setTimeout(() => reject(new OutOfTime(what)), most);
  });
  try {
    return recordable(name, await Promise.race([work(), late]));
  } catch (error) {
    throw recordableError(error);
  } finally {
    clearTimeout(timer);
  }
}
