import {
  DescribeStacksCommand,
  paginateListExports,
  paginateListStackResources,
  type Stack,
} from '@aws-sdk/client-cloudformation';
import { lastPart, type Scope } from './services.ts';
import { allOf, type Surroundings } from './surroundings.ts';

/** A stack with those nested in it. */
export interface FoundStack {
  name: string;
  parameters: Record<string, string>;
  outputs: Record<string, string>;
  resources: StackResource[];
}

/** A resource, of the stack itself or of one nested in it. */
export interface StackResource {
  /** The nested stack's logical id, and so on; undefined of the stack itself. */
  nested: string | undefined;
  logicalId: string;
  type: string;
  physicalId: string;
}

/** Reads a stack. @throws CloudFormation's error where there is none of the name */
export async function readStack({ cloudFormation }: Surroundings, name: string): Promise<FoundStack> {
  const { Stacks: [stack] = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName: name }));
  return {
    name: stack?.StackName ?? name,
    parameters: parametersOf(stack),
    outputs: Object.fromEntries(
      (stack?.Outputs ?? []).map(({ OutputKey: key = '', OutputValue: value = '' }) => [key, value]),
    ),
    resources: await resourcesOf(cloudFormation, name, undefined),
  };
}

async function resourcesOf(
  client: Surroundings['cloudFormation'],
  StackName: string,
  nested: string | undefined,
): Promise<StackResource[]> {
  const listed = await allOf(
    paginateListStackResources({ client }, { StackName }),
    (page) => page.StackResourceSummaries,
  );
  const own = listed.flatMap(
    ({ LogicalResourceId: logicalId = '', ResourceType: type = '', PhysicalResourceId: physicalId }) =>
      physicalId === undefined ? [] : [{ nested, logicalId, type, physicalId }],
  );
  const inside = await Promise.all(
    own
      .filter(({ type }) => type === 'AWS::CloudFormation::Stack')
      .map(({ physicalId, logicalId }) => resourcesOf(client, physicalId, logicalId)),
  );
  return [...own, ...inside.flat()];
}

function parametersOf(stack: Stack | undefined): Record<string, string> {
  return Object.fromEntries(
    (stack?.Parameters ?? []).flatMap(({ ParameterKey: key = '', ParameterValue: value }) =>
      value === undefined ? [] : [[key, value]],
    ),
  );
}

/** What a stack has of a type. */
export function ofType({ resources }: FoundStack, type: string): StackResource[] {
  return resources.filter((each) => each.type === type);
}

/** What a stack itself has under a logical id. */
export function withId({ resources }: FoundStack, logicalId: string): string | undefined {
  return resources.find((each) => each.logicalId === logicalId && each.nested === undefined)?.physicalId;
}

/** The services of a stack, in its clusters and in those that its services' ARNs name. */
export function scopeOf(stack: FoundStack): Scope {
  const services = ofType(stack, 'AWS::ECS::Service').map(({ physicalId }) => physicalId);
  const named = services.flatMap((arn) => /:service\/([^/]+)\/[^/]+$/.exec(arn)?.[1] ?? []);
  const clusters = ofType(stack, 'AWS::ECS::Cluster').map(({ physicalId }) => lastPart(physicalId));
  return { clusters: [...new Set([...clusters, ...named])], services: services.map(lastPart) };
}

/** What other stacks export, by name. */
export function listExports(around: Surroundings): Promise<Record<string, string>> {
  return around.look('exports of CloudFormation', {}, async () => {
    const all = await allOf(
      paginateListExports({ client: around.cloudFormation }, {}),
      (page) => page.Exports,
    );
    return Object.fromEntries(all.map(({ Name: name = '', Value: value = '' }) => [name, value]));
  });
}
