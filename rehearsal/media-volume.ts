import type { Aws } from './aws/server.ts';
import type { Resource } from './aws/template/resource.ts';
import configuration from './upkeep.config.ts';
import { type MediaFolder, writeMediaFolder } from './whatsapp/media-folder.ts';
import type { MessageStore } from './whatsapp/message-store.ts';

/** The media volume of a deployment, with the client's files on it. */
export interface PlayedMediaVolume {
  fileSystem: Resource;
  /** All that it holds. */
  folder: string;
  /** What the client sees. */
  media: MediaFolder;
}

/**
 * Has the client mount the volume that its deployment's stack makes, as the first of the roles that are configured, by
 * what the stack prints, and puts a file there for each entry of its table `media`.
 */
export async function openMediaVolume(
  aws: Aws,
  deployment: string,
  store: MessageStore,
  folder: string,
): Promise<PlayedMediaVolume | undefined> {
  const configured = configuration.deployments.find(({ name }) => name === deployment)?.mediaVolume;
  const [roleArn] = configured?.create?.roleArns ?? [];
  if (!roleArn) return undefined;
  const stack = `upkeep-${deployment}-media`;
  const [fileSystem] = aws.deployed.ofType('AWS::EFS::FileSystem').filter((each) => each.stack === stack);
  if (!fileSystem) throw new Error(`The templates have no media volume of ${deployment}.`);
  const { MediaVolumeTaskRolePolicy: policy = '', MediaVolumeTaskDefinitionVolume: volume = '' } =
    aws.deployed.outputs[stack] ?? {};
  const { transitEncryption, authorizationConfig } = JSON.parse(volume).efsVolumeConfiguration;
  const path = aws.efs.mount(fileSystem, folder, {
    roleArn,
    policy: JSON.parse(policy),
    accessPointId: authorizationConfig.accessPointId,
    tls: transitEncryption === 'ENABLED',
  });
  const media = writeMediaFolder(path, await store.media());
  aws.efs.serve(fileSystem, folder);
  return { fileSystem, folder, media };
}
