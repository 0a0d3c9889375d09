import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import type { Deployment } from '../../../lib/whatsapp/configuration.ts';
import { ENDPOINT_SERVICES } from '../../../lib/whatsapp/endpoint-services.ts';
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
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionState on arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc:*',
      'allow sqs:SendMessage on latam-message-gc-dead-letters',
      'allow events:PutEvents on arn:aws:events:us-east-1:111111111111:event-bus/default if StringEquals events:source upkeep',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:111111111111:secret:whatsapp/latam/api-user-a1B2c3',
      'allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:ReceiveMessage on latam-gc-notifications',
      'allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:ReceiveMessage, sqs:GetQueueAttributes on latam-unread-messages',
    ],
  ],
  [
    emeaResources,
    'MessageGcJobFunctionRole',
    [
      'allow ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on *',
      'deny ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets, ec2:UnassignPrivateIpAddresses on * if ArnEquals lambda:SourceFunctionArn arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc',
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/emea-message-gc',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionState on arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc:*',
      'allow kms:Decrypt on Key',
      'allow kms:GenerateDataKey on Key',
      'allow sqs:SendMessage on emea-message-gc-dead-letters',
      'allow events:PutEvents on arn:aws:events:eu-central-1:222222222222:event-bus/default if StringEquals events:source upkeep',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6',
      'allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:ReceiveMessage on emea-gc-notifications',
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
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionState on arn:aws:lambda:eu-central-1:222222222222:function:emea-media-gc:*',
      'allow kms:Decrypt on Key',
      'allow kms:GenerateDataKey on Key',
      'allow sqs:SendMessage on emea-media-gc-dead-letters',
      'allow events:PutEvents on arn:aws:events:eu-central-1:222222222222:event-bus/default if StringEquals events:source upkeep',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6',
      'allow sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:ReceiveMessage on emea-gc-notifications',
    ],
  ],
  [
    latamResources,
    'LogCleanupContainersJobFunctionRole',
    [
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/latam-log-cleanup',
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionState on arn:aws:lambda:us-east-1:111111111111:function:latam-log-cleanup:*',
      'allow sqs:SendMessage on latam-log-cleanup-dead-letters',
      'allow events:PutEvents on arn:aws:events:us-east-1:111111111111:event-bus/default if StringEquals events:source upkeep',
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
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionState on arn:aws:lambda:eu-central-1:222222222222:function:emea-log-cleanup:*',
      'allow kms:Decrypt on Key',
      'allow kms:GenerateDataKey on Key',
      'allow sqs:SendMessage on emea-log-cleanup-dead-letters',
      'allow events:PutEvents on arn:aws:events:eu-central-1:222222222222:event-bus/default if StringEquals events:source upkeep',
      'allow ecs:ListTasks on * if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea',
      'allow ecs:DescribeTasks on arn:aws:ecs:eu-central-1:222222222222:task/whatsapp-emea/* if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea',
      'allow ecs:ExecuteCommand on arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea, arn:aws:ecs:eu-central-1:222222222222:task/whatsapp-emea/* if ArnEquals ecs:cluster arn:aws:ecs:eu-central-1:222222222222:cluster/whatsapp-emea and StringEquals ecs:container-name wa-web, wa-coreapp, wa-master',
      'allow ssmmessages:OpenDataChannel on arn:aws:ssm:eu-central-1:222222222222:session/ecs-execute-command-*',
      'allow ssm:TerminateSession, ssm:ResumeSession on arn:aws:ssm:eu-central-1:222222222222:session/ecs-execute-command-*',
    ],
  ],
  [
    latamResources,
    'UpkeepStartRunFunctionRole',
    [
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/latam-start-run',
      'allow sqs:SendMessage on latam-start-run-dead-letters',
      'allow events:PutEvents on arn:aws:events:us-east-1:111111111111:event-bus/default if StringEquals events:source upkeep',
      'allow lambda:InvokeFunction on latam-message-gc:live',
      'allow lambda:ListDurableExecutionsByFunction on arn:aws:lambda:us-east-1:111111111111:function:latam-message-gc',
      'allow lambda:InvokeFunction on latam-log-cleanup:live',
      'allow lambda:ListDurableExecutionsByFunction on arn:aws:lambda:us-east-1:111111111111:function:latam-log-cleanup',
    ],
  ],
  [
    latamResources,
    'UpkeepReportLostRunFunctionRole',
    [
      'allow logs:CreateLogStream, logs:PutLogEvents on /aws/lambda/latam-report-lost-run',
      'allow sqs:SendMessage on latam-report-lost-run-dead-letters',
      'allow events:PutEvents on arn:aws:events:us-east-1:111111111111:event-bus/default if StringEquals events:source upkeep',
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
      'allow lambda:ListDurableExecutionsByFunction on arn:aws:lambda:ap-south-1:333333333333:function:apac-credential-rotation',
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
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionState on arn:aws:lambda:ap-south-1:333333333333:function:apac-credential-rotation:*',
      'allow sqs:SendMessage on apac-credential-rotation-dead-letters',
      'allow events:PutEvents on arn:aws:events:ap-south-1:333333333333:event-bus/default if StringEquals events:source upkeep',
      'allow secretsmanager:DescribeSecret, secretsmanager:GetSecretValue, secretsmanager:RotateSecret, secretsmanager:UpdateSecretVersionStage on arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/database-v4W5x6',
      'allow lambda:InvokeFunction on arn:aws:lambda:ap-south-1:333333333333:function:apac-rotate-secret',
      'allow ssm:GetParameter, ssm:PutParameter on arn:aws:ssm:ap-south-1:333333333333:parameter/whatsapp-apac-WA_DB_PASSWORD',
      'allow kms:Decrypt, kms:Encrypt on arn:aws:kms:ap-south-1:333333333333:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab if StringEquals kms:EncryptionContext:PARAMETER_ARN arn:aws:ssm:ap-south-1:333333333333:parameter/whatsapp-apac-WA_DB_PASSWORD',
      'allow secretsmanager:GetSecretValue, secretsmanager:PutSecretValue on arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp-apac-ms-Secret-y7Z8a9',
      'allow ecs:DescribeServices, ecs:UpdateService, ecs:ListServiceDeployments on arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntWebService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntMasterService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntNotCECoreappService, arn:aws:ecs:ap-south-1:333333333333:service/whatsapp-apac-ms-ECSCluster/whatsapp-apac-ms-WAMonitoringService',
      'allow ecs:DescribeServiceDeployments on arn:aws:ecs:ap-south-1:333333333333:service-deployment/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntWebService/*, arn:aws:ecs:ap-south-1:333333333333:service-deployment/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntMasterService/*, arn:aws:ecs:ap-south-1:333333333333:service-deployment/whatsapp-apac-ECSCluster/whatsapp-apac-WAEntNotCECoreappService/*, arn:aws:ecs:ap-south-1:333333333333:service-deployment/whatsapp-apac-ms-ECSCluster/whatsapp-apac-ms-WAMonitoringService/*',
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
      'allow lambda:ListDurableExecutionsByFunction on arn:aws:lambda:eu-central-1:222222222222:function:emea-credential-rotation',
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
      'allow lambda:CheckpointDurableExecution, lambda:GetDurableExecutionState on arn:aws:lambda:eu-central-1:222222222222:function:emea-credential-rotation:*',
      'allow kms:Decrypt on Key',
      'allow kms:GenerateDataKey on Key',
      'allow sqs:SendMessage on emea-credential-rotation-dead-letters',
      'allow events:PutEvents on arn:aws:events:eu-central-1:222222222222:event-bus/default if StringEquals events:source upkeep',
      'allow secretsmanager:DescribeSecret, secretsmanager:GetSecretValue, secretsmanager:RotateSecret, secretsmanager:UpdateSecretVersionStage on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-j1K2l3',
      'allow lambda:InvokeFunction on arn:aws:lambda:eu-central-1:222222222222:function:emea-rotate-secret',
      'allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/rotator-m4N5o6',
      'allow lambda:ListDurableExecutionsByFunction on arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc, arn:aws:lambda:eu-central-1:222222222222:function:emea-media-gc, arn:aws:lambda:eu-central-1:222222222222:function:emea-log-cleanup',
      'allow ecs:DescribeServices, ecs:UpdateService, ecs:ListServiceDeployments on arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/webapp, arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/master, arn:aws:ecs:eu-central-1:222222222222:service/whatsapp-emea/coreapp',
      'allow ecs:DescribeServiceDeployments on arn:aws:ecs:eu-central-1:222222222222:service-deployment/whatsapp-emea/webapp/*, arn:aws:ecs:eu-central-1:222222222222:service-deployment/whatsapp-emea/master/*, arn:aws:ecs:eu-central-1:222222222222:service-deployment/whatsapp-emea/coreapp/*',
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

describe('a deployment’s stack', () => {
  it('has the schedule in the deployment’s time zone, with retries and age that a night allows', () => {
    Template.fromStack(latam).hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(30 2 * * ? *)',
      ScheduleExpressionTimezone: 'America/Sao_Paulo',
      FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
      Target: {
        Input: '{"job":"message-gc","deployment":"latam","scheduledFor":"<aws.scheduler.scheduled-time>"}',
        RetryPolicy: { MaximumRetryAttempts: 10, MaximumEventAgeInSeconds: 1800 },
      },
    });
  });

  it('keeps the version that a waiting run began with, when a deploy brings the next', () => {
    const versions = ofType(latamResources, 'AWS::Lambda::Version');
    assert.deepEqual(
      versions.map(([, { DeletionPolicy }]) => DeletionPolicy),
      ['Retain', 'Retain'],
    );
  });

  it('gives Lambda more time for a run than the run gives itself', () => {
    Template.fromStack(latam).hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'latam-message-gc',
      DurableConfig: { ExecutionTimeout: (120 + 15) * 60, RetentionPeriodInDays: 30 },
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
    });
    const startRun = settingsOf(latamResources, 'latam-start-run');
    assert.match(startRun, /"timeLimitSeconds":7200/);
  });

  it('has only message-gc in the VPC', () => {
    const inVpc = ofType(latamResources, 'AWS::Lambda::Function')
      .filter(([, { Properties: lambda }]) => lambda.VpcConfig)
      .map(([, { Properties: lambda }]) => lambda.FunctionName);
    assert.deepEqual(inVpc, ['latam-message-gc']);
  });

  it('tells message-gc what was configured, and fits into an environment', () => {
    const text = settingsOf(latamResources, 'latam-message-gc');
    const settings = JSON.parse(text.replaceAll(/[\n\r]/g, '\\n'));
    assert.deepEqual(
      { ...settings, webApp: { ...settings.webApp, certificateAuthority: '' } },
      {
        deployment: 'latam',
        webApp: {
          url: 'https://webapp.latam.internal',
          certificateAuthority: '',
          secretArn: 'arn:aws:secretsmanager:us-east-1:111111111111:secret:whatsapp/latam/api-user-a1B2c3',
        },
        notificationsQueueUrl: 'latam-gc-notifications',
        gc: { maximumCalls: 3, pauseSeconds: 60, callbackTimeoutSeconds: 1800 },
        markRead: {
          queueUrl: 'latam-unread-messages',
          olderThanSeconds: 86400,
          requestsPerSecond: 20,
          concurrency: 4,
        },
      },
    );
    // Lambda's limit is 4 KB; a certificate may have 3, and queue URLs are longer than the names here.
    assert.ok(text.length - settings.webApp.certificateAuthority.length < 900, String(text.length));
  });

  it('has the copies compared that the rotation delivers to, if there are any', () => {
    const { passwordCopies } = JSON.parse(settingsOf(apacResources, 'apac-database-size'));
    const { secretArn, copies } = JSON.parse(settingsOf(apacResources, 'apac-credential-rotation'));
    assert.equal(copies.length, 2);
    assert.deepEqual(passwordCopies, { secretArn, copies, deliverySeconds: 7200 });
    assert.equal(JSON.parse(settingsOf(emeaResources, 'emea-database-size')).passwordCopies, undefined);
  });

  it('has the weekly schedule on its day, and media GC never beside message GC', () => {
    Template.fromStack(emea).hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(30 23 ? * SUN *)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: {
        Input: '{"job":"media-gc","deployment":"emea","scheduledFor":"<aws.scheduler.scheduled-time>"}',
      },
    });
    const { jobs } = JSON.parse(settingsOf(emeaResources, 'emea-start-run'));
    assert.deepEqual(jobs['media-gc'].conflictsWith, ['message-gc', 'credential-rotation']);
    assert.deepEqual(jobs['message-gc'].conflictsWith, ['media-gc', 'credential-rotation']);
    const daily = sampleStack('emea', {
      jobs: {
        mediaGc: {
          schedule: { weekday: 'daily', at: '23:30', flexibleMinutes: 0 },
          timeLimitMinutes: 45,
          maximumCalls: 3,
          pauseSeconds: 60,
          callbackTimeoutMinutes: 30,
        },
      },
    });
    Template.fromStack(daily).hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(30 23 * * ? *)',
    });
  });

  it('keeps no inbound message where none is marked read', () => {
    const queues = ofType(emeaResources, 'AWS::SQS::Queue').map(
      ([, { Properties: queue }]) => queue.QueueName,
    );
    assert.equal(
      queues.some((name) => name.includes('unread')),
      false,
    );
    const patterns = ofType(emeaResources, 'AWS::Events::Rule').map(([, { Properties: rule }]) =>
      JSON.stringify(rule.EventPattern),
    );
    assert.equal(
      patterns.some((pattern) => pattern.includes('messages')),
      false,
    );
  });

  it('keeps a message that is too young for as many nights as SQS can', () => {
    Template.fromStack(latam).hasResourceProperties('AWS::SQS::Queue', {
      QueueName: 'latam-unread-messages',
      MessageRetentionPeriod: 14 * 24 * 3600,
      RedrivePolicy: { maxReceiveCount: 1000 },
    });
  });

  it('has every queue encrypted, with its time of keeping said, and TLS only', () => {
    for (const resources of [latamResources, emeaResources])
      for (const [id, { Properties: queue }] of ofType(resources, 'AWS::SQS::Queue')) {
        assert.ok(queue.SqsManagedSseEnabled === true || queue.KmsMasterKeyId, id);
        assert.ok(queue.MessageRetentionPeriod > 0, id);
        const tlsOnly = ofType(resources, 'AWS::SQS::QueuePolicy').some(
          ([, { Properties: policy }]) =>
            policy.Queues[0].Ref === id &&
            JSON.stringify(policy.PolicyDocument).includes('"aws:SecureTransport":"false"'),
        );
        assert.ok(tlsOnly, id);
      }
  });

  it('makes exactly the endpoints that its jobs call, where it is asked to', () => {
    const services = ofType(emeaResources, 'AWS::EC2::VPCEndpoint').map(([, { Properties: endpoint }]) => {
      assert.equal(endpoint.PrivateDnsEnabled, true);
      return endpoint.ServiceName;
    });
    assert.deepEqual(
      services.sort(),
      [
        ...new Set([
          ...ENDPOINT_SERVICES['message-gc'],
          ...ENDPOINT_SERVICES['database-size'],
          ...ENDPOINT_SERVICES['credential-rotation'],
        ]),
      ]
        .map((service) => `com.amazonaws.eu-central-1.${service}`)
        .sort(),
    );
    assert.deepEqual(ofType(latamResources, 'AWS::EC2::VPCEndpoint'), []);
  });

  it('opens the endpoints to the functions, and to what is named besides', () => {
    const { network } = { network: { otherEndpointClients: ['sg-0a1b2c3d4e5f60009'] } };
    const stack = sampleStack('emea', {
      network: {
        vpcId: 'vpc-0a1b2c3d4e5f60002',
        subnets: [{ id: 'subnet-0a1b2c3d4e5f60003', availabilityZone: 'eu-central-1a' }],
        securityGroupIds: ['sg-0a1b2c3d4e5f60002'],
        endpoints: 'create',
        ...network,
      },
    });
    const ingress = ofType(resourcesOf(stack), 'AWS::EC2::SecurityGroupIngress').map(
      ([, { Properties: rule }]) => [rule.SourceSecurityGroupId, rule.FromPort, rule.ToPort],
    );
    assert.deepEqual(ingress.sort(), [
      ['sg-0a1b2c3d4e5f60002', 443, 443],
      ['sg-0a1b2c3d4e5f60009', 443, 443],
    ]);
  });

  it('lets the configured senders, and nobody else, put callbacks on the bus by its policy', () => {
    const stack = sampleStack('latam', {
      callbacks: { senders: ['333333333333', 'arn:aws:iam::111111111111:role/webhook'] },
    });
    Template.fromStack(stack).hasResourceProperties('AWS::Events::EventBusPolicy', {
      Statement: {
        Effect: 'Allow',
        Action: 'events:PutEvents',
        Principal: {
          AWS: [
            { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':iam::333333333333:root']] },
            'arn:aws:iam::111111111111:role/webhook',
          ],
        },
      },
    });
    const silent = resourcesOf(sampleStack('latam', { callbacks: { senders: [] } }));
    assert.deepEqual(ofType(silent, 'AWS::Events::EventBusPolicy'), []);
  });

  it('reports a job’s run that died: by function, whatever its version', () => {
    Template.fromStack(latam).hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        source: ['aws.lambda'],
        'detail-type': ['Durable Execution Status Change'],
        detail: {
          status: ['FAILED', 'TIMED_OUT', 'STOPPED'],
          functionArn: [
            Match.anyValue(),
            { prefix: Match.anyValue() },
            Match.anyValue(),
            { prefix: Match.anyValue() },
          ],
        },
      },
    });
  });

  it('looks nothing up', () => {
    const app = App.of(latam);
    assert.ok(App.isApp(app));
    assert.deepEqual(app.synth().manifest.missing ?? [], []);
  });
});

function settingsOf(resources: Record<string, Resource>, functionName: string): string {
  const [, lambda] =
    ofType(resources, 'AWS::Lambda::Function').find(
      ([, { Properties: properties }]) => properties.FunctionName === functionName,
    ) ?? [];
  return textOf(lambda?.Properties.Environment.Variables.UPKEEP_SETTINGS, resources);
}

describe('alarms', () => {
  const alarms = ofType(latamResources, 'AWS::CloudWatch::Alarm').map(([, { Properties: alarm }]) => alarm);

  it('are these', () => {
    assert.deepEqual(alarms.map((alarm) => alarm.AlarmName).sort(), [
      'latam-callbacks-dead-letters',
      'latam-gc-notifications-dead-letters',
      'latam-log-cleanup-dead-letters',
      'latam-log-cleanup-failed',
      'latam-log-cleanup-lost',
      'latam-log-cleanup-missed',
      'latam-log-cleanup-nearly-full',
      'latam-log-cleanup-partial',
      'latam-message-gc-dead-letters',
      'latam-message-gc-failed',
      'latam-message-gc-lost',
      'latam-message-gc-missed',
      'latam-message-gc-partial',
      'latam-report-lost-run-dead-letters',
      'latam-report-lost-run-errors',
      'latam-schedules-dead-letters',
      'latam-start-run-dead-letters',
      'latam-start-run-errors',
      'latam-unread-messages-dead-letters',
    ]);
  });

  it('say what they mean and what to do, within CloudWatch’s 1,024 characters', () => {
    for (const alarm of alarms) {
      assert.match(alarm.AlarmDescription, /latam.*\n\n1\. /, alarm.AlarmName);
      assert.ok(alarm.AlarmDescription.length <= 1024);
    }
  });

  it('watch each dead-letter queue that there is', () => {
    const watched = alarms.map((alarm) => textOf(alarm.Dimensions?.[0]?.Value, latamResources));
    const queues = ofType(latamResources, 'AWS::SQS::Queue').map(
      ([, { Properties: queue }]) => queue.QueueName,
    );
    for (const queue of queues.filter((name) => name.endsWith('dead-letters')))
      assert.ok(
        watched.some((name) => name === queue || name === `${queue}.QueueName`),
        queue,
      );
  });

  it('notice a run that never succeeded, in time and not before: hour by hour, missing hours as zero', () => {
    const missed = alarms.find((alarm) => alarm.AlarmName === 'latam-message-gc-missed');
    // 25 hours of the longest day, 15 minutes flexible, an hour for late starts, 2 of the run: 28.25, and one more.
    assert.equal(missed?.EvaluationPeriods, 30);
    assert.equal(missed?.DatapointsToAlarm, undefined);
    assert.equal(missed?.TreatMissingData, 'breaching');
    assert.equal(missed?.ComparisonOperator, 'LessThanThreshold');
    assert.equal(missed?.Threshold, 1);
    assert.deepEqual(missed?.WarmUpConfiguration, {
      WarmUpPeriodDurationInMinutes: 30 * 60,
      OnlyStartEvaluatingAfterWarmUpPeriodEnds: true,
    });
    assert.deepEqual(
      missed?.Metrics.map(({ Expression, MetricStat }: Record<string, unknown>) => Expression ?? MetricStat),
      [
        'FILL(successes, 0)',
        {
          Metric: {
            Namespace: 'Upkeep',
            MetricName: 'RunsSucceeded',
            Dimensions: [
              { Name: 'deployment', Value: 'latam' },
              { Name: 'job', Value: 'message-gc' },
            ],
          },
          Period: 3600,
          Stat: 'Sum',
        },
      ],
    );
  });
});
