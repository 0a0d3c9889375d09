import assert from 'node:assert/strict';
import type { Template } from '../../../rehearsal/aws/template/assembly.ts';

/** What is wrong with latam in its templates, so that it was deployed so. */
export function spoilTemplates(templates: Record<string, Template>): void {
  const resources = Object.values(templates['upkeep-latam']?.Resources ?? {});
  const named = (type: string, name: string) => {
    const found = resources.find(
      ({ Type, Properties }) => Type === type && Object.values(Properties ?? {}).includes(name),
    );
    assert.ok(found?.Properties, name);
    return found.Properties;
  };
  const rule = Object.entries(templates['upkeep-latam']?.Resources ?? {}).find(([id]) =>
    /^CallbacksMessageGcRule[0-9A-F]+$/.test(id),
  );
  assert.ok(rule?.[1].Properties);
  rule[1].Properties.State = 'DISABLED';
  named('AWS::CloudWatch::Alarm', 'latam-message-gc-failed').AlarmActions = [];
  named('AWS::CloudWatch::Alarm', 'latam-message-gc-missed').ActionsEnabled = false;
  named('AWS::Scheduler::Schedule', 'latam-log-cleanup').State = 'DISABLED';
}

/** In what is seen of latam, `CHECK, OF: SAW` of all that is not ok. */
export const SEEN_OF_LATAM = [
  /^schedules, latam-log-cleanup: It is switched off: log-cleanup does not start by itself\. \| aws scheduler get-schedule --group-name latam-upkeep --name latam-log-cleanup \| jq .* \| aws scheduler update-schedule /,
  /^alarms, latam-message-gc-missed: Its actions are switched off.* \| aws cloudwatch enable-alarm-actions --alarm-names latam-message-gc-missed$/,
  /^alarms, latam-message-gc-failed: It has no action/,
  /^rules of the callbacks bus, [^:]+: It is switched off.* \| aws events enable-rule --event-bus-name latam-callbacks --name \S+$/,
  // The stand-ins have no client of latam here, nor its network.
  /^networks of the functions, message-gc: There is no subnet subnet-0a1b2c3d4e5f60001, subnet-0a1b2c3d4e5f60002 in this account and region\. \| aws ec2 describe-subnets /,
  /^clusters, whatsapp-latam: There is no active cluster /,
  /^services, whatsapp-latam\/webapp: The cluster has no service of this name, and log-cleanup is configured with it\. \| aws ecs list-services /,
  /^services, whatsapp-latam\/coreapp: The cluster has no service of this name/,
  /^what the jobs need, message-gc, https:\/\/webapp\.latam\.internal: There is no secret .* \| aws secretsmanager describe-secret --secret-id /,
];
