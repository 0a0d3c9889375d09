import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { Duration } from 'aws-cdk-lib';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import {
  ApplicationSettings,
  type ApplicationSettingsProps,
} from '../../../lib/whatsapp/application-settings.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { createCertificate } from '../../../rehearsal/whatsapp/certificate.ts';
import { NO_ROWS } from '../../../rehearsal/whatsapp/message-store.ts';
import { startWebApp, type WebApp } from '../../../rehearsal/whatsapp/web-app.ts';
import { networkIn } from '../../lib/network.ts';
import { ACCOUNT, deploy, HOUR, MINUTE, REGION, START } from '../../rehearsal/aws/deploy.ts';
import { besideFormula, countCalls, measuredRun } from '../../rehearsal/calls-of-runs.ts';

const SECRET = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/admin-a1B2c3`;
const CERTIFICATE = await createCertificate('webapp.internal');
const DOWNLOADED = ['audio', 'document', 'image', 'sticker', 'video', 'voice'];

/** Deploys the job with a WebApp, strikes, and has it run. */
async function reportOf(
  props: Pick<ApplicationSettingsProps, 'expected' | 'settings'>,
  {
    strike = () => {},
    options,
    administrator = true,
  }: {
    strike?: (webApp: WebApp, at: (minutes: number, act: () => Promise<void>) => void) => unknown;
    options?: object;
    administrator?: boolean;
  } = {},
): Promise<{
  report: RunReport;
  values: Record<string, unknown>;
  paths: string[];
  logs: string;
  /** What the run asked of AWS, where its formula says otherwise. */
  besideFormula: string[];
}> {
  let found: Awaited<ReturnType<typeof reportOf>> | undefined;
  await deploy(
    (stack) => {
      const upkeep = new Upkeep(stack, 'Upkeep', {
        deployment: 'shop',
        timeZone: 'Etc/UTC',
        window: { from: '12:00', to: '16:00' },
      });
      new ApplicationSettings(stack, 'ApplicationSettings', {
        upkeep,
        webApp: {
          url: 'https://webapp.internal/',
          certificateAuthority: CERTIFICATE.certificate,
          secretArn: SECRET,
        },
        network: networkIn(stack),
        schedule: { at: '15:00', weekday: 'monday' },
        timeLimit: Duration.minutes(30),
        ...props,
      });
    },
    async ({ aws, clock, client }) => {
      const user = { username: 'admin', password: `Admin-${crypto.randomUUID()}` };
      aws.secrets.put(SECRET, JSON.stringify(user));
      const webApp = await startWebApp({
        store: NO_ROWS,
        clock,
        coreApps: 1,
        certificate: CERTIFICATE,
        users: [{ ...user, administrator }],
        callbackUrl: 'https://webhook.example/a-secret-path',
      });
      aws.hosts['webapp.internal:443'] = `127.0.0.1:${webApp.port}`;
      const lambda = new LambdaClient(client());
      const calls = countCalls(aws);
      try {
        await clock.runUntil(START + 10 * MINUTE);
        await strike(webApp, (minutes, act) => clock.at(clock.now() + minutes * MINUTE, act));
        const event = { job: 'application-settings', deployment: 'shop', ...(options && { options }) };
        await clock.hold(() =>
          lambda.send(new InvokeCommand({ FunctionName: 'shop-start-run', Payload: JSON.stringify(event) })),
        );
        await clock.runUntil(clock.now() + HOUR);
        const [report] = reportsOf(aws);
        assert.ok(report);
        const { requests, settings } = webApp;
        const paths = requests.map(({ method, path, status }) => `${method} ${path} ${status}`);
        const logs = aws.logs.map(({ text }) => text).join('\n') + JSON.stringify(aws.lambda.durable.list());
        const measured = measuredRun(aws, calls, 'shop-application-settings');
        found = {
          ...{ report, values: settings.values, paths, logs },
          besideFormula: besideFormula('application-settings', {}, measured),
        };
      } finally {
        lambda.destroy();
        await webApp.close();
      }
    },
  );
  assert.ok(found);
  assert.doesNotMatch(found.logs, /a-secret-path|16315551019|"Admin-/);
  return found;
}

const said = ({ problems }: RunReport) => problems.map(({ what, next }) => `${what} ${next}`);

describe('a run of application-settings', () => {
  it('reads, sets what is otherwise, and says what it was before; what is beside it stays', async () => {
    const { report, values, paths, besideFormula } = await reportOf({
      settings: { 'media.auto_download': ['image'], 'webhooks.message.read': true, callback_persist: true },
    });
    assert.equal(report.outcome, 'succeeded');
    assert.deepEqual(report.figures, { settingsRead: 12, settingsChanged: 2, settingsDiffering: 0 });
    assert.deepEqual(report.details?.changes, [
      { setting: 'media.auto_download', before: DOWNLOADED, wanted: ['image'], result: 'changed' },
      { setting: 'webhooks.message.read', before: false, wanted: true, result: 'changed' },
    ]);
    assert.deepEqual(values.webhooks, {
      url: 'https://webhook.example/a-secret-path',
      max_concurrent_requests: 24,
      message: { sent: true, delivered: true, read: true },
    });
    assert.match(said(report)[1] ?? '', /^WebApp's webhooks\.message\.read was false, and was set to true/);
    assert.equal(paths.filter((path) => path === 'PATCH /v1/settings/application 200').length, 2);
    assert.equal(paths.at(-1), 'POST /v1/users/logout 200');
    assert.deepEqual(besideFormula, []);
  });

  it('leaves alone what is only expected, and what is not named', async () => {
    const { report, values, paths } = await reportOf({
      expected: { 'garbagecollector_enable.messages': false, sent_status: true },
    });
    assert.equal(report.outcome, 'succeeded');
    assert.equal(report.figures.settingsDiffering, 2);
    assert.deepEqual(values.garbagecollector_enable, { media: false, messages: true });
    assert.ok(!paths.some((path) => path.startsWith('PATCH')));
    const [messages = '', status = ''] = said(report);
    assert.match(
      messages,
      /^WebApp's garbagecollector_enable\.messages is true; it is expected to be false\./,
    );
    assert.match(status, /^WebApp's sent_status is not among its settings/);
  });

  it('is partial, and says which, where WebApp refuses one, keeps one, or has to be restarted for one', async () => {
    const { report } = await reportOf(
      {
        settings: {
          'media.auto_download': [],
          unhealthy_interval: 60,
          heartbeat_interval: 10,
          callback_persist: false,
        },
      },
      {
        strike: ({ settings: { faults } }) => {
          faults.refused.push('media');
          faults.kept.push('unhealthy_interval');
        },
      },
    );
    assert.equal(report.outcome, 'partial');
    assert.equal(report.figures.settingsChanged, 2);
    const [media = '', persist = '', heartbeat = '', unhealthy = ''] = said(report);
    assert.match(media, /could not be set to \[\]: WebApp answered PATCH \S+ with error 1009: .*media/);
    assert.match(persist, /was true, and was set to false.*once the CoreApps of shop were restarted/);
    assert.match(heartbeat, /was 5, and was set to 10/);
    assert.match(unhealthy, /is 30\. WebApp took the request to set it to 60, and has another value still/);
  });

  it('changes nothing in a dry run, and says what it would', async () => {
    const { report, paths } = await reportOf(
      { settings: { callback_persist: false } },
      { options: { dryRun: true } },
    );
    assert.equal(report.outcome, 'skipped');
    assert.ok(!paths.some((path) => path.startsWith('PATCH')));
    assert.match(
      said(report).join(),
      /callback_persist is true, and would be set to false\. Nothing was done/,
    );
  });

  it('waits for a WebApp that is away for some minutes', async () => {
    const { report } = await reportOf(
      {},
      {
        strike: async (webApp, at) => {
          await webApp.goDown();
          at(5, () => webApp.comeBack());
        },
      },
    );
    assert.equal(report.outcome, 'succeeded');
    assert.deepEqual(report.figures, { settingsRead: 12, settingsChanged: 0, settingsDiffering: 0 });
    assert.ok(Date.parse(report.endedAt) - Date.parse(report.startedAt) >= 5 * MINUTE);
  });

  it('fails at once where the user is no administrator, and says so', async () => {
    const { report } = await reportOf({ settings: { callback_persist: false } }, { administrator: false });
    assert.equal(report.outcome, 'failed');
    assert.match(
      said(report).join(),
      /refused GET \/v1\/settings\/application .*Check the rights of the API user/,
    );
    assert.ok(Date.parse(report.endedAt) - Date.parse(report.startedAt) < MINUTE);
  });

  it('does not say that it changed what it could not read again', async () => {
    const { report } = await reportOf(
      { settings: { callback_persist: false } },
      {
        strike: (webApp) => {
          const { values } = webApp.settings;
          let persists = values.callback_persist;
          Object.defineProperty(values, 'callback_persist', {
            enumerable: true,
            get: () => persists,
            set(value) {
              persists = value;
              void webApp.goDown();
            },
          });
        },
      },
    );
    assert.equal(report.outcome, 'failed');
    assert.match(said(report).join(), /was true; whether it was set to false is unknown: /);
  });
});
