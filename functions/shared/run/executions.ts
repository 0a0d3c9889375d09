import {
  type Execution,
  type LambdaClient,
  type ListDurableExecutionsByFunctionRequest,
  paginateListDurableExecutionsByFunction,
  paginateListVersionsByFunction,
} from '@aws-sdk/client-lambda';
import { EXAMINATION_PREFIX } from './examination.ts';

/** Which of a function's executions. */
export type ExecutionFilter = Pick<
  ListDurableExecutionsByFunctionRequest,
  'DurableExecutionName' | 'StartedAfter' | 'Statuses'
>;

/** As the ARN of an execution has its function's version. */
const PUBLISHED = /:\d+\/durable-execution\//;

/** A function's runs, of all its versions, the newest first: its durable executions but for those in which doctor has it look. */
export async function executionsOf(
  lambda: LambdaClient,
  functionName: string,
  filter: ExecutionFilter = {},
): Promise<Execution[]> {
  const all = await everyExecutionOf(lambda, functionName, filter);
  return all.filter(({ DurableExecutionName: name = '' }) => !name.startsWith(EXAMINATION_PREFIX));
}

/**
 * A function's durable executions, of all its versions, the newest first. Lambda's reference has said two things of a list
 * without a qualifier (all versions; `$LATEST` only) and two of its order, so this rests on none of them: a list that shows no
 * execution of a published version is asked for again, version by version, and everything is sorted here.
 *
 * Needs `lambda:ListDurableExecutionsByFunction` on the function and its versions, and `lambda:ListVersionsByFunction`.
 */
export async function everyExecutionOf(
  lambda: LambdaClient,
  functionName: string,
  filter: ExecutionFilter = {},
): Promise<Execution[]> {
  const unqualified = await listed(lambda, { FunctionName: functionName, ...filter });
  const found = new Map(unqualified.map((execution) => [execution.DurableExecutionArn, execution]));
  if (!unqualified.some(({ DurableExecutionArn: arn = '' }) => PUBLISHED.test(arn))) {
    const pages = paginateListVersionsByFunction({ client: lambda }, { FunctionName: functionName });
    for await (const { Versions: versions = [] } of pages)
      for (const { Version: version } of versions) {
        if (version === undefined || version === '$LATEST') continue;
        const ofVersion = { FunctionName: functionName, Qualifier: version, ...filter };
        for (const execution of await listed(lambda, ofVersion))
          found.set(execution.DurableExecutionArn, execution);
      }
  }
  const startOf = ({ StartTimestamp: start }: Execution) => start?.getTime() ?? 0;
  return [...found.values()].sort((one, other) => startOf(other) - startOf(one));
}

async function listed(
  client: LambdaClient,
  request: ListDurableExecutionsByFunctionRequest,
): Promise<Execution[]> {
  const executions: Execution[] = [];
  for await (const { DurableExecutions: page = [] } of paginateListDurableExecutionsByFunction(
    { client },
    request,
  ))
    executions.push(...page);
  return executions;
}
