import * as cdk from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Says beside a resource why what a rule finds there is right nonetheless. A CDK that does not know of it (before 2.251) has no such
 * rules either.
 */
export function acceptFinding(
  scope: IConstruct,
  finding: { readonly id: string; readonly reason: string },
): void {
  const { Validations } = cdk as Partial<Pick<typeof cdk, 'Validations'>>;
  // The CDK notes where in the code each was said, 70 times a deployment; the reason says more, and two lines of it are enough.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 2;
  try {
    Validations?.of(scope).acknowledge(finding);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
