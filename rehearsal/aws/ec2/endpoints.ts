import type { Caller } from '../access/access-control.ts';
import type { Cloud } from '../cloud.ts';
import type { PolicyDocument } from '../policy/document.ts';
import type { Resource } from '../template/resource.ts';

/** What an endpoint has that is given no policy (AWS PrivateLink's guide, endpoint policies). */
const FULL_ACCESS: PolicyDocument = {
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' },
};

/** The services that each function in a VPC called. */
export class VpcEndpoints {
  readonly called = new Map<string, Set<string>>();
  readonly #aws: Pick<Cloud, 'deployed' | 'drop'>;

  constructor(aws: Pick<Cloud, 'deployed' | 'drop'>) {
    this.#aws = aws;
  }

  /** Of the interface endpoint by which a function in a VPC reaches the service, if its stack makes one. */
  by(caller: Caller, service: string): { arn: string; policy: PolicyDocument } | undefined {
    const endpoint = this.#ofStack(caller).find((each) => serviceOf(each) === service);
    if (endpoint === undefined) return undefined;
    const { arn, properties } = endpoint;
    return {
      arn,
      policy: properties.has('PolicyDocument') ? properties.policy('PolicyDocument') : FULL_ACCESS,
    };
  }

  /** Whether a function in a VPC has a way to the service: through its stack's interface endpoints, if that makes any. */
  reach(caller: Caller, service: string): boolean {
    if (caller.function === undefined) return true;
    const { arn, name } = caller.function;
    const { deployed } = this.#aws;
    const resource = deployed.byArn(arn);
    if (resource === undefined || !resource.properties.has('VpcConfig')) return true;
    const called = this.called.get(name) ?? new Set();
    this.called.set(name, called.add(service));
    const endpoints = this.#ofStack(caller).map(serviceOf);
    if (endpoints.length === 0 || endpoints.includes(service)) return true;
    this.#aws.drop(
      name,
      service,
      `the stack ${resource.stack} has no interface endpoint for ${service}, so the function in the VPC cannot reach it`,
    );
    return false;
  }

  /** Of the stack of a function in a VPC. */
  #ofStack({ function: called }: Caller): Resource[] {
    const { deployed } = this.#aws;
    const resource = deployed.byArn(called?.arn ?? '');
    if (resource === undefined || !resource.properties.has('VpcConfig')) return [];
    return deployed.ofType('AWS::EC2::VPCEndpoint').filter((endpoint) => endpoint.stack === resource.stack);
  }
}

function serviceOf({ properties }: Resource): string {
  return properties.text('ServiceName').replace(/^.*\./, '');
}
