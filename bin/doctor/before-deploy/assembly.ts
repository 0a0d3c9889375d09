import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';

/** A stack as `cdk synth` wrote it. */
export interface SynthesizedStack {
  /** In the manifest. */
  id: string;
  name: string;
  /** Undefined: of whoever deploys it. */
  account: string | undefined;
  region: string | undefined;
  /** Ids in the manifest of what it needs. */
  dependencies: string[];
  resources: SynthesizedResource[];
  /** What `cdk bootstrap` must have made, in so new a version. */
  bootstrap: { parameter: string; version: number } | undefined;
}

/** A resource, with what of its properties is known before it is there. */
export interface SynthesizedResource {
  logicalId: string;
  type: string;
  properties: Record<string, unknown>;
}

const artifact = v.looseObject({
  type: v.string(),
  environment: v.optional(v.string(), ''),
  dependencies: v.optional(v.array(v.string()), []),
  properties: v.optional(
    v.looseObject({
      templateFile: v.optional(v.string()),
      stackName: v.optional(v.string()),
      directoryName: v.optional(v.string()),
      requiresBootstrapStackVersion: v.optional(v.number()),
      bootstrapStackVersionSsmParameter: v.optional(v.string()),
    }),
    {},
  ),
});
const manifest = v.looseObject({ artifacts: v.optional(v.record(v.string(), v.unknown()), {}) });
const template = v.looseObject({
  Parameters: v.optional(v.record(v.string(), v.looseObject({ Default: v.optional(v.unknown()) })), {}),
  Resources: v.optional(
    v.record(
      v.string(),
      v.looseObject({ Type: v.string(), Properties: v.optional(v.record(v.string(), v.unknown()), {}) }),
    ),
    {},
  ),
});

/** When `cdk synth` wrote it. @throws Error that says what to do, where there is none */
export function synthesizedAt(folder: string): Date {
  try {
    return statSync(join(folder, 'manifest.json')).mtime;
  } catch (error) {
    throw new Error(
      `There is no cloud assembly in ${folder}: npx cdk synth writes one (--cdk-out names another folder).`,
      {
        cause: error,
      },
    );
  }
}

/** The stacks of a cloud assembly, those of its stages too. */
export function readAssembly(folder: string): SynthesizedStack[] {
  const { artifacts } = v.parse(manifest, JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')));
  return Object.entries(artifacts).flatMap(([id, value]) => {
    const { type, environment, dependencies, properties } = v.parse(artifact, value);
    if (type === 'cdk:cloud-assembly' && properties.directoryName)
      return readAssembly(join(folder, properties.directoryName));
    if (type !== 'aws:cloudformation:stack' || !properties.templateFile) return [];
    const [account = '', region = ''] = environment.replace(/^aws:\/\//, '').split('/');
    const place = {
      account: /^\d{12}$/.test(account) ? account : undefined,
      region: region === 'unknown-region' ? undefined : region,
    };
    const parsed = v.parse(template, JSON.parse(readFileSync(join(folder, properties.templateFile), 'utf8')));
    const { requiresBootstrapStackVersion: version, bootstrapStackVersionSsmParameter: parameter } =
      properties;
    return [
      {
        id,
        name: properties.stackName ?? id,
        ...place,
        dependencies,
        resources: Object.entries(parsed.Resources).map(([logicalId, { Type, Properties }]) => ({
          logicalId,
          type: Type,
          properties: resolved(Properties, { ...place, parameters: parsed.Parameters }) as Record<
            string,
            unknown
          >,
        })),
        bootstrap: version !== undefined && parameter !== undefined ? { parameter, version } : undefined,
      },
    ];
  });
}

interface Known {
  account: string | undefined;
  region: string | undefined;
  parameters: Record<string, { Default?: unknown }>;
}

/** Properties with what is known in them; what only AWS will know stands as `${LogicalId}` or `${LogicalId.Attribute}`. */
function resolved(value: unknown, known: Known): unknown {
  if (Array.isArray(value)) return value.map((item) => resolved(item, known));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [[key, item] = ['', undefined]] = entries;
  if (entries.length === 1)
    switch (key) {
      case 'Ref':
        return reference(String(item), known);
      case 'Fn::GetAtt': {
        const [logicalId, ...attribute] = Array.isArray(item) ? item : String(item).split('.');
        const name = attribute.join('.');
        // What `Ref` gives of a security group.
        return name === 'GroupId' ? `\${${logicalId}}` : `\${${logicalId}.${name}}`;
      }
      case 'Fn::Join': {
        const [separator, items] = resolved(item, known) as [string, unknown];
        return Array.isArray(items) ? items.join(separator) : '';
      }
      case 'Fn::Sub':
        return substituted(Array.isArray(item) ? String(item[0]) : String(item), known);
    }
  return Object.fromEntries(entries.map(([name, each]) => [name, resolved(each, known)]));
}

function reference(name: string, { account, region, parameters }: Known): unknown {
  const place: Record<string, string | undefined> = {
    'AWS::AccountId': account,
    'AWS::Region': region,
    'AWS::Partition': partitionOf(region),
    'AWS::URLSuffix': region?.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com',
  };
  return place[name] ?? parameters[name]?.Default ?? `\${${name}}`;
}

function partitionOf(region = ''): string {
  return region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

function substituted(text: string, known: Known): string {
  return text.replaceAll(/\$\{([^}!]+)\}/g, (_all, name: string) => String(reference(name, known)));
}
