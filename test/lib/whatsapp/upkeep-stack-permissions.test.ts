import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Match, Template } from 'aws-cdk-lib/assertions';
import type { Deployment } from '../../../lib/whatsapp/configuration/configuration.ts';
import { brokenLinks, roleStatements } from '../links.ts';
import { ofType, type Resource, resourcesOf, sampleStack, textOf } from '../template.ts';

const OWN_TOPIC: Partial<Deployment> = { notifications: { emails: ['oncall@example.com'] } };
const GIVEN_TOPIC: Partial<Deployment> = {
  notifications: { topicArn: 'arn:aws:sns:us-east-1:111111111111:alarms' },
};
const VARIANTS = [
  { what: 'keys of AWS and its own topic', change: { encryption: 'aws', ...OWN_TOPIC } },
  { what: 'its own key and its own topic', change: { encryption: 'customer-managed', ...OWN_TOPIC } },
  { what: 'keys of AWS and a given topic', change: { encryption: 'aws', ...GIVEN_TOPIC } },
  { what: 'its own key and a given topic', change: { encryption: 'customer-managed', ...GIVEN_TOPIC } },
] as const;

const latam = sampleStack('latam');
const emea = sampleStack('emea');
const [latamResources, emeaResources] = [resourcesOf(latam), resourcesOf(emea)];
const apacResources = resourcesOf(sampleStack('apac'));

describe('every link, from alarm and producer to topic, queue and key, has its permission', () => {
  for (const { what, change } of VARIANTS) {
    const resources = resourcesOf(sampleStack('latam', change));

    it(`in a stack with ${what}`, () => {
      assert.deepEqual(brokenLinks(resources), []);
    });

    it(`in a stack with ${what}, and would be missed if it were taken away`, () => {
      const statements = resourcePolicyStatements(resources);
      assert.ok(statements.length >= 4);
      for (const { remove, name } of statements) {
        const without = structuredClone(resources);
        remove(without);
        assert.notDeepEqual(brokenLinks(without), [], `${name} can go, and nothing notices`);
      }
    });
  }
});

/** Each statement of a queue's, a topic's or a key's policy that allows a service something. */
function resourcePolicyStatements(resources: Record<string, Resource>) {
  return Object.entries(resources).flatMap(([id, { Properties: properties }]) =>
    ['PolicyDocument', 'KeyPolicy'].flatMap((property) => {
      const statements: { Effect: string; Principal?: { Service?: string }; Sid?: string }[] =
        properties[property]?.Statement ?? [];
      return statements.flatMap(({ Effect, Principal, Sid }, index) =>
        Effect === 'Allow' && Principal?.Service
          ? [
              {
                name: `${id} ${Sid ?? index}`,
                remove: (from: Record<string, Resource>) => {
                  from[id]?.Properties[property].Statement.splice(index, 1);
                },
              },
            ]
          : [],
      );
    }),
  );
}

/** [role, what its policies say: `actions on resources`] */
const ROLES: [Record<string, Resource>, string, string[]][] = [
  [
    latamResources,
    'MessageGcJobFunctionRole',
    [
      'allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *',
      'deny ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on * if ArnEquals lambda:SourceFunctionArn arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc',
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/latam-message-gc',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionHistory, lambda:GetDurableExecutionState on arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc:*',
      'allow sqs:SendMessage on latam-message-gc-dead-letters',
      'allow events:PutEvents on arn:aws:events:us-east-1:111111111111:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:111111111111:secret:whatsapp/latam/api-user-a1B2c3',
      'allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:ReceiveMessage on latam-gc-notifications',
      'allow lambda:ListDurableExecutionsByFunction, lambda:ListVersionsByFunction on arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc, arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc:*',
      'allow lambda:GetDurableExecution on arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc:*',
      'allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:ReceiveMessage, sqs:GetQueueAttributes on latam-unread-messages',
      'allow cloudwatch:GetMetricData on *',
    ],
  ],
  [
    emeaResources,
    'MessageGcJobFunctionRole',
    [
      'allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *',
      'deny ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on * if ArnEquals lambda:SourceFunctionArn arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc',
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/emea-message-gc',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionHistory, lambda:GetDurableExecutionState on arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc:*',
      'allow kms:Decrypt on Key',
      'allow kms:GenerateDataKey on Key if StringEquals kms:ViaService sqs.eu-central-1.amazonaws.com and StringEquals kms:EncryptionContext:aws:sqs:arn emea-message-gc-dead-letters',
      'allow sqs:SendMessage on emea-message-gc-dead-letters',
      'allow events:PutEvents on arn:aws:events:eu-central-1:222222222222:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6',
      'allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:ReceiveMessage on emea-gc-notifications',
      'allow lambda:ListDurableExecutionsByFunction, lambda:ListVersionsByFunction on arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc, arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc:*',
      'allow lambda:GetDurableExecution on arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc:*',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-size-g7H8i9',
      'allow cloudwatch:GetMetricData on *',
    ],
  ],
  [
    emeaResources,
    'MediaGcJobFunctionRole',
    [
      'allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *',
      'deny ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on * if ArnEquals lambda:SourceFunctionArn arn:aws:lambda:eu-central-1:222222222222:function:emea-media-gc',
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/emea-media-gc',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionHistory, lambda:GetDurableExecutionState on arn:aws:lambda:eu-central-1:222222222222:function:emea-media-gc:*',
      'allow kms:Decrypt on Key',
      'allow kms:GenerateDataKey on Key if StringEquals kms:ViaService sqs.eu-central-1.amazonaws.com and StringEquals kms:EncryptionContext:aws:sqs:arn emea-media-gc-dead-letters',
      'allow sqs:SendMessage on emea-media-gc-dead-letters',
      'allow events:PutEvents on arn:aws:events:eu-central-1:222222222222:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6',
      'allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:ReceiveMessage on emea-gc-notifications',
      'allow lambda:ListDurableExecutionsByFunction, lambda:ListVersionsByFunction on arn:aws:lambda:eu-central-1:222222222222:function:emea-media-gc, arn:aws:lambda:eu-central-1:222222222222:function:emea-media-gc:*',
      'allow lambda:GetDurableExecution on arn:aws:lambda:eu-central-1:222222222222:function:emea-media-gc:*',
    ],
  ],
  [
    latamResources,
    'LogCleanupContainersJobFunctionRole',
    [
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/latam-log-cleanup',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionHistory, lambda:GetDurableExecutionState on arn:aws:lambda:us-east-1:111111111111:function:latam-log-cleanup:*',
      'allow sqs:SendMessage on latam-log-cleanup-dead-letters',
      'allow events:PutEvents on arn:aws:events:us-east-1:111111111111:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow ecs:ListTasks on * if ArnEquals ecs:cluster arn:aws:ecs:us-east-1:111111111111:cluster/whatsapp-latam',
      'allow ecs:DescribeTasks on arn:aws:ecs:us-east-1:111111111111:task/whatsapp-latam/* if ArnEquals ecs:cluster arn:aws:ecs:us-east-1:111111111111:cluster/whatsapp-latam',
      'allow ecs:DescribeContainerInstances on arn:aws:ecs:us-east-1:111111111111:container-instance/whatsapp-latam/* if ArnEquals ecs:cluster arn:aws:ecs:us-east-1:111111111111:cluster/whatsapp-latam',
      'allow ssm:SendCommand on arn:aws:ssm:us-east-1:111111111111:document/LogCleanupContainersDocumentwebapp, arn:aws:ssm:us-east-1:111111111111:document/LogCleanupContainersDocumentcoreapp',
      'allow ssm:SendCommand on arn:aws:ec2:us-east-1:111111111111:instance/* if StringEquals ssm:resourceTag/aws:cloudformation:stack-name whatsapp-latam',
      'allow ssm:GetCommandInvocation on *',
    ],
  ],
  [
    emeaResources,
    'LogCleanupContainersJobFunctionRole',
    [
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/emea-log-cleanup',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionHistory, lambda:GetDurableExecutionState on arn:aws:lambda:eu-central-1:222222222222:function:emea-log-cleanup:*',
      'allow kms:Decrypt on Key',
      'allow kms:GenerateDataKey on Key if StringEquals kms:ViaService sqs.eu-central-1.amazonaws.com and StringEquals kms:EncryptionContext:aws:sqs:arn emea-log-cleanup-dead-letters',
      'allow sqs:SendMessage on emea-log-cleanup-dead-letters',
      'allow events:PutEvents on arn:aws:events:eu-central-1:222222222222:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow ecs:ListTasks on * if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea',
      'allow ecs:DescribeTasks on arn:aws:ecs:eu-central-1:222222222222:task/whatsapp-emea/* if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea',
      'allow ecs:ExecuteCommand on arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea, arn:aws:ecs:eu-central-1:222222222222:task/whatsapp-emea/* if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea and StringEquals ecs:container-name wa-web, wa-coreapp, wa-master',
      'allow ssmmessages:OpenDataChannel on arn:aws:ssm:eu-central-1:222222222222:session/ecs-execute-command-*',
      'allow ssm:TerminateSession, ssm:ResumeSession on arn:aws:ssm:eu-central-1:222222222222:session/ecs-execute-command-* if StringLike ssm:resourceTag/aws:ssmmessages:target-id ecs:whatsapp-emea_*',
      'allow s3:PutObject on LogCleanupArchiveLogs/emea/* if Null s3:if-none-match false',
      'allow kms:GenerateDataKey on Key if StringEquals kms:ViaService s3.eu-central-1.amazonaws.com and StringLike kms:EncryptionContext:aws:s3:arn LogCleanupArchiveLogs, LogCleanupArchiveLogs/emea/*',
    ],
  ],
  [
    latamResources,
    'UpkeepStartRunFunctionRole',
    [
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/latam-start-run',
      'allow sqs:SendMessage on latam-start-run-dead-letters',
      'allow events:PutEvents on arn:aws:events:us-east-1:111111111111:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow ssm:GetParametersByPath on arn:aws:ssm:us-east-1:111111111111:parameter/upkeep/latam/runs',
      'allow ssm:DeleteParameters, ssm:PutParameter on arn:aws:ssm:us-east-1:111111111111:parameter/upkeep/latam/runs/*',
      'allow sns:ListSubscriptionsByTopic on latam-upkeep-alarms',
      'allow lambda:InvokeFunction on latam-message-gc:live',
      'allow lambda:GetDurableExecution on arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc:*',
      'allow lambda:InvokeFunction on latam-log-cleanup:live',
      'allow lambda:GetDurableExecution on arn:aws:lambda:us-east-1:111111111111:function:latam-log-cleanup:*',
    ],
  ],
  [
    latamResources,
    'UpkeepReportLostRunFunctionRole',
    [
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/latam-report-lost-run',
      'allow sqs:SendMessage on latam-report-lost-run-dead-letters',
      'allow events:PutEvents on arn:aws:events:us-east-1:111111111111:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow cloudwatch:DescribeAlarmHistory on arn:aws:cloudwatch:us-east-1:111111111111:alarm:latam-*',
      'allow sqs:DeleteMessage, sqs:ReceiveMessage on latam-start-run-dead-letters, latam-schedules-dead-letters, latam-message-gc-dead-letters, latam-log-cleanup-dead-letters',
      'allow lambda:GetDurableExecutionHistory on arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc:*, arn:aws:lambda:us-east-1:111111111111:function:latam-log-cleanup:*',
      'allow lambda:ListDurableExecutionsByFunction, lambda:ListVersionsByFunction on arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc, arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc:*, arn:aws:lambda:us-east-1:111111111111:function:latam-log-cleanup, arn:aws:lambda:us-east-1:111111111111:function:latam-log-cleanup:*',
    ],
  ],
  [
    latamResources,
    'UpkeepStartRunSchedulerRole',
    [
      'allow lambda:InvokeFunction on arn:aws:lambda:us-east-1:111111111111:function:latam-start-run',
      'allow sqs:SendMessage on latam-schedules-dead-letters',
    ],
  ],
  [
    apacResources,
    'CredentialRotationRotateSecretRole',
    [
      'allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *',
      'deny ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on * if ArnEquals lambda:SourceFunctionArn arn:aws:lambda:ap-south-1:333333333333:function:apac-rotate-secret',
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/apac-rotate-secret',
      'allow secretsmanager:DescribeSecret, secretsmanager:GetSecretValue, secretsmanager:PutSecretValue, secretsmanager:UpdateSecretVersionStage on arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/database-v4W5x6',
      'allow lambda:ListDurableExecutionsByFunction, lambda:ListVersionsByFunction on arn:aws:lambda:ap-south-1:333333333333:function:apac-credential-rotation, arn:aws:lambda:ap-south-1:333333333333:function:apac-credential-rotation:*',
      'allow lambda:InvokeFunction on arn:aws:lambda:ap-south-1:333333333333:function:apac-start-run',
    ],
  ],
  [
    apacResources,
    'CredentialRotationJobFunctionRole',
    [
      'allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *',
      'deny ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on * if ArnEquals lambda:SourceFunctionArn arn:aws:lambda:ap-south-1:333333333333:function:apac-credential-rotation',
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/apac-credential-rotation',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionHistory, lambda:GetDurableExecutionState on arn:aws:lambda:ap-south-1:333333333333:function:apac-credential-rotation:*',
      'allow sqs:SendMessage on apac-credential-rotation-dead-letters',
      'allow events:PutEvents on arn:aws:events:ap-south-1:333333333333:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow secretsmanager:DescribeSecret, secretsmanager:GetSecretValue, secretsmanager:UpdateSecretVersionStage on arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/database-v4W5x6',
      'allow secretsmanager:RotateSecret on arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/database-v4W5x6 if ArnEqualsIfExists secretsmanager:RotationLambdaARN arn:aws:lambda:ap-south-1:333333333333:function:apac-rotate-secret and BoolIfExists secretsmanager:ModifyRotationRules false',
      'allow lambda:InvokeFunction on arn:aws:lambda:ap-south-1:333333333333:function:apac-rotate-secret',
      'allow ssm:GetParameter, ssm:PutParameter on arn:aws:ssm:ap-south-1:333333333333:parameter/whatsapp-apac-WA_DB_PASSWORD',
      'allow kms:Decrypt, kms:Encrypt, kms:GenerateDataKey on arn:aws:kms:ap-south-1:333333333333:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab if StringEquals kms:ViaService ssm.ap-south-1.amazonaws.com and StringEquals kms:EncryptionContext:PARAMETER_ARN arn:aws:ssm:ap-south-1:333333333333:parameter/whatsapp-apac-WA_DB_PASSWORD',
      'allow secretsmanager:GetSecretValue, secretsmanager:PutSecretValue on arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp-apac-ms-Secret-y7Z8a9',
      'allow ecs:DescribeServices, ecs:UpdateService, ecs:ListServiceDeployments on arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntWebService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntMasterService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntNotCECoreappService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ms-ECSCluster/whatsapp-apac-ms-WAMonitoringService',
      'allow ecs:DescribeServiceDeployments on arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntWebService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntMasterService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntNotCECoreappService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ms-ECSCluster/whatsapp-apac-ms-WAMonitoringService, arn:aws:ecs:ap-south-1:333333333333:service-deployment/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntWebService/*, arn:aws:ecs:ap-south-1:333333333333:service-deployment/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntMasterService/*, arn:aws:ecs:ap-south-1:333333333333:service-deployment/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntNotCECoreappService/*, arn:aws:ecs:ap-south-1:333333333333:service-deployment/whatsapp-apac-ms-ECSCluster/whatsapp-apac-ms-WAMonitoringService/*',
      'allow ecs:ListTasks on * if ArnEquals ecs:cluster arn:aws:ecs:ap-south-1:333333333333:cluster/whatsapp-apac-ECSCluster, arn:aws:ecs:ap-south-1:333333333333:cluster/whatsapp-apac-ms-ECSCluster',
      'allow ecs:DescribeTasks, ecs:StopTask on arn:aws:ecs:ap-south-1:333333333333:task/whatsapp-apac-ECSCluster/*, arn:aws:ecs:ap-south-1:333333333333:task/whatsapp-apac-ms-ECSCluster/* if ArnEquals ecs:cluster arn:aws:ecs:ap-south-1:333333333333:cluster/whatsapp-apac-ECSCluster, arn:aws:ecs:ap-south-1:333333333333:cluster/whatsapp-apac-ms-ECSCluster',
      'allow ecs:DescribeTaskDefinition on *',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/api-user-p7Q8r9',
    ],
  ],
  [
    emeaResources,
    'CredentialRotationRotateSecretRole',
    [
      'allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *',
      'deny ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on * if ArnEquals lambda:SourceFunctionArn arn:aws:lambda:eu-central-1:222222222222:function:emea-rotate-secret',
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/emea-rotate-secret',
      'allow kms:Decrypt on Key',
      'allow secretsmanager:DescribeSecret, secretsmanager:GetSecretValue, secretsmanager:PutSecretValue, secretsmanager:UpdateSecretVersionStage on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-j1K2l3',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/rotator-m4N5o6',
      'allow lambda:ListDurableExecutionsByFunction, lambda:ListVersionsByFunction on arn:aws:lambda:eu-central-1:222222222222:function:emea-credential-rotation, arn:aws:lambda:eu-central-1:222222222222:function:emea-credential-rotation:*',
      'allow lambda:InvokeFunction on arn:aws:lambda:eu-central-1:222222222222:function:emea-start-run',
    ],
  ],
  [
    emeaResources,
    'CredentialRotationJobFunctionRole',
    [
      'allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *',
      'deny ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on * if ArnEquals lambda:SourceFunctionArn arn:aws:lambda:eu-central-1:222222222222:function:emea-credential-rotation',
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/emea-credential-rotation',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionHistory, lambda:GetDurableExecutionState on arn:aws:lambda:eu-central-1:222222222222:function:emea-credential-rotation:*',
      'allow kms:Decrypt on Key',
      'allow kms:GenerateDataKey on Key if StringEquals kms:ViaService sqs.eu-central-1.amazonaws.com and StringEquals kms:EncryptionContext:aws:sqs:arn emea-credential-rotation-dead-letters',
      'allow sqs:SendMessage on emea-credential-rotation-dead-letters',
      'allow events:PutEvents on arn:aws:events:eu-central-1:222222222222:event-bus/default if StringEquals events:source upkeep and StringEquals events:detail-type Run Report',
      'allow secretsmanager:DescribeSecret, secretsmanager:GetSecretValue, secretsmanager:UpdateSecretVersionStage on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-j1K2l3',
      'allow secretsmanager:RotateSecret on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-j1K2l3 if ArnEqualsIfExists secretsmanager:RotationLambdaARN arn:aws:lambda:eu-central-1:222222222222:function:emea-rotate-secret and BoolIfExists secretsmanager:ModifyRotationRules false',
      'allow lambda:InvokeFunction on arn:aws:lambda:eu-central-1:222222222222:function:emea-rotate-secret',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/rotator-m4N5o6',
      'allow lambda:GetDurableExecution on arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc:*, arn:aws:lambda:eu-central-1:222222222222:function:emea-media-gc:*, arn:aws:lambda:eu-central-1:222222222222:function:emea-log-cleanup:*',
      'allow ecs:DescribeServices, ecs:UpdateService, ecs:ListServiceDeployments on arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/webapp, arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/master, arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/coreapp',
      'allow ecs:DescribeServiceDeployments on arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/webapp, arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/master, arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/coreapp, arn:aws:ecs:eu-central-1:222222222222:service-deployment/whatsapp-emea/webapp/*, arn:aws:ecs:eu-central-1:222222222222:service-deployment/whatsapp-emea/master/*, arn:aws:ecs:eu-central-1:222222222222:service-deployment/whatsapp-emea/coreapp/*',
      'allow ecs:ListTasks on * if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea',
      'allow ecs:DescribeTasks, ecs:StopTask on arn:aws:ecs:eu-central-1:222222222222:task/whatsapp-emea/* if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea',
      'allow ecs:DescribeTaskDefinition on *',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6',
    ],
  ],
];

describe('least privilege', () => {
  for (const [resources, roleName, expected] of ROLES) {
    const deployment =
      new Map([
        [latamResources, 'latam'],
        [emeaResources, 'emea'],
      ]).get(resources) ?? 'apac';
    it(`${roleName} of ${deployment} may do this and nothing else`, () => {
      const [roleId] = ofType(resources, 'AWS::IAM::Role').find(([id]) => id.startsWith(roleName)) ?? [''];
      assert.deepEqual(sentences(resources, roleId), expected);
      assert.equal(resources[roleId]?.Properties.ManagedPolicyArns, undefined);
    });
  }

  it('is tested for each role that there is', () => {
    const roles = ofType(latamResources, 'AWS::IAM::Role').map(([id]) => id.replace(/[0-9A-F]{8}$/, ''));
    const tested = ROLES.filter(([resources]) => resources === latamResources).map(([, name]) => name);
    assert.deepEqual(roles.sort(), tested.sort());
  });

  it('lets the scheduler take its role only for schedules of the own group', () => {
    Template.fromStack(latam).hasResourceProperties('AWS::IAM::Role', {
      AssumeRolePolicyDocument: {
        Statement: [
          {
            Action: 'sts:AssumeRole',
            Effect: 'Allow',
            Principal: { Service: 'scheduler.amazonaws.com' },
            Condition: {
              StringEquals: {
                'aws:SourceAccount': '111111111111',
                'aws:SourceArn': { 'Fn::GetAtt': [Match.stringLikeRegexp('Schedules'), 'Arn'] },
              },
            },
          },
        ],
      },
    });
  });
});

function sentences(resources: Record<string, Resource>, roleId: string): string[] {
  return roleStatements(resources, roleId).map(({ Effect, Action, Resource, Condition }) => {
    const conditions = Object.entries(Condition ?? {}).flatMap(([operator, keys]) =>
      Object.entries(keys).map(([key, value]) => `${operator} ${key} ${textOf(value, resources)}`),
    );
    const onlyIf = conditions.length > 0 ? ` if ${conditions.join(' and ')}` : '';
    return `${Effect.toLowerCase()} ${Action.join(', ')} on ${textOf(Resource, resources)}${onlyIf}`;
  });
}
