import * as v from 'valibot';
import { type Check, couldNotLook, type Finding } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { FETCH_ACTIONS, fetchFindings } from '../fetched-secrets.ts';
import { definitionOf, isKnown, LOOK_AT_DEFINITIONS, lastPart, serviceLabel } from '../used-services.ts';

/** Of a job that runs its command in a task of its own. */
export const newTaskSettings = v.object({
  clusterArn: v.string(),
  service: v.string(),
  container: v.string(),
  family: v.string(),
  command: v.unknown(),
  secrets: v.optional(v.record(v.string(), v.string()), {}),
});

/** Whether ECS could start the tasks that jobs run their commands in, and fetch the secrets for them. */
export const newTasks: Check = {
  name: 'new tasks',
  actions: [...LOOK_AT_DEFINITIONS, ...FETCH_ACTIONS],
  async run(deployment) {
    const jobs = await deployment.settingsOf(newTaskSettings);
    const found = await Promise.all(
      jobs.map(async ({ job, settings }) => {
        const findings = await look(deployment, settings).catch((error) => [couldNotLook(error)]);
        return findings.map((finding) => ({ of: job, ...finding }));
      }),
    );
    return found.flat();
  },
};

async function look(
  deployment: ExaminedDeployment,
  { clusterArn, service: name, container, family, secrets }: v.InferOutput<typeof newTaskSettings>,
): Promise<Finding[]> {
  if (!isKnown(clusterArn) || !isKnown(name)) return [];
  const service = { label: serviceLabel(clusterArn, name), clusterArn, name: lastPart(name) };
  const definition = await definitionOf(deployment, service);
  // That the service is not there is told by the check of the services.
  if (definition === undefined) return [];
  const { taskDefinitionArn: arn, containerDefinitions = [] } = definition;
  const failed = (saw: string, mend: string): Finding[] => [{ status: 'failed', saw, mend }];
  if (definition.family !== family)
    return failed(
      `The service has a task definition of the family ${definition.family}, and the job may start tasks of ${family} only.`,
      `taskDefinition: { family: '${definition.family}', … }   # of the job, then: npx cdk deploy --all`,
    );
  if (!containerDefinitions.some((each) => each.name === container))
    return failed(
      `The task definition has no container ${container}, but ${containerDefinitions.map((each) => each.name).join(', ')}.`,
      `container: '…'   # of the job's role, then: npx cdk deploy --all`,
    );
  const references = Object.values(secrets).filter(isKnown);
  if (references.length === 0) return [{ status: 'ok', saw: `It can be started of ${arn}.` }];
  return fetchFindings(deployment, {
    definition,
    references,
    saw: (role) => `It can be started of ${arn}, and ${role} may fetch its secrets.`,
    list: "into the job's secrets",
  });
}
