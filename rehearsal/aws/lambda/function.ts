import type { Credentials } from '../access/access-control.ts';
import { AwsError } from '../aws-error.ts';
import type { Place } from '../place.ts';
import type { Principal } from '../policy/policy.ts';
import type { Resource } from '../template/resource.ts';
import type { FunctionProcess } from './function-process.ts';

export const DAY = 86_400_000;

/** A function of the templates. */
export interface LambdaFunction extends Place {
  resource: Resource;
  arn: string;
  name: string;
  /** The session under which its code and Lambda itself act. */
  role: Principal & { kind: 'identity' };
  folder: string;
  /** Real milliseconds. */
  timeout: number;
  logGroup: string;
  /** Milliseconds. */
  durable: { timeout: number; retention: number; keyArn: string | undefined } | undefined;
  /** Of versions whose code is another one than that of the templates. */
  folders: Map<string, string>;
  versions: Set<string>;
  aliases: Map<string, string>;
  /** By qualifier. */
  asynchronous: Map<string, AsynchronousSettings>;
  processes: Environment[];
  credentials: Credentials | undefined;
}

/** What an ARN or name with qualifier points at. */
export interface Target {
  fn: LambdaFunction;
  version: string;
  /** As it was invoked: with the alias, if it was by one. */
  arn: string;
  qualifier: string | undefined;
}

/** What Lambda does with asynchronous invocations that fail. */
export interface AsynchronousSettings {
  retries: number;
  /** Milliseconds. */
  maximumAge: number;
  onFailure: string | undefined;
}

/** A process in which a version of a function runs. */
export interface Environment {
  version: string;
  /** Of the function's log. */
  stream: string;
  process: FunctionProcess;
  /** Ends it when it has long been idle. */
  cancel: () => void;
}

export function notFound(arn: string): AwsError {
  return new AwsError('ResourceNotFoundException', `Function not found: ${arn}`, { Type: 'User' });
}

/** Its aliases lead to the new version from now on; what goes on goes on under the version that it began with. */
export function addVersion(fn: LambdaFunction, folder: string | undefined): void {
  const version = String(fn.versions.size + 1);
  fn.versions.add(version);
  if (folder !== undefined) fn.folders.set(version, folder);
  for (const alias of fn.aliases.keys()) fn.aliases.set(alias, version);
}

/** As GetFunctionConfiguration gives it. */
export function described(fn: LambdaFunction, version: string) {
  const { properties } = fn.resource;
  const variables = properties.child('Environment')?.child('Variables')?.values ?? {};
  const vpc = properties.child('VpcConfig');
  const keyArn = properties.text('KmsKeyArn', undefined);
  return {
    FunctionName: fn.name,
    FunctionArn: version === '$LATEST' ? fn.arn : `${fn.arn}:${version}`,
    Runtime: properties.text('Runtime'),
    Role: properties.text('Role'),
    Handler: properties.text('Handler'),
    Description: properties.text('Description', ''),
    Timeout: fn.timeout / 1000,
    MemorySize: properties.number('MemorySize', 128),
    Version: version,
    PackageType: 'Zip',
    Architectures: properties.texts('Architectures'),
    State: 'Active',
    LastUpdateStatus: 'Successful',
    Environment: {
      Variables: Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)])),
    },
    LoggingConfig: { LogGroup: fn.logGroup },
    ...(keyArn !== undefined && { KMSKeyArn: keyArn }),
    ...(vpc !== undefined && {
      VpcConfig: { SubnetIds: vpc.texts('SubnetIds'), SecurityGroupIds: vpc.texts('SecurityGroupIds') },
    }),
    ...(fn.durable !== undefined && {
      DurableConfig: {
        ExecutionTimeout: fn.durable.timeout / 1000,
        RetentionPeriodInDays: fn.durable.retention / DAY,
        ...(fn.durable.keyArn !== undefined && { KMSKeyArn: fn.durable.keyArn }),
      },
    }),
  };
}

export function describedAlias(fn: LambdaFunction, name: string, version: string) {
  return { AliasArn: `${fn.arn}:${name}`, Name: name, FunctionVersion: version };
}
