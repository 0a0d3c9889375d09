import type {
  NetworkInterface,
  RouteTable,
  SecurityGroup,
  Subnet,
  Vpc,
  VpcEndpoint,
} from '@aws-sdk/client-ec2';
import type { Place } from '../place.ts';

/** Of each kind, what there is, by its id. */
export interface Network {
  vpcs: Map<string, Vpc>;
  subnets: Map<string, Subnet>;
  routeTables: Map<string, RouteTable>;
  securityGroups: Map<string, SecurityGroup>;
  vpcEndpoints: Map<string, VpcEndpoint>;
  networkInterfaces: Map<string, NetworkInterface>;
}

/** A network as somebody else made it, in no template: of each account and region. */
export class Networks {
  readonly #byPlace = new Map<string, Network>();

  in({ account, region }: Place): Network {
    const key = `${account} ${region}`;
    const known = this.#byPlace.get(key) ?? {
      vpcs: new Map(),
      subnets: new Map(),
      routeTables: new Map(),
      securityGroups: new Map(),
      vpcEndpoints: new Map(),
      networkInterfaces: new Map(),
    };
    this.#byPlace.set(key, known);
    return known;
  }
}
