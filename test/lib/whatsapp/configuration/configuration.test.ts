import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkConfiguration, defineUpkeep } from '../../../../lib/whatsapp/configuration/configuration.ts';
import sample from '../../../../upkeep.config.ts';
import { changed, mistakesOf, REPOSITORY } from './mistaken.ts';
import { MISTAKES } from './mistakes.ts';

describe('a configuration', () => {
  it('of the sample has no mistake', () => {
    assert.deepEqual(mistakesOf(sample), []);
  });

  for (const [what, path, value, sentence] of MISTAKES)
    it(`is refused with one sentence for ${what}`, () => {
      assert.deepEqual(mistakesOf(changed(path, value)), [sentence]);
    });

  it('is refused where two deployments are one client: its WebApp, its tables, its containers', () => {
    const emea = sample.deployments.findIndex(({ name }) => name === 'emea');
    const twice = { ...structuredClone(sample.deployments[emea]), name: 'twin' };
    const mistakes = mistakesOf({ ...sample, deployments: [...sample.deployments, twice] });
    const at = `deployments[${sample.deployments.length}]`;
    const one = 'one client would be two deployments, each unaware of the other; it must be of one.';
    for (const mistake of [
      `${at}.webApp.url is "https://webapp.emea.internal", as is deployments[${emea}].webApp.url: ${one}`,
      `${at}.databases[0].prefix is "wa1_" on database.emea.internal, as is deployments[${emea}].databases[0] (wa1): ${one}`,
      `${at}.jobs.logCleanup.roles.master.services[0] is "master", which deployments[${emea}].jobs.logCleanup has too: ${one}`,
    ])
      assert.ok(mistakes.includes(mistake), `${mistake}\n${mistakes.join('\n')}`);
    // The same private names in another VPC, and account, are others.
    const elsewhere = {
      ...twice,
      account: '222222222229',
      network: { ...twice.network, vpcId: 'vpc-0a1b2c3d4e5f69999' },
    };
    assert.ok(
      !mistakesOf({ ...sample, deployments: [...sample.deployments, elsewhere] }).some((mistake) =>
        mistake.includes(one),
      ),
    );
  });

  it('is refused in a region without durable functions, by its name', () => {
    const configuration = changed('deployments.0', { ...sample.deployments[0], region: 'sa-east-1' });
    const [first] = mistakesOf(configuration);
    assert.match(
      String(first),
      /^deployments\[0\]\.region is "sa-east-1", which has no Lambda durable functions as far as is known here; it must be one of us-east-1, .*additionalDurableRegions/,
    );
  });

  it('may name regions that got durable functions since', () => {
    const mistakes = mistakesOf({
      ...(changed('deployments.0.region', 'sa-east-1') as object),
      additionalDurableRegions: ['sa-east-1'],
    });
    assert.equal(
      mistakes.some((mistake) => mistake.startsWith('deployments[0].region')),
      false,
    );
  });

  for (const [timeZone, at] of [
    ['America/Santiago', '00:30'],
    ['Africa/Cairo', '00:15'],
    ['Asia/Beirut', '00:45'],
    ['Europe/Berlin', '02:30'],
    ['America/New_York', '02:15'],
  ] as const)
    it(`is refused with a schedule at ${at} in ${timeZone}, which daylight saving skips`, () => {
      const deployment = structuredClone(sample.deployments[1]);
      assert.ok(deployment?.jobs.messageGc);
      deployment.timeZone = timeZone;
      deployment.jobs.messageGc.schedule = { at };
      // It would be skipped as well, or meet GC.
      delete deployment.jobs.credentialRotation;
      const [mistake, ...more] = mistakesOf({ ...sample, deployments: [deployment] });
      assert.deepEqual(more, []);
      assert.match(
        String(mistake),
        new RegExp(
          `^deployments\\[0\\]\\.jobs\\.messageGc\\.schedule\\.at is "${at}", a time that ${timeZone} skips when daylight saving begins \\(first on \\d{4}-\\d\\d-\\d\\d\\) and EventBridge Scheduler then skips too; it must lie outside \\d\\d:\\d\\d to \\d\\d:\\d\\d\\.$`,
        ),
      );
    });

  it('tells all its mistakes at once, of fields and beyond them, in both deployments', () => {
    const configuration = changed('deployments.0.webApp.url', 'http://a') as typeof sample;
    const [first, second] = configuration.deployments;
    assert.ok(first && second?.jobs.messageGc);
    first.timeZone = 'Nowhere';
    Object.assign(first, { colour: 'red', color: 'blue' });
    second.name = 'latam';
    second.jobs.messageGc.schedule.at = '12:00';
    assert.deepEqual(
      mistakesOf(configuration).map((mistake) => mistake.split(' ')[0]),
      [
        'deployments[0].colour',
        'deployments[0].color',
        'deployments[0].timeZone',
        'deployments[0].webApp.url',
        'deployments[1].name',
        'deployments[1].jobs.messageGc.schedule.at',
      ],
    );
  });

  for (const wrong of [
    undefined,
    null,
    'text',
    7,
    [],
    { deployments: 'none' },
    { deployments: [null, 3, { databases: [null] }] },
  ])
    it(`that is ${JSON.stringify(wrong)} is refused, not stumbled over`, () => {
      assert.notDeepEqual(mistakesOf(wrong), []);
    });

  it('that refers back to itself is refused by the place where it does', () => {
    const configuration = structuredClone(sample) as { deployments: unknown[]; around?: unknown };
    configuration.deployments[0] = configuration;
    assert.deepEqual(mistakesOf(configuration), [
      'deployments[0] refers back to the whole configuration, in which it stands; it must be a value of its own.',
    ]);
  });

  it('that holds one value in two places is taken', () => {
    const [latam, ...others] = structuredClone(sample).deployments;
    const window = { from: '01:00', to: '05:00' };
    assert.ok(latam);
    const second = {
      ...latam,
      window,
      name: 'latam-2',
      network: { ...latam.network, vpcId: 'vpc-0a1b2c3d4e5f69999' },
      jobs: { ...latam.jobs, logCleanup: { ...latam.jobs.logCleanup, clusterName: 'whatsapp-latam-2' } },
    };
    assert.deepEqual(
      mistakesOf({
        ...sample,
        deployments: [{ ...latam, window }, second, ...others],
      }),
      [],
    );
  });

  it('without anybody who is told of alarms is refused, unless it says so', () => {
    const { notifications: _, ...nobody } = sample;
    assert.deepEqual(
      mistakesOf(nobody),
      [0, 1, 2].map(
        (index) =>
          `deployments[${index}].notifications is missing, and so is notifications of the configuration; one of them must say by "emails" or "topicArn" who is told of alarms, or by silent: true that nobody is.`,
      ),
    );
    assert.deepEqual(mistakesOf({ ...nobody, notifications: { silent: true } }), []);
  });

  it('may have a window of the whole day, if it says so', () => {
    const window = { from: '00:00', to: '00:00', wholeDay: true };
    assert.deepEqual(mistakesOf(changed('deployments.2.window', window)), []);
  });

  describe('whose window daylight saving shortens', () => {
    /** In Berlin it is 02:00 to 03:00 that a Sunday in March has not. */
    const withGc = (job: 'messageGc' | 'mediaGc', settings: object) => {
      const [, emea] = structuredClone(sample).deployments;
      return {
        ...sample,
        deployments: [{ ...emea, window: { from: '01:00', to: '05:00' }, jobs: { [job]: settings } }],
      };
    };

    it('is refused with a time limit that the shortened one cannot hold', () => {
      const [mistake, ...more] = mistakesOf(
        withGc('messageGc', { schedule: { at: '01:05' }, timeLimitMinutes: 200 }),
      );
      assert.deepEqual(more, []);
      assert.match(
        String(mistake),
        /^deployments\[0\]\.jobs\.messageGc\.timeLimitMinutes is 200 minutes; it must be at most the 180 that the downtime window, from 01:00 to 05:00, has in Europe\/Berlin when daylight saving begins \(first on \d{4}-03-\d\d\)\.$/,
      );
    });

    it('is taken with a time limit that it holds', () => {
      assert.deepEqual(
        mistakesOf(withGc('messageGc', { schedule: { at: '01:05' }, timeLimitMinutes: 180 })),
        [],
      );
    });

    for (const { weekday, expected } of [
      { weekday: 'sunday', expected: /timeLimitMinutes is 200 minutes/ },
      { weekday: 'tuesday', expected: undefined },
    ])
      it(`is ${expected ? 'refused' : 'taken'} with a job on ${weekday}s alone`, () => {
        const [mistake] = mistakesOf(
          withGc('mediaGc', { schedule: { at: '01:05', weekday }, timeLimitMinutes: 200 }),
        );
        if (expected) assert.match(String(mistake), expected);
        else assert.equal(mistake, undefined);
      });

    for (const { weekday, expected } of [
      { weekday: 'sunday', expected: /schedule\.at is "02:30", a time that Europe\/Berlin skips/ },
      { weekday: 'monday', expected: undefined },
    ])
      it(`is ${expected ? 'refused' : 'taken'} with a job at 02:30 on ${weekday}s alone`, () => {
        const [mistake] = mistakesOf(
          withGc('mediaGc', { schedule: { at: '02:30', weekday }, timeLimitMinutes: 60 }),
        );
        if (expected) assert.match(String(mistake), expected);
        else assert.equal(mistake, undefined);
      });

    it('knows on which day a run after midnight is', () => {
      const [, emea] = structuredClone(sample).deployments;
      const jobs = (weekday: string) => ({
        mediaGc: { schedule: { at: '23:45', weekday, flexibleMinutes: 0 }, timeLimitMinutes: 300 },
      });
      const configuration = (weekday: string) => ({
        ...sample,
        deployments: [{ ...emea, window: { from: '23:30', to: '04:30' }, jobs: jobs(weekday) }],
      });
      assert.match(String(mistakesOf(configuration('saturday'))), /at most the 240/);
      assert.deepEqual(mistakesOf(configuration('sunday')), []);
    });
  });

  it('is typed, so that an editor shows a mistake before the CDK does', () => {
    defineUpkeep({
      // @ts-expect-error the field is not known
      deployment: [],
      deployments: [],
    });
  });

  it('has its defaults filled in, and the general notifications', () => {
    const [latam, emea] = checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY });
    assert.equal(latam?.jobs.messageGc?.callbackTimeoutMinutes, 30);
    assert.equal(latam?.network.endpoints, 'existing');
    assert.deepEqual(latam?.notifications, sample.notifications);
    assert.match(latam?.certificateAuthority ?? '', /^-----BEGIN CERTIFICATE-----/);
    assert.equal(emea?.databases?.[0]?.certificateAuthority, 'rds');
    assert.equal(emea.jobs.databaseSize?.timeLimitMinutes, 30);
    assert.equal(emea.jobs.mediaGc?.schedule.weekday, 'sunday');
  });
});
