import type { Statement } from '../policy/document.ts';
import type { Properties } from '../template/properties.ts';

/** The statement that an `AWS::Lambda::Permission` adds to the policy of a function, version or alias. */
export function permissionStatement(target: string, properties: Properties): Statement {
  const principal = properties.text('Principal');
  const condition: Record<string, Record<string, unknown>> = {};
  const sourceArn = properties.text('SourceArn', undefined);
  const sourceAccount = properties.text('SourceAccount', undefined);
  const urlAuth = properties.text('FunctionUrlAuthType', undefined);
  if (sourceArn !== undefined) condition.ArnLike = { 'aws:SourceArn': sourceArn };
  if (sourceAccount !== undefined) condition.StringEquals = { 'aws:SourceAccount': sourceAccount };
  if (urlAuth !== undefined) {
    condition.StringEquals = { ...condition.StringEquals, 'lambda:FunctionUrlAuthType': urlAuth };
  }
  if (properties.boolean('InvokedViaFunctionUrl', false)) {
    condition.Bool = { 'lambda:InvokedViaFunctionUrl': 'true' };
  }
  return {
    Effect: 'Allow',
    Principal:
      principal === '*'
        ? '*'
        : principal.endsWith('.amazonaws.com')
          ? { Service: principal }
          : { AWS: principal },
    Action: properties.text('Action'),
    Resource: target,
    Condition: condition,
  };
}
