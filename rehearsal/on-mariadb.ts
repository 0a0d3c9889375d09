import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { checkConfiguration } from '../lib/whatsapp/configuration/configuration.ts';
import { stackName } from '../lib/whatsapp/stack-names.ts';
import { UpkeepStack } from '../lib/whatsapp/upkeep-stack.ts';
import { readAssembly, type Template } from './aws/template/assembly.ts';
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

/** Kept while the process lives: each night of it is the same. */
let synthesized: string | undefined;

/** Puts what the CDK makes of deployments on MariaDB in the place of their templates on MySQL. */
export function configureForMariadb(templates: Record<string, Template>, assets: Map<string, string>): void {
  synthesized ??= synthesizeOnMariadb();
  const made = readAssembly(synthesized);
  for (const { name, template } of made.stacks) Object.assign(templates[name] ?? {}, template);
  for (const [key, folder] of made.assets) assets.set(key, folder);
}

/** As `cdk synth` does, but in this process: functions know the database drivers of their configuration only. */
function synthesizeOnMariadb(): string {
  const outdir = mkdtempSync(join(tmpdir(), 'cdk.out-'));
  process.once('exit', () => rmSync(outdir, { recursive: true, force: true }));
  const app = new App({ outdir, analyticsReporting: false });
  const deployments = checkConfiguration(ON_MARIADB, { file: 'rehearsal/upkeep.config.ts', folder: '.' });
  for (const deployment of deployments)
    if (deployment.databases?.some(({ engine }) => engine === 'mariadb'))
      new UpkeepStack(app, stackName(deployment.name), { deployment });
  return app.synth().directory;
}
