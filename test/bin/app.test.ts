import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { COMPILE_CACHE } from './compile-cache.ts';

const REPOSITORY = new URL('../../', import.meta.url).pathname;

/** Runs the CDK's command line as a user without credentials would, and without a network. */
function synthesize(...args: string[]) {
  return spawnSync('cdk', ['synth', '--quiet', ...args], {
    cwd: REPOSITORY,
    encoding: 'utf8',
    env: {
      ...COMPILE_CACHE,
      PATH: process.env.PATH,
      HOME: join(tmpdir(), 'nobody'),
      CI: 'true',
      // Where nothing listens.
      HTTPS_PROXY: 'http://127.0.0.1:9',
      HTTP_PROXY: 'http://127.0.0.1:9',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
  });
}

/** Network interfaces of a function in a VPC, and what the metrics of the last week say. */
const NOT_NARROWER = [
  'backup:DescribeProtectedResource',
  'cloudwatch:GetMetricData',
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
  'ecs:DescribeTaskDefinition',
  'ecs:ListTasks',
  'ssm:GetCommandInvocation',
];

const STACKS = ['upkeep-latam', 'upkeep-emea', 'upkeep-emea-media', 'upkeep-apac'];

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'upkeep-app-'));
});
after(() => rmSync(folder, { recursive: true }));

describe('cdk synth of the sample', () => {
  let output = '';
  let errors = '';
  before(() => {
    output = join(folder, 'cdk.out');
    const { status, stderr } = synthesize('--output', output);
    errors = stderr;
    assert.equal(status, 0, stderr);
  });

  it('says nothing where nothing is wrong', () => assert.equal(errors, ''));

  it('makes a stack per deployment, without credentials and network', () => {
    for (const stack of STACKS) assert.ok(existsSync(join(output, `${stack}.template.json`)), errors);
  });

  it('has no finding of cdk-nag that is not acknowledged', () => {
    assert.doesNotMatch(errors, /AwsSolutions/);
    const template = readFileSync(join(output, 'upkeep-latam.template.json'), 'utf8');
    assert.match(template, /"cdk_nag"/, 'cdk-nag, which writes the reasons into the template, did not run');
  });

  it('has a written reason beside each permission on everything', () => {
    const allowed = new Set<string>();
    for (const stack of STACKS) {
      const { Resources: resources } = JSON.parse(
        readFileSync(join(output, `${stack}.template.json`), 'utf8'),
      );
      for (const [id, { Type: type, Properties: properties, Metadata: metadata }] of Object.entries<
        // biome-ignore lint/suspicious/noExplicitAny: a template is JSON of any form.
        Record<string, any>
      >(resources)) {
        if (type !== 'AWS::IAM::Role' && type !== 'AWS::IAM::Policy') continue;
        const documents = [
          properties.PolicyDocument,
          ...(properties.Policies ?? []).map((policy: { PolicyDocument: unknown }) => policy.PolicyDocument),
        ];
        const statements = documents.flatMap((document) => document?.Statement ?? []);
        const onEverything = statements.filter(({ Resource }) => [Resource].flat().includes('*'));
        if (onEverything.length === 0) continue;
        for (const action of onEverything.flatMap(({ Action }) => Action)) allowed.add(action);
        const reasons: { id: string; reason: string }[] = metadata?.cdk_nag?.rules_to_suppress ?? [];
        const reason = reasons.find((rule) => rule.id.includes('IAM5[Resource::*]'))?.reason;
        assert.ok(reason && reason.length > 40, `${stack} ${id}`);
      }
    }
    assert.deepEqual([...allowed].sort(), NOT_NARROWER);
  });

  it('deploys no metafile, and no source beside the map of it', () => {
    const { files } = JSON.parse(readFileSync(join(output, 'upkeep-latam.assets.json'), 'utf8'));
    for (const { source } of Object.values<{ source: { path: string } }>(files)) {
      if (!source.path.startsWith('asset.')) continue;
      const deployed = readdirSync(join(output, source.path));
      assert.ok(deployed.includes('index.mjs.map'), source.path);
      for (const file of deployed) {
        assert.match(file, /^(index|part-\w+)\.mjs(\.map)?$/);
        if (!file.endsWith('.map')) continue;
        const map = JSON.parse(readFileSync(join(output, source.path, file), 'utf8'));
        assert.equal(map.sourcesContent, undefined);
        for (const path of map.sources) assert.doesNotMatch(path, /^\//, 'a path of this machine');
      }
    }
  });
});

describe('cdk synth of a mistaken configuration', () => {
  it('tells all mistakes, fails, and synthesizes nothing', () => {
    const config = join(folder, 'mistaken.config.ts');
    writeFileSync(
      config,
      `import sample from '${REPOSITORY}upkeep.config.ts';
      const [latam, emea] = structuredClone(sample.deployments);
      export default { deployments: [{ ...latam, timeZone: 'Nowhere' }, { ...emea, regin: 'eu-west-1' }] };`,
    );
    const output = join(folder, 'mistaken.out');
    // As the CDK's command line runs the app, with -c config=FILE.
    const { status, stderr } = spawnSync(process.execPath, ['bin/app.ts'], {
      cwd: REPOSITORY,
      encoding: 'utf8',
      env: {
        ...COMPILE_CACHE,
        PATH: process.env.PATH,
        CDK_OUTDIR: output,
        CDK_CONTEXT_JSON: JSON.stringify({ config }),
      },
    });
    assert.equal(status, 1);
    assert.match(stderr, /mistaken\.config\.ts has \d mistakes:/);
    assert.match(stderr, /- deployments\[0\]\.timeZone is "Nowhere"; it must be an IANA time zone/);
    assert.match(stderr, /- deployments\[1\]\.regin is not a known field; did you mean "region"\?/);
    assert.ok(!existsSync(join(output, 'manifest.json')));
  });
});
