import assert from 'node:assert/strict';
import { PropsError } from '../../../../lib/checks/props.ts';
import {
  ConfigurationError,
  checkConfiguration,
} from '../../../../lib/whatsapp/configuration/configuration.ts';
import { MediaVolumeStack } from '../../../../lib/whatsapp/media-volume-stack.ts';
import { mediaStackName, stackName } from '../../../../lib/whatsapp/stack-names.ts';
import { UpkeepStack } from '../../../../lib/whatsapp/upkeep-stack.ts';
import { brokenLinks } from '../../links.ts';
import { appWithoutBundles, resourcesOf } from '../../template.ts';
import { REPOSITORY } from './mistaken.ts';

/** How a sentence about a configuration begins: with the path of a field. */
const FIELD = /^(The configuration|\S.*?) (is|names|refers|has|takes|cannot|leaves|holds?|needs)\b/;
/** What shows that a value or an error was put into a sentence unread. */
const NO_SENTENCE = /\n|\[object |undefined;|at file:|TypeError|RangeError/;

/**
 * What must come of every configuration: stacks that synthesize and whose links are whole; or sentences, each with the
 * path of a field.
 */
export function synthesizesOrSaysWhy(
  configuration: unknown,
  { synthesize = true } = {},
): 'taken' | 'refused' {
  let deployments: ReturnType<typeof checkConfiguration>;
  try {
    deployments = checkConfiguration(configuration, { file: 'upkeep.config.ts', folder: REPOSITORY });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    for (const mistake of error.mistakes) {
      assert.match(mistake, FIELD);
      assert.match(mistake, /\.$/);
      assert.doesNotMatch(mistake, NO_SENTENCE);
    }
    return 'refused';
  }
  if (!synthesize) return 'taken';
  const app = appWithoutBundles();
  let stacks: UpkeepStack[];
  try {
    stacks = deployments.map((deployment) => {
      const media = MediaVolumeStack.ofDeployment(app, mediaStackName(deployment.name), deployment);
      return new UpkeepStack(app, stackName(deployment.name), { deployment, mediaVolume: media?.volume });
    });
  } catch (error) {
    if (!(error instanceof PropsError)) throw error;
    assert.match(error.message, /^deployments\[\d\]\.(jobs\.|upgradeCheck|callbacks)/);
    return 'refused';
  }
  const names = new Set<string>();
  for (const stack of stacks) {
    const resources = resourcesOf(stack);
    // It is called by its URL, and answers its caller.
    const broken = brokenLinks(resources).filter(
      (link) => !link.includes('callback-relay has no dead-letter'),
    );
    assert.deepEqual(broken, []);
    for (const [, { Type, Properties }] of Object.entries(resources))
      for (const property of ['FunctionName', 'QueueName', 'TopicName', 'AlarmName']) {
        if (typeof Properties?.[property] !== 'string' || Type === 'AWS::Lambda::Alias') continue;
        if (Type.startsWith('AWS::Lambda::') && Type !== 'AWS::Lambda::Function') continue;
        const name = JSON.stringify([stack.account, stack.region, property, Properties[property]]);
        assert.ok(!names.has(name), `two things have the name ${name}`);
        names.add(name);
      }
  }
  return 'taken';
}
