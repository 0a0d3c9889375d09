import { App, Validations } from 'aws-cdk-lib';
import { DISABLE_CREATION_STACK_TRACES } from 'aws-cdk-lib/cx-api';
import { AwsSolutionsChecks } from 'cdk-nag';
import { PropsError } from '../lib/checks/props.ts';
import { ConfigurationError, loadConfiguration } from '../lib/whatsapp/configuration/configuration.ts';
import { makeUpkeepStacks } from '../lib/whatsapp/upkeep-stacks.ts';

// tree.json is for explorers of constructs; it takes an eighth of the time. Where each resource was made takes another: `cdk --debug`
// tells it nonetheless.
const app = new App({ treeMetadata: false, context: { [DISABLE_CREATION_STACK_TRACES]: true } });
const file: unknown = app.node.tryGetContext('config') ?? 'upkeep.config.ts';
try {
  makeUpkeepStacks(app, await loadConfiguration(String(file)));
} catch (error) {
  if (!(error instanceof ConfigurationError || error instanceof PropsError)) throw error;
  const message =
    error instanceof PropsError
      ? new ConfigurationError(String(file), [error.message]).message
      : error.message;
  console.error(message);
  // At once: the app would synthesize when the process ends by itself.
  process.exit(1);
}
// cdk-nag itself reads a deprecated property of each event bus's policy: of what is deprecated here the constructs above have told.
process.env.JSII_DEPRECATED ??= 'quiet';
// The reasons of what the rules find and is right nonetheless stand in the templates, beside what they are about.
Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { writeSuppressionsToCloudFormation: true }));
