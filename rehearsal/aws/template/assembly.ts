import { readFileSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import type { Place } from '../place.ts';
import { Properties } from './properties.ts';

/** A cloud assembly's template as parsed JSON, which a test may change before it is deployed. */
export interface Template {
  Parameters?: Record<string, { Default?: unknown; Type?: string }>;
  Mappings?: Record<string, Record<string, Record<string, unknown>>>;
  Conditions?: Record<string, unknown>;
  Resources: Record<string, TemplateResource>;
  Outputs?: Record<string, { Value: unknown; Export?: { Name: unknown }; Condition?: string }>;
}

export interface TemplateResource {
  Type: string;
  Properties?: Record<string, unknown>;
  Condition?: string;
  DeletionPolicy?: string;
}

/** Where stacks without an environment stand. */
const DEFAULT_ACCOUNT = '111111111111';
const DEFAULT_REGION = 'us-east-1';

export interface AssemblyStack extends Place {
  name: string;
  template: Template;
}

/** What `cdk synth` wrote. */
export interface Assembly {
  stacks: AssemblyStack[];
  /** Object key → folder. */
  assets: Map<string, string>;
}

/** Throws `UnknownTemplate`. */
export function readAssembly(folder: string): Assembly {
  const manifest = readJsonFile(join(folder, 'manifest.json'));
  const assembly: Assembly = { stacks: [], assets: new Map() };
  for (const [id, artifact] of Object.entries(manifest.child('artifacts')?.values ?? {})) {
    const part = new Properties(artifact, `manifest.json: ${id}`);
    const properties = part.child('properties');
    const type = part.text('type');
    if (type === 'aws:cloudformation:stack' && properties !== undefined) {
      const [account = '', region = ''] = part
        .text('environment')
        .replace(/^aws:\/\//, '')
        .split('/');
      const template: Template = JSON.parse(
        readFileSync(join(folder, properties.text('templateFile')), 'utf8'),
      );
      assembly.stacks.push({
        name: properties.text('stackName', id),
        account: /^\d{12}$/.test(account) ? account : DEFAULT_ACCOUNT,
        region: region === 'unknown-region' ? DEFAULT_REGION : region,
        template,
      });
    } else if (type === 'cdk:asset-manifest' && properties !== undefined) {
      readAssets(folder, properties.text('file'), assembly.assets);
    } else if (type === 'cdk:cloud-assembly' && properties !== undefined) {
      const nested = readAssembly(join(folder, properties.text('directoryName')));
      assembly.stacks.push(...nested.stacks);
      for (const [key, path] of nested.assets) assembly.assets.set(key, path);
    }
  }
  return assembly;
}

function readAssets(folder: string, file: string, assets: Map<string, string>): void {
  const files = readJsonFile(join(folder, file)).child('files')?.values ?? {};
  for (const [id, asset] of Object.entries(files)) {
    const properties = new Properties(asset, `${file}: ${id}`);
    const source = properties.child('source');
    if (source?.text('packaging', 'file') !== 'zip') continue;
    for (const destination of Object.values(properties.child('destinations')?.values ?? {})) {
      const key = new Properties(destination, `${file}: ${id}`).text('objectKey');
      assets.set(key, resolvePath(folder, source.text('path')));
    }
  }
}

function readJsonFile(file: string): Properties {
  return new Properties(JSON.parse(readFileSync(file, 'utf8')), file);
}
