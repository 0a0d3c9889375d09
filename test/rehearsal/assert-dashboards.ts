import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { checkConfiguration } from '../../lib/whatsapp/configuration/configuration.ts';
import { makeUpkeepStacks } from '../../lib/whatsapp/upkeep-stacks.ts';
import type { Night } from '../../rehearsal/night-checks.ts';
import configuration from '../../rehearsal/upkeep.config.ts';
import type { World } from '../../rehearsal/world.ts';

interface Body {
  widgets: { type: string; properties: { title?: string; metrics?: unknown[][] } }[];
}

/** Each metric of a dashboard had a value in the night, where its job ran; each field of a saved query stands in the log. */
export function assertDashboards({ aws, deployments }: World, { runs }: Night): void {
  const ran = new Set(runs.map(({ deployment, job }) => `${deployment} ${job}`));
  /** What a dashboard shows of those that were played, each as `DEPLOYMENT: METRIC`. */
  const shownOn = (name: string, body: string) => {
    const { widgets } = JSON.parse(body) as Body;
    return widgets.flatMap(({ properties: { title = '', metrics = [] } }) =>
      metrics.flatMap(([namespace = '', metric = '', ...others]) => {
        const dimensions: Record<string, string> = {};
        const texts = others.filter((each) => typeof each === 'string');
        for (let index = 0; index < texts.length; index += 2)
          dimensions[texts[index] ?? ''] = texts[index + 1] ?? '';
        const { deployment = name.replace(/-upkeep$/, ''), job } = dimensions;
        if (!deployments[deployment] || (job !== undefined && !ran.has(`${deployment} ${job}`))) return [];
        const said = `${name}: ${title}: ${namespace} ${metric} ${JSON.stringify(dimensions)}`;
        assert.ok(aws.cloudWatch.has(String(namespace), String(metric), dimensions), said);
        return `${deployment}: ${metric}`;
      }),
    );
  };
  const own = aws.deployed
    .ofType('AWS::CloudWatch::Dashboard')
    .flatMap(({ name, properties }) => shownOn(name, properties.text('DashboardBody')));
  assertShown(own, 'MessageRows', 'BytesFreed', 'LowestFreePercent', 'CredentialAgeDays', 'RunsFailed');
  assertShown(own, 'StorageBytes');
  const overview = shownOn('upkeep-overview', overviewBody());
  assertShown(overview, 'MessageRows', 'BytesFreed', 'LowestFreePercent', 'CredentialAgeDays', 'RunsFailed');
  for (const deployment of Object.keys(deployments))
    assertShown(
      overview.filter((shown) => shown.startsWith(`${deployment}: `)),
      'RunsSucceeded',
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

/** @param metrics or what their names begin with */
function assertShown(shown: string[], ...metrics: string[]): void {
  for (const metric of metrics)
    assert.ok(
      shown.some((each) => each.includes(`: ${metric}`)),
      metric,
    );
}

/** Of the dashboard over all deployments that are played, as `cdk synth` writes it where they are of one account. */
function overviewBody(): string {
  const account = '111111111111';
  const inOne: unknown = JSON.parse(
    JSON.stringify(configuration).replaceAll(/222222222222|333333333333/g, account),
  );
  const outdir = mkdtempSync(join(tmpdir(), 'cdk.out-'));
  const app = new App({
    ...{ outdir, analyticsReporting: false, treeMetadata: false, builtinCloudFormationValidation: false },
    context: { 'aws:cdk:bundling-stacks': [] },
  });
  makeUpkeepStacks(app, checkConfiguration(inOne, { file: 'rehearsal/upkeep.config.ts', folder: '.' }));
  const { template } = app.synth().getStackByName(`upkeep-overview-${account}`);
  rmSync(outdir, { recursive: true });
  const [dashboard] = Object.values<{ Properties: { DashboardBody: Joined } }>(template.Resources);
  assert.ok(dashboard);
  const { DashboardBody: body } = dashboard.Properties;
  // In place of what only a deploy knows: the partition.
  return typeof body === 'string'
    ? body
    : body['Fn::Join'][1].map((part) => (typeof part === 'string' ? part : 'aws')).join('');
}

type Joined = string | { 'Fn::Join': [string, (string | object)[]] };
