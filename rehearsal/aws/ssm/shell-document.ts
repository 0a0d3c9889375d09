import { AwsError } from '../aws-error.ts';
import type { Place } from '../place.ts';
import type { Deployed } from '../template/resource.ts';

/** A document of the kind that runs a shell script. */
export interface ShellDocument {
  parameters: Record<string, { allowedPattern?: string; default?: string }>;
  script: string;
  timeoutSeconds: string;
}

/** Seconds, where a document's value is none or out of range. */
export const DEFAULT_TIMEOUT = 3_600;

/** One of AWS's, or of the templates. */
export function readDocument(name: string, deployed: Deployed, where: Place): ShellDocument {
  if (name === 'AWS-RunShellScript') {
    return {
      parameters: { commands: {}, executionTimeout: { default: String(DEFAULT_TIMEOUT) } },
      script: '{{ commands }}',
      timeoutSeconds: '{{ executionTimeout }}',
    };
  }
  const document = deployed
    .ofType('AWS::SSM::Document')
    .find((each) => each.name === name && each.account === where.account && each.region === where.region);
  if (document === undefined)
    throw new AwsError('InvalidDocument', `Document with name ${name} does not exist.`);
  return shellDocument(document.properties.values.Content, document.properties.where);
}

function shellDocument(content: unknown, where: string): ShellDocument {
  const { schemaVersion, parameters = {}, mainSteps = [] } = record(content);
  const [step, more] = Array.isArray(mainSteps) ? mainSteps : [];
  const { action, inputs } = record(step);
  const { runCommand, timeoutSeconds = String(DEFAULT_TIMEOUT) } = record(inputs);
  if (schemaVersion !== '2.2' || action !== 'aws:runShellScript' || more || !Array.isArray(runCommand)) {
    throw new Error(`${where}: only documents of schema 2.2 with one aws:runShellScript are understood`);
  }
  return {
    parameters: record(parameters) as ShellDocument['parameters'],
    script: runCommand.join('\n'),
    timeoutSeconds: String(timeoutSeconds),
  };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** What the caller gives, and the defaults. */
export function parameterValues(
  { parameters }: ShellDocument,
  given: Record<string, string[]>,
): Record<string, string> {
  for (const name of Object.keys(given))
    if (!(name in parameters)) throw new AwsError('InvalidParameters', `There is no parameter ${name}.`);
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { allowedPattern, default: otherwise }]) => {
      const value = given[name]?.join('\n') ?? otherwise;
      if (value === undefined) throw new AwsError('InvalidParameters', `The parameter ${name} is missing.`);
      if (allowedPattern !== undefined && !new RegExp(allowedPattern).test(value)) {
        throw new AwsError('InvalidParameters', `The parameter ${name} does not match ${allowedPattern}.`);
      }
      return [name, value];
    }),
  );
}

export function filled(text: string, values: Record<string, string>): string {
  return text.replaceAll(/\{\{\s*([A-Za-z]+)\s*\}\}/g, (whole, name: string) => values[name] ?? whole);
}

/** A number from 5 to 172,800, as text; else the agent takes an hour. */
export function secondsOf(text: string): number {
  const seconds = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return seconds >= 5 && seconds <= 172_800 ? seconds : DEFAULT_TIMEOUT;
}
