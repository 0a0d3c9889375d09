import type { CredentialRotation } from '../credential-rotation/credential-rotation.ts';
import type { OnDashboard } from '../dashboards/on-dashboard.ts';
import type { MediaVolumeBase } from '../media-volume/media-volume-base.ts';
import type { DatabaseSize } from './database-size.ts';
import type { LogCleanup } from './log-cleanup.ts';
import type { MediaGc } from './media-gc.ts';
import type { MessageGc } from './message-gc.ts';

/** What of a deployment shows itself on dashboards, where it is configured. */
interface ShownParts {
  readonly databaseSize: DatabaseSize | undefined;
  readonly messageGc: MessageGc | undefined;
  readonly mediaGc: MediaGc | undefined;
  readonly logCleanup: LogCleanup | undefined;
  readonly credentialRotation: { readonly rotation: CredentialRotation } | undefined;
  readonly mediaVolume: MediaVolumeBase | undefined;
}

/** In the order of their rows. */
export function dashboardParts(parts: ShownParts): (OnDashboard | undefined)[] {
  const { databaseSize, messageGc, mediaGc, logCleanup, credentialRotation, mediaVolume } = parts;
  return [databaseSize, messageGc, mediaGc, logCleanup, credentialRotation?.rotation, mediaVolume];
}
