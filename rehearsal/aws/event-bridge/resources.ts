import { arnOf, byArn, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const EVENT_BRIDGE_RESOURCES: ResourceTypes = {
  'AWS::Events::EventBus': {
    name: 'Name',
    arn: arnOf('events', 'event-bus/'),
    attributes: { Arn: byArn, Name: (resource) => resource.name },
    properties: ['Name', 'Description', 'KmsKeyIdentifier', 'DeadLetterConfig', 'Policy', 'Tags'],
  },
  'AWS::Events::EventBusPolicy': {
    arn: arnOf('events', 'event-bus-policy/'),
    properties: ['EventBusName', 'Statement', 'StatementId'],
  },
  'AWS::Events::Rule': {
    name: 'Name',
    identity: ['EventBusName'],
    arn: (place, name, properties) => {
      const bus = properties.text('EventBusName', 'default').replace(/^.*\//, '');
      return arnOf('events', 'rule/')(place, bus === 'default' ? name : `${bus}/${name}`);
    },
    attributes: { Arn: byArn },
    properties: ['Name', 'Description', 'EventBusName', 'EventPattern', 'State', 'Targets', 'Tags'],
  },
};
