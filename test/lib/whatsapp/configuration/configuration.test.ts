import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  checkConfiguration,
  defineUpkeep,
  loadConfiguration,
} from '../../../../lib/whatsapp/configuration/configuration.ts';
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

  it('is refused by name when the file does not exist', async () => {
    await assert.rejects(
      loadConfiguration('no.config.ts'),
      /no\.config\.ts has one mistake:\n- The file does not exist; name the configuration by -c config=FILE/,
    );
  });
});
