import { APPLICATION_SETTINGS_FAULTS } from './application-settings.ts';
import { CALLBACKS_FAULTS } from './callbacks.ts';
import { CONTAINERS_FAULTS } from './containers.ts';
import { CREDENTIAL_ROTATION_FAULTS } from './credential-rotation.ts';
import { DATABASE_SIZE_FAULTS } from './database-size.ts';
import type { AnyFault } from './fault.ts';
import { LOG_CLEANUP_FAULTS } from './log-cleanup.ts';
import { MEDIA_FAULTS } from './media.ts';
import { MISREAD_CREDENTIALS_FAULTS } from './misread-credentials.ts';
import { RUNS_FAULTS } from './runs.ts';
import { SCHEDULES_FAULTS } from './schedules.ts';
import { SHOP_FAULTS } from './shop.ts';
import { WEB_APP_FAULTS } from './web-app.ts';

/** By the name that `npm start -- --fault` takes. */
export const FAULTS: Record<string, AnyFault> = {
  ...CALLBACKS_FAULTS,
  ...WEB_APP_FAULTS,
  ...APPLICATION_SETTINGS_FAULTS,
  ...SCHEDULES_FAULTS,
  ...RUNS_FAULTS,
  ...MEDIA_FAULTS,
  ...DATABASE_SIZE_FAULTS,
  ...LOG_CLEANUP_FAULTS,
  ...CONTAINERS_FAULTS,
  ...MISREAD_CREDENTIALS_FAULTS,
  ...CREDENTIAL_ROTATION_FAULTS,
  ...SHOP_FAULTS,
};
