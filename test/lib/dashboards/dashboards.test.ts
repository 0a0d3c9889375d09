import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Duration, Stack } from 'aws-cdk-lib';
import { CfnDashboard } from 'aws-cdk-lib/aws-cloudwatch';
import {
  ContainerCommandJob,
  OverviewDashboard,
  type OverviewedDeployment,
  Upkeep,
  UpkeepDashboard,
} from '../../../lib/index.ts';
import { checkConfiguration } from '../../../lib/whatsapp/configuration/configuration.ts';
import { OverviewStack } from '../../../lib/whatsapp/overview-stack.ts';
import { UpkeepStack } from '../../../lib/whatsapp/upkeep-stack.ts';
import sample from '../../../upkeep.config.ts';
import {
  appWithoutBundles,
  ofType,
  REPOSITORY,
  type Resource,
  resourcesOf,
  sampleStack,
  textOf,
} from '../template.ts';

interface Widget {
  type: string;
  x: number;
  y: number;
  width: number;
  height: number;
  // biome-ignore lint/suspicious/noExplicitAny: as of a template, the tests say what they expect of it.
  properties: any;
}

function dashboard(resources: Record<string, Resource>): { name: string; widgets: Widget[] } {
  const [found] = ofType(resources, 'AWS::CloudWatch::Dashboard');
  assert.ok(found);
  const [, { Properties: properties }] = found;
  return {
    name: properties.DashboardName,
    widgets: JSON.parse(textOf(properties.DashboardBody, resources)).widgets,
  };
}

const titled = (widgets: Widget[], title: RegExp) =>
  widgets.filter(({ properties }) => title.test(properties.title ?? ''));

/** As `metric name, dimensions`. */
const metricsOf = ({ properties }: Widget): string[] =>
  properties.metrics.map(([, name, ...dimensions]: unknown[]) =>
    [name, ...dimensions.filter((each) => typeof each === 'string')].join(' '),
  );

const metricsIn = (widgets: Widget[]): string[] =>
  widgets.filter(({ properties }) => properties.metrics).flatMap(metricsOf);

describe('the dashboard of a deployment', () => {
  const resources = resourcesOf(sampleStack('emea', { dashboards: true }));
  const { name, widgets } = dashboard(resources);

  test('has the states of all of its alarms', () => {
    assert.equal(name, 'emea-upkeep');
    const shown = widgets
      .filter(({ type }) => type === 'alarm')
      .flatMap(({ properties }) => properties.alarms.map((arn: string) => arn.split(':alarm:')[1]));
    const alarms = ofType(resources, 'AWS::CloudWatch::Alarm').map(
      ([, { Properties }]) => Properties.AlarmName,
    );
    assert.ok(alarms.length > 40);
    assert.deepEqual(shown.sort(), alarms.sort());
  });

  test('has when runs of each job succeeded and when they did not', () => {
    const [succeeded] = titled(widgets, /^Runs that succeeded/);
    assert.ok(succeeded);
    assert.deepEqual(
      metricsOf(succeeded)
        .map((metric) => metric.split(' ').at(-1))
        .sort(),
      [
        'application-settings',
        'credential-rotation',
        'database-size',
        'log-cleanup',
        'media-gc',
        'message-gc',
        'upgrade-check',
      ].filter((job) => metricsOf(succeeded).some((metric) => metric.endsWith(` ${job}`))),
    );
    assert.ok(metricsOf(succeeded).includes('RunsSucceeded deployment emea job message-gc'));
    const [others] = titled(widgets, /^Runs that did not/);
    assert.ok(others && metricsOf(others).includes('RunsFailed deployment emea job log-cleanup'));
  });

  test('draws the two limits into the rows of messages', () => {
    const [rows] = titled(widgets, /^Rows of messages/);
    assert.deepEqual(
      rows?.properties.annotations.horizontal.map(({ value }: { value: number }) => value),
      [2_000_000, 10_000_000],
    );
    assert.deepEqual(rows && metricsOf(rows), ['MessageRows deployment emea job database-size set wa1']);
  });

  test('has bytes freed and free log space by role, and the age of the credential', () => {
    const [freed] = titled(widgets, /^Bytes freed/);
    assert.deepEqual(
      freed &&
        metricsOf(freed)
          .map((metric) => metric.split(' ')[0])
          .sort(),
      ['BytesFreedCoreapp', 'BytesFreedMaster', 'BytesFreedWebapp'],
    );
    const [free] = titled(widgets, /^Lowest free log space/);
    assert.equal(free && metricsOf(free).length, 3);
    const [age] = titled(widgets, /^Age of the database credential/);
    assert.ok(age && metricsOf(age)[0]?.startsWith('CredentialAgeDays'));
  });

  test('no widget lies over another, and none beside the 24 columns', () => {
    for (const one of widgets) {
      assert.ok(one.x + one.width <= 24, JSON.stringify(one));
      for (const other of widgets)
        assert.ok(
          one === other ||
            one.x + one.width <= other.x ||
            other.x + other.width <= one.x ||
            one.y + one.height <= other.y ||
            other.y + other.height <= one.y,
        );
    }
  });

  test('has saved queries over the logs of all functions, in a folder of the deployment', () => {
    const queries = ofType(resources, 'AWS::Logs::QueryDefinition');
    const functions = ofType(resources, 'AWS::Lambda::Function')
      .map(([, { Properties }]) => `/aws/lambda/${Properties.FunctionName}`)
      .filter((log) => log.includes('/emea-'));
    assert.equal(queries.length, 4);
    for (const [, { Properties }] of queries) {
      assert.match(Properties.Name, /^emea\//);
      const logs = Properties.LogGroupNames.map((log: unknown) => textOf(log, resources));
      assert.deepEqual(logs.sort(), functions.sort());
    }
  });

  test('is not there where it is not asked for, nor what is saved beside it', () => {
    const without = resourcesOf(sampleStack('emea', { dashboards: false }));
    assert.deepEqual(ofType(without, 'AWS::CloudWatch::Dashboard'), []);
    assert.deepEqual(ofType(without, 'AWS::Logs::QueryDefinition'), []);
  });
});

const upkeepOf = (stack: Stack, deployment: string) =>
  new Upkeep(stack, 'Upkeep', {
    deployment,
    timeZone: 'Europe/Madrid',
    window: { from: '01:00', to: '05:00' },
  });

const nightly = (upkeep: Upkeep) =>
  new ContainerCommandJob(Stack.of(upkeep), 'Prune', {
    upkeep,
    job: 'prune',
    cluster: 'shop',
    roles: { web: { services: ['storefront'], container: 'app' } },
    command: ['/srv/prune'],
    timeout: Duration.minutes(20),
    timeLimit: Duration.hours(1),
    schedule: { at: '03:15' },
  });

describe('without WhatsApp', () => {
  test('jobs and alarms that are made after the dashboard are on it, and so is what its parts show', () => {
    const stack = new Stack(appWithoutBundles(), 'shop', {
      env: { account: '1'.repeat(12), region: 'us-east-1' },
    });
    const upkeep = upkeepOf(stack, 'shop');
    const parts: ContainerCommandJob[] = [];
    new UpkeepDashboard(stack, 'Dashboard', { upkeep, parts });
    parts.push(nightly(upkeep));
    const { widgets } = dashboard(resourcesOf(stack));
    const [succeeded] = titled(widgets, /^Runs that succeeded/);
    assert.deepEqual(succeeded && metricsOf(succeeded), ['RunsSucceeded deployment shop job prune']);
    assert.match(JSON.stringify(titled(widgets, /^Alarms/)), /:alarm:shop-prune-missed/);
    assert.equal(titled(widgets, /^Containers in which prune/).length, 2);
  });

  test('an overview shows deployments of two regions, each where it is', () => {
    const app = appWithoutBundles();
    const account = '1'.repeat(12);
    const deployments = [
      ['eu-west-1', 'shop'],
      ['us-east-1', 'till'],
    ].map(([region = '', name = '']) => {
      const upkeep = upkeepOf(new Stack(app, name, { env: { account, region } }), name);
      return { upkeep, parts: [nightly(upkeep)] };
    });
    const stack = new Stack(app, 'overview', { env: { account, region: 'eu-west-1' } });
    new OverviewDashboard(stack, 'Overview', { deployments });
    const { name, widgets } = dashboard(resourcesOf(stack));
    assert.equal(name, 'upkeep-overview');
    assert.equal(titled(widgets, /^Alarms of (shop|till)/).length, 2);
    const [succeeded] = titled(widgets, /^Runs that succeeded/);
    const regions = succeeded?.properties.metrics.map((metric: unknown[]) => {
      const options = metric.at(-1) as { region?: string };
      return options.region ?? succeeded.properties.region;
    });
    assert.deepEqual(regions, ['AWS::Region', 'us-east-1']);
    assert.match(
      JSON.stringify(widgets),
      /arn:aws:cloudwatch:us-east-1:111111111111:alarm:till-prune-missed/,
    );
  });
});

describe('a dashboard refuses', () => {
  const stack = new Stack(appWithoutBundles(), 'shop', {
    env: { account: '1'.repeat(12), region: 'us-east-1' },
  });
  const upkeep = upkeepOf(stack, 'shop');
  // biome-ignore lint/suspicious/noExplicitAny: what is mistaken has no type.
  const mistakes: [string, any, RegExp][] = [
    [
      'no deployment',
      { upkeep: undefined },
      /^shop\/\w+: upkeep is missing; it must be the Upkeep of its deployment\.$/,
    ],
    ['the name of one', { upkeep: 'shop' }, /: upkeep is "shop"; it must be the Upkeep of its deployment\.$/],
    [
      'a part that shows nothing',
      { upkeep, parts: [upkeep] },
      /: parts\[0\] is .*; it must be what shows itself on a dashboard, such as a CredentialRotation/,
    ],
    [
      'parts that are misspelled',
      { upkeep, part: [] },
      /: part is not a known field; did you mean "parts"\?/,
    ],
    [
      'a name that CloudWatch would not take',
      { upkeep, dashboardName: 'my shop' },
      /: dashboardName is "my shop"; it must be a text of 1 to 255 letters, digits, hyphens and underscores\.$/,
    ],
  ];
  for (const [index, [what, props, message]] of mistakes.entries())
    test(what, () => {
      assert.throws(() => new UpkeepDashboard(stack, `Mistaken${index}`, props), {
        name: 'PropsError',
        message,
      });
    });

  test('no deployments, and one that is none', () => {
    const make = (id: string, deployments: unknown[]) =>
      new OverviewDashboard(stack, id, { deployments: deployments as OverviewedDeployment[] });
    assert.throws(() => make('None', []), {
      message: /^shop\/None: deployments is \[\]; it must be a list of at least one/,
    });
    assert.throws(() => make('Text', [{}]), {
      message: /^shop\/Text: deployments\[0\]\.upkeep is missing; it must be the Upkeep/,
    });
    assert.throws(() => make('Misspelled', [{ upkeep, part: [] }]), {
      message: /^shop\/Misspelled: deployments\[0\]\.part is not a known field; did you mean "parts"\?/,
    });
  });

  test('the name of another in the account, in whichever region and whoever made it, when the app is synthesized', () => {
    const account = '1'.repeat(12);
    const appOf = (name?: string) => {
      const app = appWithoutBundles();
      for (const region of ['us-east-1', 'eu-west-1']) {
        const stack = new Stack(app, region, { env: { account, region } });
        const dashboardName = region === 'us-east-1' ? undefined : name;
        new UpkeepDashboard(stack, 'Dashboard', {
          upkeep: upkeepOf(stack, 'shop'),
          ...(dashboardName !== undefined && { dashboardName }),
        });
      }
      return app;
    };
    const refused = (path: string, name: string, other: string) =>
      `${path}: dashboardName is "${name}", as is that of ${other}; it must be another name: an account has one dashboard of a name.`;
    assert.throws(() => appOf().synth(), {
      message: new RegExp(refused('eu-west-1/Dashboard', 'shop-upkeep', 'us-east-1/Dashboard')),
    });
    const app = appOf('shop-eu');
    app.synth();
    const theirs = new Stack(app, 'Theirs', { env: { account, region: 'eu-west-1' } });
    new CfnDashboard(theirs, 'Own', { dashboardName: 'shop-eu', dashboardBody: '{}' });
    assert.throws(() => app.synth({ force: true }), {
      message: new RegExp(refused('eu-west-1/Dashboard', 'shop-eu', 'Theirs')),
    });
  });
});

test('an account of two deployments gets one dashboard over both, one of a single deployment gets none', () => {
  const [latam, emea, apac] = checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY });
  assert.ok(latam && emea && apac);
  const app = appWithoutBundles();
  const stacks = [latam, { ...emea, account: latam.account }, apac].map(
    (deployment) =>
      new UpkeepStack(app, `upkeep-${deployment.name}`, { deployment: { ...deployment, dashboards: true } }),
  );
  const overviews = OverviewStack.ofAccounts(app, stacks);
  assert.deepEqual(
    overviews.map(({ stackName }) => stackName),
    ['upkeep-overview-111111111111'],
  );
  const [overview] = overviews;
  assert.ok(overview);
  const { widgets } = dashboard(resourcesOf(overview));
  assert.deepEqual(
    titled(widgets, /^(Alarms|Rows of messages) of/).map(({ properties }) => properties.title),
    ['Alarms of latam', 'Alarms of emea', 'Rows of messages of emea'],
  );
  // Nights are held against these two (test/rehearsal/assert-dashboards.ts): so it shows nothing that nobody ever measures.
  assert.ok(metricsIn(widgets).length > 20);
  const own = new Set(
    stacks.slice(0, 2).flatMap((stack) => metricsIn(dashboard(resourcesOf(stack)).widgets)),
  );
  assert.deepEqual(
    metricsIn(widgets).filter((metric) => !own.has(metric)),
    [],
  );
  const alarms = stacks.flatMap((stack) =>
    ofType(resourcesOf(stack), 'AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties.AlarmName),
  );
  const shown: string[] = widgets
    .filter(({ type }) => type === 'alarm')
    .flatMap(({ properties }) => properties.alarms.map((arn: string) => arn.split(':alarm:')[1]));
  assert.deepEqual(
    shown.filter((name) => !alarms.includes(name)),
    [],
  );
  assert.ok(shown.includes('latam-message-gc-missed') && shown.includes('emea-message-gc-missed'));
});
