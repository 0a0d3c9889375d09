import assert from 'node:assert/strict';
import type { Night } from '../../rehearsal/night-checks.ts';
import type { World } from '../../rehearsal/world.ts';

interface Body {
  widgets: { type: string; properties: { title?: string; metrics?: unknown[][] } }[];
}

/** Each metric of a dashboard had a value in the night, where its job ran; each field of a saved query stands in the log. */
export function assertDashboards({ aws, deployments }: World, { runs }: Night): void {
  const ran = new Set(runs.map(({ deployment, job }) => `${deployment} ${job}`));
  const shown: string[] = [];
  for (const { name, properties } of aws.deployed.ofType('AWS::CloudWatch::Dashboard')) {
    const { widgets } = JSON.parse(properties.text('DashboardBody')) as Body;
    for (const {
      properties: { title = '', metrics = [] },
    } of widgets)
      for (const [namespace = '', metric = '', ...others] of metrics) {
        const dimensions: Record<string, string> = {};
        const texts = others.filter((each) => typeof each === 'string');
        for (let index = 0; index < texts.length; index += 2)
          dimensions[texts[index] ?? ''] = texts[index + 1] ?? '';
        const { deployment = name.replace(/-upkeep$/, ''), job } = dimensions;
        if (!deployments[deployment] || (job !== undefined && !ran.has(`${deployment} ${job}`))) continue;
        const said = `${name}: ${title}: ${namespace} ${metric} ${JSON.stringify(dimensions)}`;
        assert.ok(aws.cloudWatch.has(String(namespace), String(metric), dimensions), said);
        shown.push(said);
      }
  }
  for (const kind of [
    'MessageRows',
    'BytesFreed',
    'LowestFreePercent',
    'CredentialAgeDays',
    'StorageBytes',
    'RunsFailed',
  ])
    assert.ok(
      shown.some((said) => said.includes(` ${kind}`)),
      kind,
    );
  const reports = aws.logs
    .filter(({ text }) => text.includes('"message":"Run report"'))
    .map(({ text }) => JSON.parse(text) as Record<string, unknown>);
  assert.ok(reports.length > 0);
  for (const { properties } of aws.deployed.ofType('AWS::Logs::QueryDefinition'))
    for (const [field] of properties.text('QueryString').matchAll(/\breport\.\w+/g))
      assert.ok(
        reports.some((line) => field.slice('report.'.length) in (line.report as object)),
        field,
      );
}
