import { defineUpkeep } from './lib/whatsapp/configuration.ts';

/** A sample of two deployments. docs/configuration.md names every field, with its default. */
export default defineUpkeep({
  notifications: { emails: ['whatsapp-oncall@example.com'] },
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
      encryption: 'customer-managed',
      jobs: {
        messageGc: {
          schedule: { at: '00:15', flexibleMinutes: 15 },
          timeLimitMinutes: 240,
          maximumCalls: 8,
        },
        // Weekly, on Sundays by default.
        mediaGc: { schedule: { at: '23:30', flexibleMinutes: 0 }, timeLimitMinutes: 45 },
        logCleanup: {
          schedule: { at: '23:45', flexibleMinutes: 10 },
          clusterName: 'whatsapp-emea',
          roles: {
            webapp: { services: ['webapp'], container: 'wa-web' },
            coreapp: { services: ['coreapp'], container: 'wa-coreapp' },
            master: { services: ['master'], container: 'wa-master' },
          },
        },
        databaseSize: { schedule: { at: '03:00', flexibleMinutes: 15 } },
      },
    },
  ],
});
