import {
  LambdaServiceException,
  ListDurableExecutionsByFunctionCommand,
  ResourceNotFoundException,
} from '@aws-sdk/client-lambda';
import type { Check } from '../check.ts';

/** Whether Lambda has durable functions in the region: a region that was named by hand may have none. */
export const durableFunctions: Check = {
  name: 'durable functions in the region',
  when: 'before the deploy',
  actions: ['lambda:ListDurableExecutionsByFunction'],
  async run(deployment) {
    const { clients, name } = deployment;
    const of = await deployment.region();
    try {
      await clients.lambda.send(
        new ListDurableExecutionsByFunctionCommand({ FunctionName: `${name}-start-run` }),
      );
    } catch (error) {
      // It knows the question, and only not the function.
      if (error instanceof ResourceNotFoundException)
        return [{ of, status: 'ok', saw: 'Lambda knows of durable executions.' }];
      // A region without them knows no such request at all.
      const status = error instanceof LambdaServiceException ? error.$metadata.httpStatusCode : undefined;
      if (status !== 404 && (error as Error).name !== 'UnknownOperationException') throw error;
      return [
        {
          of,
          status: 'failed',
          saw: `Lambda knows of no durable executions: ${(error as Error).message} (${(error as Error).name}).`,
          mend: 'A region with durable functions in region of the configuration; see additionalDurableRegions in docs/configuration.md',
        },
      ];
    }
    return [{ of, status: 'ok', saw: 'Lambda knows of durable executions.' }];
  },
};
