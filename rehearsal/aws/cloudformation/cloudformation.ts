import { createRequire } from 'node:module';
import type {
  DescribeStackResourcesCommandInput,
  DescribeStacksCommandInput,
  ListExportsCommandInput,
  ListStackResourcesCommandInput,
  StackResourceSummary,
} from '@aws-sdk/client-cloudformation';
import { AwsError } from '../aws-error.ts';
import {
  type Ask,
  anywhere,
  type Call,
  type Cloud,
  type Operations,
  operation,
  type Service,
} from '../cloud.ts';
import { pageOf } from '../page-of.ts';
import type { Place } from '../place.ts';
import { uuid } from '../template/resource.ts';

/** A resource of a stack, as CloudFormation lists it. */
export interface ListedResource {
  logicalId: string;
  /** Such as `AWS::ECS::Service`. */
  type: string;
  /** What `Ref` gives. */
  physicalId: string;
}

/** A stack that is in no cloud assembly: somebody else's. */
export interface OtherStack extends Place {
  name: string;
  /** Those that NoEcho hides are shown as asterisks, as CloudFormation does. @default none */
  parameters?: Record<string, string>;
  /** @default none */
  outputs?: Record<string, string>;
  /** What other stacks import, by the export's name. @default nothing */
  exports?: Record<string, string>;
  resources: ListedResource[];
}

/** How much is on a page (CloudFormation API reference). */
const RESOURCES_PER_PAGE = 100;
const STACKS_PER_PAGE = 100;

/** AWS CloudFormation, of which it is asked what the stacks have: those of the cloud assembly, and others. */
export class CloudFormation implements Service {
  readonly signingName = 'cloudformation';
  readonly accessDenied = 'AccessDenied';
  readonly namespace = 'http://cloudformation.amazonaws.com/doc/2010-05-15/';
  readonly operations: Operations = {
    DescribeStacks: operation(
      ({ StackName: name }: DescribeStacksCommandInput, call) => onStack('DescribeStacks', name, call),
      ({ StackName: name, NextToken }, call) => {
        const found = name === undefined ? this.#stacksIn(call) : [this.#stack(name, call)];
        const { items, next } = pageOf(found, NextToken, STACKS_PER_PAGE);
        return { Stacks: items.map((stack) => this.#described(stack)), NextToken: next };
      },
    ),
    ListStackResources: operation(
      ({ StackName: name }: ListStackResourcesCommandInput, call) =>
        onStack('ListStackResources', name, call),
      ({ StackName: name = '', NextToken }, call) => {
        const { items, next } = pageOf(this.#stack(name, call).resources, NextToken, RESOURCES_PER_PAGE);
        return {
          StackResourceSummaries: items.map(
            (resource): StackResourceSummary => ({
              ...this.#listed(resource),
              LastUpdatedTimestamp: new Date(this.#since),
            }),
          ),
          NextToken: next,
        };
      },
    ),
    DescribeStackResources: operation(
      ({ StackName: name }: DescribeStackResourcesCommandInput, call) =>
        onStack('DescribeStackResources', name, call),
      ({ StackName: name = '', LogicalResourceId: only }, call) => {
        const stack = this.#stack(name, call);
        return {
          StackResources: stack.resources
            .filter(({ logicalId }) => only === undefined || logicalId === only)
            .slice(0, RESOURCES_PER_PAGE)
            .map((resource) => ({
              ...this.#listed(resource),
              StackName: stack.name,
              StackId: stackId(stack),
              Timestamp: new Date(this.#since),
            })),
        };
      },
    ),
    ListExports: operation(
      anywhere('cloudformation:ListExports'),
      ({ NextToken }: ListExportsCommandInput, call) => {
        const exported = this.#stacksIn(call).flatMap((stack) =>
          Object.entries(stack.exports ?? {}).map(([Name, Value]) => ({
            ExportingStackId: stackId(stack),
            Name,
            Value,
          })),
        );
        const { items, next } = pageOf(exported, NextToken, STACKS_PER_PAGE);
        return { Exports: items, NextToken: next };
      },
    ),
  };
  readonly #stacks: OtherStack[];
  readonly #since: number;

  constructor(aws: Pick<Cloud, 'clock' | 'deployed'>) {
    this.#since = aws.clock.now();
    const { resources, outputs, exports } = aws.deployed;
    this.#stacks = [...new Set(resources.map(({ stack }) => stack))].flatMap((name) => {
      const own = resources.filter(({ stack }) => stack === name);
      const [first] = own;
      if (first === undefined) return [];
      return [
        {
          name,
          account: first.account,
          region: first.region,
          outputs: outputs[name] ?? {},
          exports: exports[name] ?? {},
          resources: own.map(({ logicalId, type, physicalId }) => ({ logicalId, type, physicalId })),
        },
      ];
    });
  }

  /** Few ask for it, and it takes its time. */
  get client(): object {
    return createRequire(import.meta.url)('@aws-sdk/client-cloudformation') as object;
  }

  /** Makes a stack, as somebody else does. */
  put(stack: OtherStack): void {
    this.#stacks.push(stack);
  }

  #stacksIn({ account, region }: Place): OtherStack[] {
    return this.#stacks.filter((stack) => stack.account === account && stack.region === region);
  }

  #stack(nameOrId: string, call: Call): OtherStack {
    const found = this.#stacksIn(call).find(
      (stack) => stack.name === nameOrId || stackId(stack) === nameOrId,
    );
    if (found === undefined)
      throw new AwsError('ValidationError', `Stack with id ${nameOrId} does not exist`);
    return found;
  }

  #described(stack: OtherStack) {
    return {
      StackName: stack.name,
      StackId: stackId(stack),
      CreationTime: new Date(this.#since),
      StackStatus: 'CREATE_COMPLETE',
      Parameters: Object.entries(stack.parameters ?? {}).map(([ParameterKey, ParameterValue]) => ({
        ParameterKey,
        ParameterValue,
      })),
      Outputs: Object.entries(stack.outputs ?? {}).map(([OutputKey, OutputValue]) => ({
        OutputKey,
        OutputValue,
      })),
    };
  }

  #listed({ logicalId, type, physicalId }: ListedResource) {
    return {
      LogicalResourceId: logicalId,
      PhysicalResourceId: physicalId,
      ResourceType: type,
      ResourceStatus: 'CREATE_COMPLETE' as const,
    };
  }
}

/** The ARN of a stack, by which a nested one is told from others. */
export function stackId({ name, account, region }: Pick<OtherStack, 'name' | keyof Place>): string {
  return `arn:aws:cloudformation:${region}:${account}:stack/${name}/${uuid(name)}`;
}

/** All of an account's are described by whoever may describe any. */
function onStack(action: string, nameOrId: string | undefined, { account, region }: Call): Ask[] {
  const resource =
    nameOrId === undefined
      ? '*'
      : nameOrId.startsWith('arn:')
        ? nameOrId
        : stackId({ name: nameOrId, account, region });
  return [{ action: `cloudformation:${action}`, resource }];
}
