import { arnOf, byArn, type ResourceType } from '../aws/template/resource.ts';

/** Ports by which a database of RDS listens where its template leaves that to its engine; nobody looks at others. */
const PORT = 5432;

/**
 * A type that the stand-in for AWS knows nothing of: it has a name, an ARN and whatever is asked of it, made of its logical id, and
 * does nothing. So what stands beside the upkeep in a stack is no reason to stop.
 */
export function otherResource(type: string): ResourceType {
  const [, service = 'other', kind = 'resource'] = type.split('::').map((part) => part.toLowerCase());
  const known = ECS[type];
  if (known) return known;
  return {
    arn: arnOf(service, `${kind}/`),
    attributes: new Proxy(
      {},
      {
        get:
          (_, attribute: string) =>
          ({ logicalId, arn }: { logicalId: string; arn: string }) =>
            attribute.endsWith('Port')
              ? PORT
              : attribute.endsWith('Arn')
                ? arn
                : `${logicalId}.${attribute}`.toLowerCase(),
      },
    ),
    properties: undefined,
  };
}

const ECS: Record<string, ResourceType> = {
  'AWS::ECS::Cluster': {
    name: 'ClusterName',
    arn: arnOf('ecs', 'cluster/'),
    attributes: { Arn: byArn },
    properties: undefined,
  },
  'AWS::ECS::Service': {
    name: 'ServiceName',
    identity: ['Cluster'],
    arn: (place, name, properties) =>
      arnOf('ecs', 'service/')(place, `${properties.text('Cluster', 'default').split('/').pop()}/${name}`),
    ref: byArn,
    attributes: { Name: ({ name }) => name, ServiceArn: byArn },
    properties: undefined,
  },
};
