import type { TaskContainer } from '../containers/container.ts';
import type { AgentTiming } from './agent.ts';

/** A message between the agent and the client, for faults to judge. */
export interface LinkMessage {
  sessionId: string;
  to: 'client' | 'agent';
  messageType: string;
  payloadType: number;
  sequenceNumber: number;
  /** How many went this way before it in this session. */
  index: number;
}

/** What becomes of a message: it passes, or it is late by so many milliseconds, or worse. `cut` breaks the websocket. */
export type LinkFault = 'pass' | 'lose' | 'double' | 'damage' | 'cut' | { late: number };

/** What goes wrong, as long as it stands here. */
export interface SessionFaults {
  link?: (message: LinkMessage) => LinkFault;
  /** The service's words with which it refuses the websocket of a container's session. */
  opening?: (container: TaskContainer) => string | undefined;
  /** ResumeSession finds no session. */
  neverResume?: boolean;
  /** Sessions have no tag with their target, which no document of ECS Exec promises. */
  untagged?: boolean;
}

export interface SessionManagerOptions {
  /** @default as the agent's, {@link AGENT_TIMING} */
  timing?: Partial<AgentTiming>;
  /** Sessions that a container can have at once. @default 2, as ECS sets it */
  sessionsPerContainer?: number;
  /** Milliseconds without input or output after which a session is ended. @default 20 minutes */
  idleTimeout?: number;
  /**
   * Whether a data channel opens that nobody signed, as it does until AWS enforces signatures.
   *
   * @default refused, where there is an account to judge by; allowed otherwise
   */
  unsignedOpenings?: 'allowed' | 'refused';
  /** The URLs that ExecuteCommand gives bear their own signature, for so many seconds. @default they bear none */
  presignedFor?: number;
}
