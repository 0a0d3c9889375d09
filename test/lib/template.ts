import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { checkConfiguration, type Deployment } from '../../lib/whatsapp/configuration/configuration.ts';
import { UpkeepStack } from '../../lib/whatsapp/upkeep-stack.ts';
import sample from '../../upkeep.config.ts';

export const REPOSITORY = new URL('../../', import.meta.url).pathname;

export interface Resource {
  Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: a template is JSON of any form, and the tests say what they expect of it.
  Properties: Record<string, any>;
  DeletionPolicy?: string;
}

const folder = mkdtempSync(join(tmpdir(), 'upkeep-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** An app whose functions are not bundled, for tests of what is around them. */
export function appWithoutBundles(): App {
  return new App({ outdir: mkdtempSync(join(folder, 'cdk-')), context: { 'aws:cdk:bundling-stacks': [] } });
}

/** The stack of a deployment of the sample, after a change to what was configured. */
export function sampleStack(name: 'latam' | 'emea' | 'apac', change: Partial<Deployment> = {}): UpkeepStack {
  const deployment = checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY }).find(
    (configured) => configured.name === name,
  );
  if (!deployment) throw new Error(`The sample has no deployment ${name}.`);
  return new UpkeepStack(appWithoutBundles(), `upkeep-${name}`, { deployment: { ...deployment, ...change } });
}

export function resourcesOf(stack: Stack): Record<string, Resource> {
  return Template.fromStack(stack).toJSON().Resources;
}

export function ofType(resources: Record<string, Resource>, type: string): [string, Resource][] {
  return Object.entries(resources).filter(([, resource]) => resource.Type === type);
}

/** What a function reads from `UPKEEP_SETTINGS`. */
// biome-ignore lint/suspicious/noExplicitAny: as of a template, the tests say what they expect of it.
export function settingsOf<Settings = any>(
  resources: Record<string, Resource>,
  functionName: string,
): Settings {
  const found = ofType(resources, 'AWS::Lambda::Function').find(
    ([, { Properties: properties }]) => properties.FunctionName === functionName,
  );
  return JSON.parse(textOf(found?.[1].Properties.Environment.Variables.UPKEEP_SETTINGS, resources));
}

/**
 * A value of a template as one text: `arn:aws:…` in place of a join, the resource's own name in place of a
 * reference to it.
 */
export function textOf(value: unknown, resources: Record<string, Resource>): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return value.map((item) => textOf(item, resources)).join(', ');
  if ('Ref' in value) return value.Ref === 'AWS::Partition' ? 'aws' : nameOf(String(value.Ref), resources);
  if ('Fn::GetAtt' in value) {
    const [id, attribute] = value['Fn::GetAtt'] as [string, string];
    return attribute === 'Arn' ? nameOf(id, resources) : `${nameOf(id, resources)}.${attribute}`;
  }
  if ('Fn::Join' in value) {
    const [separator, parts] = value['Fn::Join'] as [string, unknown[]];
    return parts.map((part) => textOf(part, resources)).join(separator);
  }
  return JSON.stringify(value);
}

const NAME_PROPERTIES = ['FunctionName', 'QueueName', 'TopicName', 'LogGroupName', 'ScheduleGroupName'];

function nameOf(id: string, resources: Record<string, Resource>): string {
  const resource = resources[id];
  if (!resource) return id;
  if (resource.Type === 'AWS::Lambda::Alias')
    return `${textOf(resource.Properties.FunctionName, resources)}:${resource.Properties.Name}`;
  const property = NAME_PROPERTIES.find((name) => typeof resource.Properties[name] === 'string');
  if (resource.Type === 'AWS::Events::EventBus') return `bus ${resource.Properties.Name}`;
  return property ? resource.Properties[property] : id.replace(/[0-9A-F]{8}$/, '');
}
