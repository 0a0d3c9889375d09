/** An ECS service whose tasks are replaced. */
export interface RolledService {
  /** Unique among them: alarms and metrics are named after it. */
  name: string;
  /** Of its cluster. @default `clusterArn` of the settings */
  clusterArn?: string;
  /**
   * Whether two of its tasks must never be replaced at once.
   * @default false: a deployment may add tasks and take away old ones together, as far as its percentages allow
   */
  oneAtATime?: boolean;
}
