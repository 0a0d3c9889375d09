import { RotateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { AwsError } from '../../../rehearsal/aws/aws-error.ts';
import type { InterceptedCall } from '../../../rehearsal/aws/cloud.ts';
import type { ScheduleFault } from '../../../rehearsal/aws/scheduler/schedule.ts';
import { startRun, stopRuns } from '../../../rehearsal/operator.ts';
import { MALFORMED_NOTIFICATIONS } from '../../../rehearsal/whatsapp/webhook.ts';
import type { Draw } from './draw.ts';
import { HOUR, type Life, MINUTE, NAME, PLACE, SECRET } from './life.ts';

/** What goes wrong in a night, of which several may come together. */
interface SoakFault {
  /** Returns how it is taken back before the next evening. What is drawn is told by `say`. */
  strike(life: Life, draw: Draw, say: (what: string) => void): (() => unknown) | undefined;
  /** Alarms that are true by the fault itself, though each run may end well. */
  rings?: RegExp;
}

const JOBS = ['message-gc', 'log-cleanup', 'credential-rotation', 'database-size'] as const;
const FUNCTIONS = [...JOBS, 'start-run', 'rotate-secret', 'report-lost-run'] as const;
const CALLED = ['lambda', 'sqs', 'events', 'secretsmanager', 'ecs', 'ssm', 'monitoring'] as const;
const SERVICES = ['webapp', 'coreapp', 'master'] as const;
/** From the evening until the window's end. */
const NIGHT_MINUTES = 450;
/** A call, an invocation or a start of a run fails. */
const STARTS = /start-run-(errors|dead-letters)$|report-lost-run-(errors|dead-letters)$/;
const FORCE = /-(crashing|lost|dead-letters)$/;
const ROTATION = /rotate-secret-failed$/;

const any = (...patterns: RegExp[]) => new RegExp(patterns.map(({ source }) => source).join('|'));

/** At a moment of the night. */
function sometime({ world: { clock } }: Life, draw: Draw, task: () => void | Promise<void>): number {
  const minutes = draw.between(10, NIGHT_MINUTES);
  clock.at(clock.now() + minutes * MINUTE, task);
  return minutes;
}

/** What is in the way of some of a function's calls, from one of them on. */
function atCalls(
  { world: { aws } }: Life,
  functionName: string,
  first: number,
  count: number,
  act: (call: InterceptedCall) => Error | 'drop' | undefined,
  applies: (call: InterceptedCall) => boolean = () => true,
): () => void {
  let calls = 0;
  return aws.onCall((call) => {
    if (call.caller.function?.name !== functionName || !applies(call)) return undefined;
    calls += 1;
    return calls >= first && calls < first + count ? act(call) : undefined;
  });
}

export const SOAK_FAULTS: Record<string, SoakFault> = {
  'webapp-down': {
    strike(life, draw, say) {
      const { webApp } = life.played;
      const lasts = draw.between(1, 300);
      let isDown = false;
      say(
        `after ${sometime(life, draw, async () => {
          isDown = true;
          await webApp.goDown();
          life.world.clock.at(life.world.clock.now() + lasts * MINUTE, async () => {
            if (isDown) await webApp.comeBack();
            isDown = false;
          });
        })} minutes, for ${lasts}`,
      );
      return undefined;
    },
  },
  'token-revoked': {
    strike(life, draw, say) {
      const at = draw.between(1, 6);
      say(`at request ${at}`);
      let requests = 0;
      const hook = () => {
        requests += 1;
        if (requests === at) life.played.webApp.revokeTokens();
      };
      life.onRequest.add(hook);
      return () => life.onRequest.delete(hook);
    },
  },
  callbacks: {
    strike({ played: { webApp } }, draw, say) {
      webApp.faults.callback = draw.oneOf(['never', 'twice', 'failed-then-complete', 'also-unknown-node']);
      say(webApp.faults.callback);
      return () => {
        webApp.faults.callback = 'once';
      };
    },
  },
  'collections-fail': {
    strike({ played: { webApp } }, draw, say) {
      webApp.faults.failingRequests = draw.between(1, 9);
      say(`${webApp.faults.failingRequests}`);
      return () => {
        webApp.faults.failingRequests = 0;
      };
    },
  },
  'coreapp-unreachable': {
    strike({ played: { webApp } }, draw, say) {
      webApp.faults.unreachableCoreApp = draw.between(1, 4);
      say(`${webApp.faults.unreachableCoreApp}`);
      return () => {
        webApp.faults.unreachableCoreApp = 0;
      };
    },
  },
  'stray-answer': {
    strike({ played: { webApp } }) {
      webApp.faults.strayAnswers = ['<html><body>Welcome to nginx!</body></html>'];
      return () => {
        webApp.faults.strayAnswers = [];
      };
    },
  },
  'collects-by-itself': {
    strike(life, draw, say) {
      say(`after ${sometime(life, draw, () => life.played.webApp.collectUnasked('message'))} minutes`);
      return undefined;
    },
  },
  'webhook-down': {
    rings: /callback-relay-webhook-fails$/,
    strike(life, draw, say) {
      const { webhook } = life.played;
      const lasts = draw.between(1, 60);
      const { clock } = life.world;
      say(
        `after ${sometime(life, draw, async () => {
          await webhook.goDown();
          clock.at(clock.now() + lasts * MINUTE, () => webhook.comeBack());
        })} minutes, for ${lasts}`,
      );
      return undefined;
    },
  },
  'malformed-notifications': {
    rings: /gc-notifications-dead-letters$/,
    strike(life, draw, say) {
      say(
        `after ${sometime(life, draw, async () => {
          for (const detail of MALFORMED_NOTIFICATIONS)
            await life.played.webApp.sendCallback(detail).catch(() => {});
        })} minutes`,
      );
      return undefined;
    },
  },
  throttled: {
    rings: any(STARTS, FORCE, ROTATION, /not-on-bus$/),
    strike(life, draw, say) {
      const name = draw.oneOf(FUNCTIONS);
      const [first, count] = [draw.between(1, 40), draw.between(1, 8)];
      say(`${name}, from call ${first}, ${count}`);
      return atCalls(
        life,
        `${NAME}-${name}`,
        first,
        count,
        () => new AwsError('ThrottlingException', 'Rate exceeded'),
      );
    },
  },
  'service-down': {
    rings: any(STARTS, FORCE, ROTATION, /not-on-bus$/),
    strike(life, draw, say) {
      const service = draw.oneOf(CALLED);
      const lasts = draw.between(1, 90);
      const { aws, clock } = life.world;
      let stop = () => {};
      say(
        `${service} after ${sometime(life, draw, () => {
          const ends = aws.onCall((call) =>
            call.service === service && call.caller.function
              ? new AwsError('InternalFailure', 'The service is down.')
              : undefined,
          );
          stop = () => ends();
          clock.at(clock.now() + lasts * MINUTE, stop);
        })} minutes, for ${lasts}`,
      );
      return () => stop();
    },
  },
  killed: {
    rings: any(STARTS, FORCE, ROTATION),
    strike(life, draw, say) {
      const name = draw.oneOf(FUNCTIONS);
      const [first, count] = [draw.between(1, 40), draw.between(1, 4)];
      const isLost = draw.chance(0.5);
      say(`${name} at call ${first}, ${count} times${isLost ? ', and the call is lost' : ''}`);
      return atCalls(life, `${NAME}-${name}`, first, count, () => {
        life.world.aws.killFunction(`${NAME}-${name}`);
        return isLost ? 'drop' : undefined;
      });
    },
  },
  'invocations-fail': {
    rings: any(STARTS, FORCE, ROTATION),
    strike(life, draw, say) {
      const name = draw.oneOf(FUNCTIONS);
      const [first, count] = [draw.between(1, 5), draw.between(1, 8)];
      say(`${name} from invocation ${first}, ${count}`);
      let invocations = 0;
      return life.world.aws.onInvoke(({ functionName }) => {
        if (functionName !== `${NAME}-${name}`) return undefined;
        invocations += 1;
        return invocations >= first && invocations < first + count
          ? new Error('Runtime exited with error: signal: killed')
          : undefined;
      });
    },
  },
  schedule: {
    rings: any(STARTS, /schedules-dead-letters$/),
    strike({ world: { aws } }, draw, say) {
      const job = draw.oneOf(JOBS);
      const fault = draw.oneOf<ScheduleFault>([
        { kind: 'doubled' },
        { kind: 'disabled' },
        { kind: 'delayed', milliseconds: draw.between(1, 300) * MINUTE },
        { kind: 'throttled', attempts: draw.between(1, 300) },
      ]);
      say(`${job} ${JSON.stringify(fault)}`);
      aws.scheduler.fault(`${NAME}-${job}`, fault);
      return () => aws.scheduler.fault(`${NAME}-${job}`, undefined);
    },
  },
  'container-dies': {
    strike(life, draw, say) {
      const number = draw.between(0, 4);
      say(
        `${number} after ${sometime(life, draw, async () => {
          await life.tasks()[number]?.containers[0]?.kill();
        })} minutes`,
      );
      return undefined;
    },
  },
  'agent-stopped': {
    strike(life, draw, say) {
      const number = draw.between(0, 4);
      say(`in container ${number}`);
      const [container] = life.tasks()[number]?.containers ?? [];
      if (container) container.agentRunning = false;
      return () => {
        if (container) container.agentRunning = true;
      };
    },
  },
  'command-fails': {
    strike(life, draw, say) {
      const [first, count] = [draw.between(1, 6), draw.between(1, 6)];
      say(`from the ${first}th on, ${count}`);
      life.failingCommands = { first, count };
      return () => {
        life.failingCommands = undefined;
      };
    },
  },
  'sessions-break': {
    strike({ world: { aws } }, draw, say) {
      const [every, what] = [draw.between(3, 12), draw.oneOf(['lose', 'double', 'cut'] as const)];
      let cuts = 0;
      say(`${what} each ${every}th message`);
      aws.sessions.faults.link = ({ index }) =>
        index % every === every - 1 && (what !== 'cut' || cuts++ < 3) ? what : 'pass';
      return () => {
        delete aws.sessions.faults.link;
      };
    },
  },
  'service-unsteady': {
    strike(life, draw, say) {
      const name = draw.oneOf(SERVICES);
      const fault = draw.oneOf(['tasks-exit', 'no-room'] as const);
      const { [name]: service } = life.services;
      const lasts = draw.between(1, 20);
      service.fault = fault;
      say(`${name} ${fault} for ${lasts} hours`);
      const end = () => {
        service.fault = undefined;
      };
      life.world.clock.at(life.world.clock.now() + lasts * HOUR, end);
      return end;
    },
  },
  'database-away': {
    strike(life, draw, say) {
      const { aws, clock } = life.world;
      const lasts = draw.between(2, 20);
      say(`for ${lasts} hours`);
      const before = { ...aws.hosts };
      const restart = () => {
        for (const name of FUNCTIONS) aws.killFunction(`${NAME}-${name}`);
      };
      for (const host of Object.keys(before))
        if (host.startsWith('database.')) aws.hosts[host] = '127.0.0.1:9';
      restart();
      const end = () => {
        Object.assign(aws.hosts, before);
        restart();
      };
      clock.at(clock.now() + lasts * HOUR, end);
      return undefined;
    },
    rings: any(ROTATION, FORCE),
  },
  'run-stopped': {
    rings: /-lost$/,
    strike(life, draw, say) {
      const job = draw.oneOf(JOBS);
      const call = draw.between(1, 30);
      say(`${job} at call ${call}`);
      const { aws, clock } = life.world;
      return atCalls(life, `${NAME}-${job}`, call, 1, () => {
        clock.at(clock.now() + 500, () => stopRuns(aws, `${NAME}-${job}`));
        return undefined;
      });
    },
  },
  'new-version': {
    strike(life, draw, say) {
      const { aws } = life.world;
      say(`after ${sometime(life, draw, () => aws.lambda.deployVersion(NAME))} minutes`);
      return undefined;
    },
  },
  'run-by-hand': {
    strike(life, draw, say) {
      const job = draw.oneOf([...JOBS, 'media-gc'] as const);
      const { aws } = life.world;
      say(`${job} after ${sometime(life, draw, () => startRun(aws, NAME, job))} minutes`);
      return undefined;
    },
    rings: STARTS,
  },
  'rotated-by-hand': {
    strike(life, draw, say) {
      say(`after ${sometime(life, draw, () => rotateByHand(life))} minutes`);
      return undefined;
    },
    rings: ROTATION,
  },
  'credential-misread': {
    strike(life, draw, say) {
      const { credential } = life.played;
      if (!credential) return undefined;
      const way = draw.oneOf(['old', 'blank', 'nobody'] as const);
      const role = draw.oneOf(SERVICES);
      say(`by ${role}, ${way}`);
      credential.misread = (login, whose) => {
        if (whose !== role) return login;
        if (way === 'old') return credential.login('AWSPREVIOUS') ?? login;
        return way === 'blank'
          ? { ...login, password: `${login.password} ` }
          : { ...login, username: 'nobody' };
      };
      return () => {
        delete credential.misread;
        // Whoever reads of it has them start anew: by themselves they never would.
        life.services[role].deploy();
      };
    },
  },
};

/** As somebody does in the console. */
async function rotateByHand({ world: { aws } }: Life): Promise<void> {
  const secrets = new SecretsManagerClient({
    endpoint: aws.endpoint,
    region: PLACE.region,
    maxAttempts: 1,
    credentials: aws.credentialsFor({
      arn: `arn:aws:sts::${PLACE.account}:assumed-role/operator/somebody`,
      policy: {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: 'secretsmanager:RotateSecret', Resource: SECRET },
          { Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: '*' },
        ],
      },
    }),
  });
  // Secrets Manager refuses it while one is going on.
  await secrets.send(new RotateSecretCommand({ SecretId: SECRET })).catch(() => {});
  secrets.destroy();
}
