import type { Aws } from './aws/server.ts';
import type configuration from './upkeep.config.ts';
import { putMetaTemplate } from './whatsapp/meta-template.ts';

type Configured = (typeof configuration)['deployments'][number];

/** What of Meta's template only describing calls see, for a client that was made with it. */
export function putTemplateOf(aws: Aws, { account, region, network, databases, jobs }: Configured): void {
  const { metaTemplate, services, clusterName = '' } = jobs.credentialRotation ?? {};
  const [{ host: databaseHost = '' } = {}] = databases ?? [];
  const [other] = services?.others ?? [];
  if (!metaTemplate?.monitoring || !other) return;
  putMetaTemplate(aws, {
    ...{ account, region, databaseHost, stackName: metaTemplate.stackName },
    ...{ vpcId: network.vpcId, subnets: [...network.subnets] },
    keyId: metaTemplate.encryptionKeyArn.replace(/^.*\//, ''),
    monitoringSecretArn: metaTemplate.monitoring.secretArn,
    clusters: { main: clusterName, monitoring: other.clusterName ?? clusterName },
    names: {
      WAEntWebService: services?.webapp?.[0] ?? '',
      WAEntMasterService: services?.master?.[0] ?? '',
      WAEntNotCECoreappService: services?.coreapp?.[0] ?? '',
      WAMonitoringService: other.name,
    },
  });
}
