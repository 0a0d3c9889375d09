import { Construct } from 'constructs';
import type { ClientCredentialRotationSettings } from '../../functions/client-credential-rotation/contract.ts';
import type { DatabaseAddress } from '../../functions/shared/database/contract/engine.ts';
import type { WebAppSettings } from '../../functions/shared/whatsapp/settings.ts';
import { passesPropsOn, refuse } from '../checks/props.ts';
import type { RotatedCopy } from '../credential-rotation/credential-copies.ts';
import { CredentialRotation } from '../credential-rotation/credential-rotation.ts';
import type {
  CredentialRotationProps,
  RotatedService,
} from '../credential-rotation/credential-rotation-props.ts';
import { entryFile } from '../entry-file.ts';
import { letLogIn } from './gc-job.ts';
import { ROLLED_ROLES } from './rolled-roles.ts';

/** The services whose containers read the credential at their start. */
export interface ClientServices {
  /** Names of the services that run WebApp. */
  readonly webapp?: string[] | undefined;
  /** Names of the services that run Master. */
  readonly master?: string[] | undefined;
  /** Never are two of their tasks replaced at once, for each owns a shard. */
  readonly coreapp?: string[] | undefined;
  /** Services that are not the client's, such as an exporter of metrics. */
  readonly others?: RotatedService[] | undefined;
}

/** A role of the client whose services are replaced. */
export type RolledRole = keyof ClientServices;

/** Where a client that was made with Meta's AWS template keeps copies of the password. */
export interface MetaTemplate {
  /** The template's main stack. */
  readonly stackName: string;
  /** Of the parameter that its containers read: the stack's resource `KMSKey`. */
  readonly encryptionKeyArn: string;
  /**
   * The secret of the template's monitoring stack, where the metrics exporter logs in as the client's user.
   * @default it does not
   */
  readonly monitoring?:
    | { readonly secretArn: string; readonly encryptionKeyArn?: string | undefined }
    | undefined;
}

/** What a `ClientCredentialRotation` is made of. */
export interface ClientCredentialRotationProps
  extends Omit<CredentialRotationProps, 'services' | 'application' | 'database'> {
  /** The server on which the client's databases are. */
  readonly database: DatabaseAddress;
  /** How WebApp is reached, and by which API user. */
  readonly webApp: WebAppSettings;
  /** The KMS key of the API user's secret. @default the account's own key for Secrets Manager, which needs no permission */
  readonly webAppSecretKeyArn?: string;
  /** The client's ECS services, by role. */
  readonly services: ClientServices;
  /** In which their services are replaced. @default WebApps, Masters, CoreApps, then the others */
  readonly order?: readonly RolledRole[];
  /** @default the client was made by other means */
  readonly metaTemplate?: MetaTemplate;
}

/** The rotation of the password with which a WhatsApp client logs in to its database, to its last container. */
export class ClientCredentialRotation extends Construct {
  /** The rotation underneath. */
  readonly rotation: CredentialRotation;

  constructor(scope: Construct, id: string, props: ClientCredentialRotationProps) {
    super(scope, id);
    passesPropsOn(this);
    const { webApp, webAppSecretKeyArn, services, order = ROLLED_ROLES, ...others } = props;
    const { metaTemplate, copies = [], ...general } = others;
    const leftOut = ROLLED_ROLES.filter((role) => services[role] && !order.includes(role));
    if (leftOut.length > 0)
      refuse(
        this,
        `the order leaves out ${leftOut.join(' and ')}, whose containers would keep the old password; it must name each role that has services.`,
      );
    this.rotation = new CredentialRotation(this, 'Rotation', {
      ...general,
      services: order.flatMap((role) => rolledServices(services, role)),
      copies: [...(metaTemplate ? copiesOf(metaTemplate, props) : []), ...copies],
      application: {
        entry: entryFile('client-credential-rotation'),
        settings: { webApp } satisfies Pick<ClientCredentialRotationSettings, 'webApp'>,
      },
    });
    letLogIn(this.rotation.job.function, webApp, webAppSecretKeyArn);
  }
}

function rolledServices(services: ClientServices, role: RolledRole): RotatedService[] {
  if (role === 'others') return services.others ?? [];
  return (services[role] ?? []).map((name) => ({ name, ...(role === 'coreapp' && { oneAtATime: true }) }));
}

/** As version 3.0.3 of Meta's template names them. */
function copiesOf(
  { stackName, encryptionKeyArn, monitoring }: MetaTemplate,
  { database: { host, port } }: Pick<ClientCredentialRotationProps, 'database'>,
): RotatedCopy[] {
  return [
    {
      kind: 'parameter',
      name: `${stackName}-WA_DB_PASSWORD`,
      keyId: encryptionKeyArn,
      keyArn: encryptionKeyArn,
    },
    ...(monitoring
      ? [
          {
            kind: 'secret',
            secretArn: monitoring.secretArn,
            key: 'data_src_name',
            template: `{username}:{password}@(${host}:${port})/`,
            // Go's driver splits at the last @ and the first colon, and takes all else as it is.
            encoding: 'raw' as const,
            ...(monitoring.encryptionKeyArn && { keyArn: monitoring.encryptionKeyArn }),
          } as const,
        ]
      : []),
  ];
}
