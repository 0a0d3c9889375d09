/**
 * In place of `@aws-sdk/client-lambda`, which the durable execution SDK loads with all its commands: those that it calls, and
 * those that our functions call.
 */
export {
  CheckpointDurableExecutionCommand,
  DurableExecutionAlreadyStartedException,
  GetDurableExecutionCommand,
  GetDurableExecutionStateCommand,
  InvokeCommand,
  LambdaClient,
  LambdaServiceException,
  paginateGetDurableExecutionHistory,
  paginateListDurableExecutionsByFunction,
  paginateListVersionsByFunction,
  ResourceNotFoundException,
  // @ts-expect-error its types stand elsewhere, and nobody reads them here.
} from '@aws-sdk/client-lambda/dist-es/index.js';
