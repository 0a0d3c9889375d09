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
  Validations?.of(scope).acknowledge(finding);
}
