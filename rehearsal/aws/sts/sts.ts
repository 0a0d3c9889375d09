import type { AssumeRoleCommandInput } from '@aws-sdk/client-sts';
import * as client from '@aws-sdk/client-sts';
import { AwsError } from '../aws-error.ts';
import { type Call, type Cloud, type Operations, operation, required, type Service } from '../cloud.ts';
import type { PolicyDocument } from '../policy/document.ts';

/** STS' default. */
const SESSION_SECONDS = 3600;

/** AWS Security Token Service: who a caller is, and sessions of roles. */
export class Sts implements Service {
  readonly signingName = 'sts';
  readonly client = client;
  readonly accessDenied = 'AccessDenied';
  readonly namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';
  readonly operations: Operations;
  readonly #aws: Pick<Cloud, 'access' | 'clock'>;

  constructor(aws: Pick<Cloud, 'access' | 'clock'>) {
    this.#aws = aws;
    this.operations = {
      // It needs no permission.
      GetCallerIdentity: operation(
        () => [],
        (_input: object, { caller }) => ({
          Arn: caller.principal.arn,
          UserId: caller.credentials.accessKeyId,
          Account: caller.principal.account,
        }),
      ),
      // The role's trust policy is asked besides the caller's.
      AssumeRole: operation(
        () => [],
        (input: AssumeRoleCommandInput, call) => this.#assume(input, call),
      ),
    };
  }

  #assume(
    { RoleArn, RoleSessionName, Policy, DurationSeconds = SESSION_SECONDS }: AssumeRoleCommandInput,
    call: Call,
  ) {
    const { access, clock } = this.#aws;
    const policy = Policy === undefined ? undefined : (JSON.parse(Policy) as PolicyDocument);
    const session = access.assumeBy(call.caller, required(RoleArn), required(RoleSessionName), policy);
    if (typeof session === 'string') throw new AwsError('AccessDenied', session);
    const { accessKeyId, secretAccessKey, sessionToken } = access.issue(session);
    return {
      AssumedRoleUser: { Arn: session.arn, AssumedRoleId: `${accessKeyId}:${RoleSessionName}` },
      Credentials: {
        AccessKeyId: accessKeyId,
        SecretAccessKey: secretAccessKey,
        SessionToken: sessionToken,
        Expiration: new Date(clock.now() + DurationSeconds * 1000),
      },
    };
  }
}
