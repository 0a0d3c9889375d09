import { defineUpkeep } from '../lib/index.ts';
import sample from '../upkeep.config.ts';
import { certificateFile } from './certificates.ts';

/** The sample's deployments as they are, but for the certificates: those that the stand-ins can show. */
export default defineUpkeep({
  ...sample,
  deployments: sample.deployments.map((deployment) => ({
    ...deployment,
    webApp: { ...deployment.webApp, certificateAuthority: certificateFile(deployment.name) },
  })),
});
