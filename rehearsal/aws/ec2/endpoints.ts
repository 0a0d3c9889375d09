import type { Caller } from '../access/access-control.ts';
import type { Cloud } from '../cloud.ts';

/** The services that each function in a VPC called. */
export class VpcEndpoints {
  readonly called = new Map<string, Set<string>>();
  readonly #aws: Pick<Cloud, 'deployed' | 'drop'>;

  constructor(aws: Pick<Cloud, 'deployed' | 'drop'>) {
    this.#aws = aws;
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
    const endpoints = deployed
      .ofType('AWS::EC2::VPCEndpoint')
      .filter((endpoint) => endpoint.stack === resource.stack)
      .map((endpoint) => endpoint.properties.text('ServiceName').replace(/^.*\./, ''));
    if (endpoints.length === 0 || endpoints.includes(service)) return true;
    this.#aws.drop(
      name,
      service,
      `the stack ${resource.stack} has no interface endpoint for ${service}, so the function in the VPC cannot reach it`,
    );
    return false;
  }
}
