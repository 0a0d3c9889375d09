import { Duration, Token } from 'aws-cdk-lib';
import type { Construct, IConstruct } from 'constructs';
import * as v from 'valibot';
import { WEEKDAYS } from '../local-time.ts';
import { field, localTime, wholeNumber } from './fields.ts';
import { type FieldPath, type Finding, isPlainObject, pathText, shapeMistakes } from './mistakes.ts';
import { nearest } from './nearest.ts';

/** What a construct was given is mistaken. Each mistake is one sentence that names the property and what is allowed. */
export class PropsError extends Error {
  override readonly name = 'PropsError';
  /** One sentence a mistake, each naming its property. */
  readonly mistakes: string[];

  /** @param path of the construct. */
  constructor(path: string, mistakes: string[]) {
    super(
      mistakes.length === 1
        ? `${path}: ${mistakes[0]}`
        : [`${path} has ${mistakes.length} mistakes:`, ...mistakes.map((mistake) => `- ${mistake}`)].join(
            '\n',
          ),
    );
    this.mistakes = mistakes;
  }
}

const wrappers = new WeakSet<IConstruct>();

/**
 * Says that a construct hands its properties on to those in it, under the same names: a mistake that one of these finds
 * is told as the construct's own.
 */
export function passesPropsOn(construct: IConstruct): void {
  wrappers.add(construct);
}

/** The construct whose properties a person wrote. */
function outermost(scope: IConstruct): IConstruct {
  const around = scope.node.scope;
  return around && wrappers.has(around) ? outermost(around) : scope;
}

/**
 * Checks what a construct was given, before it makes anything. A token of the CDK is taken for what it will be.
 * @param schema of the properties that can be mistaken though they have their types.
 * @param find looks for what no single property can say, where none is mistaken by itself.
 * @param names of all its properties, as `propertyNames` has them: what is spelled nearly as one of them is mistaken. No type check
 * sees that by tsx, or by jest with swc. Others are left alone: whoever extends a construct may hand on more.
 * @throws PropsError with all mistakes at once.
 */
export function checkProps(
  scope: Construct,
  schema: v.GenericSchema,
  props: unknown,
  find: () => Finding[] = () => [],
  names: readonly string[] = [],
): void {
  if (typeof props !== 'object' || props === null)
    refuse(scope, 'The properties are missing; they must be an object.');
  const { issues = [] } = v.safeParse(schema, props);
  const shape = shapeMistakes(schema, props, issues, {
    name: 'The properties',
    isKnownLater: (value) => Token.isUnresolved(value),
  });
  const byThemselves = [
    ...misspelled(props, names).map(sentenceOf),
    ...shape.map(({ sentence }) => sentence),
  ];
  const mistakes = byThemselves.length > 0 ? byThemselves : find().map(sentenceOf);
  refuse(scope, ...mistakes);
}

function sentenceOf({ field, problem }: Finding): string {
  return `${pathText(field)} ${problem}`;
}

/** The names of all properties of a construct: without one of them, or with another, it does not compile. */
export function propertyNames<Props>(names: Record<keyof Props, true>): string[] {
  return Object.keys(names);
}

/** What is spelled nearly as a field that is not given. */
export function misspelled(props: unknown, names: readonly string[], path: FieldPath = []): Finding[] {
  if (!isPlainObject(props)) return [];
  return Object.keys(props).flatMap((name) => {
    const meant = names.includes(name) ? undefined : nearest(name, names);
    if (meant === undefined || props[meant] !== undefined) return [];
    return [
      {
        field: [...path, name],
        problem: `is not a known field; did you mean "${meant}"? Allowed here: ${names.join(', ')}.`,
      },
    ];
  });
}

/**
 * Ends the synthesis with mistakes in what a construct was given, if there are any.
 * @throws PropsError with the path of the construct whose properties a person wrote.
 */
export function refuse(scope: IConstruct, ...mistakes: string[]): void {
  if (mistakes.length > 0) throw new PropsError(outermost(scope).node.path, mistakes);
}

/** What the jobs of a deployment share: of whichever copy of the package, for an app can have two. */
export function upkeepReference() {
  return thing('startRun', 'the Upkeep of its deployment', 'What its jobs share.');
}

/** A thing of the CDK, by a property that all of its kind have. */
export function thing(property: string, allowed: string, description: string) {
  return field(
    v.custom((value) => typeof value === 'object' && value !== null && property in value),
    allowed,
    description,
  );
}

/** Names of jobs. */
export function jobNames(description: string) {
  return field(
    v.array(field(v.string(), 'the name of a job', 'A job.')),
    'a list of names of jobs',
    description,
  );
}

/** As `DailySchedule` says. */
export function dailyScheduleProps(description: string) {
  return field(
    v.strictObject({
      at: localTime('The time.'),
      flexibleWindow: v.optional(duration(Duration.minutes(0), LONGEST_FLEXIBLE_WINDOW, 60)),
    }),
    'an object with "at", such as { at: \'02:30\' }',
    description,
  );
}

/** When a job runs, as `DailySchedule` and the like say. */
export function scheduleProps(description: string) {
  return field(
    v.strictObject({
      at: localTime('The time.'),
      weekday: v.optional(
        field(v.picklist(WEEKDAYS), `one of ${WEEKDAYS.join(', ')}`, 'The day.', { isComputedWith: true }),
      ),
      dayOfMonth: v.optional(wholeNumber(1, LAST_DAY_OF_MONTH, 'The day of each month.')),
      flexibleWindow: v.optional(duration(Duration.minutes(0), LONGEST_FLEXIBLE_WINDOW, 60)),
    }),
    'an object with "at", such as { at: \'02:30\' }',
    description,
  );
}

/** That each month has. */
export const LAST_DAY_OF_MONTH = 28;

/** EventBridge Scheduler's limit on a flexible window. */
const LONGEST_FLEXIBLE_WINDOW = Duration.days(1);

/** A duration from one to another, of whole seconds, or whole so many. */
export function duration(from: Duration, to: Duration, ofSeconds = 1) {
  return field(
    v.custom<Duration>(
      (value) =>
        isDuration(value) &&
        // The synthesis computes with it.
        !value.isUnresolved() &&
        value.toMilliseconds() >= from.toMilliseconds() &&
        value.toMilliseconds() <= to.toMilliseconds() &&
        value.toMilliseconds() % (ofSeconds * 1000) === 0,
    ),
    `a Duration from ${from.toHumanString()} to ${to.toHumanString()}${ofSeconds === 60 ? ', of whole minutes' : ''}`,
    'A duration.',
  );
}

/** Of whichever copy of the library: an app can have two. */
function isDuration(value: unknown): value is Duration {
  return (
    value instanceof Duration ||
    (typeof value === 'object' && value !== null && 'toMilliseconds' in value && 'isUnresolved' in value)
  );
}

/** A duration that a run does not live to see. */
export function lessThanTimeLimit(field: string, given: Duration, timeLimit: Duration): Finding[] {
  if (given.isUnresolved() || timeLimit.isUnresolved() || given.toMilliseconds() < timeLimit.toMilliseconds())
    return [];
  return [
    {
      field: [field],
      problem: `is ${given.toHumanString()}; it must be less than the ${timeLimit.toHumanString()} of timeLimit.`,
    },
  ];
}
