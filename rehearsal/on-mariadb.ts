import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { checkConfiguration } from '../lib/whatsapp/configuration/configuration.ts';
import { stackName } from '../lib/whatsapp/stack-names.ts';
import { UpkeepStack } from '../lib/whatsapp/upkeep-stack.ts';
import type { Template } from './aws/template/assembly.ts';
import configuration from './upkeep.config.ts';

const ADMINISTRATOR = {
  secretArn: 'arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/rotator-z1A2b3',
};

/** The rehearsal's configuration with MariaDB in the place of MySQL, where a rotation needs an administrator. */
const ON_MARIADB: typeof configuration = {
  ...configuration,
  deployments: configuration.deployments.map((deployment) => {
    const { databases = [], jobs } = deployment;
    if (!databases.some(isMysql)) return deployment;
    const { credentialRotation } = jobs;
    return {
      ...deployment,
      databases: databases.map((each) => (isMysql(each) ? { ...each, engine: 'mariadb' } : each)),
      jobs: {
        ...jobs,
        ...(credentialRotation && {
          credentialRotation: { ...credentialRotation, administrator: ADMINISTRATOR },
        }),
      },
    };
  }),
};

function isMysql({ engine }: { engine: string }): boolean {
  return /mysql/.test(engine);
}

/**
 * Puts in the place of the templates of deployments on MySQL what the CDK makes of them on MariaDB. The functions' code is
 * the same, and was bundled for those.
 */
export function configureForMariadb(templates: Record<string, Template>): void {
  const outdir = mkdtempSync(join(tmpdir(), 'cdk.out-'));
  try {
    const app = new App({ outdir, analyticsReporting: false, context: { 'aws:cdk:bundling-stacks': [] } });
    const deployments = checkConfiguration(ON_MARIADB, { file: 'rehearsal/upkeep.config.ts', folder: '.' });
    for (const deployment of deployments)
      if (deployment.databases?.some(({ engine }) => engine === 'mariadb'))
        new UpkeepStack(app, stackName(deployment.name), { deployment });
    for (const { stackName: name, template } of app.synth().stacks) {
      const { Resources: bundled = {} } = templates[name] ?? {};
      for (const [id, { Type: type, Properties: properties }] of Object.entries(
        (template as Template).Resources,
      ))
        if (type === 'AWS::Lambda::Function' && properties) properties.Code = bundled[id]?.Properties?.Code;
      Object.assign(templates[name] ?? {}, template);
    }
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}
