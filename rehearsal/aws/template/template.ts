import { readAssembly, type Template } from './assembly.ts';
import { arnOf, Deployed, type ResourceType, type ResourceTypes } from './resource.ts';
import { Stack } from './stack.ts';

export interface ReadOptions {
  /** The stand-in's address: queue URLs begin with it, for the SDK sends a queue's requests to the queue's URL. */
  endpoint: string;
  /** What is known of the resources. A type that is not among them stops the reading. */
  types: ResourceTypes;
  /** What is taken to be known of the others. */
  otherwise?: (type: string) => ResourceType;
  /** Changes the parsed templates, by stack name, and the folders of assets, by their keys, before they are read. */
  change?: (templates: Record<string, Template>, assets: Map<string, string>) => void;
}

/** CDK writes it into every stack, for nobody. */
const ALWAYS: ResourceTypes = { 'AWS::CDK::Metadata': { arn: arnOf('cdk'), properties: undefined } };

/** Reads cloud assemblies (`cdk.out`). Throws {@link UnknownTemplate}. */
export function readTemplates(cdkOut: string | readonly string[], options: ReadOptions): Deployed {
  const assemblies = [cdkOut].flat().map(readAssembly);
  const assembly = {
    stacks: assemblies.flatMap(({ stacks }) => stacks),
    assets: new Map(assemblies.flatMap(({ assets }) => [...assets])),
  };
  options.change?.(
    Object.fromEntries(assembly.stacks.map((stack) => [stack.name, stack.template])),
    assembly.assets,
  );
  const types: ResourceTypes = { ...ALWAYS, ...options.types };
  for (const { Type } of assembly.stacks.flatMap(({ template }) => Object.values(template.Resources)))
    types[Type] ??= options.otherwise?.(Type);
  const stacks = assembly.stacks.map((stack) => new Stack(stack, types, options.endpoint));
  const exports = new Map<string, () => unknown>();
  for (const stack of stacks) stack.export(exports);
  for (const stack of stacks) stack.imports = exports;
  return new Deployed({
    resources: stacks.flatMap((stack) => stack.resources()),
    outputs: Object.fromEntries(stacks.map((stack) => [stack.name, stack.outputs()])),
    exports: Object.fromEntries(stacks.map((stack) => [stack.name, stack.exported()])),
    assets: assembly.assets,
  });
}
