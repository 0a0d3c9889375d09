import { accountOf, clientsIn, ExaminedDeployment } from '../examined-deployment.ts';
import { synthesizedAt } from './assembly.ts';
import { synthesizedDeployments } from './synthesized.ts';

/**
 * The deployments of a cloud assembly that are named; where none is, all that are to be in the account of the credentials.
 * Each is looked at in its own region.
 * @throws Error where one of them is not there, or of another account, or none is
 */
export async function deploymentsToBe(
  folder: string,
  names: string[],
  region: string | undefined,
): Promise<ExaminedDeployment[]> {
  synthesizedAt(folder);
  const all = synthesizedDeployments(folder);
  const listed = all.map(({ upkeep }) => upkeep.deployment).join(', ') || 'none';
  const unknown = names.filter((name) => !all.some(({ upkeep }) => upkeep.deployment === name));
  if (unknown.length > 0)
    throw new Error(`There is no deployment ${unknown.join(', ')} in ${folder}. There: ${listed}.`);
  const account = await accountOf(clientsIn(region ?? all[0]?.stack.region));
  const isOfAnother = (of: string | undefined) => of !== undefined && of !== account;
  const chosen = all.filter(
    ({ upkeep, stack }) =>
      (names.length > 0 ? names.includes(upkeep.deployment) : !isOfAnother(stack.account)) &&
      (names.length > 0 || region === undefined || (stack.region ?? region) === region),
  );
  const [stranger] = chosen.filter(({ stack }) => isOfAnother(stack.account));
  if (stranger)
    throw new Error(
      `${stranger.upkeep.deployment} is to be in the account ${stranger.stack.account}, and these credentials are of ${account} (AWS_PROFILE).`,
    );
  if (chosen.length === 0)
    throw new Error(
      `No deployment in ${folder} is to be in the account ${account} of these credentials (AWS_PROFILE). There: ${listed}.`,
    );
  return chosen.map(
    (synthesized) =>
      new ExaminedDeployment(synthesized.upkeep, clientsIn(synthesized.stack.region ?? region), synthesized),
  );
}
