import { defineUpkeep } from './lib/whatsapp/configuration/configuration.ts';

/** A sample of three deployments. docs/configuration.md names every field, with its default. */
export default defineUpkeep({
  notifications: { emails: ['whatsapp-oncall@example.com'] },
  // One of each deployment; see the costs in the README.
  dashboards: true,
  deployments: [
    {
      name: 'latam',
      account: '111111111111',
      region: 'us-east-1',
      timeZone: 'America/Sao_Paulo',
      window: { from: '01:00', to: '05:00' },
      network: {
        vpcId: 'vpc-0a1b2c3d4e5f60001',
        subnets: [
          { id: 'subnet-0a1b2c3d4e5f60001', availabilityZone: 'us-east-1a' },
          { id: 'subnet-0a1b2c3d4e5f60002', availabilityZone: 'us-east-1b' },
        ],
        securityGroupIds: ['sg-0a1b2c3d4e5f60001'],
      },
      webApp: {
        url: 'https://webapp.latam.internal',
        certificateAuthority: 'certificates/latam.pem',
        apiUser: {
          secretArn: 'arn:aws:secretsmanager:us-east-1:111111111111:secret:whatsapp/latam/api-user-a1B2c3',
        },
      },
      callbacks: { senders: ['arn:aws:iam::111111111111:role/latam-webhook'] },
      jobs: {
        messageGc: {
          schedule: { at: '02:30', flexibleMinutes: 15 },
          // Customers see it: leave it out unless the business wants that.
          markRead: { olderThanHours: 24, requestsPerSecond: 20 },
          // By the load balancer of Meta's template; it only tells.
          watchWindow: { loadBalancer: 'net/whatsapp-latam/0a1b2c3d4e5f6789' },
        },
        logCleanup: {
          schedule: { at: '02:10', flexibleMinutes: 10 },
          timeLimitMinutes: 60,
          clusterName: 'whatsapp-latam',
          roles: {
            webapp: { services: ['webapp'], container: 'wa-web' },
            coreapp: { services: ['coreapp'], container: 'wa-coreapp' },
          },
          // Made with Meta's template: tasks on EC2, without ECS Exec.
          runCommand: { tagKey: 'aws:cloudformation:stack-name', tagValue: 'whatsapp-latam' },
        },
      },
    },
    {
      name: 'emea',
      account: '222222222222',
      region: 'eu-central-1',
      timeZone: 'Europe/Berlin',
      window: { from: '23:30', to: '04:30' },
      network: {
        vpcId: 'vpc-0a1b2c3d4e5f60002',
        subnets: [
          { id: 'subnet-0a1b2c3d4e5f60003', availabilityZone: 'eu-central-1a' },
          { id: 'subnet-0a1b2c3d4e5f60004', availabilityZone: 'eu-central-1b' },
        ],
        securityGroupIds: ['sg-0a1b2c3d4e5f60002'],
        endpoints: 'create',
        // The client's tasks, which read a secret when they start.
        otherEndpointClients: ['sg-0a1b2c3d4e5f60004'],
      },
      webApp: {
        url: 'https://webapp.emea.internal',
        certificateAuthority: 'certificates/emea.pem',
        apiUser: {
          secretArn: 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6',
        },
      },
      callbacks: { senders: ['arn:aws:iam::222222222222:role/emea-webhook'] },
      databases: [
        {
          prefix: 'wa1_',
          engine: 'postgres',
          host: 'database.emea.internal',
          port: 5432,
          certificateAuthority: 'rds',
          user: {
            secretArn:
              'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-size-g7H8i9',
          },
        },
      ],
      // For who wants to upgrade the client, and asks whether that may be now.
      upgradeCheck: { storage: [{ identifier: 'whatsapp-emea' }] },
      // A volume of its own, that only these roles can mount.
      mediaVolume: {
        create: {
          clientSecurityGroupIds: ['sg-0a1b2c3d4e5f60004'],
          roleArns: [
            'arn:aws:iam::222222222222:role/whatsapp-emea-webapp',
            'arn:aws:iam::222222222222:role/whatsapp-emea-coreapp',
          ],
        },
        maximumSizeGibibytes: 200,
      },
      encryption: 'customer-managed',
      jobs: {
        messageGc: {
          schedule: { at: '00:15', flexibleMinutes: 15 },
          timeLimitMinutes: 240,
          maximumCalls: 8,
          // By the callbacks on the bus.
          watchWindow: {},
        },
        // Weekly, on Sundays by default.
        mediaGc: {
          schedule: { at: '23:30', flexibleMinutes: 0 },
          timeLimitMinutes: 45,
          // So that after a request of which nobody knows whether it reached WebApp there is time for two others.
          callbackTimeoutMinutes: 20,
        },
        logCleanup: {
          schedule: { at: '23:45', flexibleMinutes: 10 },
          clusterName: 'whatsapp-emea',
          roles: {
            webapp: { services: ['webapp'], container: 'wa-web' },
            coreapp: { services: ['coreapp'], container: 'wa-coreapp' },
            master: { services: ['master'], container: 'wa-master' },
          },
          // What is rotated is kept before it is cleaned.
          archive: { keepDays: 180 },
        },
        // After message GC can have begun: for one that is still at work it waits.
        credentialRotation: {
          schedule: { at: '00:31', flexibleMinutes: 0 },
          timeLimitMinutes: 180,
          secret: {
            secretArn:
              'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-j1K2l3',
          },
          administrator: {
            secretArn: 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/rotator-m4N5o6',
          },
          strategy: {
            kind: 'alternating-users',
            users: ['whatsapp_a', 'whatsapp_b'],
            owner: 'whatsapp',
          },
          clusterName: 'whatsapp-emea',
          services: { webapp: ['webapp'], master: ['master'], coreapp: ['coreapp'] },
        },
        databaseSize: { schedule: { at: '03:45', flexibleMinutes: 15 } },
        // Weekly, on Sundays by default.
        applicationSettings: {
          schedule: { at: '23:35', flexibleMinutes: 10 },
          administrator: {
            secretArn: 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/admin-v1W2x3',
          },
          expected: { callback_persist: true, 'garbagecollector_enable.messages': true },
          // What nobody looks at does not fill the volume.
          settings: { 'media.auto_download': ['image', 'document', 'audio', 'voice'] },
        },
      },
    },
    {
      // Made with Meta's template, in high availability.
      name: 'apac',
      account: '333333333333',
      region: 'ap-south-1',
      timeZone: 'Asia/Kolkata',
      window: { from: '03:30', to: '06:30' },
      network: {
        vpcId: 'vpc-0a1b2c3d4e5f60003',
        subnets: [
          { id: 'subnet-0a1b2c3d4e5f60005', availabilityZone: 'ap-south-1a' },
          { id: 'subnet-0a1b2c3d4e5f60006', availabilityZone: 'ap-south-1b' },
        ],
        securityGroupIds: ['sg-0a1b2c3d4e5f60003'],
      },
      webApp: {
        url: 'https://webapp.apac.internal',
        certificateAuthority: 'certificates/apac.pem',
        apiUser: {
          secretArn: 'arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/api-user-p7Q8r9',
        },
      },
      databases: [
        {
          prefix: '',
          engine: 'aurora-mysql',
          host: 'database.apac.internal',
          port: 3306,
          certificateAuthority: 'rds',
          user: {
            secretArn:
              'arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/database-size-s1T2u3',
          },
        },
      ],
      jobs: {
        credentialRotation: {
          schedule: { at: '03:45', flexibleMinutes: 15 },
          secret: {
            secretArn: 'arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp/apac/database-v4W5x6',
          },
          // The user changes its own password: no administrator is needed.
          strategy: { kind: 'dual-password' },
          // Containers of Meta's template read the parameter by themselves: of one user with two passwords nobody
          // can prove which one they use. Once it was looked after by hand:
          whenUnproven: 'retire',
          clusterName: 'whatsapp-apac-ECSCluster',
          services: {
            webapp: ['whatsapp-apac-WAEntWebService'],
            master: ['whatsapp-apac-WAEntMasterService'],
            coreapp: ['whatsapp-apac-WAEntNotCECoreappService'],
            // The template's monitoring has a cluster of its own.
            others: [
              {
                name: 'whatsapp-apac-ms-WAMonitoringService',
                clusterName: 'whatsapp-apac-ms-ECSCluster',
              },
            ],
          },
          metaTemplate: {
            stackName: 'whatsapp-apac',
            encryptionKeyArn: 'arn:aws:kms:ap-south-1:333333333333:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab',
            monitoring: {
              secretArn:
                'arn:aws:secretsmanager:ap-south-1:333333333333:secret:whatsapp-apac-ms-Secret-y7Z8a9',
            },
          },
        },
        databaseSize: { schedule: { at: '05:45', flexibleMinutes: 15 } },
      },
    },
  ],
});
