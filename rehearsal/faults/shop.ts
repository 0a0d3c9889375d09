import { REPLACED_AFTER, SECRETS } from '../shop/names.ts';
import { HOUR, type ShopFault } from './fault.ts';

/** What goes wrong where the same services read several passwords, and what others replace. */
export const SHOP_FAULTS: Record<string, ShopFault> = {
  'second-password-unproven': {
    description:
      'Of two passwords that are rotated by one roll the database may not show who logs in with the second: the first one is retired, that one kept',
    deployment: 'shop',
    strike: async ({ administer }) => {
      await administer('REVOKE pg_read_all_stats FROM stock_rotator');
    },
    expected: {
      outcomes: { 'credential-rotation': ['partial'] },
      alarms: ['shop-credential-rotation-partial'],
      oldPasswords: ['stock'],
      problems: [/GRANT pg_read_all_stats TO "stock_rotator"/],
    },
  },
  'second-password-misread': {
    description:
      'Of two passwords the workers take the second one from elsewhere, until the next day: the roll stops, and goes on then',
    deployment: 'shop',
    strike({ credentials: { stock }, tasks }, { clock }) {
      stock.misread = (login, service) =>
        service === 'worker' ? { ...login, password: 'of yesterday' } : login;
      clock.at(clock.now() + 18 * HOUR, async () => {
        stock.misread = undefined;
        // As the report says, so that others take their place.
        for (const { containers } of tasks('worker')) await containers[0]?.kill();
      });
    },
    expected: {
      outcomes: { 'credential-rotation': ['failed', 'succeeded'] },
      alarms: ['shop-credential-rotation-stopped-worker'],
      problems: [/The roll stopped at the service worker: Of stock: /],
    },
    lasts: 36 * HOUR,
  },
  'certificate-unusable': {
    description:
      'A certificate is replaced by one with which the proxy ends: its roll stops, and it is left alone until it is mended',
    deployment: 'shop',
    strike({ services: { proxy }, replace }, { clock }) {
      clock.at(clock.now() + REPLACED_AFTER, () => {
        replace('certificate');
        proxy.fault = 'tasks-exit';
      });
    },
    expected: {
      outcomes: { 'reload-on-change': ['failed', 'skipped'] },
      alarms: [
        'shop-reload-on-change-failed',
        'shop-reload-on-change-missed',
        'shop-reload-on-change-stale-certificate',
      ],
      severalMessages:
        'the run that failed; a day later, that none has succeeded since, and that tasks have lacked the certificate for a day',
      behind: ['proxy'],
      problems: [/The roll stopped at the service proxy: .* It was for a new version of certificate/],
    },
    lasts: 36 * HOUR,
  },
  'key-pinned': {
    description: "A service's task definition names one version of a key, so that it would get no other",
    deployment: 'shop',
    strike({ services: { worker }, replace }, { aws, clock }) {
      clock.at(clock.now() + REPLACED_AFTER, () => {
        const { versions } = aws.secrets.secret(SECRETS.paymentKey);
        const pinned = versions.find(({ stages }) => stages.has('AWSCURRENT'))?.id;
        const { secrets = [] } = worker.options;
        worker.options.secrets = secrets.map(({ name, valueFrom }) => ({
          name,
          valueFrom: name === 'PAYMENT_KEY' ? `${valueFrom}${pinned}` : valueFrom,
        }));
        replace('payment-key');
      });
    },
    expected: {
      outcomes: { 'reload-on-change': ['partial'] },
      alarms: ['shop-reload-on-change-partial'],
      behind: ['worker'],
      problems: [/Its task definition pins the version \S+ of payment-key, and \S+ is in use/],
    },
  },
};
