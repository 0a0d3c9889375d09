import { createCertificate } from '../whatsapp/certificate.ts';
import { type Fault, GOOD, isGcRequest, once } from './fault.ts';

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
    description: 'WebApp is down when the run begins, and back some minutes later',
    deployment: 'emea',
    async strike({ webApp }, { clock }) {
      await webApp.goDown();
      // emea's run begins between 23:15 and 23:30 UTC.
      clock.at(Date.parse('2026-11-24T23:40:00Z'), () => webApp.comeBack());
    },
    expected: GOOD,
  },
  'coreapp-unreachable': {
    description: 'WebApp cannot reach CoreApp at first: error 1014',
    deployment: 'latam',
    strike({ webApp }) {
      webApp.faults.unreachableCoreApp = 2;
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
    },
  },
};
