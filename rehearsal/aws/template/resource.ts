import { createHash } from 'node:crypto';
import type { Place } from '../place.ts';
import type { Properties } from './properties.ts';

/** What stands in a cloud assembly, as CloudFormation would make it. */
export class Deployed {
  readonly resources: Resource[];
  /** What the stacks print: by the stack's name, and the output's. */
  readonly outputs: Record<string, Record<string, string>>;
  /** What the stacks export: by the stack's name, and the export's. */
  readonly exports: Record<string, Record<string, string>>;
  /** The assembly's folders, by their object keys: functions' bundles. */
  readonly assets: Map<string, string>;
  readonly #byArn: Map<string, Resource>;

  constructor({
    resources,
    outputs,
    exports,
    assets,
  }: Pick<Deployed, 'resources' | 'outputs' | 'exports' | 'assets'>) {
    this.resources = resources;
    this.outputs = outputs;
    this.exports = exports;
    this.assets = assets;
    this.#byArn = new Map(resources.map((resource) => [resource.arn, resource]));
  }

  ofType(type: string): Resource[] {
    return this.resources.filter((resource) => resource.type === type);
  }

  /**
   * What the next deploy of the same stacks meets after the first one failed late and was rolled back, or was taken away, and
   * fails on with "already exists".
   */
  inTheWayOfTheNext(): Resource[] {
    return this.resources.filter(({ hasFixedName, isRetained }) => hasFixedName && isRetained);
  }

  byArn(arn: string): Resource | undefined {
    return this.#byArn.get(arn);
  }
}

/** One resource with everything in its properties resolved. */
export interface Resource extends Place {
  type: string;
  stack: string;
  logicalId: string;
  /** The physical name. */
  name: string;
  /** What `Ref` gives. */
  physicalId: string;
  /** The template gives the name, so that there can be one only. */
  hasFixedName: boolean;
  /** Its stack's rollback, or its end, leaves it. */
  isRetained: boolean;
  arn: string;
  properties: Properties;
}

/** What is known of a resource type. */
export interface ResourceType {
  /** The property with the name; left out where the name is always made. */
  name?: string;
  /** Makes the name, where CloudFormation's way is not the service's. `next` counts what has the same key. */
  makeName?(place: Place, properties: Properties, next: (key: string) => number): string;
  /** Other properties that the ARN is made of. */
  identity?: string[];
  arn(place: Place, name: string, properties: Properties): string;
  /** What `Ref` gives; default: the name. */
  ref?(resource: Resource, endpoint: string): string;
  attributes?: Record<string, (resource: Resource) => unknown>;
  /** Properties that the stand-in uses, or that change nothing that it shows. Undefined: not looked at. */
  properties: string[] | undefined;
}

/** By CloudFormation's name, such as `AWS::SQS::Queue`. */
export type ResourceTypes = Record<string, ResourceType | undefined>;

/** Makes ARNs of a service; the prefix stands before the name. */
export const arnOf =
  (service: string, prefix = '') =>
  ({ account, region }: Place, name: string) =>
    `arn:aws:${service}:${region}:${account}:${prefix}${name}`;

export const byArn = (resource: Resource) => resource.arn;

export function hash(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

export function uuid(text: string): string {
  return hash(text, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
