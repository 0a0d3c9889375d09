import type { Job } from './jobs.ts';
import type { ListedSecret } from './secrets.ts';

/** What AWS cannot tell: flags and prompts do. */
export interface Answers {
  /** Of the deployment. */
  name: string;
  timeZone: string;
  window: { from: string; to: string };
  notifications: { emails: string[] } | { topicArn: string } | { silent: true };
  jobs: Job[];
  webAppUrl: string | undefined;
  serverName: string | undefined;
  /** A path, relative to the configuration's folder. */
  certificateAuthority: string;
  apiUser: ListedSecret | undefined;
  /** Of database-size and upgrade-check. */
  databaseUser: ListedSecret | undefined;
  /** With the client's own credential. */
  credential: ListedSecret | undefined;
  /** With an administrator of WebApp. */
  administrator: ListedSecret | undefined;
  /** Of container instances that Run Command reaches. */
  instancesTag: { tagKey: string; tagValue: string } | undefined;
}
