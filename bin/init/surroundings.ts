import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ECSClient } from '@aws-sdk/client-ecs';
import { EFSClient } from '@aws-sdk/client-efs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { RDSClient } from '@aws-sdk/client-rds';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';
import { messageOf } from '../output.ts';

/** Where AWS is asked what there is, and what could not be found there. */
export class Surroundings {
  readonly cloudFormation: CloudFormationClient;
  readonly ec2: EC2Client;
  readonly ecs: ECSClient;
  readonly efs: EFSClient;
  readonly elasticLoadBalancing: ElasticLoadBalancingV2Client;
  readonly rds: RDSClient;
  readonly secretsManager: SecretsManagerClient;
  readonly ssm: SSMClient;
  readonly sts: STSClient;
  /** What a person is to know, each a sentence or more. */
  readonly notes: Note[] = [];

  constructor(region: string | undefined) {
    // Much is asked at once, and a throttled call has found nothing.
    const options = { maxAttempts: 8, ...(region !== undefined && { region }) };
    this.cloudFormation = new CloudFormationClient(options);
    this.ec2 = new EC2Client(options);
    this.ecs = new ECSClient(options);
    this.efs = new EFSClient(options);
    this.elasticLoadBalancing = new ElasticLoadBalancingV2Client(options);
    this.rds = new RDSClient(options);
    this.secretsManager = new SecretsManagerClient(options);
    this.ssm = new SSMClient(options);
    this.sts = new STSClient(options);
  }

  note(kind: Note['kind'], what: string): void {
    if (!this.notes.some((note) => note.what === what)) this.notes.push({ kind, what });
  }

  /** What is looked for, or `otherwise` where it could not be looked for: then it is said why. */
  async look<Found>(what: string, otherwise: Found, find: () => Promise<Found>): Promise<Found> {
    try {
      return await find();
    } catch (error) {
      this.note('could not look', `${what}: ${messageOf(error)}`);
      return otherwise;
    }
  }
}

/** What was found out, besides what stands in the configuration. */
export interface Note {
  /**
   * `missing`: the configuration has something in its place that must be replaced; `to do`: something that it needs besides;
   * `taken`: what was chosen among several, or taken to be so; `could not look`: AWS did not say.
   */
  kind: 'missing' | 'to do' | 'taken' | 'could not look';
  what: string;
}

/** All items of a paginator's pages. */
export async function allOf<Page, Item>(
  pages: AsyncIterable<Page>,
  itemsOf: (page: Page) => Item[] | undefined,
): Promise<Item[]> {
  const items: Item[] = [];
  for await (const page of pages) items.push(...(itemsOf(page) ?? []));
  return items;
}
