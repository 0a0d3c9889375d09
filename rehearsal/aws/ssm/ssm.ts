import type {
  DescribeSessionsCommandInput,
  ResumeSessionCommandInput,
  TerminateSessionCommandInput,
} from '@aws-sdk/client-ssm';
import * as client from '@aws-sdk/client-ssm';
import { AwsError } from '../aws-error.ts';
import {
  type Ask,
  anywhere,
  type Call,
  type Cloud,
  type Operations,
  operation,
  required,
  type Service,
} from '../cloud.ts';
import type { DockerHost } from '../containers/docker-host.ts';
import type { Place } from '../place.ts';
import type { SessionManager } from '../session-manager/session-manager.ts';
import type { TokenBuckets } from '../token-bucket.ts';
import { type Parameter, ParameterStore } from './parameter-store.ts';
import { type ManagedInstance, RunCommand } from './run-command.ts';

/** AWS Systems Manager: Run Command, Parameter Store, and the sessions of the gateway. */
export class Ssm implements Service {
  readonly signingName = 'ssm';
  readonly client = client;
  readonly operations: Operations;
  readonly #runCommand: RunCommand;
  readonly #parameters: ParameterStore;

  constructor(aws: Pick<Cloud, 'clock' | 'deployed' | 'access' | 'events'>, sessions: SessionManager) {
    this.#runCommand = new RunCommand(aws);
    this.#parameters = new ParameterStore(aws);
    this.operations = {
      ...this.#runCommand.operations,
      ...this.#parameters.operations,
      TerminateSession: operation(
        onSession('TerminateSession', sessions),
        ({ SessionId: id = '' }: TerminateSessionCommandInput) => {
          if (!sessions.terminateSession(id))
            throw new AwsError('DoesNotExistException', 'Session does not exist.');
          return { SessionId: id };
        },
      ),
      DescribeSessions: operation(
        anywhere('ssm:DescribeSessions'),
        ({ State: state }: DescribeSessionsCommandInput, { account, region }) => ({
          // Ended ones are not kept here.
          Sessions: (state === 'Active' ? sessions.open : []).flatMap(({ sessionId, startedAt }) =>
            sessions.targetOf(sessionId) === undefined
              ? []
              : [
                  {
                    SessionId: sessionId,
                    Target: sessions.targetOf(sessionId),
                    Status: 'Connected' as const,
                    StartDate: new Date(startedAt),
                    Owner: `arn:aws:iam::${account}:user/somebody-in-${region}`,
                  },
                ],
          ),
        }),
      ),
      ResumeSession: operation(
        onSession('ResumeSession', sessions),
        ({ SessionId: id = '' }: ResumeSessionCommandInput) => {
          const access = sessions.resumeSession(id);
          if (access === undefined)
            throw new AwsError('DoesNotExistException', 'Session is already terminated');
          return { SessionId: id, TokenValue: access.tokenValue, StreamUrl: access.streamUrl };
        },
      ),
    };
  }

  /** By id. */
  get instances(): Map<string, ManagedInstance> {
    return this.#runCommand.instances;
  }

  /** What throttles SendCommand. */
  get sending(): TokenBuckets {
    return this.#runCommand.sending;
  }

  /** Puts an instance under Systems Manager. */
  manage(host: DockerHost, where: Place): ManagedInstance {
    const instance: ManagedInstance = { ...where, host, reboots: 0 };
    this.instances.set(host.instanceId, instance);
    return instance;
  }

  /** Writes a parameter, as somebody else does. */
  write(
    name: string,
    value: string,
    where: Place & { keyId?: string; tier?: Parameter['tier']; since?: number },
  ): void {
    this.#parameters.put(name, value, where);
  }

  /** A parameter, as the instance role of a container reads it. */
  parameter(name: string, where: Place): Parameter | undefined {
    return this.#parameters.get(name, where);
  }

  /** Ends what still runs on the instances. */
  close(): void {
    this.#runCommand.close();
  }
}

function onSession(action: string, sessions: SessionManager) {
  return ({ SessionId }: { SessionId: string | undefined }, { account, region }: Call): Ask[] => [
    {
      action: `ssm:${action}`,
      resource: `arn:aws:ssm:${region}:${account}:session/${required(SessionId)}`,
      conditions: {
        'ssm:resourceTag/aws:ssmmessages:session-id': SessionId,
        'ssm:resourceTag/aws:ssmmessages:target-id': sessions.faults.untagged
          ? undefined
          : sessions.targetOf(required(SessionId)),
      },
    },
  ];
}
