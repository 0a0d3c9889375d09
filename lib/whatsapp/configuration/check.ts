import type { FieldPath, Finding } from '../../checks/mistakes.ts';
import type { ConfigurationOutput, DeploymentOutput } from './schema.ts';

/** A check of what no single field can say. */
export interface Check {
  /** Fields of the deployment, dotted: the check is made where none of them is mistaken. */
  needs: string[];
  find(deployment: DeploymentOutput, configuration: ConfigurationOutput, index: number): Finding[];
}

/** Whether an ARN is of another region or account than expected. */
export function elsewhere(
  field: FieldPath,
  arn: string | undefined,
  expected: { region: string; account?: string },
): Finding[] {
  if (!arn) return [];
  const [, , , region, account] = arn.split(':');
  const wrong = [
    ...(region === expected.region ? [] : [`region ${region}`]),
    ...(!expected.account || account === expected.account ? [] : [`account ${account}`]),
  ];
  if (wrong.length === 0) return [];
  const allowed = [expected.region, ...(expected.account ? [expected.account] : [])].join(' and ');
  return [
    { field, problem: `names ${wrong.join(' and ')}; it must be of the deployment's own, ${allowed}.` },
  ];
}
