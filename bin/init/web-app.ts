import {
  DescribeTargetGroupsCommand,
  type LoadBalancer,
  paginateDescribeListeners,
  paginateDescribeLoadBalancers,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { FoundService } from './services.ts';
import { allOf, type Surroundings } from './surroundings.ts';

/** What stands before WebApp. */
export interface FoundWebApp {
  /** Undefined: nothing was found that tells it. */
  url: string | undefined;
  loadBalancer: LoadBalancer | undefined;
}

/** How a listener passes TLS on, or ends it. */
const ENCRYPTED = ['HTTPS', 'TLS', 'TCP'];
const HTTPS_PORT = 443;

/** The address of the load balancer before the services of WebApp. */
export async function findWebApp(around: Surroundings, services: FoundService[]): Promise<FoundWebApp> {
  const balancers = services.flatMap(({ service }) => service.loadBalancers ?? []);
  const targetGroups = [...new Set(balancers.flatMap(({ targetGroupArn }) => targetGroupArn ?? []))];
  const classic = balancers.find(({ loadBalancerName }) => loadBalancerName)?.loadBalancerName;
  if (targetGroups.length === 0) {
    if (classic)
      around.note(
        'taken',
        `WebApp stands behind the Classic Load Balancer ${classic}, of which init asks nothing: give its address by --web-app-url.`,
      );
    return { url: undefined, loadBalancer: undefined };
  }
  return around.look('the load balancer of WebApp', { url: undefined, loadBalancer: undefined }, async () => {
    const { TargetGroups: groups = [] } = await around.elasticLoadBalancing.send(
      new DescribeTargetGroupsCommand({ TargetGroupArns: targetGroups }),
    );
    const arns = [...new Set(groups.flatMap(({ LoadBalancerArns: of = [] }) => of))];
    if (arns.length === 0) return { url: undefined, loadBalancer: undefined };
    const client = { client: around.elasticLoadBalancing };
    const found = await allOf(
      paginateDescribeLoadBalancers(client, { LoadBalancerArns: arns }),
      (page) => page.LoadBalancers,
    );
    const addresses: { url: string; loadBalancer: LoadBalancer }[] = [];
    for (const loadBalancer of found) {
      const listeners = await allOf(
        paginateDescribeListeners(client, { LoadBalancerArn: loadBalancer.LoadBalancerArn }),
        (page) => page.Listeners,
      );
      const ports = listeners
        .filter(({ Protocol: protocol = '' }) => ENCRYPTED.includes(protocol))
        .flatMap(({ Port: port }) => port ?? [])
        // A network load balancer's TCP on 80 is nobody's TLS.
        .filter((port) => port !== 80)
        .sort((one, other) => Number(other === HTTPS_PORT) - Number(one === HTTPS_PORT) || one - other);
      const [port] = ports;
      if (port === undefined || loadBalancer.DNSName === undefined) continue;
      const url = `https://${loadBalancer.DNSName}${port === HTTPS_PORT ? '' : `:${port}`}`;
      addresses.push({ url, loadBalancer });
    }
    // What is not on the internet is nearer to the functions.
    addresses.sort((one, other) => isPublic(one.loadBalancer) - isPublic(other.loadBalancer));
    const [first, ...others] = addresses;
    if (first === undefined) {
      around.note(
        'taken',
        `The load balancer ${found.map(({ LoadBalancerName: name }) => name).join(', ')} of WebApp listens by no encrypted protocol.`,
      );
      return { url: undefined, loadBalancer: found[0] };
    }
    if (others.length > 0)
      around.note(
        'taken',
        `WebApp is taken to answer at ${first.url}, and not at ${others.map(({ url }) => url).join(', ')}: --web-app-url takes another.`,
      );
    return first;
  });
}

function isPublic({ Scheme: scheme }: LoadBalancer): number {
  return scheme === 'internet-facing' ? 1 : 0;
}
