import { keepCertificate } from '../certificates.ts';
import { createCertificate } from '../whatsapp/certificate.ts';
import { eveningToCome, type Fault, GOOD, HOUR, isGcRequest, LARGE, MINUTE, once } from './fault.ts';

const DAY = 24 * HOUR;

/** What goes wrong of WebApp, its login and its certificate. */
export const WEB_APP_FAULTS: Record<string, Fault> = {
  'webapp-down': {
    description: 'WebApp is down all night',
    deployment: 'latam',
    async strike({ webApp }) {
      await webApp.goDown();
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-failed'] },
  },
  'webapp-restarts': {
    description:
      'WebApp is down when the run begins, and back some minutes later, with a certificate that soon ends',
    deployment: 'emea',
    starts: eveningToCome(),
    async strike({ name, webApp, webAppUrl }, { aws, clock }) {
      await webApp.goDown();
      const { hostname } = new URL(webAppUrl);
      const certificate = await createCertificate(hostname, {
        validTo: new Date(clock.now() + 12 * DAY),
        issuer: await keepCertificate(name, hostname),
      });
      const stop = aws.onInvoke(({ functionName }) => {
        if (functionName !== 'emea-message-gc') return undefined;
        stop();
        clock.at(clock.now() + 10 * MINUTE, () => {
          webApp.useCertificate(certificate);
          return webApp.comeBack();
        });
        return undefined;
      });
    },
    expected: { ...GOOD, alarms: ['emea-message-gc-certificate'] },
  },
  'coreapp-unreachable': {
    description:
      'WebApp cannot reach CoreApp at first (error 1014), and what stands before it answers in its place, with HTML',
    deployment: 'latam',
    strike({ webApp }) {
      webApp.faults.unreachableCoreApp = 1;
      webApp.faults.strayAnswers = ['<html><body>Welcome to nginx!</body></html>'];
    },
    expected: GOOD,
  },
  'token-expires': {
    description: "WebApp's token expires in the middle of the run",
    deployment: 'latam',
    strike({ webApp }, _world, hooks) {
      hooks.onRequest = once(isGcRequest, () => webApp.revokeTokens());
    },
    expected: GOOD,
  },
  'wrong-password': {
    description: "The API user's password was changed in WebApp only",
    deployment: 'latam',
    strike({ webApp }) {
      webApp.setPassword('upkeep', 'Somebody-changed-1t');
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-failed'] },
  },
  'wrong-certificate': {
    description: 'WebApp shows a certificate that is not the pinned one',
    deployment: 'emea',
    async strike({ webAppUrl, webApp }) {
      webApp.useCertificate(await createCertificate(new URL(webAppUrl).hostname));
    },
    expected: {
      outcomes: { 'message-gc': ['failed'] },
      alarms: ['emea-message-gc-failed'],
      alarmsOfLargeTables: ['emea-database-size-wa1-large'],
      severalMessages: LARGE,
    },
  },
};
