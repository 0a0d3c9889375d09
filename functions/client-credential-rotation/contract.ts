import type { CredentialRotationSettings } from '../credential-rotation/contract.ts';
import type { WebAppSettings } from '../shared/whatsapp/settings.ts';

/** client-credential-rotation's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface ClientCredentialRotationSettings extends CredentialRotationSettings {
  /** Who is asked how many of the client's nodes are connected. */
  webApp: WebAppSettings;
}
