import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { describedService, LOOK_AT_SERVICES, type UsedService, usedServices } from '../used-services.ts';

/** Whether the services that jobs are configured with are there, run, and have ECS Exec where it is needed. */
export const services: Check = {
  name: 'services',
  actions: LOOK_AT_SERVICES,
  run: async (deployment) =>
    ofEach(
      await usedServices(deployment),
      ({ label }) => label,
      (service) => look(deployment, service),
    ),
};

async function look(deployment: ExaminedDeployment, service: UsedService): Promise<Finding> {
  const { clusterArn, name, jobs, exec, needsTasks } = service;
  const found = await describedService(deployment, service);
  if (found === undefined)
    return {
      status: 'failed',
      saw: `The cluster has no service of this name, and ${jobs.join(' and ')} is configured with it.`,
      mend: `aws ecs list-services --cluster ${clusterArn}   # name the right one in the configuration, then: npx cdk deploy --all`,
    };
  const { runningCount: running = 0, desiredCount: desired = 0, enableExecuteCommand } = found;
  const update = `aws ecs update-service --cluster ${clusterArn} --service ${name}`;
  if (exec.length > 0 && enableExecuteCommand !== true)
    return {
      status: 'failed',
      saw: 'ECS Exec is not enabled: its tasks take no command.',
      mend: `${update} --enable-execute-command --force-new-deployment   # replaces its tasks`,
    };
  if (!needsTasks)
    return { status: 'ok', saw: `It is there, as whose tasks ${jobs.join(' and ')} starts one.` };
  if (desired === 0)
    return {
      status: 'warning',
      saw: 'No task of it is wanted.',
      mend: `${update} --desired-count 1   # or leave it out of the configuration`,
    };
  if (running === 0)
    return {
      status: 'failed',
      saw: `None of its ${desired} tasks runs: ${found.events?.[0]?.message ?? 'ECS tells no reason'}`,
      mend: `aws ecs describe-services --cluster ${clusterArn} --services ${name} --query 'services[0].events[:10].message'`,
    };
  return {
    status: 'ok',
    saw: `${running} of ${desired} tasks run${exec.length > 0 ? ', with ECS Exec' : ''}.`,
  };
}
