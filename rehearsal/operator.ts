import { InvokeCommand, LambdaClient, StopDurableExecutionCommand } from '@aws-sdk/client-lambda';
import type { Aws } from './aws/server.ts';

/** Stops a function's runs, as somebody would in the console. */
export async function stopRuns(aws: Aws, functionName: string): Promise<void> {
  const [gc] = aws.deployed.ofType('AWS::Lambda::Function').filter(({ name }) => name === functionName);
  if (!gc) throw new Error(`The templates have no function ${functionName}.`);
  const credentials = aws.credentialsFor({
    arn: `arn:aws:sts::${gc.account}:assumed-role/operator/somebody`,
    policy: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'lambda:StopDurableExecution', Resource: `${gc.arn}:*` }],
    },
  });
  const lambda = new LambdaClient({ region: gc.region, endpoint: aws.endpoint, credentials });
  for (const { arn, status } of aws.lambda.durable.list())
    if (status === 'RUNNING' && arn.split(':')[6] === functionName)
      await lambda.send(new StopDurableExecutionCommand({ DurableExecutionArn: arn }));
  lambda.destroy();
}

/** Calls a deployment's start-run as somebody who may call nothing else; gives its answer, which may be an error's. */
export async function callStartRun(aws: Aws, deployment: string, event: object): Promise<unknown> {
  const [startRun] = aws.deployed
    .ofType('AWS::Lambda::Function')
    .filter(({ name }) => name === `${deployment}-start-run`);
  if (!startRun) throw new Error(`The templates have no start-run of ${deployment}.`);
  const credentials = aws.credentialsFor({
    arn: `arn:aws:sts::${startRun.account}:assumed-role/operator/somebody`,
    policy: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: startRun.arn }],
    },
  });
  const lambda = new LambdaClient({ region: startRun.region, endpoint: aws.endpoint, credentials });
  const { Payload: answer } = await lambda.send(
    new InvokeCommand({ FunctionName: startRun.name, Payload: JSON.stringify(event) }),
  );
  lambda.destroy();
  return JSON.parse(Buffer.from(answer ?? []).toString());
}

/** Starts a run by hand, as docs/operations.md says. */
export async function startRun(
  aws: Aws,
  deployment: string,
  job: string,
  options?: Record<string, unknown>,
): Promise<void> {
  await callStartRun(aws, deployment, { job, deployment, options });
}
