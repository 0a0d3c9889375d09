/** Where something in AWS stands. */
export interface Place {
  account: string;
  region: string;
}
