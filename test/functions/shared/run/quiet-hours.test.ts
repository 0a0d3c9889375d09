import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Counted,
  hoursOf,
  ordinaryWeek,
  quietHours,
} from '../../../../functions/shared/run/quiet-hours.ts';
import { wallClock } from '../../../../functions/shared/run/time-of-day.ts';
import { seededRandom } from '../../../../rehearsal/aws/seeded-random.ts';
import { RECORDED_SPAN, recordedTraffic } from './recorded-traffic.ts';

const QUARTER = 15 * 60_000;
const HOUR = 4 * QUARTER;
const DAY = 24 * HOUR;
/** A Monday at midnight, UTC. */
const MONDAY = Date.parse('2026-11-02T00:00:00Z');
const FOUR_WEEKS = { from: MONDAY, to: MONDAY + 28 * DAY };

/** What came in each quarter of an hour, by the hours since Monday's midnight, UTC. Nothing is told of quarters without any. */
function counted(requests: (hour: number, week: number) => number, { from, to } = FOUR_WEEKS): Counted[] {
  const all: Counted[] = [];
  for (let at = from; at < to; at += QUARTER) {
    const since = at - MONDAY;
    const value = requests(Math.floor(since / HOUR) % (7 * 24), Math.floor(since / (7 * DAY)));
    if (value > 0) all.push({ at, requests: value });
  }
  return all;
}

/** Requests of each hour of a customer service with a shop, as its load balancer counts them: on weekdays, on Saturdays, on Sundays. */
const PROFILES = {
  weekday: [
    210, 96, 52, 41, 38, 61, 240, 820, 1610, 2140, 2380, 2290, 1980, 2120, 2310, 2250, 2190, 2260, 2420, 2510,
    2130, 1540, 910, 430,
  ],
  saturday: [
    340, 180, 97, 66, 49, 44, 92, 310, 780, 1320, 1690, 1760, 1650, 1580, 1540, 1510, 1480, 1530, 1620, 1580,
    1390, 1180, 860, 560,
  ],
  sunday: [
    410, 260, 160, 98, 61, 47, 52, 130, 390, 760, 1080, 1240, 1190, 1150, 1180, 1210, 1260, 1390, 1610, 1720,
    1530, 1160, 690, 350,
  ],
};

/** Four weeks of it by quarters of an hour: never twice the same, with a campaign, and an outage in which nothing is told. */
function likeTraffic({ from, to }: { from: number; to: number }, timeZone: string): Counted[] {
  const local = wallClock(timeZone);
  const random = seededRandom('a shop');
  const all: Counted[] = [];
  for (let at = from; at < to; at += QUARTER) {
    const { weekday, minute, date } = local(at);
    const profile =
      weekday === 'saturday' ? PROFILES.saturday : weekday === 'sunday' ? PROFILES.sunday : PROFILES.weekday;
    const usual = ((profile[Math.floor(minute / 60)] ?? 0) / 4) * (0.85 + 0.3 * random());
    const isCampaign = date === '27/10/2026' && minute >= 14 * 60 && minute < 17 * 60;
    if (date === '29/10/2026' && minute >= 14 * 60 && minute < 16 * 60) continue;
    all.push({ at, requests: Math.round(isCampaign ? usual * 6 : usual) });
  }
  return all;
}

/** Busy by day, and quiet from 02:00 to 06:00. */
const office = (hour: number): number => (hour % 24 >= 2 && hour % 24 < 6 ? 1 : 20);

function found(window: { from: string; to: string }, requests = office, timeZone = 'UTC') {
  const { week, days } = ordinaryWeek(counted(requests), FOUR_WEEKS, timeZone);
  return quietHours(week, days, window);
}

describe('the quiet hours', () => {
  it('are those in which least came, in windows of the length that is configured', () => {
    const { isQuiet, configured, quietest, days } = found({ from: '22:00', to: '02:00' });
    assert.deepEqual(quietest, { from: '02:00', to: '06:00', requestsPerHour: 4 });
    assert.deepEqual(configured, { from: '22:00', to: '02:00', requestsPerHour: 80 });
    assert.deepEqual([isQuiet, days], [false, 28]);
    assert.equal(found({ from: '02:00', to: '06:00' }).isQuiet, true);
    assert.equal(found({ from: '01:00', to: '05:00' }).isQuiet, false, 'an hour of it is busy');
    const half = found({ from: '23:30', to: '02:00' }).quietest;
    assert.deepEqual(half, { from: '02:00', to: '04:30', requestsPerHour: 4 });
    assert.equal(found({ from: '05:50', to: '06:10' }).configured.requestsPerHour, 42, 'half busy, half not');
  });

  it("are in the deployment's own time, also where that is not whole hours away", () => {
    assert.equal(found({ from: '00:00', to: '04:00' }, office, 'Asia/Kolkata').quietest.from, '07:30');
    assert.equal(found({ from: '00:00', to: '04:00' }, office, 'America/Sao_Paulo').quietest.from, '23:00');
  });

  it('are told for each weekday', () => {
    const sundaysByDay = (hour: number) =>
      hour < 6 * 24 ? office(hour) : hour % 24 >= 10 && hour % 24 < 14 ? 0 : 20;
    const { byWeekday } = found({ from: '02:00', to: '06:00' }, sundaysByDay);
    assert.equal(byWeekday.monday.from, '02:00');
    assert.deepEqual(byWeekday.sunday, { from: '10:00', to: '14:00', requestsPerHour: 0 });
  });

  it('do not go by one week that was unlike the others', () => {
    const withCampaign = (hour: number, week: number) =>
      week === 2 && office(hour) === 1 ? 500 : office(hour);
    const { week } = ordinaryWeek(counted(withCampaign), FOUR_WEEKS, 'UTC');
    assert.deepEqual(hoursOf(week)[0]?.slice(0, 8), [80, 80, 4, 4, 4, 4, 80, 80]);
  });

  it('are quiet where nearly nothing is asked, though elsewhere even less is', () => {
    const nights = (hour: number) => [3, 3, 0, 0][hour % 24] ?? (hour % 24 < 6 ? 1 : 400);
    assert.equal(found({ from: '00:00', to: '02:00' }, nights).isQuiet, true);
  });

  it('are quiet with what garbage collection itself has told in them, of a client that has no other callbacks', () => {
    const own = (hour: number) => (hour % 24 === 1 ? 2 : 0);
    const { isQuiet, configured } = found({ from: '00:00', to: '04:00' }, own);
    assert.deepEqual([isQuiet, configured.requestsPerHour], [true, 2]);
  });

  it('stay those that are configured where others are as quiet', () => {
    assert.equal(found({ from: '03:00', to: '05:00' }).quietest.from, '03:00');
  });

  it('are found in four weeks of a shop: weekdays, Saturdays, Sundays, a campaign, an outage, and clocks set back in Berlin', () => {
    const span = { from: Date.parse('2026-10-12T00:00:00Z'), to: Date.parse('2026-11-09T00:00:00Z') };
    const recorded = likeTraffic(span, 'Europe/Berlin');
    const { week, days } = ordinaryWeek(recorded, span, 'Europe/Berlin');
    const { quietest, byWeekday, isQuiet, configured } = quietHours(week, days, {
      from: '01:00',
      to: '05:00',
    });
    // By the clock on the wall, which the offices go by, before and after that Sunday; in the morning after a Saturday it is later.
    assert.deepEqual([quietest.from, quietest.to], ['02:00', '06:00']);
    assert.deepEqual([byWeekday.wednesday.from, byWeekday.sunday.from], ['02:00', '03:00']);
    assert.equal(isQuiet, true, `${configured.requestsPerHour} to ${quietest.requestsPerHour}`);
    for (const [from, to, expected] of [
      ['21:00', '01:00', false],
      ['04:00', '08:00', false],
      ['03:00', '05:00', true],
    ] as const)
      assert.equal(quietHours(week, days, { from, to }).isQuiet, expected, from);
    // An hour of the whole year's time is not that of the wall.
    const byUtc = ordinaryWeek(recorded, span, 'UTC').week;
    assert.notDeepEqual(byUtc, week);
    // The campaign of one Tuesday and the outage of one Thursday are in none of it.
    const hours = hoursOf(week);
    const [tuesday, wednesday, thursday] = [1, 2, 3].map((day) => hours[day]?.[15] ?? 0);
    assert.ok(Math.abs((tuesday ?? 0) / (wednesday ?? 1) - 1) < 0.15, `${tuesday} ${wednesday}`);
    assert.ok(Math.abs((thursday ?? 0) / (wednesday ?? 1) - 1) < 0.15, `${thursday} ${wednesday}`);
  });

  it('are found in what CloudWatch recorded of a load balancer: those in which the fewest requests came', () => {
    const recorded = recordedTraffic();
    const { week, days } = ordinaryWeek(recorded, RECORDED_SPAN, 'UTC');
    const of = (from: string, to: string) => quietHours(week, days, { from, to });
    const { quietest, configured, isQuiet } = of('16:00', '20:00');
    // As one sees by adding them up: least came from six to ten, in America's night, and nearly twice as much in its afternoon.
    const inHours = (from: number) =>
      recorded
        .filter(({ at }) => (new Date(at).getUTCHours() - from + 24) % 24 < 4)
        .reduce((sum, { requests }) => sum + requests, 0);
    const counts = Array.from({ length: 24 }, (_, from) => inHours(from));
    assert.equal(counts.indexOf(Math.min(...counts)), 6);
    assert.deepEqual([counts[6], counts[16], days], [29_674, 55_654, 14]);
    assert.deepEqual([quietest.from, quietest.to], ['06:00', '10:00']);
    assert.equal(isQuiet, false, `${configured.requestsPerHour} to ${quietest.requestsPerHour}`);
    assert.equal(of('05:00', '09:00').isQuiet, true);
    const there = ordinaryWeek(recorded, RECORDED_SPAN, 'America/New_York');
    assert.equal(quietHours(there.week, there.days, { from: '00:00', to: '04:00' }).quietest.from, '02:00');
  });

  it('need a week, counted from the first that is known', () => {
    const young = { from: FOUR_WEEKS.to - 5 * DAY, to: FOUR_WEEKS.to };
    assert.throws(
      () => ordinaryWeek(counted(office, young), FOUR_WEEKS, 'UTC'),
      /Only 5 days are known.*at least 7 whole ones/,
    );
    const old = { from: FOUR_WEEKS.to - 9 * DAY, to: FOUR_WEEKS.to };
    assert.equal(ordinaryWeek(counted(office, old), FOUR_WEEKS, 'UTC').days, 9);
  });

  it('do not go by hours of which a server that always tells something has told nothing', () => {
    const holes = (hour: number, week: number) => (week < 2 && hour % 24 === 12 ? 0 : office(hour));
    const of = (requests: typeof holes) => ordinaryWeek(counted(requests), FOUR_WEEKS, 'UTC', 'unknown').week;
    assert.deepEqual(of(holes), of(office));
    assert.equal(hoursOf(ordinaryWeek(counted(holes), FOUR_WEEKS, 'UTC').week)[0]?.[12], 40);
    assert.throws(
      () => of((hour) => (hour % 24 < 4 ? 0 : 20)),
      /Nothing is known of any monday at 02:00: an ordinary week takes a value of each hour/,
    );
  });

  for (const [what, from, to] of [
    [
      'know nothing of an hour that the clocks leave out in the only week, and take it as the one before',
      '2027-03-22',
      '2027-03-30',
    ],
    [
      'count an hour that comes twice, and none that does not come, by the clock on the wall',
      '2026-10-12',
      '2026-11-09',
    ],
  ] as const)
    it(what, () => {
      const span = { from: Date.parse(`${from}T00:00:00Z`), to: Date.parse(`${to}T00:00:00Z`) };
      const { week } = ordinaryWeek(
        counted(() => 5, span),
        span,
        'Europe/Berlin',
      );
      assert.ok(week.flat().every((requests) => requests === 5));
    });
});
